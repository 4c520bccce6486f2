//! Do pictures of real fields show what the golden values say?
//!
//! Real scenes over HTTP ranges, painted, and the PNG decoded again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use chassis::client::{ClientSettings, client};
use chassis::metrics::Metrics;
use ndvi::domain::cloud::ClassSet;
use ndvi::domain::outline::Outline;
use ndvi::domain::raster::NdviGrid;
use ndvi::domain::scene::Scene;
use ndvi::pictures::raster_png;
use ndvi::scenes::cog::CogReader;
use ndvi::scenes::compute::Compute;
use ndvi::scenes::ranges::RangeReader;
use ndvi::scenes::stac::{Catalogue, Search};
use ndvi::scenes::survey::{SurveySettings, Surveyor};
use picture::raster::{Size, Stretch, Style};
use replay::{Options, Replay, Running};
use serde_json::Value;

const ERING: &str = include_str!("data/ering_fields.geojson");
const RKH: &str = include_str!("data/rkh_areas.geojson");
const GOLDEN: &str = include_str!("data/ndvi_golden.json");
const JUNE: &str = "S2B_33UUP_20210617_0_L2A";
const DESERT: &str = "S2A_29RKH_20200219_0_L2A";

/// The service without HTTP, on recorded scenes.
struct Bench {
    surveyor: Surveyor,
    catalogue: Catalogue,
    _replay: Running,
}

impl Bench {
    fn new() -> Self {
        let replay = Replay::start(Options::default()).expect("replay starts");
        let url = replay.base_url();
        let http = client(&ClientSettings {
            base_url: url.clone(),
            connect_timeout: Duration::from_secs(5),
            idle_connections_max: 4,
            user_agent: "test".to_owned(),
        })
        .unwrap();
        let metrics = Metrics::new().unwrap();
        let compute = Compute::new(2);
        let ranges = RangeReader::new(http.clone(), 8, &metrics).unwrap();
        let headers_max = NonZeroUsize::new(16).unwrap();
        let cogs = CogReader::new(ranges, compute.clone(), headers_max, 32 << 20);
        let collections = vec!["sentinel-2-l2a".to_owned()];
        let catalogue = Catalogue::new(http, &url, collections, 10);
        let settings = SurveySettings {
            deadline: Duration::from_secs(30),
            scenes_parallel: 1,
            masked: ClassSet::default(),
        };
        let surveyor = Surveyor::new(catalogue.clone(), cogs, compute, settings);
        Self { surveyor, catalogue, _replay: replay }
    }

    /// The grid of a field in the one scene of a day.
    async fn grid(&self, field: &str, day: &str) -> NdviGrid {
        let outline = outline(field);
        let day = day.parse().unwrap();
        let search =
            Search { outline: outline.clone(), start: day, end: day, max_cloud_percent: None };
        let scenes = self.catalogue.search(&search).await.unwrap().scenes;
        let [scene]: [Scene; 1] = scenes.try_into().unwrap();
        self.surveyor.raster(&scene, Arc::new(outline)).await.unwrap()
    }
}

fn outline(name: &str) -> Outline {
    let feature = [ERING, RKH]
        .iter()
        .flat_map(|text| {
            let collection: Value = serde_json::from_str(text).unwrap();
            collection["features"].as_array().unwrap().clone()
        })
        .find(|feature| feature["properties"]["id"] == name)
        .unwrap_or_else(|| panic!("no area {name}"));
    let geometry = serde_json::from_value(feature["geometry"].clone()).unwrap();
    Outline::new(geometry, 2_500.0).unwrap()
}

fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

/// Width, height and pixels of a PNG.
fn decoded(file: &[u8]) -> (usize, usize, Vec<[u8; 4]>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgba, png::BitDepth::Eight));
    let pixels = bytes.as_chunks::<4>().0.to_vec();
    (info.width as usize, info.height as usize, pixels)
}

/// The picture at exactly so many pixels a cell that each cell can be found again.
fn one_pixel_of_each_cell(grid: &NdviGrid) -> Vec<[u8; 4]> {
    let longer = grid.columns.max(grid.rows) as usize;
    let factor = 128_usize.div_ceil(longer);
    let size = Size::new(u16::try_from(factor * longer).unwrap()).unwrap();
    let file = raster_png(grid, Style { size, ..Style::default() }).unwrap();
    let (width, height, pixels) = decoded(&file);
    let (columns, rows) = (grid.columns as usize, grid.rows as usize);
    assert_eq!((width, height), (columns * factor, rows * factor));
    (0..rows * columns)
        .map(|cell| {
            let (x, y) = (cell % columns * factor, cell / columns * factor);
            let block = (0..factor * factor)
                .map(|dot| pixels[(y + dot / factor) * width + x + dot % factor]);
            let pixel = pixels[y * width + x];
            assert!(block.into_iter().all(|dot| dot == pixel), "cell {cell} has one colour");
            pixel
        })
        .collect()
}

