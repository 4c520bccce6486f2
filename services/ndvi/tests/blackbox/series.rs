//! Does a series say what was seen, and of the rest why it was not?

use harness::Directory;
use jiff::ToSpan as _;
use replay::{Fault, Running};
use roxmltree::Document;
use serde_json::{Value, json};

use crate::bench::{DESERT, JUNE, Ndvi, SEPTEMBER, golden, near, program, recorded};
use crate::farm::{job_id, stands};
use crate::geotiff::Image;
use crate::scenery::{Scenery, item_like_june, recorded_band, recorded_item};

async fn start(directory: &Directory, replay: &Running) -> Ndvi {
    Ndvi::start(program(directory, &replay.base_url())).await
}

fn pair(day: &str, stands: &str) -> (String, String) {
    (day.to_owned(), stands.to_owned())
}

/// A scene of the June tile with one value in each band.
async fn uniform(scene: &str, day: &str, red: u16, nir: u16) -> Scenery {
    let band: Image = recorded_band(JUNE, "B04").await;
    let (red, nir) = (band.map(|_| red).write(16), band.map(|_| nir).write(16));
    let properties = json!({"datetime": format!("{day}T10:05:59Z")});
    Scenery::new().bands(scene, &red, &nir).list(item_like_june(scene, properties))
}

#[tokio::test]
async fn n5_series_is_of_the_polygon_and_not_of_its_box() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let golden = golden();
    for name in ["hole-01", "multi-01"] {
        let farm = ndvi.farm(name, name).await.refreshed("2021-06-10", "2021-06-20").await;
        let series = farm.series("start=2021-06-17&end=2021-06-17&representation=v1").await;
        let (seen, expected) =
            (&series["observations"][0], &golden["scenes"][JUNE]["polygons"][name]);
        assert_eq!(seen["sample_count"], expected["valid_count"], "{name}");
        for number in ["mean", "min", "max", "std", "median", "p10", "p90"] {
            near(&seen[number], &expected[number], &format!("{name} {number}"));
        }
    }
}

#[tokio::test]
async fn scene_that_stands_for_several_days_shows_its_own_time() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-01", "2021-06-30").await;
    let series = farm.series("start=2021-06-13&end=2021-06-21&step_days=1").await;
    let days: Vec<_> = stands(&series);
    assert_eq!(days.first(), Some(&pair("2021-06-13", "no_scene")));
    assert_eq!(days.last(), Some(&pair("2021-06-21", "no_scene")));
    let copies = &series["observations"].as_array().unwrap()[1..8];
    assert!(copies.iter().all(|copy| copy["scene_id"] == JUNE), "{series}");
    assert!(copies.iter().all(|copy| copy["acquired_at"] == "2021-06-17T10:05:59Z"));
    assert_eq!(
        (&series["is_partial"], &series["missing_buckets_count"]),
        (&true.into(), &2.into())
    );
    for (key, value) in
        [("engine", json!("stac")), ("step_days", json!(1)), ("stale", json!(false))]
    {
        assert_eq!(series[key], value, "{key}");
    }
}

#[tokio::test]
async fn gap_says_whether_nobody_looked_or_nothing_was_there() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-01", "2021-08-03").await;
    let series = farm.series("start=2021-06-17&end=2021-09-25&step_days=25").await;
    let expected = [
        pair("2021-06-17", JUNE),
        pair("2021-07-12", "no_scene"),
        pair("2021-08-06", "not_surveyed"),
        pair("2021-08-31", "not_surveyed"),
        pair("2021-09-25", "not_surveyed"),
    ];
    assert_eq!(stands(&series), expected);
    let gap = &series["observations"][1];
    for key in ["mean", "min", "max", "sample_count", "acquired_at", "scene_id"] {
        assert_eq!(gap.get(key), Some(&Value::Null), "{key}");
    }
}

#[tokio::test]
async fn clouded_field_is_a_gap_by_cloud() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    for (outline, expected) in [("rkh-cloud", "cloud"), ("rkh-part", DESERT)] {
        let farm = ndvi.farm(outline, outline).await.refreshed("2020-02-01", "2020-02-29").await;
        let series = farm.series("start=2020-02-19&end=2020-02-19").await;
        assert_eq!(stands(&series), [pair("2020-02-19", expected)]);
    }
}

#[tokio::test]
async fn scene_that_cannot_be_read_is_a_gap_that_says_so() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let path_prefix = Some(format!("/s2/{JUNE}"));
    replay.set_fault(Fault { status: Some(503), path_prefix, ..Fault::default() }).unwrap();
    let job = job_id(&farm.refresh("2021-06-01", "2021-09-30").await.expect_status(202));
    ndvi.attempt_ended(&job, "again").await;
    let series = farm.series("start=2021-06-17&end=2021-09-25&step_days=25").await;
    assert_eq!(stands(&series)[0], pair("2021-06-17", "unread"));
    assert_eq!(stands(&series)[4], pair("2021-09-25", SEPTEMBER));
}

