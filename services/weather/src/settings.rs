//! What did the operator ask for?
//!
//! Every setting is an environment variable; the table in [`Settings`]' fields names each.

use std::path::PathBuf;
use std::time::Duration;

use chassis::auth::{self, AuthSettings};
use chassis::database::DatabaseSettings;
use chassis::serve::ServeSettings;
use chassis::settings::{Settings as Environment, SettingsError};

use crate::answers::fresh::Bounds;
use crate::domain::ask::ProviderName;
use crate::domain::place::Zone;
use crate::http::FreshTimes;
use crate::http::query::QueryRules;
use crate::providers::budget::BudgetLimits;
use crate::providers::nasa_power::NasaPowerSettings;
use crate::providers::open_meteo::{ApiKey, OpenMeteoSettings};
use crate::warm::WarmSettings;

/// Port on loopback unless `PORT` or `LISTEN` says otherwise.
pub const PORT_DEFAULT: u16 = 8090;

/// Part of the budget for calls without a waiting client that points may use up.
const WARM_PART: f64 = 0.8;

/// Variables that begin so belong to this service, so that one nobody reads is a mistake.
const PREFIXES: [&str; 3] = ["WEATHER_", "OPEN_METEO_", "NASA_POWER_"];

/// Names that an environment file shared with other programs may hold.
const WITHOUT_EFFECT: [(&str, &str); 7] = [
    ("OPEN_METEO_TIMEOUT_S", "OPEN_METEO_TIMEOUT_MS is the deadline over all attempts"),
    ("OPEN_METEO_MAX_RETRIES", "there is at most one retry within OPEN_METEO_TIMEOUT_MS"),
    ("OPEN_METEO_BACKOFF_S", "the pause before the retry is fixed"),
    ("NASA_POWER_TIMEOUT_S", "NASA_POWER_TIMEOUT_MS is the deadline over all attempts"),
    ("WEATHER_PORT", "PORT or LISTEN says where this service listens"),
    ("WEATHER_SERVICE_URL", "the callers of this service read it"),
    ("WEATHER_PROXY_ENABLED", "the callers of this service read it"),
];

/// All settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `LISTEN`, `PORT`, `REQUEST_TIMEOUT_MS`, `DRAIN_TIMEOUT_MS`, `BODY_BYTES_MAX`.
    pub serve: ServeSettings,
    /// `AUTH_…`, `INTERNAL_TOKEN_…`, `JWT_…`, `API_KEY_…`.
    pub auth: AuthSettings,
    /// `WEATHER_DEFAULT_TZ`, `WEATHER_PROVIDER_DEFAULT`, `WEATHER_MAX_RANGE_DAYS`.
    pub rules: QueryRules,
    /// `WEATHER_CACHE_TTL_{CURRENT,HOURLY,DAILY,WEEKLY}_S`.
    pub fresh: FreshTimes,
    /// `WEATHER_STALE_MAX_{CURRENT,FORECAST}_S`, `WEATHER_REVALIDATE_{CURRENT,FORECAST}_S`,
    /// `WEATHER_CACHE_TTL_{GAPS,SETTLED}_S`, `WEATHER_CACHE_ENTRIES_MAX`.
    pub bounds: Bounds,
    /// `WEATHER_PROVIDER_FALLBACK`: whether NASA POWER answers for past days that Open-Meteo
    /// cannot give.
    pub may_fall_back: bool,
    /// `WEATHER_DATABASE_{URL,CONNECTIONS_MAX,WAITING_MAX,ACQUIRE_TIMEOUT_MS,STATEMENT_TIMEOUT_MS}`,
    /// `WEATHER_STORE_QUEUE_MAX`, `WEATHER_STORE_RETENTION_DAYS`.
    pub store: StoreSettings,
    /// `WEATHER_WARM_POINTS_FILE`, `WEATHER_WARM_POINTS_MAX`, `WEATHER_WARM_DAYS`.
    pub warm: WarmSettings,
    /// Everything that begins with `OPEN_METEO_`.
    pub open_meteo: OpenMeteoEnvironment,
    /// Everything that begins with `NASA_POWER_`, and `WEATHER_NASA_POWER_COMMUNITY`.
    pub nasa_power: NasaPowerEnvironment,
}

