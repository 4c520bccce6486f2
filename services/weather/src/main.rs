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
use weather::store::sqlite::SqliteStore;
use weather::store::writer::StoreWriter;
use weather::store::{StoreError, WeatherStore};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest wait for answers that are still to be written when the service stops.
const STORE_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

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
    let store = SqliteStore::open(&settings.store.url, settings.store.connections_max).await?;
    let store = Arc::new(store);
    let providers = providers(&settings, &metrics, &weather_metrics)?;
    let (writer, writing) = StoreWriter::start(
        Arc::clone(&store) as Arc<dyn WeatherStore>,
        settings.store.queue_max,
        settings.store.retention,
        weather_metrics.clone(),
    );
    let readiness = ready_while_writing(writer.clone());
    let answers = Answers::new(
        providers,
        settings.may_fall_back,
        Arc::clone(&store) as Arc<dyn WeatherStore>,
        writer,
        settings.bounds,
        weather_metrics,
    );
    let weather = Weather { answers, rules: Arc::new(settings.rules), fresh: settings.fresh };
    let service = Service { name: "weather", routes: routes(weather), metrics, readiness, auth };
    serve(service, &settings.serve).await?;
    writing.finish(STORE_FLUSH_TIMEOUT).await;
    store.close().await;
    Ok(())
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

/// The service needs no database to answer, so a database that is away does not make it unready:
/// only a writer that has died does, since nothing would bring it back.
fn ready_while_writing(writer: StoreWriter) -> Readiness {
    Readiness::check(move || {
        let running = writer.is_running();
        async move {
            if running { Ok(()) } else { Err("the store's writer has ended; restart".to_owned()) }
        }
    })
}

fn refuse(error: &StartError) -> ExitCode {
    for line in error.to_string().lines() {
        tracing::error!("{line}");
    }
    match error {
        StartError::Settings(_) | StartError::Log(_) | StartError::Auth(_) => {
            ExitCode::from(EXIT_CONFIG)
        }
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
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
}