/// RdYlGn between -1 and 1, with its control points 0.2 apart.
fn rdylgn(ndvi: f64) -> [f64; 3] {
    const CONTROL: [[f64; 3]; 11] = [
        [165.0, 0.0, 38.0],
        [215.0, 48.0, 39.0],
        [244.0, 109.0, 67.0],
        [253.0, 174.0, 97.0],
        [254.0, 224.0, 139.0],
        [255.0, 255.0, 191.0],
        [217.0, 239.0, 139.0],
        [166.0, 217.0, 106.0],
        [102.0, 189.0, 99.0],
        [26.0, 152.0, 80.0],
        [0.0, 104.0, 55.0],
    ];
    let place = ((ndvi + 1.0) * 5.0).clamp(0.0, 9.999_999);
    let (below, part) = (place as usize, place.fract());
    std::array::from_fn(|channel| {
        CONTROL[below][channel] * (1.0 - part) + CONTROL[below + 1][channel] * part
    })
}

#[track_caller]
fn assert_colour(pixel: [u8; 4], ndvi: f64) {
    let near = |(byte, expected): (u8, f64)| (f64::from(byte) - expected).abs() <= 0.501;
    let [red, green, blue, opacity] = pixel;
    let expected = rdylgn(ndvi);
    assert_eq!(opacity, 255);
    assert!([red, green, blue].into_iter().zip(expected).all(near), "{ndvi}: {pixel:?}");
}

#[test]
fn scale_of_this_test_is_that_of_the_golden_file() {
    for entry in golden()["rdylgn_fixed"].as_array().unwrap() {
        let rgb = [0, 1, 2].map(|channel| entry["rgb"][channel].as_u64().unwrap() as u8);
        assert_colour([rgb[0], rgb[1], rgb[2], 255], entry["ndvi"].as_f64().unwrap());
    }
}

#[tokio::test]
async fn pixels_of_every_june_field_are_those_of_its_statistics() {
    let bench = Bench::new();
    let golden = golden();
    let polygons = golden["scenes"][JUNE]["polygons"].as_object().unwrap();
    let mut checked = 0;
    for (name, expected) in polygons.iter().filter(|(name, _)| *name != "outside-01") {
        let grid = bench.grid(name, "2021-06-17").await;
        let count = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let expected_count = match count(&expected["pixel_count"]) {
            0 => count(&expected["all_touched"]["count"]),
            _ => count(&expected["valid_count"]),
        };
        let pixels = one_pixel_of_each_cell(&grid);
        let opaque = pixels.iter().filter(|pixel| pixel[3] == 255).count();
        let clear = pixels.iter().filter(|pixel| **pixel == [0; 4]).count();
        assert_eq!((opaque, opaque + clear), (expected_count, pixels.len()), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 18);
}

#[tokio::test]
async fn colours_of_a_field_are_those_of_its_ndvi() {
    let bench = Bench::new();
    let grid = bench.grid("ering-01", "2021-06-17").await;
    let mut values: Vec<f64> = grid.values.iter().flatten().map(|it| f64::from(*it)).collect();
    let expected = golden()["scenes"][JUNE]["polygons"]["ering-01"].clone();
    let mean = values.iter().sum::<f64>() / 487.0;
    assert!((mean - expected["mean"].as_f64().unwrap()).abs() < 1e-6, "{mean}");
    values.sort_by(f64::total_cmp);
    assert!((values[0] - expected["min"].as_f64().unwrap()).abs() < 1e-6);
    for (pixel, value) in one_pixel_of_each_cell(&grid).into_iter().zip(&grid.values) {
        match value {
            Some(value) => assert_colour(pixel, f64::from(*value)),
            None => assert_eq!(pixel, [0; 4]),
        }
    }
}

#[tokio::test]
async fn n2_masked_pixels_of_a_field_are_transparent() {
    let bench = Bench::new();
    let golden = golden();
    let polygons = golden["scenes"][DESERT]["polygons"].as_object().unwrap();
    assert_eq!(polygons.len(), 3);
    for (name, expected) in polygons {
        let grid = bench.grid(name, "2020-02-19").await;
        let opaque = one_pixel_of_each_cell(&grid).iter().filter(|pixel| pixel[3] == 255).count();
        assert_eq!(opaque as u64, expected["valid_count"].as_u64().unwrap(), "{name}");
        assert!(grid.values.len() as u64 >= expected["pixel_count"].as_u64().unwrap(), "{name}");
    }
}

#[tokio::test]
async fn field_under_cloud_alone_is_a_transparent_picture() {
    let bench = Bench::new();
    let golden = golden();
    let polygons = golden["scenes"][DESERT]["polygons"].as_object().unwrap();
    let (name, _) = polygons.iter().find(|(_, expected)| expected["valid_count"] == 0).unwrap();
    let grid = bench.grid(name, "2020-02-19").await;
    let style = Style { stretch: Stretch::Histogram, ..Style::default() };
    let (_, _, pixels) = decoded(&raster_png(&grid, style).unwrap());
    assert!(pixels.iter().all(|pixel| *pixel == [0; 4]));
}
