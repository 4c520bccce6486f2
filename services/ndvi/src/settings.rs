//! What did the operator ask for?
//!
//! Every setting is an environment variable; the fields of [`Settings`] name each.

use std::num::NonZeroUsize;
use std::time::Duration;

use chassis::auth::{self, AuthSettings};
use chassis::serve::ServeSettings;
use chassis::settings::{Settings as Environment, SettingsError};

use crate::domain::cloud::ClassSet;
use crate::domain::outline::AREA_HA_MAX_DEFAULT;
use crate::http::Rules;
use crate::scenes::survey::SurveySettings;
use crate::store::sqlite::SqliteSettings;

/// Port on loopback unless `PORT` or `LISTEN` says otherwise.
pub const PORT_DEFAULT: u16 = 8081;

/// Variables that begin so belong to this service, so that one nobody reads is a mistake.
const PREFIXES: [&str; 1] = ["NDVI_"];

/// Names that an environment file shared with other programs may hold.
const WITHOUT_EFFECT: [(&str, &str); 2] = [
    ("NDVI_SERVICE_URL", "the callers of this service read it"),
    ("NDVI_PROXY_ENABLED", "the callers of this service read it"),
];

/// Collections that can be asked for.
const COLLECTIONS: [&str; 2] = ["sentinel-2-c1-l2a", "sentinel-2-l2a"];

/// All settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `LISTEN`, `PORT`, `REQUEST_TIMEOUT_MS`, `DRAIN_TIMEOUT_MS`, `BODY_BYTES_MAX`.
    pub serve: ServeSettings,
    /// `AUTH_…`, `INTERNAL_TOKEN_…`, `JWT_…`, `API_KEY_…`.
    pub auth: AuthSettings,
    /// `NDVI_DATABASE_URL`, `NDVI_DATABASE_CONNECTIONS_MAX`, `NDVI_DATABASE_ACQUIRE_TIMEOUT_MS`.
    pub store: SqliteSettings,
    /// `NDVI_STAC_URL`, `NDVI_COLLECTIONS`, `NDVI_SCENES_MAX`, `NDVI_CONNECT_TIMEOUT_MS`.
    pub catalogue: CatalogueSettings,
    /// `NDVI_AREA_HA_MAX`, `NDVI_RANGE_DAYS_MAX`.
    pub rules: Rules,
    /// `NDVI_DEADLINE_MS`, `NDVI_SCENES_PARALLEL`, `NDVI_SCL_MASKED`.
    pub survey: SurveySettings,
    /// `NDVI_SURVEYS_MAX`, `NDVI_READS_MAX`, `NDVI_COMPUTE_MAX`, `NDVI_BAND_BYTES_MAX`,
    /// `NDVI_HEADERS_MAX`.
    pub bounds: Bounds,
}

/// Where scenes are searched.
#[derive(Clone, Debug)]
pub struct CatalogueSettings {
    /// Root of the STAC API, without a slash at its end.
    pub url: String,
    /// Collections to search.
    pub collections: Vec<String>,
    /// Most scenes in one request.
    pub scenes_max: usize,
    /// Longest time for connecting to the catalogue or to a scene's files.
    pub connect_timeout: Duration,
}

/// How much may happen at once in the whole service.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests for statistics.
    pub surveys_max: usize,
    /// Range requests in flight.
    pub reads_max: usize,
    /// Jobs on blocking threads.
    pub compute_max: usize,
    /// Bytes of tiles read for one band of one field.
    pub band_bytes_max: u64,
    /// Headers kept.
    pub headers_max: NonZeroUsize,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// All faults at once, with the name of each variable and what to write.
    pub fn read(mut env: Environment) -> Result<Self, SettingsError> {
        let settings = Self {
            serve: ServeSettings::read(&mut env, PORT_DEFAULT),
            auth: AuthSettings::read(&mut env),
            store: store(&mut env),
            catalogue: catalogue(&mut env),
            rules: Rules {
                area_ha_max: env.number("NDVI_AREA_HA_MAX", AREA_HA_MAX_DEFAULT, 0.01..=100_000.0),
                range_days_max: env.number("NDVI_RANGE_DAYS_MAX", 366, 0..=3_660),
            },
            survey: survey(&mut env),
            bounds: bounds(&mut env),
        };
        for (name, why) in WITHOUT_EFFECT {
            env.without_effect(name, why);
        }
        env.finish(&[&PREFIXES[..], &auth::PREFIXES[..]].concat())?;
        Ok(settings)
    }
}

