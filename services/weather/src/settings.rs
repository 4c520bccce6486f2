//! What did the operator ask for?
//!
//! Every setting is an environment variable; the table in [`Settings`]' fields names each.

use std::time::Duration;

use chassis::database::DatabaseSettings;
use chassis::serve::ServeSettings;
use chassis::settings::{Settings as Environment, SettingsError};

use crate::answers::Bounds;
use crate::domain::ask::ProviderName;
use crate::domain::place::Zone;
use crate::http::FreshTimes;
use crate::http::query::QueryRules;
use crate::providers::open_meteo::OpenMeteoSettings;

/// Port on loopback unless `PORT` or `LISTEN` says otherwise.
pub const PORT_DEFAULT: u16 = 8090;

/// Variables that begin so belong to this service, so that one nobody reads is a mistake.
const PREFIXES: [&str; 3] = ["WEATHER_", "OPEN_METEO_", "NASA_POWER_"];

/// Names that an environment file shared with other programs may hold.
const WITHOUT_EFFECT: [(&str, &str); 11] = [
    ("OPEN_METEO_ARCHIVE_BASE_URL", "days older than 92 days are not available yet"),
    ("OPEN_METEO_TIMEOUT_S", "OPEN_METEO_TIMEOUT_MS is the deadline over all attempts"),
    ("OPEN_METEO_MAX_RETRIES", "there is at most one retry within OPEN_METEO_TIMEOUT_MS"),
    ("OPEN_METEO_BACKOFF_S", "the pause before the retry is fixed"),
    ("NASA_POWER_BASE_URL", "provider nasa_power is not available yet"),
    ("NASA_POWER_TIMEOUT_S", "provider nasa_power is not available yet"),
    ("NASA_POWER_DAILY_LAG_DAYS", "provider nasa_power is not available yet"),
    ("WEATHER_NASA_POWER_COMMUNITY", "provider nasa_power is not available yet"),
    ("WEATHER_PORT", "PORT or LISTEN says where this service listens"),
    ("WEATHER_SERVICE_URL", "the callers of this service read it"),
    ("WEATHER_PROXY_ENABLED", "the callers of this service read it"),
];

/// All settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `LISTEN`, `PORT`, `REQUEST_TIMEOUT_MS`, `DRAIN_TIMEOUT_MS`, `BODY_BYTES_MAX`.
    pub serve: ServeSettings,
    /// `WEATHER_DEFAULT_TZ`, `WEATHER_PROVIDER_DEFAULT`, `WEATHER_MAX_RANGE_DAYS`.
    pub rules: QueryRules,
    /// `WEATHER_CACHE_TTL_{CURRENT,HOURLY,DAILY,WEEKLY}_S`.
    pub fresh: FreshTimes,
    /// `WEATHER_STALE_MAX_{CURRENT,FORECAST}_S`, `WEATHER_CACHE_ENTRIES_MAX`.
    pub bounds: Bounds,
    /// `WEATHER_DATABASE_{URL,CONNECTIONS_MAX,WAITING_MAX,ACQUIRE_TIMEOUT_MS,STATEMENT_TIMEOUT_MS}`,
    /// `WEATHER_STORE_QUEUE_MAX`, `WEATHER_STORE_RETENTION_DAYS`.
    pub store: StoreSettings,
    /// `OPEN_METEO_BASE_URL`, `OPEN_METEO_TIMEOUT_MS`, `OPEN_METEO_CALLS_MAX`,
    /// `OPEN_METEO_BODY_BYTES_MAX`.
    pub open_meteo: OpenMeteoSettings,
    /// `OPEN_METEO_CONNECT_TIMEOUT_MS`.
    pub connect_timeout: Duration,
}

/// How the store is reached and how much it takes.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where the database is and how much of it is taken.
    pub database: DatabaseSettings,
    /// Answers waiting to be written at most.
    pub queue_max: usize,
    /// Time after which a stored answer is deleted.
    pub retention: Duration,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// All faults at once, with the name of each variable and what to write.
    pub fn read(mut env: Environment) -> Result<Self, SettingsError> {
        let settings = Self {
            serve: ServeSettings::read(&mut env, PORT_DEFAULT),
            rules: rules(&mut env),
            fresh: fresh(&mut env),
            bounds: bounds(&mut env),
            store: store(&mut env),
            open_meteo: open_meteo(&mut env),
            connect_timeout: env.duration_ms("OPEN_METEO_CONNECT_TIMEOUT_MS", 2000, 10..=60_000),
        };
        for (name, why) in WITHOUT_EFFECT {
            env.without_effect(name, why);
        }
        env.finish(&PREFIXES)?;
        Ok(settings)
    }
}

fn rules(env: &mut Environment) -> QueryRules {
    // UTC stands in while the faults are collected; the name below is in every zone database.
    let nairobi = Zone::named("Africa/Nairobi").unwrap_or_else(Zone::utc);
    let default_zone = env.parsed(
        "WEATHER_DEFAULT_TZ",
        nairobi,
        "an IANA zone such as Africa/Nairobi",
        Zone::named,
    );
    let default_provider =
        env.parsed("WEATHER_PROVIDER_DEFAULT", ProviderName::OpenMeteo, "open_meteo", |text| {
            text.eq_ignore_ascii_case("open_meteo").then_some(ProviderName::OpenMeteo)
        });
    let range_days_max = env.number("WEATHER_MAX_RANGE_DAYS", 366, 0..=3660);
    QueryRules { default_zone, default_provider, range_days_max }
}

fn fresh(env: &mut Environment) -> FreshTimes {
    let mut seconds = |name, default| env.duration_s(name, default, 0..=86_400);
    FreshTimes {
        current: seconds("WEATHER_CACHE_TTL_CURRENT_S", 120),
        hourly: seconds("WEATHER_CACHE_TTL_HOURLY_S", 600),
        daily: seconds("WEATHER_CACHE_TTL_DAILY_S", 900),
        weekly: seconds("WEATHER_CACHE_TTL_WEEKLY_S", 1800),
    }
}

fn bounds(env: &mut Environment) -> Bounds {
    Bounds {
        stale_current: env.duration_s("WEATHER_STALE_MAX_CURRENT_S", 3600, 0..=604_800),
        stale_forecast: env.duration_s("WEATHER_STALE_MAX_FORECAST_S", 86_400, 0..=604_800),
        entries_max: env.number("WEATHER_CACHE_ENTRIES_MAX", 2000, 1..=1_000_000),
    }
}

fn store(env: &mut Environment) -> StoreSettings {
    let days: u64 = env.number("WEATHER_STORE_RETENTION_DAYS", 7, 1..=3660);
    StoreSettings {
        database: DatabaseSettings::read(env, "WEATHER", "sqlite://weather.db?mode=rwc", 4),
        queue_max: env.number("WEATHER_STORE_QUEUE_MAX", 256, 1..=100_000),
        retention: Duration::from_secs(days * 86_400),
    }
}

fn open_meteo(env: &mut Environment) -> OpenMeteoSettings {
    OpenMeteoSettings {
        base_url: env.base_url("OPEN_METEO_BASE_URL", "https://api.open-meteo.com"),
        deadline: env.duration_ms("OPEN_METEO_TIMEOUT_MS", 8000, 50..=120_000),
        calls_max: env.number("OPEN_METEO_CALLS_MAX", 4, 1..=1000),
        body_bytes_max: env.number("OPEN_METEO_BODY_BYTES_MAX", 1 << 20, 1024..=64 << 20),
    }
}
