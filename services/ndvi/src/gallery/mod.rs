//! Which pictures of fields are ready, and who paints one that is not?
//!
//! Reading a scene is what takes time: the values behind a picture are remembered beside the
//! picture itself, so that another size or a legend costs no read. A picture is painted once,
//! however many ask for it, and by a task of its own: a client that goes away does not take it from
//! those who still wait.

mod read;
mod shelf;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chassis::clock::Now;
use chassis::metrics::Metrics;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::Timestamp;
use jiff::civil::Date;
use picture::raster::{RasterError, Stretch, Style};
use prometheus::IntCounterVec;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::buckets::Gap;
use crate::domain::field::{Field, FieldId, Revision};
use crate::pictures::raster_png;
use crate::scenes::compute::Compute;
use crate::scenes::survey::Surveyor;
use read::View;
use shelf::Shelf;

/// How long a picture is shown before its scene is looked for again: a day may get a second scene,
/// and a scene may be replaced.
pub const PICTURE_AGE_MAX: Duration = Duration::from_secs(86_400);

/// What the gallery may take.
#[derive(Clone, Copy, Debug)]
pub struct GallerySettings {
    /// Pictures painted at once for clients (`NDVI_PICTURES_MAX`).
    pub pictures_max: usize,
    /// Bytes of pictures remembered, and as many of the values behind them
    /// (`NDVI_PICTURES_BYTES_MAX`).
    pub bytes_max: usize,
}

/// Which picture.
#[derive(Clone, Debug)]
pub struct PictureAsk {
    /// Of which field.
    pub field: Field,
    /// The day of the scene, UTC.
    pub date: Date,
    /// Largest cloud cover of the whole scene in percent; `None` for any.
    pub max_cloud_percent: Option<f64>,
    /// How it is painted.
    pub style: Style,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The PNG.
    pub png: Bytes,
    /// A hash of the PNG, in hexadecimal digits.
    pub digest: String,
    /// Which scene it shows.
    pub scene_id: String,
    /// When that was acquired.
    pub acquired_at: Timestamp,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blank {
    /// Nothing was seen.
    #[error("{}", .0.sentence())]
    Nothing(Gap),
    /// As many pictures are being painted as may.
    #[error("Too many pictures are being painted.")]
    Busy,
    /// The field cannot be painted as one picture.
    #[error("The field's parts lie too far apart for one picture.")]
    TooWide,
    /// The catalogue or the scene does not answer properly.
    #[error("The scene cannot be read.")]
    Unreadable,
    /// The scene has a form that cannot be read.
    #[error("The scene has a form that cannot be read.")]
    Form,
    /// Catalogue or scene took too long.
    #[error("The scene was not read in time.")]
    Late,
    /// The computation ended without a result.
    #[error("The computation ended without a result.")]
    Internal,
}

/// Who asks for a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A client, who is told to come back when there is too much to do.
    Client,
    /// A job, of which there are few.
    Job,
}

type Outcome = Result<Arc<Picture>, Blank>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// Pictures of fields. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gallery {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    surveyor: Arc<Surveyor>,
    compute: Compute,
    views: Mutex<Shelf<ViewKey, Arc<View>>>,
    pictures: Mutex<Shelf<PictureKey, Arc<Picture>>>,
    flights: Mutex<HashMap<PictureKey, Flight>>,
    places: Arc<Semaphore>,
    outcomes: IntCounterVec,
}

/// What tells one view from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ViewKey {
    field: FieldId,
    revision: Revision,
    date: Date,
    max_cloud_bits: Option<u64>,
}

/// What tells one picture from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PictureKey {
    view: ViewKey,
    style: Style,
}

impl Hash for PictureKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.view.hash(state);
        let Style { stretch, size, legend } = self.style;
        (stretch == Stretch::Histogram, size.pixels(), legend).hash(state);
    }
}

impl PictureKey {
    fn of(ask: &PictureAsk) -> Self {
        let view = ViewKey {
            field: ask.field.id.clone(),
            revision: ask.field.revision,
            date: ask.date,
            max_cloud_bits: ask.max_cloud_percent.map(f64::to_bits),
        };
        Self { view, style: ask.style }
    }
}