fn store(env: &mut Environment) -> SqliteSettings {
    SqliteSettings {
        url: env.text("NDVI_DATABASE_URL", "sqlite://ndvi.db?mode=rwc"),
        connections_max: env.number("NDVI_DATABASE_CONNECTIONS_MAX", 5, 1..=100),
        acquire_timeout: env.duration_ms("NDVI_DATABASE_ACQUIRE_TIMEOUT_MS", 2_000, 10..=60_000),
    }
}

fn catalogue(env: &mut Environment) -> CatalogueSettings {
    let all = || COLLECTIONS.map(str::to_owned).to_vec();
    let wanted = format!("one or both of {}, with a comma between", COLLECTIONS.join(" and "));
    CatalogueSettings {
        url: env.base_url("NDVI_STAC_URL", "https://earth-search.aws.element84.com/v1"),
        collections: env.parsed("NDVI_COLLECTIONS", all(), &wanted, |text| {
            let names: Vec<&str> = text.split(',').map(str::trim).collect();
            let known = names.iter().all(|name| COLLECTIONS.contains(name));
            known.then(|| names.into_iter().map(str::to_owned).collect())
        }),
        scenes_max: env.number("NDVI_SCENES_MAX", 200, 1..=1_000),
        connect_timeout: env.duration_ms("NDVI_CONNECT_TIMEOUT_MS", 3_000, 10..=60_000),
    }
}

fn survey(env: &mut Environment) -> SurveySettings {
    let wanted = "classes from 0 to 11 with commas between, such as 0,1,2,3,8,9,10,11";
    SurveySettings {
        deadline: env.duration_ms("NDVI_DEADLINE_MS", 25_000, 10..=600_000),
        scenes_parallel: env.number("NDVI_SCENES_PARALLEL", 4, 1..=64),
        masked: env.parsed("NDVI_SCL_MASKED", ClassSet::default(), wanted, |text| {
            let classes: Option<Vec<u8>> =
                text.split(',').map(|class| class.trim().parse().ok()).collect();
            ClassSet::of(&classes?)
        }),
    }
}

fn bounds(env: &mut Environment) -> Bounds {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Bounds {
        surveys_max: env.number("NDVI_SURVEYS_MAX", 8, 1..=1_000),
        reads_max: env.number("NDVI_READS_MAX", 16, 1..=1_000),
        compute_max: env.number("NDVI_COMPUTE_MAX", processors, 1..=256),
        band_bytes_max: env.number("NDVI_BAND_BYTES_MAX", 32 << 20, 65_536..=1 << 30),
        headers_max: env.parsed(
            "NDVI_HEADERS_MAX",
            NonZeroUsize::MIN.saturating_add(511),
            "a number from 1 to 100000",
            |text| text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= 100_000),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn empty_environment_gives_the_documented_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.serve.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(settings.store.url, "sqlite://ndvi.db?mode=rwc");
        assert_eq!(settings.catalogue.url, "https://earth-search.aws.element84.com/v1");
        assert_eq!(settings.catalogue.collections, COLLECTIONS);
        assert_eq!(settings.bounds.headers_max.get(), 512);
    }

    #[test]
    fn wrong_lists_are_refused_with_an_example() {
        let faults = read(&[("NDVI_SCL_MASKED", "3,12"), ("NDVI_COLLECTIONS", "landsat")]);
        let faults = faults.unwrap_err().to_string();
        assert!(faults.contains("0,1,2,3,8,9,10,11") && faults.contains("sentinel-2-l2a"));
    }

    #[test]
    fn variables_of_callers_are_tolerated() {
        assert!(read(&[("NDVI_SERVICE_URL", "http://x"), ("NDVI_PROXY_ENABLED", "1")]).is_ok());
        assert!(read(&[("NDVI_SERVICE_URI", "http://x")]).is_err());
    }
}
