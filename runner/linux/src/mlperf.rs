//! The runner as MLPerf Tiny firmware: one model from a file, on the serial line, until it is ended.

use crate::again::Again;
use crate::trigger::{Idle, Pin, PinError};
use crate::{clock, engine, identity, quarantine, serial};
use scalebench_boards::Trigger;
use scalebench_core::board::Engine as _;
use scalebench_core::mlperf::kind::{Kind, Unfit};
use scalebench_core::mlperf::stamp::Timestamps;
use scalebench_core::mlperf::{MAX_INPUT, Monitor, Parts};
use std::io;
use std::path::{Path, PathBuf};

/// Speed of the line in performance mode, where none is named: the reference runner's.
pub const BAUD: u32 = 115_200;
/// The same in energy mode, where the reference's IO manager knows no other.
pub const ENERGY_BAUD: u32 = 9_600;

/// What is served.
#[derive(Debug)]
pub struct Task<'a> {
    /// The TFLite file.
    pub model: &'a Path,
    /// Which of the benchmark's tasks it does.
    pub kind: Kind,
    /// The pin whose falling edges mark windows; `None` in performance mode, where lines do.
    pub trigger: Option<&'a Trigger>,
}

/// Why the model is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MlperfError {
    /// The file.
    #[error("the model {} cannot be read: {source}; name another with --model", path.display())]
    Read {
        /// What was opened.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The engine.
    #[error("the model {} cannot be run: {source}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// The engine's words.
        source: engine::EngineError,
    },
    /// The task.
    #[error("{}: {source}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: Unfit,
    },
    /// The pin.
    #[error(
        "line {line} of {chip} cannot be driven: {source}; check [trigger] in the board file, and that no other program has the pin"
    )]
    Trigger {
        /// The chip.
        chip: String,
        /// Its line.
        line: u32,
        /// The kernel's words.
        source: PinError,
    },
    /// The line.
    #[error(transparent)]
    Line(io::Error),
}

/// Serves `task` on `line` until `stop` says so.
///
/// # Errors
/// [`MlperfError`].
pub fn serve(
    task: &Task<'_>,
    line: serial::Serial,
    stop: &dyn Fn() -> bool,
) -> Result<(), MlperfError> {
    let path = || task.model.to_owned();
    let model = std::fs::read(task.model).map_err(|source| MlperfError::Read {
        path: path(),
        source,
    })?;
    // The file was named by whoever started the runner: it needs no quarantine, and there is no host to tell.
    let mut engine = engine::Tract::new(quarantine::Quarantine::new(
        PathBuf::new(),
        Again::default(),
    ));
    engine.load(&model, 0).map_err(|source| MlperfError::Load {
        path: path(),
        source,
    })?;
    let timestamps = match task.trigger {
        None => Timestamps::Lines,
        Some(trigger) => Timestamps::Edges(Pin::open(trigger, Idle::High).map_err(|source| {
            MlperfError::Trigger {
                chip: trigger.chip.clone(),
                line: trigger.line,
                source,
            }
        })?),
    };
    let parts = Parts {
        clock: clock::Monotonic,
        engine,
        line,
        timestamps,
    };
    let mut buffer = vec![0; MAX_INPUT];
    let name = name();
    Monitor::new(parts, &name, task.kind, &mut buffer, stop)
        .map_err(|source| MlperfError::Unfit {
            path: path(),
            source,
        })?
        .run()
        .map_err(MlperfError::Line)
}

/// What the board calls itself. Runners look for the name between brackets, and end commands at `%`.
fn name() -> String {
    let info = identity::board_info();
    let emulated = if info.emulated { ", emulated" } else { "" };
    format!("scalebench {} on {}{emulated}", info.runner, info.machine)
        .chars()
        .map(|c| match c {
            '[' => '(',
            ']' => ')',
            ' '..='~' if c != '%' => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_fits_between_brackets() {
        let name = name();
        assert!(name.starts_with("scalebench "), "{name}");
        assert!(!name.contains(['[', ']', '%']) && name.is_ascii());
    }
}