#[tokio::test]
async fn unknown_days_are_looked_at_in_the_background_while_the_answer_is_partial() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let query = "start=2021-06-01&end=2021-09-30&step_days=1";
    let first = farm.series(query).await;
    assert_eq!((&first["stale"], &first["is_partial"]), (&true.into(), &true.into()));
    let job = first["refresh_job_id"].as_str().unwrap();
    assert_eq!(ndvi.job(job).await["work"]["kind"], "refresh");
    ndvi.attempt_ended(job, "done").await;
    replay.reset_counts();
    let second = farm.series(query).await;
    assert_eq!((&second["stale"], &second["refresh_job_id"]), (&false.into(), &Value::Null));
    let seen: Vec<_> = stands(&second);
    assert!(
        seen.contains(&pair("2021-06-17", JUNE)) && seen.contains(&pair("2021-09-25", SEPTEMBER))
    );
    assert!(seen.iter().all(|(_, stands)| stands != "not_surveyed"), "{seen:?}");
    assert!(replay.counts().requests.is_empty(), "{:?}", replay.counts().requests);
}

#[tokio::test]
async fn no_client_waits_for_the_catalogue() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    replay.set_fault(Fault { delay_ms: 120_000, ..Fault::default() }).unwrap();
    let farm = ndvi.farm("17", "ering-01").await;
    // The bench's patience is far shorter than the delay.
    assert_eq!(farm.series("start=2021-06-01&end=2021-06-30").await["stale"], true);
    assert_eq!(farm.latest("").await["reason"], "not_surveyed");
    farm.get("timeseries.svg?start=2021-06-01&end=2021-06-30").await.expect_status(200);
}

#[tokio::test]
async fn settled_days_are_looked_at_again_after_their_time() {
    let (directory, replay) = (Directory::new(), recorded());
    let program = program(&directory, &replay.base_url())
        .env("NDVI_LOOK_AGAIN_SETTLED_S", "0")
        .env("NDVI_COOLDOWN_S", "0");
    let ndvi = Ndvi::start(program).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-01", "2021-07-10").await;
    let series = farm.series("start=2021-06-17&end=2021-06-17").await;
    assert_eq!(
        (&series["stale"], &series["observations"][0]["scene_id"]),
        (&true.into(), &JUNE.into())
    );
    let job = ndvi.job(series["refresh_job_id"].as_str().unwrap()).await;
    assert_eq!(
        (&job["work"]["start"], &job["work"]["end"]),
        (&"2021-06-14".into(), &"2021-06-20".into())
    );
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

#[tokio::test]
async fn recent_days_are_looked_at_again_after_their_time() {
    for (again_s, stale) in [("0", true), ("3600", false)] {
        let (directory, replay) = (Directory::new(), recorded());
        let program = program(&directory, &replay.base_url()).env("NDVI_LOOK_AGAIN_S", again_s);
        let ndvi = Ndvi::start(program).await;
        let farm = ndvi.farm("17", "ering-01").await;
        // Some days more than are asked for, so that midnight does not matter.
        let (start, end) = (today().checked_sub(20.days()).unwrap(), today());
        farm.refreshed(&start.to_string(), &end.to_string()).await;
        let latest = farm.latest("lookback_days=10").await;
        assert_eq!(latest["stale"], stale, "{latest}");
        let reason = latest["reason"].as_str().unwrap();
        assert!(reason == "no_scene" || (stale && reason == "not_surveyed"), "{latest}");
    }
}

#[tokio::test]
async fn latest_is_the_newest_day_with_a_value() {
    let scene = "S2B_33UUP_20990101_0_L2A";
    let day = today().checked_sub(3.days()).unwrap();
    let replay = uniform(scene, &day.to_string(), 800, 2_400).await.serve();
    let directory = Directory::new();
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let empty = farm.latest("").await;
    assert_eq!((&empty["observation"], &empty["stale"]), (&Value::Null, &true.into()));
    ndvi.attempt_ended(empty["refresh_job_id"].as_str().unwrap(), "done").await;
    let latest = farm.latest("max_cloud=90").await;
    let seen = &latest["observation"];
    near(&seen["mean"], &0.5.into(), "mean");
    assert_eq!(seen["bucket_date"], day.to_string());
    assert_eq!((&seen["sample_count"], &seen["scene_id"]), (&487.into(), &scene.into()));
    assert_eq!(seen.get("cloud_fraction"), Some(&Value::Null));
    assert_eq!((&latest["lookback_days"], &latest["max_cloud"]), (&30.into(), &90.0.into()));
    let short = farm.latest("lookback_days=1").await;
    assert_eq!((&short["observation"], &short["reason"]), (&Value::Null, &"no_scene".into()));
}

#[tokio::test]
async fn n8_scene_with_less_than_a_percent_of_cloud_is_clear() {
    let mut hazy = recorded_item(JUNE);
    hazy["properties"]["eo:cloud_cover"] = 0.8.into();
    let (directory, replay) = (Directory::new(), Scenery::new().list(hazy).serve());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-01", "2021-06-30").await;
    for (max_cloud, stood) in [("1", JUNE), ("0.8", JUNE), ("0.5", "cloud")] {
        let query = format!("start=2021-06-17&end=2021-06-17&max_cloud={max_cloud}");
        let series = farm.series(&query).await;
        assert_eq!(stands(&series), [pair("2021-06-17", stood)], "below {max_cloud} %");
    }
    let seen = &farm.series("start=2021-06-17&end=2021-06-17").await["observations"][0];
    assert_eq!(seen["scene_cloud_cover_percent"], 0.8);
    assert_eq!(seen.get("cloud_fraction"), Some(&Value::Null));
}

#[tokio::test]
async fn n9_uniform_field_has_numbers_and_a_picture() {
    let scene = "S2B_33UUP_20210701_0_L2A";
    let replay = uniform(scene, "2021-07-01", 800, 2_400).await.serve();
    let directory = Directory::new();
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-25", "2021-07-05").await;
    let seen = &farm.series("start=2021-07-01&end=2021-07-01").await["observations"][0];
    for (number, expected) in [("mean", 0.5), ("min", 0.5), ("max", 0.5), ("std", 0.0)] {
        near(&seen[number], &expected.into(), number);
    }
    for stretch in ["fixed", "histogram"] {
        let query = format!("raster.png?date=2021-07-01&stretch={stretch}");
        farm.get(&query).await.expect_status(200).expect_header("x-ndvi-scene", scene);
    }
}

#[tokio::test]
async fn n10_water_has_a_negative_mean() {
    let replay = uniform("S2B_33UUP_20210701_0_L2A", "2021-07-01", 600, 200).await.serve();
    let directory = Directory::new();
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-25", "2021-07-05").await;
    let seen = &farm.series("start=2021-07-01&end=2021-07-01").await["observations"][0];
    near(&seen["mean"], &(-0.5).into(), "mean");
}

#[tokio::test]
async fn another_outline_begins_another_series() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-10", "2021-06-25").await;
    ndvi.farm("17", "ering-07").await;
    let query = "start=2021-06-17&end=2021-06-17";
    let unseen = farm.series(query).await;
    assert_eq!(stands(&unseen), [pair("2021-06-17", "not_surveyed")]);
    ndvi.attempt_ended(unseen["refresh_job_id"].as_str().unwrap(), "done").await;
    let other = farm.series(query).await;
    let expected = &golden()["scenes"][JUNE]["polygons"]["ering-07"]["mean"];
    near(&other["observations"][0]["mean"], expected, "mean of the new outline");
}

