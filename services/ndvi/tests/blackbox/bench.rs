//! How does a test start the service and ask it?

use std::net::SocketAddr;

use harness::{Directory, Process, Program, Reply, Request, metric};
use replay::{Options, Replay, Running};
use serde_json::{Value, json};

pub(crate) const STATISTICS: &str = "/api/v1/ndvi/statistics";
pub(crate) const JUNE: &str = "S2B_33UUP_20210617_0_L2A";
pub(crate) const SEPTEMBER: &str = "S2B_33UUP_20210925_0_L2A";
pub(crate) const DESERT: &str = "S2A_29RKH_20200219_0_L2A";

const ERING: &str = include_str!("../data/ering_fields.geojson");
const RKH: &str = include_str!("../data/rkh_areas.geojson");
const GOLDEN: &str = include_str!("../data/ndvi_golden.json");

/// A running service.
pub(crate) struct Ndvi {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// The service, not started, with nothing of this process's environment.
pub(crate) fn program(directory: &Directory, catalogue: &str) -> Program {
    let database = directory.path().join("ndvi.db");
    Program::at(env!("CARGO_BIN_EXE_ndvi"))
        .clean_env()
        .directory(directory.path())
        .env("PORT", "0")
        .env("NDVI_DATABASE_URL", format!("sqlite://{}", database.display()))
        .env("NDVI_STAC_URL", catalogue)
}

impl Ndvi {
    pub(crate) async fn start(program: Program) -> Self {
        let process = program.start();
        let line = process.wait_for_line(|line| line.contains("\"listening\"")).await;
        let line: Value = serde_json::from_str(&line).expect("a JSON log line");
        let address = line["address"].as_str().expect("an address").parse().expect("an address");
        Self { process, address }
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request<SocketAddr> {
        Request::to(self.address, method, target)
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.request("GET", target).send().await
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, target: &str, body: &Value) -> Reply {
        self.request("POST", target).json(body).send().await
    }

    /// Asks for the statistics of a geometry between two days.
    pub(crate) async fn ask(&self, geometry: &Value, start: &str, end: &str) -> Reply {
        let body = json!({"geometry": geometry, "start": start, "end": end});
        self.post(STATISTICS, &body).await
    }

    /// The statistics of a geometry in the one scene of a day.
    pub(crate) async fn scene_of(&self, geometry: &Value, day: &str) -> Value {
        let data = self.ask(geometry, day, day).await.expect_status(200).json();
        let scenes = data["data"]["scenes"].as_array().unwrap();
        assert_eq!(scenes.len(), 1, "{data}");
        scenes[0].clone()
    }

    /// The sum of the series of this name with these labels; 0 when there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metric(&self.get("/metrics").await.text(), name, labels).unwrap_or(0.0)
    }
}

/// The recorded catalogue and scenes.
pub(crate) fn recorded() -> Running {
    Replay::start(Options::default()).expect("replay starts")
}

/// A geometry of the test areas by its name.
pub(crate) fn field(name: &str) -> Value {
    [ERING, RKH]
        .iter()
        .flat_map(|text| {
            let collection: Value = serde_json::from_str(text).unwrap();
            collection["features"].as_array().unwrap().clone()
        })
        .find(|feature| feature["properties"]["id"] == name)
        .unwrap_or_else(|| panic!("no area {name}"))["geometry"]
        .clone()
}

/// The golden file.
pub(crate) fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

/// A number that has to be there.
#[track_caller]
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Fails unless two numbers are equal to 1e-6.
#[track_caller]
pub(crate) fn near(value: &Value, expected: &Value, what: &str) {
    let (value, expected) = (number(value), number(expected));
    assert!((value - expected).abs() <= 1e-6, "{what}: {value} is not {expected}");
}
