//! The runner for Linux boards: `scalebench-core` over termios, tract and the file system. Runs on the board.
//!
//! | module | what it gives |
//! |---|---|
//! | [`serial`] | the line: a tty in raw mode |
//! | [`clock`] | `CLOCK_MONOTONIC` in nanoseconds |
//! | [`engine`] | tract, behind a [`quarantine`] that survives models which crash |
//! | [`again`] | this program, started once more |
//! | [`store`] | artefacts on disk, by hash |
//! | [`rails`] | power sensors, each read by a thread of its own |
//! | [`heap`] | what memory the engine takes |
//! | [`vitals`] | frequency and temperature from `/sys`, memory from the heap |
//! | [`log`] | defmt frames, kept until the session sends them |
//! | [`identity`] | what this board is |
//! | [`knobs`] | core, priority and governor, set before anything is measured |
//! | [`governor`] | what sets the CPU's clock, put back whatever becomes of the runner |
//! | [`counters`] | cycles, instructions, cache misses |
//! | [`mlperf`] | the runner as MLPerf Tiny firmware |
//! | [`trigger`] | the pin for an external meter |
//! | [`init`] | the runner as the first process of a board that runs nothing else |

pub mod again;
pub mod clock;
pub mod counters;
pub mod engine;
pub mod governor;
pub mod heap;
pub mod identity;
pub mod init;
pub mod knobs;
pub mod log;
pub mod mlperf;
mod options;
pub mod quarantine;
pub mod rails;
mod realtime;
pub mod serial;
pub mod store;
pub mod trigger;
pub mod vitals;

pub use options::main;

/// Name of the hidden subcommand under which the host tool carries this runner.
pub const SUBCOMMAND: &str = "__runner";

use scalebench_core::board::Board;

/// A Linux board.
#[derive(Clone, Copy, Debug)]
pub enum Linux {}

impl Board for Linux {
    type Clock = clock::Monotonic;
    type Line = serial::Serial;
    type Engine = engine::Tract;
    type Store = store::Folder;
    type Rails = rails::LinuxRails;
    type Log = log::Ring;
    type Vitals = vitals::Linux;
    type Trigger = trigger::Meter;
    type Counters = counters::Processor;
}