/// How Open-Meteo is reached and how much is asked of it.
#[derive(Clone, Debug)]
pub struct OpenMeteoEnvironment {
    /// `OPEN_METEO_BASE_URL`, `OPEN_METEO_ARCHIVE_BASE_URL`, `OPEN_METEO_HISTORICAL_BASE_URL`.
    pub hosts: [String; 3],
    /// `OPEN_METEO_TIMEOUT_MS`, `OPEN_METEO_BACKGROUND_TIMEOUT_MS`, `OPEN_METEO_API_KEY`.
    pub provider: OpenMeteoSettings,
    /// `OPEN_METEO_BUDGET_{MINUTE,HOUR,DAY}`, `OPEN_METEO_BUDGET_CLIENT_SHARE_PCT`.
    pub budget: BudgetLimits,
    /// `OPEN_METEO_CONNECT_TIMEOUT_MS`, `OPEN_METEO_CALLS_MAX`, `OPEN_METEO_BODY_BYTES_MAX`.
    pub line: LineSettings,
}

/// How NASA POWER is reached.
#[derive(Clone, Debug)]
pub struct NasaPowerEnvironment {
    /// `NASA_POWER_BASE_URL`.
    pub host: String,
    /// `NASA_POWER_TIMEOUT_MS`, `NASA_POWER_DAILY_LAG_DAYS`, `WEATHER_NASA_POWER_COMMUNITY`.
    pub provider: NasaPowerSettings,
    /// `NASA_POWER_CONNECT_TIMEOUT_MS`, `NASA_POWER_CALLS_MAX`, `NASA_POWER_BODY_BYTES_MAX`.
    pub line: LineSettings,
}

