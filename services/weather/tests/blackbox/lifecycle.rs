//! How does the service start and stop?

use harness::{Answer, Directory, Origin, Program};

use crate::bench::{CURRENT, FORECAST, Weather, program, recorded};

const RECORDED: &str = include_str!("../data/open_meteo_forecast_berlin_20211124.json");

#[tokio::test(flavor = "multi_thread")]
async fn misspelt_settings_are_all_named() {
    let directory = Directory::new();
    let finished = Program::at(env!("CARGO_BIN_EXE_weather"))
        .clean_env()
        .directory(directory.path())
        .env("PORT", "0")
        .env("WEATHER_CACHE_TTL_CURENT_S", "60")
        .env("OPEN_METEO_TIMEOUT_MS", "soon")
        .run()
        .await
        .expect_code(78);
    let log = finished.stderr.join("\n");
    assert!(log.contains("did you mean WEATHER_CACHE_TTL_CURRENT_S?"), "{log}");
    assert!(log.contains("write a number from 50 to 120000"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_other_programs_only_warn() {
    let directory = Directory::new();
    let program = program(&directory, "http://127.0.0.1:9").env("WEATHER_PORT", "8090");
    let weather = Weather::start(program).await;
    let line = weather.process.wait_for_line(|line| line.contains("WEATHER_PORT")).await;
    assert!(line.contains("\"WARN\"") && line.contains("PORT or LISTEN"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_port_is_told_with_the_way_out() {
    let (directory, other) = (Directory::new(), Origin::start().await);
    let finished = program(&directory, "http://127.0.0.1:9")
        .env("LISTEN", other.address().to_string())
        .run()
        .await
        .expect_code(1);
    let log = finished.stderr.join("\n");
    assert!(log.contains("is already in use") && log.contains("set PORT or LISTEN"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_database_is_told_at_the_start() {
    let directory = Directory::new();
    for (url, told) in [
        ("postgres://me:secret@db/weather", "write for example sqlite://"),
        ("sqlite:///nowhere/at/all/weather.db", "check that its directory exists"),
    ] {
        let finished = program(&directory, "http://127.0.0.1:9")
            .env("WEATHER_DATABASE_URL", url)
            .run()
            .await
            .expect_code(1);
        let log = finished.stderr.join("\n");
        assert!(log.contains(told), "{url}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_in_flight_is_answered_before_the_stop() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.on(FORECAST, Answer::json(RECORDED).hold());
    let base = format!("http://{}", origin.address());
    let mut weather = Weather::start(program(&directory, &base)).await;
    let reply = tokio::spawn(weather.request("GET", CURRENT).send());
    origin.wait_for_calls(FORECAST, 1).await;
    weather.process.signal("TERM").await;
    weather.process.wait_for_line(|line| line.contains("\"draining\"")).await;
    origin.release(FORECAST);
    reply.await.expect("a reply").expect_status(200);
    assert!(weather.process.wait().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_ends_when_its_time_is_over() {
    let (directory, origin) = (Directory::new(), Origin::start().await);
    origin.on(FORECAST, Answer::json(RECORDED).hold());
    let base = format!("http://{}", origin.address());
    let program = program(&directory, &base)
        .env("DRAIN_TIMEOUT_MS", "100")
        .env("OPEN_METEO_TIMEOUT_MS", "60000");
    let mut weather = Weather::start(program).await;
    let reply = tokio::spawn(weather.request("GET", CURRENT).try_send());
    origin.wait_for_calls(FORECAST, 1).await;
    weather.process.signal("TERM").await;
    assert!(weather.process.wait().await.success());
    assert!(reply.await.expect("an outcome").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_log_line_without_coordinates() {
    let (directory, replay) = (Directory::new(), recorded());
    let weather = Weather::start(program(&directory, &replay.base_url())).await;
    weather.request("GET", CURRENT).header("x-request-id", "rid-7").send().await.expect_status(200);
    let line = weather.process.wait_for_line(|line| line.contains("rid-7")).await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON log line");
    assert_eq!(line["route"], "/api/v1/weather/current/");
    assert_eq!((&line["method"], &line["status"]), (&"GET".into(), &200.into()));
    let lines = weather.process.stderr_lines();
    assert_eq!(lines.iter().filter(|line| line.contains("rid-7")).count(), 1);
    assert!(lines.iter().all(|line| !line.contains("13.42")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_of_start_and_stop() {
    let (directory, replay) = (Directory::new(), recorded());
    let socket = directory.path().join("notify");
    let systemd = tokio::net::UnixDatagram::bind(&socket).expect("a socket");
    let program = program(&directory, &replay.base_url()).env("NOTIFY_SOCKET", &socket);
    let mut weather = Weather::start(program).await;
    let mut message = [0; 64];
    let length = systemd.recv(&mut message).await.expect("a message");
    assert_eq!(message[..length].trim_ascii(), b"READY=1");
    weather.process.signal("TERM").await;
    let length = systemd.recv(&mut message).await.expect("a message");
    assert_eq!(message[..length].trim_ascii(), b"STOPPING=1");
    assert!(weather.process.wait().await.success());
}
