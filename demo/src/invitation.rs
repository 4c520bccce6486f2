//! What can the reader try next?

use std::path::Path;

use crate::configuration::{CREDENTIALS_FILE, GATEWAY_FILE};
use crate::options::loopback;
use crate::stage::Stage;
use crate::story::{NAIROBI, NAKURU};

/// A farm's samples: none were sent, so the list is empty.
const SAMPLES: &str = "/api/v1/ndvi?farm_id=7f9c24e8-3b12-4fef-91e0-0c1f2d3a4b5c";

/// Where a scrape configuration and alert rules lie.
const PROMETHEUS: &str = "conf/prometheus";

/// Where the dashboard lies.
const GRAFANA: &str = "conf/grafana";

/// Signs a request in a shell.
const SIGNED_CURL: &str = "scripts/signed_curl.sh";

/// Prints addresses, and requests that work as they stand.
pub(crate) fn print(stage: &Stage) {
    let screen = stage.screen;
    let (gateway, admin) = (loopback(stage.ports.gateway), loopback(stage.ports.admin));
    let replay = loopback(stage.ports.replay);
    screen.title("It is all still running");
    for (what, address) in [
        ("gateway", format!("http://{gateway}")),
        ("metrics", format!("http://{admin}/metrics")),
        ("health", format!("http://{admin}/healthz, /readyz, and /config for the last reload")),
        ("credentials", CREDENTIALS_FILE.to_owned()),
        ("configuration", GATEWAY_FILE.to_owned()),
    ] {
        screen.line(format_args!("  {what:<16} {address}"));
    }
    let boards = [(PROMETHEUS, "scrape configuration and alert rules"), (GRAFANA, "dashboard")];
    for (folder, what) in boards.into_iter().filter(|(folder, _)| Path::new(folder).is_dir()) {
        screen.line(format_args!("  {folder:<16} {what}"));
    }
    screen.title("Try it: a hit, a miss of 2.2 s, and a look at the metrics");
    let key = &stage.credentials.api_key;
    for target in [NAIROBI, "/api/v1/weather/current/?lat=-1.0333&lon=37.0693"] {
        screen.line(format_args!(
            "  curl -i -H 'X-API-Key: {key}' \\\n    'http://{gateway}{target}'"
        ));
    }
    screen.line(format_args!("  curl -s http://{admin}/metrics | grep farmgate_cache"));
    screen.title("The same with the credentials file, in another terminal");
    screen.line(format_args!("  source {CREDENTIALS_FILE}"));
    for (header, target) in
        [("Authorization: Bearer $JWT", NAKURU), ("X-API-Key: $API_KEY", SAMPLES)]
    {
        screen.line(format_args!("  curl -i -H \"{header}\" \\\n    \"$FARMGATE_URL{target}\""));
    }
    screen.line(format_args!("  {SIGNED_CURL} '{NAIROBI}'"));
    screen.title("Make the provider fail, and let it recover");
    screen.line(format_args!(
        "  curl -X PUT http://{replay}/_replay/faults \\\n    -d '{{\"status\": 503, \"path_prefix\": \"/v1\"}}'"
    ));
    screen.line(format_args!("  curl -X DELETE http://{replay}/_replay/faults"));
    screen.blank();
}
