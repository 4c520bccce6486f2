//! How do the parts of the NDVI service come together?

use std::process::ExitCode;
use std::sync::Arc;

use chassis::auth::{Auth, AuthError};
use chassis::client::{ClientError, ClientSettings, client};
use chassis::metrics::Metrics;
use chassis::serve::{ServeError, serve};
use chassis::service::{Readiness, Service};
use chassis::settings::{Settings as Environment, SettingsError};
use clap::Parser;
use ndvi::http::{Ndvi, POSTS_THAT_READ, routes};
use ndvi::scenes::cog::CogReader;
use ndvi::scenes::compute::Compute;
use ndvi::scenes::ranges::RangeReader;
use ndvi::scenes::stac::Catalogue;
use ndvi::scenes::survey::Surveyor;
use ndvi::settings::Settings;
use ndvi::store::sqlite::SqliteStore;
use ndvi::store::{SampleStore, StoreError};
use tokio::sync::Semaphore;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status of a configuration fault, as in sysexits.h.
const EXIT_CONFIG: u8 = 78;

/// NDVI of field outlines from Sentinel-2 over HTTP, and samples sent by others.
///
/// All settings are environment variables, such as PORT, LISTEN, NDVI_DATABASE_URL and
/// NDVI_STAC_URL. A misspelt one is refused with the name that was meant.
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
    let auth = Auth::open(&settings.auth, settings.serve.listen, &metrics)?
        .posts_that_read(&POSTS_THAT_READ);
    let store = Arc::new(SqliteStore::open(&settings.store).await?);
    let compute = Compute::new(settings.bounds.compute_max);
    let ndvi = Ndvi {
        samples: Arc::clone(&store) as Arc<dyn SampleStore>,
        surveyor: Arc::new(surveyor(&settings, compute.clone(), &metrics)?),
        compute,
        rules: settings.rules,
        surveys: Arc::new(Semaphore::new(settings.bounds.surveys_max)),
    };
    let readiness = ready_with_database(Arc::clone(&ndvi.samples));
    let service = Service { name: "ndvi", routes: routes(ndvi), metrics, readiness, auth };
    serve(service, &settings.serve).await?;
    store.close().await;
    Ok(())
}

fn surveyor(
    settings: &Settings,
    compute: Compute,
    metrics: &Metrics,
) -> Result<Surveyor, StartError> {
    let Settings { catalogue, bounds, .. } = settings;
    let http = client(&ClientSettings {
        base_url: catalogue.url.clone(),
        connect_timeout: catalogue.connect_timeout,
        idle_connections_max: bounds.reads_max,
        user_agent: concat!("farmgate-ndvi/", env!("CARGO_PKG_VERSION")).to_owned(),
    })?;
    let ranges = RangeReader::new(http.clone(), bounds.reads_max, metrics)?;
    let cogs = CogReader::new(ranges, compute.clone(), bounds.headers_max, bounds.band_bytes_max);
    let collections = catalogue.collections.clone();
    let catalogue = Catalogue::new(http, &catalogue.url, collections, catalogue.scenes_max);
    Ok(Surveyor::new(catalogue, cogs, compute, settings.survey.clone()))
}

/// Without its database the service could only refuse samples.
fn ready_with_database(samples: Arc<dyn SampleStore>) -> Readiness {
    Readiness::check(move || {
        let samples = Arc::clone(&samples);
        async move { samples.ping().await.map_err(|error| error.to_string()) }
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
