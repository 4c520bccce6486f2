//! How is the machine kept busy?

use harness::{Process, Program};

/// Programs that do nothing, one for each core, without a pause; killed when dropped.
pub(crate) struct Busy {
    _programs: Vec<Process>,
}

impl Busy {
    /// Keeps this many cores busy, at the same priority as everything that is measured.
    pub(crate) fn start(cores: usize) -> Self {
        let program = Program::at("sh").arg("-c").arg("while :; do :; done");
        Self { _programs: (0..cores).map(|_| program.start()).collect() }
    }
}
