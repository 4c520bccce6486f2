//! How does a test keep a field and wait for what is done to it?

use harness::{Reply, Request};
use serde_json::{Value, json};

use crate::bench::{Ndvi, field};

/// A field, by the name its outline is kept under.
#[derive(Clone, Copy)]
pub(crate) struct Farm<'a> {
    ndvi: &'a Ndvi,
    name: &'a str,
}

/// Where an outline of this name belongs.
pub(crate) fn geometry_of(name: &str) -> String {
    format!("/api/v1/farms/{name}/geometry")
}

impl Ndvi {
    /// A field that has one of the test outlines.
    pub(crate) async fn farm<'a>(&'a self, name: &'a str, outline: &str) -> Farm<'a> {
        let put = self.request("PUT", &geometry_of(name)).json(&field(outline)).send().await;
        assert!(matches!(put.status, 200 | 201), "{}", put.text());
        Farm { ndvi: self, name }
    }

    /// A field that is there already.
    pub(crate) fn known_farm<'a>(&'a self, name: &'a str) -> Farm<'a> {
        Farm { ndvi: self, name }
    }

    /// A job as it is now.
    pub(crate) async fn job(&self, id: &str) -> Value {
        let reply = self.get(&format!("/api/v1/ndvi/jobs/{id}/")).await;
        reply.expect_status(200).json()["data"].clone()
    }

    /// Waits until this process has ended an attempt at a job in this way.
    pub(crate) async fn attempt_ended(&self, id: &str, outcome: &str) {
        let outcome = format!("\"outcome\":\"{outcome}\"");
        let ended = |line: &str| line.contains(id) && line.contains(&outcome);
        self.process.wait_for_line(ended).await;
    }

    /// Waits until this process has begun a job.
    pub(crate) async fn begun(&self, id: &str) {
        self.process
            .wait_for_line(|line| line.contains(id) && line.contains("a job was begun"))
            .await;
    }
}

impl Farm<'_> {
    pub(crate) fn request(&self, method: &str, rest: &str) -> Request<std::net::SocketAddr> {
        self.ndvi.request(method, &format!("/api/v1/farms/{}/ndvi/{rest}", self.name))
    }

    pub(crate) async fn get(&self, rest: &str) -> Reply {
        self.request("GET", rest).send().await
    }

    /// Asks for a look at some days.
    pub(crate) async fn refresh(&self, start: &str, end: &str) -> Reply {
        let body = json!({"start": start, "end": end});
        self.request("POST", "refresh/").json(&body).send().await
    }

    /// Looks at some days and waits for the end.
    pub(crate) async fn refreshed(&self, start: &str, end: &str) -> Self {
        let job = job_id(&self.refresh(start, end).await.expect_status(202));
        self.ndvi.attempt_ended(&job, "done").await;
        *self
    }

    pub(crate) async fn series(&self, query: &str) -> Value {
        let reply = self.get(&format!("timeseries/?{query}")).await;
        reply.expect_status(200).json()["data"].clone()
    }

    pub(crate) async fn latest(&self, query: &str) -> Value {
        let reply = self.get(&format!("latest/?{query}")).await;
        reply.expect_status(200).json()["data"].clone()
    }
}

/// The job that an answer names.
#[track_caller]
pub(crate) fn job_id(reply: &Reply) -> String {
    reply.json()["data"]["job_id"].as_str().expect("a job").to_owned()
}

/// The buckets of a series, each as its day and its scene or the reason for its gap.
pub(crate) fn stands(series: &Value) -> Vec<(String, String)> {
    let buckets = series["observations"].as_array().unwrap();
    buckets
        .iter()
        .map(|bucket| {
            let day = bucket["bucket_date"].as_str().unwrap().to_owned();
            let stands = bucket["scene_id"].as_str().or(bucket["reason"].as_str()).unwrap();
            (day, stands.to_owned())
        })
        .collect()
}
