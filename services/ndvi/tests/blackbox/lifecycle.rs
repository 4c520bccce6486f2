//! Does the service start, tell how it is and stop as an operator expects?

use harness::Directory;

use crate::bench::{Ndvi, program};

#[tokio::test]
async fn misspelt_setting_stops_the_start_with_a_hint() {
    let directory = Directory::new();
    let wrong = program(&directory, "http://127.0.0.1:9").env("NDVI_SCENES_MAXX", "5");
    let finished = wrong.run().await.expect_code(78);
    let text = finished.stderr.join("\n");
    assert!(text.contains("did you mean NDVI_SCENES_MAX?"), "{text}");
}

#[tokio::test]
async fn database_that_cannot_be_opened_stops_the_start() {
    let directory = Directory::new();
    let wrong = program(&directory, "http://127.0.0.1:9")
        .env("NDVI_DATABASE_URL", "sqlite:///no/such/directory/ndvi.db?mode=rwc");
    let finished = wrong.run().await.expect_code(1);
    let text = finished.stderr.join("\n");
    assert!(text.contains("check that its directory exists"), "{text}");
}

#[tokio::test]
async fn probes_and_metrics_answer_without_a_catalogue() {
    let directory = Directory::new();
    let ndvi = Ndvi::start(program(&directory, "http://127.0.0.1:9")).await;
    ndvi.get("/healthz")
        .await
        .expect_status(200)
        .expect_body(r#"{"status":0,"message":"ok","data":{"status":"ok"},"errors":null}"#);
    ndvi.get("/readyz").await.expect_status(200);
    let seen = [("method", "GET"), ("path", "/healthz"), ("status", "200")];
    assert!(ndvi.metric("http_requests_total", &seen).await >= 1.0);
}

#[tokio::test]
async fn stop_signal_ends_the_service_cleanly() {
    let directory = Directory::new();
    let mut ndvi = Ndvi::start(program(&directory, "http://127.0.0.1:9")).await;
    assert!(ndvi.process.stop().await.success());
}
