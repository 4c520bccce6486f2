//! How does a field look from above on a day?

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chassis::clock::Now;
use chassis::envelope::{Failure, FieldErrors};
use chassis::file::{self, File};
use jiff::civil::Date;
use picture::raster::{Size, Stretch, Style};

use super::asked::{Asked, Pairs};
use super::farm::{self, Today};
use super::{Ndvi, busy, days_default, document, timeout, upstream_error};
use crate::domain::buckets::{self, Gap};
use crate::domain::coverage::days_later;
use crate::domain::field::Field;
use crate::gallery::{Asker, Blank, Picture, PictureAsk};

/// Which scene a picture shows.
const SCENE: HeaderName = HeaderName::from_static("x-ndvi-scene");

/// When that was acquired.
const ACQUIRED_AT: HeaderName = HeaderName::from_static("x-ndvi-acquired-at");

/// Why there is no picture, as a word.
const REASON: HeaderName = HeaderName::from_static("x-ndvi-reason");

/// A day, as [`crate::gallery::PICTURE_AGE_MAX`]; private, since a field is somebody's.
const CACHE_CONTROL: &str = "private, max-age=86400";

struct RasterQuery {
    date: Option<Date>,
    max_cloud_percent: Option<f64>,
    style: Style,
}

/// The picture of a day, painted now unless it is remembered.
#[utoipa::path(
    get, path = "/api/v1/farms/{id}/ndvi/raster.png",
    params(document::FarmParams, document::RasterParams),
    responses(
        (status = 200, description = "The picture.", content_type = "image/png", body = String),
        (status = 304, description = "Unchanged.")
    )
)]
pub(super) async fn raster(
    State(ndvi): State<Ndvi>,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (now, today) = (Now::read(), Today::read());
    let query = query(&pairs).map_err(Failure::fields)?;
    let field = farm::field(&ndvi, &name).await?;
    let date = match query.date {
        Some(date) => date,
        None => newest(&ndvi, &field, query.max_cloud_percent, today).await?,
    };
    let RasterQuery { max_cloud_percent, style, .. } = query;
    let ask = PictureAsk { field, date, max_cloud_percent, style };
    let picture = match ndvi.gallery.ready(&ask, now) {
        Some(picture) => picture,
        None => paint(&ndvi, ask, now, today).await?,
    };
    let Picture { png, digest, scene_id, acquired_at } = Arc::unwrap_or_clone(picture);
    let file = File::known(png, digest, "image/png", CACHE_CONTROL)
        .with(SCENE, &scene_id)
        .with(ACQUIRED_AT, &acquired_at.to_string());
    Ok(file::answer(file, &headers))
}

fn query(pairs: &Pairs) -> Result<RasterQuery, FieldErrors> {
    let mut asked = Asked::new(pairs);
    let sizes = u32::from(Size::MIN.pixels())..=u32::from(Size::MAX.pixels());
    let size = asked.whole("size", sizes).and_then(|size| Size::new(u16::try_from(size).ok()?));
    let stretches = [("fixed", Stretch::Fixed), ("histogram", Stretch::Histogram)];
    let query = RasterQuery {
        date: asked.date("date"),
        max_cloud_percent: asked.percent("max_cloud"),
        style: Style {
            size: size.unwrap_or_default(),
            stretch: asked.word("stretch", &stretches).unwrap_or_default(),
            legend: asked.flag("legend").unwrap_or_default(),
        },
    };
    asked.finish(query)
}

/// The newest day with a value, from the database.
pub(super) async fn newest(
    ndvi: &Ndvi,
    field: &Field,
    max_cloud: Option<f64>,
    today: Today,
) -> Result<Date, Failure> {
    let back = i32::try_from(days_default(&ndvi.rules)).unwrap_or(i32::MAX);
    let days = (days_later(today.day, -back), today.day);
    let known = farm::known(ndvi, field, days, max_cloud).await?;
    let latest = buckets::latest(&known.seen, &known.coverage, days, max_cloud, today.day);
    latest.map(crate::domain::seen::Seen::day).map_err(nothing)
}

async fn paint(
    ndvi: &Ndvi,
    ask: PictureAsk,
    now: Now,
    today: Today,
) -> Result<Arc<Picture>, Failure> {
    if let Some(gap) = known_gap(ndvi, &ask, today).await? {
        return Err(nothing(gap));
    }
    ndvi.gallery.paint(ask, Asker::Client, now).await.map_err(failure)
}

/// Why the day has no picture, when the database knows: nobody is asked about a day on which
/// somebody looked and saw nothing.
async fn known_gap(ndvi: &Ndvi, ask: &PictureAsk, today: Today) -> Result<Option<Gap>, Failure> {
    if ask.date > today.day {
        return Ok(Some(Gap::Future));
    }
    let day = (ask.date, ask.date);
    let known = farm::known(ndvi, &ask.field, day, ask.max_cloud_percent).await?;
    if known.coverage.to_look_at(today.at, ndvi.rules.look_ages).is_some() {
        return Ok(None);
    }
    let max_cloud = ask.max_cloud_percent;
    let latest = buckets::latest(&known.seen, &known.coverage, day, max_cloud, today.day);
    Ok(latest.err().filter(|gap| *gap != Gap::Unread))
}

fn failure(blank: Blank) -> Failure {
    match blank {
        Blank::Nothing(gap) => nothing(gap),
        Blank::Busy => busy("Too many pictures are being painted."),
        Blank::TooWide => Failure::fields(FieldErrors::one("geometry", blank.to_string())),
        Blank::Unreadable | Blank::Form => upstream_error(),
        Blank::Late => timeout(),
        Blank::Internal => Failure::internal(),
    }
}

fn nothing(gap: Gap) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, gap.sentence())
        .with_header(REASON, HeaderValue::from_static(gap.code()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn size_and_words_have_bounds() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let query_of = |pairs: Pairs| query(&pairs);
        let style =
            query_of(vec![pair("size", "128"), pair("stretch", "histogram")]).unwrap().style;
        assert_eq!(
            (style.size, style.stretch, style.legend),
            (Size::MIN, Stretch::Histogram, false)
        );
        for wrong in [pair("size", "127"), pair("size", "1025"), pair("stretch", "x")] {
            assert!(query_of(vec![wrong]).is_err());
        }
    }
}