/// Bounds of the calls to one provider.
#[derive(Clone, Copy, Debug)]
pub struct LineSettings {
    /// Longest time for connecting.
    pub connect_timeout: Duration,
    /// Calls in flight at once.
    pub calls_max: usize,
    /// Largest body that is read.
    pub body_bytes_max: usize,
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
        let open_meteo = open_meteo(&mut env);
        let settings = Self {
            serve: ServeSettings::read(&mut env, PORT_DEFAULT),
            auth: AuthSettings::read(&mut env),
            rules: rules(&mut env),
            fresh: fresh(&mut env),
            bounds: bounds(&mut env),
            store: store(&mut env),
            may_fall_back: fallback(&mut env),
            warm: warm(&mut env, open_meteo.budget),
            open_meteo,
            nasa_power: nasa_power(&mut env),
        };
        for (name, why) in WITHOUT_EFFECT {
            env.without_effect(name, why);
        }
        env.finish(&[&PREFIXES[..], &auth::PREFIXES[..]].concat())?;
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
    let default_provider = env.parsed(
        "WEATHER_PROVIDER_DEFAULT",
        ProviderName::OpenMeteo,
        "open_meteo or nasa_power",
        ProviderName::named,
    );
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
        revalidate_current: env.duration_s("WEATHER_REVALIDATE_CURRENT_S", 600, 0..=604_800),
        revalidate_forecast: env.duration_s("WEATHER_REVALIDATE_FORECAST_S", 21_600, 0..=604_800),
        fresh_gaps: env.duration_s("WEATHER_CACHE_TTL_GAPS_S", 900, 0..=86_400),
        fresh_settled: env.duration_s("WEATHER_CACHE_TTL_SETTLED_S", 86_400, 0..=604_800),
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

fn fallback(env: &mut Environment) -> bool {
    env.parsed("WEATHER_PROVIDER_FALLBACK", true, "nasa_power or none", |text| {
        match text.to_ascii_lowercase().as_str() {
            "nasa_power" => Some(true),
            "none" => Some(false),
            _ => None,
        }
    })
}

/// A customer's key is for hosts of its own, so it changes the defaults of all three.
/// Points are warmed with the part of the budget that is not for clients only, less what their
/// own questions may need of it.
fn warm(env: &mut Environment, budget: BudgetLimits) -> WarmSettings {
    let calls_per_day = budget.day * (1.0 - budget.client_share) * WARM_PART;
    WarmSettings {
        points_file: env.optional_text("WEATHER_WARM_POINTS_FILE").map(PathBuf::from),
        points_max: env.number("WEATHER_WARM_POINTS_MAX", 500, 0..=10_000),
        days: env.number("WEATHER_WARM_DAYS", 7, 1..=14),
        calls_per_day: if budget.day > 0.0 { calls_per_day.max(1.0) } else { 0.0 },
    }
}

fn open_meteo(env: &mut Environment) -> OpenMeteoEnvironment {
    let api_key = env.optional_text("OPEN_METEO_API_KEY");
    let customer = if api_key.is_some() { "customer-" } else { "" };
    let mut host = |name: &str, default: &str| {
        env.base_url(name, &format!("https://{customer}{default}.open-meteo.com"))
    };
    let hosts = [
        host("OPEN_METEO_BASE_URL", "api"),
        host("OPEN_METEO_ARCHIVE_BASE_URL", "archive-api"),
        host("OPEN_METEO_HISTORICAL_BASE_URL", "historical-forecast-api"),
    ];
    let share_pct: u8 = env.number("OPEN_METEO_BUDGET_CLIENT_SHARE_PCT", 30, 0..=100);
    let mut limit = |name, default: u32| f64::from(env.number(name, default, 0..=100_000_000));
    let budget = BudgetLimits {
        minute: limit("OPEN_METEO_BUDGET_MINUTE", 600),
        hour: limit("OPEN_METEO_BUDGET_HOUR", 5000),
        day: limit("OPEN_METEO_BUDGET_DAY", 10_000),
        client_share: f64::from(share_pct) / 100.0,
    };
    let provider = OpenMeteoSettings {
        deadline: env.duration_ms("OPEN_METEO_TIMEOUT_MS", 8000, 50..=120_000),
        background_deadline: env.duration_ms(
            "OPEN_METEO_BACKGROUND_TIMEOUT_MS",
            30_000,
            50..=120_000,
        ),
        api_key: api_key.map(ApiKey::new),
    };
    OpenMeteoEnvironment { hosts, provider, budget, line: line(env, "OPEN_METEO", 4) }
}

/// Its deadline counts from the client's question too. It is longer than Open-Meteo's, so that
/// there is time left to ask when Open-Meteo has not answered at all.
fn nasa_power(env: &mut Environment) -> NasaPowerEnvironment {
    let community = env.parsed("WEATHER_NASA_POWER_COMMUNITY", "AG", "AG, RE or SB", |text| {
        ["AG", "RE", "SB"].into_iter().find(|known| text.eq_ignore_ascii_case(known))
    });
    NasaPowerEnvironment {
        host: env.base_url("NASA_POWER_BASE_URL", "https://power.larc.nasa.gov"),
        provider: NasaPowerSettings {
            deadline: env.duration_ms("NASA_POWER_TIMEOUT_MS", 9500, 50..=120_000),
            community,
            lag_days: env.number("NASA_POWER_DAILY_LAG_DAYS", 5, 0..=60),
        },
        line: line(env, "NASA_POWER", 2),
    }
}

fn line(env: &mut Environment, prefix: &str, calls_max: usize) -> LineSettings {
    let name = |rest: &str| format!("{prefix}_{rest}");
    LineSettings {
        connect_timeout: env.duration_ms(&name("CONNECT_TIMEOUT_MS"), 2000, 10..=60_000),
        calls_max: env.number(&name("CALLS_MAX"), calls_max, 1..=1000),
        body_bytes_max: env.number(&name("BODY_BYTES_MAX"), 1 << 20, 1024..=64 << 20),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Settings {
        Settings::read(Environment::from_pairs(pairs.iter().copied())).unwrap()
    }

    #[test]
    fn hosts_are_the_free_ones_without_a_key() {
        let settings = read(&[]);
        assert_eq!(
            settings.open_meteo.hosts,
            [
                "https://api.open-meteo.com",
                "https://archive-api.open-meteo.com",
                "https://historical-forecast-api.open-meteo.com"
            ]
        );
        assert_eq!(settings.nasa_power.host, "https://power.larc.nasa.gov");
    }

    #[test]
    fn key_leads_to_the_customers_hosts_unless_others_are_named() {
        let settings = read(&[
            ("OPEN_METEO_API_KEY", "sesame"),
            ("OPEN_METEO_BASE_URL", "http://weather.lan:8080/"),
        ]);
        assert_eq!(
            settings.open_meteo.hosts,
            [
                "http://weather.lan:8080",
                "https://customer-archive-api.open-meteo.com",
                "https://customer-historical-forecast-api.open-meteo.com"
            ]
        );
        assert!(!format!("{settings:?}").contains("sesame"));
    }

    #[test]
    fn budget_of_the_free_hosts_is_the_default() {
        let budget = read(&[]).open_meteo.budget;
        assert_eq!([budget.minute, budget.hour, budget.day], [600.0, 5000.0, 10_000.0]);
        assert!((budget.client_share - 0.3).abs() < 1e-12);
    }

    #[test]
    fn connecting_has_a_time_of_its_own_for_each_provider() {
        let settings = read(&[
            ("OPEN_METEO_CONNECT_TIMEOUT_MS", "70"),
            ("NASA_POWER_CONNECT_TIMEOUT_MS", "80"),
        ]);
        assert_eq!(settings.open_meteo.line.connect_timeout, Duration::from_millis(70));
        assert_eq!(settings.nasa_power.line.connect_timeout, Duration::from_millis(80));
    }

    #[test]
    fn unknown_words_are_refused_with_the_known_ones() {
        for (name, wanted) in [
            ("WEATHER_NASA_POWER_COMMUNITY", "AG, RE or SB"),
            ("WEATHER_PROVIDER_FALLBACK", "nasa_power or none"),
            ("WEATHER_PROVIDER_DEFAULT", "open_meteo or nasa_power"),
        ] {
            let error = Settings::read(Environment::from_pairs([(name, "x")])).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }

    #[test]
    fn bounds_of_the_database_are_read() {
        let database = read(&[
            ("WEATHER_DATABASE_URL", "mysql://me@host/db"),
            ("WEATHER_DATABASE_CONNECTIONS_MAX", "7"),
            ("WEATHER_DATABASE_WAITING_MAX", "8"),
            ("WEATHER_DATABASE_ACQUIRE_TIMEOUT_MS", "90"),
            ("WEATHER_DATABASE_STATEMENT_TIMEOUT_MS", "100"),
        ])
        .store
        .database;
        assert_eq!(database.url.scheme(), "mysql");
        assert_eq!((database.connections_max, database.waiting_max), (7, 8));
        assert_eq!(database.acquire_timeout, Duration::from_millis(90));
        assert_eq!(database.statement_timeout, Duration::from_millis(100));
    }

    #[test]
    fn points_may_use_most_of_what_is_not_for_clients() {
        let calls = |pairs: &[(&str, &str)]| read(pairs).warm.calls_per_day;
        assert!((calls(&[]) - 5600.0).abs() < 1e-6);
        assert!(calls(&[("OPEN_METEO_BUDGET_DAY", "0")]).abs() < 1e-6, "no limit");
        let none = calls(&[("OPEN_METEO_BUDGET_CLIENT_SHARE_PCT", "100")]);
        assert!((none - 1.0).abs() < 1e-6, "next to none is not no limit");
    }
}
