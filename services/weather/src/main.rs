//! How do the parts of the weather service come together?

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chassis::auth::{Auth, AuthError};
use chassis::client::{ClientError, ClientSettings, client};
use chassis::metrics::Metrics;
use chassis::serve::{ServeError, serve};
use chassis::service::{Readiness, Service};
use chassis::settings::{Settings as Environment, SettingsError};
use clap::Parser;
use weather::answers::Answers;
use weather::domain::ask::ProviderName;
use weather::http::{Weather, routes};
use weather::metrics::WeatherMetrics;
use weather::providers::Providers;
use weather::providers::budget::{Budget, BudgetLimits};
use weather::providers::line::{Host, Line};
use weather::providers::nasa_power::NasaPower;
use weather::providers::open_meteo::{OpenMeteo, OpenMeteoHosts};
use weather::settings::{LineSettings, Settings};
use weather::store::writer::StoreWriter;
use weather::store::{self, Store, StoreError, WeatherStore};
use weather::warm::{WarmPoints, WarmSeries, Warmer, Warming, seeds};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest wait for answers that are still to be written when the service stops.
const STORE_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the database when somebody asks whether the service is ready.
const STORE_PING_TIMEOUT: Duration = Duration::from_millis(500);

/// Exit status of a configuration fault, as in sysexits.h.
const EXIT_CONFIG: u8 = 78;

/// Current, hourly, daily and weekly weather over HTTP, from Open-Meteo and NASA POWER.
///
/// All settings are environment variables, such as PORT, LISTEN, WEATHER_DATABASE_URL and
/// OPEN_METEO_BASE_URL. A misspelt one is refused with the name that was meant.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    if let Err(error) = chassis::log::init() {
        return refuse(&StartError::Log(error));
    }
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

async fn run() -> Result<(), StartError> {
    let settings = Settings::read(Environment::from_environment())?;
    let metrics = Metrics::new()?;
    let auth = Auth::open(&settings.auth, settings.serve.listen, &metrics)?;
    let weather_metrics = WeatherMetrics::register(&metrics)?;
    let store = store::open(&settings.store.database, &metrics).await?;
    let providers = providers(&settings, &metrics, &weather_metrics)?;
    let (writer, writing) = StoreWriter::start(
        Arc::clone(&store) as Arc<dyn WeatherStore>,
        settings.store.queue_max,
        settings.store.retention,
        weather_metrics.clone(),
    );
    let readiness = ready_while_writing(writer.clone(), Arc::clone(&store));
    let answers = Answers::new(
        providers,
        settings.may_fall_back,
        Arc::clone(&store) as Arc<dyn WeatherStore>,
        writer,
        settings.bounds,
        weather_metrics,
    );
    let points = WarmPoints::new(Arc::clone(&store), settings.warm.points_max);
    let warming = warming(&settings, &points, &answers, &metrics)?;
    let rules = Arc::new(settings.rules);
    let weather = Weather { answers, rules, fresh: settings.fresh, points };
    let service = Service { name: "weather", routes: routes(weather), metrics, readiness, auth };
    serve(service, &settings.serve).await?;
    if let Some(warming) = warming {
        warming.finish(STORE_PING_TIMEOUT).await;
    }
    writing.finish(STORE_FLUSH_TIMEOUT).await;
    store.close().await;
    Ok(())
}

/// Starts to keep points warm, unless there may be none.
fn warming(
    settings: &Settings,
    points: &WarmPoints,
    answers: &Answers,
    metrics: &Metrics,
) -> Result<Option<Warming>, StartError> {
    let (warm, rules) = (&settings.warm, &settings.rules);
    let seeds = match &warm.points_file {
        Some(file) => seeds::read(file, &rules.default_zone, warm.points_max)?,
        None => Vec::new(),
    };
    if warm.points_max == 0 {
        return Ok(None);
    }
    let warmer = Warmer::new(
        points.clone(),
        answers.clone(),
        warm.clone(),
        (settings.fresh, rules.default_provider),
        seeds,
        WarmSeries::register(metrics)?,
    );
    Ok(Some(warmer.start()))
}

fn providers(
    settings: &Settings,
    metrics: &Metrics,
    weather_metrics: &WeatherMetrics,
) -> Result<Providers, StartError> {
    let environment = &settings.open_meteo;
    let budget = Arc::new(Budget::new(ProviderName::OpenMeteo, environment.budget));
    WeatherMetrics::watch(metrics, vec![Arc::clone(&budget)])?;
    let [forecast, archive, historical] = &environment.hosts;
    let hosts = OpenMeteoHosts {
        forecast: host_at(forecast, environment.line)?,
        archive: host_at(archive, environment.line)?,
        historical: host_at(historical, environment.line)?,
    };
    let line = line_with(budget, environment.line, weather_metrics);
    let open_meteo = OpenMeteo::new(hosts, line, environment.provider.clone());

    let environment = &settings.nasa_power;
    let budget = Arc::new(Budget::new(ProviderName::NasaPower, BudgetLimits::default()));
    let host = host_at(&environment.host, environment.line)?;
    let line = line_with(budget, environment.line, weather_metrics);
    let nasa_power = NasaPower::new(host, line, environment.provider.clone());
    Ok(Providers { open_meteo: Arc::new(open_meteo), nasa_power: Arc::new(nasa_power) })
}

fn host_at(base_url: &str, settings: LineSettings) -> Result<Host, ClientError> {
    let client = client(&ClientSettings {
        base_url: base_url.to_owned(),
        connect_timeout: settings.connect_timeout,
        idle_connections_max: settings.calls_max,
        user_agent: concat!("farmgate-weather/", env!("CARGO_PKG_VERSION")).to_owned(),
    })?;
    Ok(Host { client, base_url: base_url.to_owned() })
}

fn line_with(budget: Arc<Budget>, settings: LineSettings, metrics: &WeatherMetrics) -> Line {
    Line::new(budget, settings.calls_max, settings.body_bytes_max, metrics.clone())
}

/// The service needs no database to answer, so a database that is away does not make it unready,
/// only degraded. A writer that has died does, since nothing would bring it back.
fn ready_while_writing(writer: StoreWriter, store: Arc<dyn Store>) -> Readiness {
    Readiness::degradable(move || {
        let (running, store) = (writer.is_running(), Arc::clone(&store));
        async move {
            if !running {
                return Err("the store's writer has ended; restart".to_owned());
            }
            match tokio::time::timeout(STORE_PING_TIMEOUT, store.ping()).await {
                Ok(Ok(())) => Ok(None),
                Ok(Err(error)) => Ok(Some(format!("answers are not stored: {error}"))),
                Err(_elapsed) => Ok(Some("answers are not stored: the database is silent".into())),
            }
        }
    })
}

fn refuse(error: &StartError) -> ExitCode {
    for line in error.to_string().lines() {
        tracing::error!("{line}");
    }
    match error {
        StartError::Settings(_)
        | StartError::Log(_)
        | StartError::Auth(_)
        | StartError::Seeds(_) => ExitCode::from(EXIT_CONFIG),
        _ => ExitCode::FAILURE,
    }
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Log(#[from] chassis::log::LogError),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Seeds(#[from] seeds::SeedsError),
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
}
