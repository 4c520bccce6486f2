//! How does a test put scenes of its own beside the recorded ones?

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use harness::Directory;
use replay::{Options, Replay, Running, recorded_data_dir};
use serde_json::{Value, json};

use crate::bench::JUNE;
use crate::geotiff::Image;

/// A directory of recordings that can be changed before it is served.
pub(crate) struct Scenery {
    directory: Directory,
    items: Vec<Value>,
}

impl Scenery {
    /// The recorded files and an empty catalogue.
    pub(crate) fn new() -> Self {
        let directory = Directory::new();
        let recorded = recorded_data_dir();
        for name in ["weather", "farms"] {
            symlink(recorded.join(name), directory.path().join(name)).unwrap();
        }
        fs::create_dir(directory.path().join("s2")).unwrap();
        for scene in fs::read_dir(recorded.join("s2")).unwrap() {
            let scene = scene.unwrap();
            let link = directory.path().join("s2").join(scene.file_name());
            symlink(scene.path(), link).unwrap();
        }
        Self { directory, items: Vec::new() }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Adds an item to the catalogue.
    pub(crate) fn list(mut self, item: Value) -> Self {
        self.items.push(item);
        self
    }

    /// Adds the bands of a scene.
    pub(crate) fn bands(self, scene: &str, red: &[u8], nir: &[u8]) -> Self {
        self.directory.write(&format!("s2/{scene}/B04.tif"), red);
        self.directory.write(&format!("s2/{scene}/B08.tif"), nir);
        self
    }

    /// Serves it at an address of its own.
    pub(crate) fn serve(&self) -> Running {
        self.serve_at(Options::default().listen)
    }

    /// Serves it at this address.
    pub(crate) fn serve_at(&self, listen: SocketAddr) -> Running {
        let catalogue = json!({"type": "FeatureCollection", "features": self.items});
        self.directory.write("stac/local_catalogue.json", catalogue.to_string());
        let data = self.directory.path().to_owned();
        Replay::start(Options { data, listen, ..Options::default() }).expect("replay starts")
    }
}

/// The catalogue item of a recorded scene.
pub(crate) fn recorded_item(scene: &str) -> Value {
    let text = fs::read_to_string(recorded_data_dir().join("stac/local_catalogue.json")).unwrap();
    let catalogue: Value = serde_json::from_str(&text).unwrap();
    let items = catalogue["features"].as_array().unwrap();
    items.iter().find(|item| item["id"] == scene).unwrap().clone()
}

/// The item of the June scene for another scene of the same place.
pub(crate) fn item_like_june(scene: &str, properties: Value) -> Value {
    let mut item = recorded_item(JUNE);
    item["id"] = scene.into();
    let known = item["properties"].as_object_mut().unwrap();
    known.extend(properties.as_object().unwrap().clone());
    for (asset, band) in [("red", "B04"), ("nir", "B08")] {
        item["assets"][asset]["href"] = format!("{{{{BASE}}}}/s2/{scene}/{band}.tif").into();
    }
    item
}

/// The file of a band of a recorded scene.
pub(crate) fn recorded_file(scene: &str, band: &str) -> Vec<u8> {
    let path = recorded_data_dir().join("s2").join(scene).join(format!("{band}.tif"));
    fs::read(path).unwrap()
}

/// A band of a recorded scene.
pub(crate) async fn recorded_band(scene: &str, band: &str) -> Image {
    Image::read(recorded_file(scene, band)).await
}
