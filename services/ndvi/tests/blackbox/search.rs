//! Are all scenes of the catalogue found, and only those that were asked for?

use std::collections::BTreeSet;
use std::sync::Arc;

use harness::{Answer, Directory, Origin};
use replay::{Fault, Running, SearchFault};
use serde_json::{Value, json};

use crate::bench::{JUNE, Ndvi, STATISTICS, field, program, recorded};
use crate::scenery::{Scenery, recorded_item};

/// The June scene, acquired on another day of 2021.
fn june_on(day: jiff::civil::Date) -> Value {
    let mut item = recorded_item(JUNE);
    item["id"] = format!("S2B_33UUP_{}_0_L2A", day.strftime("%Y%m%d")).into();
    item["properties"]["datetime"] = format!("{day}T10:05:59Z").into();
    // Wide enough to be listed for the field outside, whose statistics cost no tile.
    item["bbox"] = json!([13.0, 48.2, 13.3, 48.4]);
    item
}

fn days(count: i64) -> impl Iterator<Item = jiff::civil::Date> {
    use jiff::ToSpan as _;
    (0..count).map(|days| jiff::civil::date(2021, 1, 1).checked_add(days.days()).unwrap())
}

#[tokio::test]
async fn n7_scenes_of_every_page_are_found() {
    let scenery = days(120).fold(Scenery::new(), |scenery, day| scenery.list(june_on(day)));
    let (directory, replay) = (Directory::new(), scenery.serve());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let data =
        ndvi.ask(&field("outside-01"), "2021-01-01", "2021-12-31").await.expect_status(200).json();
    let seen: Vec<&str> = data["data"]["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|scene| &scene["acquired_at"].as_str().unwrap()[..10])
        .collect();
    let expected: Vec<String> = days(120).map(|day| day.to_string()).collect();
    assert_eq!(seen, expected);
    assert_eq!(replay.counts().requests_of("/search"), 3);
}

#[tokio::test]
async fn n7_more_than_two_hundred_items_are_all_found() {
    let scenery = days(230).fold(Scenery::new(), |scenery, day| scenery.list(june_on(day)));
    let (directory, replay) = (Directory::new(), scenery.serve());
    let wide = program(&directory, &replay.base_url()).env("NDVI_SCENES_MAX", "1000");
    let ndvi = Ndvi::start(wide).await;
    let reply = ndvi.ask(&field("outside-01"), "2021-01-01", "2021-12-31").await;
    let data = reply.expect_status(200).json();
    let scenes = data["data"]["scenes"].as_array().unwrap();
    let seen: BTreeSet<&str> =
        scenes.iter().map(|scene| scene["scene_id"].as_str().unwrap()).collect();
    assert_eq!((scenes.len(), seen.len()), (230, 230));
    assert_eq!(replay.counts().requests_of("/search"), 5);
}

/// A catalogue whose pages and links are written by hand, one item a page; the bands are replay's.
struct Catalogue {
    origin: Origin,
    replay: Running,
}

impl Catalogue {
    async fn start() -> Self {
        Self { origin: Origin::start().await, replay: recorded() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// The page with the scene of the nth day and this link.
    fn page(&self, number: i64, next: &Value) -> String {
        let item = june_on(days(number + 1).last().unwrap()).to_string();
        let item = item.replace("{{BASE}}", &self.replay.base_url());
        let links: Vec<&Value> = [next].into_iter().filter(|next| !next.is_null()).collect();
        let links = serde_json::to_string(&links).unwrap();
        format!(r#"{{"type":"FeatureCollection","features":[{item}],"links":{links}}}"#)
    }

    async fn scenes(&self) -> usize {
        let directory = Directory::new();
        let ndvi = Ndvi::start(program(&directory, &self.url())).await;
        let reply = ndvi.ask(&field("outside-01"), "2021-01-01", "2021-12-31").await;
        reply.expect_status(200).json()["data"]["scenes"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn n7_next_link_to_be_fetched_is_fetched_as_it_is() {
    let catalogue = Catalogue::start().await;
    let href = format!("{}/search/page?token=a%2Fb,c", catalogue.url());
    let next = json!({"rel": "next", "method": "GET", "href": href});
    catalogue.origin.json("/search", catalogue.page(0, &next));
    catalogue.origin.json("/search/page", catalogue.page(1, &Value::Null));
    assert_eq!(catalogue.scenes().await, 2);
    let second = catalogue.origin.requests("/search/page").remove(0);
    assert_eq!((second.method.as_str(), second.query()), ("GET", "token=a%2Fb,c"));
    assert!(second.body.is_empty());
}

#[tokio::test]
async fn n7_body_of_the_next_link_is_sent_as_it_came() {
    let catalogue = Catalogue::start().await;
    let body = json!({"anything": [1, {"deep": null}], "token": "t"});
    let href = format!("{}/search/page", catalogue.url());
    let next = json!({"rel": "next", "method": "POST", "href": href, "body": body});
    catalogue.origin.json("/search", catalogue.page(0, &next));
    catalogue.origin.json("/search/page", catalogue.page(1, &Value::Null));
    assert_eq!(catalogue.scenes().await, 2);
    let second = catalogue.origin.requests("/search/page").remove(0);
    assert_eq!(serde_json::from_slice::<Value>(&second.body).unwrap(), body);
}

#[tokio::test]
async fn n7_merged_next_link_adds_to_the_search_it_continues() {
    let catalogue = Catalogue::start().await;
    let href = format!("{}/search/page", catalogue.url());
    let next = json!({
        "rel": "next", "method": "POST", "href": href, "merge": true, "body": {"token": "t"},
    });
    catalogue.origin.json("/search", catalogue.page(0, &next));
    catalogue.origin.json("/search/page", catalogue.page(1, &Value::Null));
    assert_eq!(catalogue.scenes().await, 2);
    let first = catalogue.origin.requests("/search").remove(0);
    let second = catalogue.origin.requests("/search/page").remove(0);
    let mut expected: Value = serde_json::from_slice(&first.body).unwrap();
    expected["token"] = "t".into();
    assert_eq!(serde_json::from_slice::<Value>(&second.body).unwrap(), expected);
}

#[tokio::test]
async fn pages_without_an_end_are_read_to_a_bound_only() {
    let catalogue = Arc::new(Catalogue::start().await);
    let pages = Arc::downgrade(&catalogue);
    let next =
        json!({"rel": "next", "method": "POST", "href": format!("{}/search", catalogue.url())});
    catalogue.origin.rule("/search", move |_, number| {
        let catalogue = pages.upgrade().unwrap();
        Answer::json(catalogue.page(i64::try_from(number).unwrap(), &next))
    });
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, &catalogue.url())).await;
    let reply = ndvi.ask(&field("outside-01"), "2021-01-01", "2021-12-31").await.expect_status(400);
    assert!(reply.text().contains("too many scenes"), "{}", reply.text());
    assert_eq!(catalogue.origin.calls("/search"), 20);
}

#[tokio::test]
async fn link_in_a_circle_or_to_nowhere_is_an_upstream_error() {
    let scenery = days(60).fold(Scenery::new(), |scenery, day| scenery.list(june_on(day)));
    let (directory, replay) = (Directory::new(), scenery.serve());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    for search in [SearchFault::EndlessNext, SearchFault::WrongNext] {
        replay.reset_counts();
        replay.set_fault(Fault { search: Some(search), ..Fault::default() }).unwrap();
        let reply = ndvi.ask(&field("outside-01"), "2021-01-01", "2021-12-31").await;
        reply.expect_status(502).expect_json("/message", "NDVI upstream error");
        assert_eq!(replay.counts().requests_of("/search"), 2, "{search:?}");
    }
}

#[tokio::test]
async fn more_scenes_than_allowed_ask_for_a_shorter_interval() {
    let scenery = days(5).fold(Scenery::new(), |scenery, day| scenery.list(june_on(day)));
    let (directory, replay) = (Directory::new(), scenery.serve());
    let narrow = program(&directory, &replay.base_url()).env("NDVI_SCENES_MAX", "4");
    let ndvi = Ndvi::start(narrow).await;
    let reply = ndvi.ask(&field("outside-01"), "2021-01-01", "2021-12-31").await.expect_status(400);
    assert!(reply.text().contains("too many scenes"), "{}", reply.text());
}

#[tokio::test]
async fn n8_cloud_bound_is_a_percentage() {
    let mut hazy = recorded_item(JUNE);
    hazy["properties"]["eo:cloud_cover"] = 0.8.into();
    let (directory, replay) = (Directory::new(), Scenery::new().list(hazy).serve());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    for (max_cloud, found) in [(0.5, 0), (0.8, 1), (1.0, 1)] {
        let body = json!({
            "geometry": field("ering-01"), "max_cloud": max_cloud,
            "start": "2021-06-17", "end": "2021-06-17",
        });
        let data = ndvi.post(STATISTICS, &body).await.expect_status(200).json();
        let scenes = data["data"]["scenes"].as_array().unwrap();
        assert_eq!(scenes.len(), found, "below {max_cloud} %");
        assert!(scenes.iter().all(|scene| scene["scene_cloud_cover_percent"] == 0.8));
    }
}

#[tokio::test]
async fn both_dates_are_found_in_order_of_time() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let data =
        ndvi.ask(&field("ering-01"), "2021-06-01", "2021-09-30").await.expect_status(200).json();
    let data = &data["data"];
    assert_eq!((&data["status"], &data["unusable_scene_count"]), (&"ok".into(), &0.into()));
    let times: Vec<_> =
        data["scenes"].as_array().unwrap().iter().map(|scene| &scene["acquired_at"]).collect();
    assert_eq!(times, ["2021-06-17T10:05:59Z", "2021-09-25T10:10:19Z"]);
}

#[tokio::test]
async fn unusable_item_is_counted_and_makes_the_answer_partial() {
    let mut broken = june_on(jiff::civil::date(2021, 6, 20));
    broken["assets"]["nir"]["href"] = "s3://eodata/B08.jp2".into();
    let scenery = Scenery::new().list(recorded_item(JUNE)).list(broken);
    let (directory, replay) = (Directory::new(), scenery.serve());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    let data =
        ndvi.ask(&field("ering-01"), "2021-06-01", "2021-06-30").await.expect_status(200).json();
    assert_eq!(
        (&data["data"]["status"], &data["data"]["unusable_scene_count"]),
        (&"partial".into(), &1.into())
    );
    assert_eq!(data["data"]["scenes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn catalogue_that_fails_is_an_upstream_error() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = Ndvi::start(program(&directory, &replay.base_url())).await;
    for fault in [
        Fault { status: Some(503), ..Fault::default() },
        Fault { truncate: true, ..Fault::default() },
        Fault { reset: true, ..Fault::default() },
    ] {
        replay.set_fault(Fault { path_prefix: Some("/search".into()), ..fault }).unwrap();
        let reply = ndvi.ask(&field("ering-01"), "2021-06-17", "2021-06-17").await;
        reply.expect_status(502).expect_json("/message", "NDVI upstream error");
    }
}
