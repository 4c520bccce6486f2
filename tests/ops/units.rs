//! Does systemd take the units, and do they fit the programs?

use std::path::PathBuf;
use std::process::Command;

use harness::Directory;

use crate::{PROGRAMS, run, said, text, yaml};

/// Most exposure that `systemd-analyze security` may find, in tenths of its scale from 0 to 10.
const EXPOSURE_MAX_TENTHS: &str = "20";

/// The units as they would be installed, but with programs that exist on any machine.
fn installed_units(folder: &Directory) -> Vec<PathBuf> {
    let units = PROGRAMS.map(|program| {
        let unit = text(&format!("systemd/{program}.service"));
        let unit = unit
            .replace("/usr/local/bin/farmgate", env!("CARGO_BIN_EXE_farmgate"))
            .replace(&format!("/usr/local/libexec/farmgate/{program}"), "/bin/true");
        assert!(!unit.contains("=/usr/local/"), "{program}.service starts another program");
        folder.write(&format!("{program}.service"), unit)
    });
    units.to_vec()
}

#[test]
fn systemd_accepts_every_unit_without_a_word() {
    let folder = Directory::new();
    let units = installed_units(&folder);
    let verify = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units));
    let Some(output) = verify else { return };
    // It ignores a key that it does not know, and succeeds: what it says about a unit counts too.
    let said = said(&output);
    let complaint = said
        .lines()
        .find(|line| PROGRAMS.iter().any(|name| line.contains(&format!("{name}.service"))));
    assert!(output.status.success() && complaint.is_none(), "{said}");
}

#[test]
fn the_sandbox_of_every_unit_stays_tight() {
    let folder = Directory::new();
    for unit in installed_units(&folder) {
        let threshold = format!("--threshold={EXPOSURE_MAX_TENTHS}");
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager", &threshold]).arg(&unit);
        let Some(output) = run(&mut command) else { return };
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn systemd_gives_the_gateway_the_folder_that_its_configuration_asks_for() {
    let unit = text("systemd/farmgate.service");
    assert!(unit.lines().any(|line| line == "StateDirectory=farmgate"));
    assert!(text("conf/gateway.yaml").contains("  dir: ${STATE_DIRECTORY:-"));
}

/// The seconds of `key=30s` in a unit.
fn unit_seconds(unit: &str, key: &str) -> u64 {
    let value = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect(key);
    value.strip_suffix('s').unwrap().parse().unwrap()
}

#[test]
fn systemd_waits_longer_than_the_gateway_warms_and_drains() {
    let unit = text("systemd/farmgate.service");
    let server = yaml("conf/gateway.yaml")["server"].clone();
    let seconds = |key: &str| -> u64 {
        server[key].as_str().unwrap().strip_suffix('s').unwrap().parse().unwrap()
    };
    // Pingora sleeps the whole drain, and closes what is left a second later.
    assert!(unit_seconds(&unit, "TimeoutStopSec") > seconds("drain_timeout") + 5);
    assert!(unit_seconds(&unit, "TimeoutStartSec") > seconds("ready_timeout") + 5);
}
