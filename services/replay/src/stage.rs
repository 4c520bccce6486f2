//! What do all routes share?

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::{Clock, Moment};
use crate::counts::Counter;
use crate::fault::FaultSwitch;
use crate::files::Files;
use crate::open_meteo::OpenMeteo;
use crate::power::Power;
use crate::recorded::DataError;
use crate::stac::Catalogue;
use crate::tape::{Recorder, Tape};

/// Everything the routes share.
pub(crate) struct Stage {
    pub(crate) open_meteo: OpenMeteo,
    pub(crate) power: Power,
    pub(crate) catalogue: Catalogue,
    pub(crate) files: Files,
    /// What was recorded, when there is such a directory.
    pub(crate) tape: Option<Tape>,
    /// Who asks the real hosts, while recording.
    pub(crate) recorder: Option<Recorder>,
    clock: Clock,
    shift: AtomicBool,
    pub(crate) faults: FaultSwitch,
    pub(crate) counter: Counter,
}

impl Stage {
    /// Reads all recordings below `data`.
    pub(crate) fn load(data: &Path, clock: Clock, shift: bool) -> Result<Self, DataError> {
        Ok(Self {
            open_meteo: OpenMeteo::load(data)?,
            power: Power::load(data)?,
            catalogue: Catalogue::load(data)?,
            files: Files::load(data, &["s2", "farms"])?,
            tape: None,
            recorder: None,
            clock,
            shift: AtomicBool::new(shift),
            faults: FaultSwitch::default(),
            counter: Counter::default(),
        })
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { now: self.clock.now(), shift: self.shift.load(Ordering::Relaxed) }
    }

    pub(crate) fn set_shift(&self, enabled: bool) {
        self.shift.store(enabled, Ordering::Relaxed);
    }
}
