//! What can go wrong with a board: what is tried again, and why it is given up.

use super::line::LineError;
use crate::port::PortError;
use std::fmt;
use std::time::Duration;

/// Why a board is given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Nobody answers.
    #[error(
        "no board answers `name%` at {port}, at any of {tried} speeds{heard}: check that it runs MLPerf Tiny firmware, press its reset, or name its speed with --baud"
    )]
    Nobody {
        /// The port.
        port: String,
        /// How many speeds were tried.
        tried: usize,
        /// Whether anything was heard at all.
        heard: &'static str,
    },
    /// It does another task than any known.
    #[error(
        "the board says its model is `{model}`, and the benchmark knows ad01, ic01, kws01 and vww01: flash another firmware"
    )]
    Model {
        /// What it says, escaped.
        model: String,
    },
    /// Tried often enough.
    #[error("{what} failed {tried} times, at last because {why}: {remedy}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// How often.
        tried: u32,
        /// The last reason.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl From<PortError> for BoardError {
    fn from(error: PortError) -> Self {
        Self::Line(error.into())
    }
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    Line(LineError),
    /// `m-ready` did not come.
    NotReady {
        command: String,
        waited: Duration,
    },
    /// The board started anew.
    Restarted,
    /// `e-[…]`, escaped.
    Refused(String),
    /// An answer is missing, or is another than it must be.
    Odd(String),
}

impl From<LineError> for Trouble {
    fn from(error: LineError) -> Self {
        Self::Line(error)
    }
}

impl Trouble {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Line(_) | Self::Odd(_) => "check the cable, or choose a lower speed on both ends",
            Self::NotReady { .. } => "press the board's reset, and check the cable",
            Self::Restarted => "check the board's supply, and what its firmware printed",
            Self::Refused(_) => "the firmware and the inputs may be of different tasks",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::NotReady { command, waited } => write!(
                f,
                "`m-ready` did not come within {} s of `{command}`",
                waited.as_secs()
            ),
            Self::Restarted => f.write_str("the board restarted"),
            Self::Refused(why) => write!(f, "the board said `e-[{why}]`"),
            Self::Odd(what) => f.write_str(what),
        }
    }
}