#[tokio::test]
async fn plot_shows_gaps_as_gaps_and_is_not_sent_twice() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await.refreshed("2021-06-01", "2021-09-30").await;
    let target = "timeseries.svg?start=2021-06-17&end=2021-09-25&step_days=10";
    let plot = farm.get(target).await.expect_status(200);
    let plot = plot.expect_header("content-type", "image/svg+xml");
    let svg = plot.text();
    let document = Document::parse(&svg).unwrap();
    let titles: Vec<&str> = document
        .descendants()
        .filter(|node| node.has_tag_name("title"))
        .filter_map(|node| node.text())
        .collect();
    assert_eq!(titles.first(), Some(&"NDVI of field 17"));
    assert!(titles.contains(&"mean, 2021-06-17: 0.22"), "{titles:?}");
    assert!(titles.iter().any(|title| title.contains("no data (no scene)")), "{titles:?}");
    let tag = plot.header("etag").unwrap();
    let again = farm.request("GET", target).header("If-None-Match", tag).send().await;
    again.expect_status(304).expect_body("");
}

#[tokio::test]
async fn wrong_questions_are_refused_field_by_field() {
    let (directory, replay) = (Directory::new(), recorded());
    let ndvi = start(&directory, &replay).await;
    let farm = ndvi.farm("17", "ering-01").await;
    let reply = farm.get("timeseries/?start=2021-6-1&step_days=31&max_cloud=x").await;
    assert_eq!(
        reply.expect_status(400).json()["errors"],
        json!({
            "start": ["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."],
            "step_days": ["Ensure this value is less than or equal to 30."],
            "max_cloud": ["A valid number is required."],
        })
    );
    for (target, text) in [
        ("timeseries/?start=2021-06-02&end=2021-06-01", "start must be on or before end."),
        ("timeseries.svg?start=2019-06-02&end=2021-06-01", "longer than 366 days"),
        ("latest/?lookback_days=0", "greater than or equal to 1."),
        ("raster.png?size=64", "greater than or equal to 128."),
        ("raster.png?stretch=wide", "is not a valid choice."),
    ] {
        let reply = farm.get(target).await.expect_status(400);
        assert!(reply.text().contains(text), "{target}: {}", reply.text());
    }
}
