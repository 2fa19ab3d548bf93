//! What happens during a run, for whoever watches.

use scalebench_wire::link::LinkStats;
use std::sync::mpsc::SyncSender;

/// Something to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A session is open.
    Connected {
        /// The machine, escaped.
        machine: String,
    },
    /// A file is uploaded.
    Upload {
        /// Bytes there.
        done: u64,
        /// Of.
        total: u64,
        /// Which file of how many missing ones.
        file: String,
    },
    /// A trial begins.
    Trial {
        /// How many have ended.
        done: usize,
        /// Of.
        total: usize,
        /// Which.
        label: String,
    },
    /// What the trial does.
    Phase(String),
    /// A trial has ended.
    Ended {
        /// Which.
        label: String,
        /// How, in a few words.
        outcome: String,
        /// Whether well.
        well: bool,
    },
    /// A sentence worth a line.
    Note(String),
    /// The link, now and then.
    Link {
        /// Counts of this session.
        stats: LinkStats,
        /// Bytes received.
        bytes: u64,
        /// Readings received.
        readings: u64,
    },
}

/// Where progress goes, with the number of the board it is of. Never blocks the run: what the watcher
/// cannot take is dropped.
#[derive(Clone, Debug)]
pub struct Watch(Option<(SyncSender<(usize, Progress)>, usize)>);

impl Watch {
    /// To a channel, about board number `board` of the run.
    #[must_use]
    pub fn to(channel: SyncSender<(usize, Progress)>, board: usize) -> Self {
        Self(Some((channel, board)))
    }

    /// Nobody watches.
    #[must_use]
    pub fn nobody() -> Self {
        Self(None)
    }

    /// Tells.
    pub fn tell(&self, progress: Progress) {
        if let Some((channel, board)) = &self.0 {
            let _ = channel.try_send((*board, progress));
        }
    }
}