impl Gallery {
    /// An empty gallery.
    ///
    /// # Errors
    /// When its series are registered already.
    pub fn new(
        surveyor: Arc<Surveyor>,
        compute: Compute,
        settings: GallerySettings,
        metrics: &Metrics,
    ) -> Result<Self, prometheus::Error> {
        let outcomes = metrics.counter(
            "ndvi_pictures_total",
            "Pictures asked for, by what became of them.",
            &["outcome"],
        )?;
        let inner = Inner {
            surveyor,
            compute,
            views: Mutex::new(Shelf::new(settings.bytes_max, PICTURE_AGE_MAX)),
            pictures: Mutex::new(Shelf::new(settings.bytes_max, PICTURE_AGE_MAX)),
            flights: Mutex::default(),
            places: Arc::new(Semaphore::new(settings.pictures_max)),
            outcomes,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The picture, if it is ready.
    #[must_use]
    pub fn ready(&self, ask: &PictureAsk, now: Now) -> Option<Arc<Picture>> {
        let found = lock(&self.inner.pictures).get(&PictureKey::of(ask), now.instant);
        found.inspect(|_| self.inner.count("ready"))
    }

    /// The picture, painted now unless it is ready or being painted already.
    ///
    /// # Errors
    /// [`Blank`].
    pub async fn paint(&self, ask: PictureAsk, by: Asker, now: Now) -> Outcome {
        if let Some(picture) = self.ready(&ask, now) {
            return Ok(picture);
        }
        let outcome = match self.take_off(ask, by, now) {
            Ok(flight) => flight.await,
            Err(blank) => Err(blank),
        };
        self.inner.count(match &outcome {
            Ok(_) => "painted",
            Err(Blank::Nothing(_)) => "nothing",
            Err(Blank::Busy) => "busy",
            Err(_) => "failed",
        });
        outcome
    }

    fn take_off(&self, ask: PictureAsk, by: Asker, now: Now) -> Result<Flight, Blank> {
        let key = PictureKey::of(&ask);
        let mut flights = lock(&self.inner.flights);
        if let Some(flight) = flights.get(&key) {
            return Ok(flight.clone());
        }
        let place = match by {
            Asker::Client => Some(self.place()?),
            Asker::Job => None,
        };
        let inner = Arc::clone(&self.inner);
        let landing = Landing { inner: Arc::clone(&self.inner), key: key.clone() };
        let task = tokio::spawn(async move {
            let outcome = inner.make(&landing.key, ask, now).await;
            drop((landing, place));
            outcome
        });
        let landed = async { task.await.unwrap_or(Err(Blank::Internal)) };
        let flight = landed.boxed().shared();
        flights.insert(key, flight.clone());
        Ok(flight)
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Blank> {
        Arc::clone(&self.inner.places).try_acquire_owned().map_err(|_full| Blank::Busy)
    }
}

impl Inner {
    async fn make(&self, key: &PictureKey, ask: PictureAsk, now: Now) -> Outcome {
        // An earlier flight may have landed between the look at the shelf and this one's start.
        if let Some(picture) = lock(&self.pictures).get(key, now.instant) {
            return Ok(picture);
        }
        let style = ask.style;
        let view = self.view(&key.view, ask, now).await?;
        let painted = self.compute.run(move || picture(&view, style)).await;
        let picture = painted.map_err(|_panicked| Blank::Internal)?.map_err(|error| {
            tracing::error!(%error, "a picture could not be painted");
            Blank::Internal
        })?;
        let picture = Arc::new(picture);
        let bytes = picture.png.len();
        lock(&self.pictures).put(key.clone(), Arc::clone(&picture), bytes, now.instant);
        Ok(picture)
    }

    async fn view(&self, key: &ViewKey, ask: PictureAsk, now: Now) -> Result<Arc<View>, Blank> {
        if let Some(view) = lock(&self.views).get(key, now.instant) {
            return Ok(view);
        }
        let view = Arc::new(read::view(&self.surveyor, &self.compute, ask, now).await?);
        lock(&self.views).put(key.clone(), Arc::clone(&view), view.bytes(), now.instant);
        Ok(view)
    }

    fn count(&self, outcome: &str) {
        self.outcomes.with_label_values(&[outcome]).inc();
    }
}

fn picture(view: &View, style: Style) -> Result<Picture, RasterError> {
    let png = raster_png(&view.grid, style)?;
    Ok(Picture {
        digest: hex::encode(Sha256::digest(&png)),
        png: png.into(),
        scene_id: view.scene_id.clone(),
        acquired_at: view.acquired_at,
    })
}

/// Takes a flight off the list when it ends, also by a panic.
struct Landing {
    inner: Arc<Inner>,
    key: PictureKey,
}

impl Drop for Landing {
    fn drop(&mut self) {
        lock(&self.inner.flights).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
