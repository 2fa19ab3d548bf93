//! External meters: their recordings, and the energy of a run's windows by them.
//!
//! A meter has its own clock. What ties it to the board's is a pin that the board drives and the meter records
//! beside the power: two edges for each window. Over all windows a straight line is laid through the times of the
//! edges on the meter's clock and of the marks on the board's; between a window's marks the readings are then
//! integrated like those of any rail ([`crate::energy`]).
//!
//! | module | what it does |
//! |---|---|
//! | [`columns`] | which column of a file is what, in which unit |
//! | [`recording`] | readings and edges of a file |
//! | [`clock`] | the meter's clock against the board's |
//! | [`accuracy`] | what the meter's maker promises |
//! | [`live`] | a meter that records while a run goes on |
//! | [`ppk2`] | Nordic's Power Profiler Kit II on its serial line |

pub mod accuracy;
pub mod clock;
pub mod columns;
pub mod live;
pub mod ppk2;
pub mod recording;

use crate::energy::{COVERAGE_FACTOR, integrate};
use crate::power::{of_windows, tier_word, value};
use crate::results::{
    Marked, RailEnergy, RailResult, RunResults, Status, TrialResult, Value, WindowResult,
};
use accuracy::Accuracy;
use clock::{Line, Span};
use recording::Recording;
use scalebench_wire::message::Tier;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// The meter's name among the rails of a run.
const RAIL: &str = "meter";

/// Why a recording tells nothing of a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeterError {
    /// The file.
    #[error("{}: {source}: name with --meter what the meter's program has written", path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Its first line.
    #[error("{}: {what}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is missing, and the remedy.
        what: String,
    },
    /// Another line.
    #[error("{} line {line}: {what}: write the recording again, as numbers with commas between", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The run.
    #[error("the run has no windows: measure something, then add its energy")]
    NoWindows,
    /// Not enough edges.
    #[error(
        "the recording has {found} {kind} of `{trigger}`, and {windows} windows take two each: record from before the first window until after the last, check the wire, or name the input with --trigger"
    )]
    Edges {
        /// How many there are.
        found: usize,
        /// Which edges count.
        kind: &'static str,
        /// The column.
        trigger: String,
        /// Windows of the run.
        windows: usize,
    },
    /// An edge is missing, or one too many.
    #[error(
        "{window} lasts {meter:.4} s between its edges, and lasted {run:.4} s: the recording is of another run, or edges are missing"
    )]
    Duration {
        /// Which.
        window: String,
        /// By the meter.
        meter: f64,
        /// By the run.
        run: f64,
    },
    /// The clocks do not fit.
    #[error(
        "{window} begins or ends {off_ms:.1} ms from where the board's clock puts it: edges are missing, or the board was started anew; record a run without restarts"
    )]
    Misplaced {
        /// Which.
        window: String,
        /// By how much.
        off_ms: f64,
    },
    /// One of the clocks is wrong.
    #[error(
        "the meter's clock differs by {ppm:.0} ppm from the board's, and at most {most:.0} ppm are believed: check the times in the recording"
    )]
    Skew {
        /// Parts in a million.
        ppm: f64,
        /// The limit.
        most: f64,
    },
    /// Too few readings.
    #[error("{window}: {reason}")]
    Window {
        /// Which.
        window: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The offset's unit.
    #[error(
        "an offset in amperes says nothing of a recording without voltage: give --meter-accuracy its offset in watts"
    )]
    Offset,
}

/// The meter behind a run's energy, as it stands in `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meter {
    /// The recording's name, escaped.
    pub file: String,
    /// SHA-256 of it.
    pub sha256: String,
    /// Which columns were read, escaped.
    pub columns: String,
    /// Its readings.
    pub readings: u64,
    /// Mean distance of two.
    pub interval_ns: f64,
    /// Edges before those of the windows, which were overlooked.
    pub earlier_edges: usize,
    /// Windows in which it lost readings: they have no energy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub holed_windows: usize,
    /// What its maker promises; `None` if nobody said.
    pub accuracy: Option<Accuracy>,
    /// How its clock runs; `None` where the board tells no times.
    pub clock: Option<Clock>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The meter's clock against the board's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// By how many parts in a million it is fast.
    pub skew_ppm: Value,
    /// How far the edges lie from where the marks put them, root mean square.
    pub jitter_ns: f64,
}

impl Meter {
    /// What a person must know of the figures.
    #[must_use]
    pub fn remark(&self) -> String {
        let clock = self.clock.map_or(String::new(), |clock| {
            format!(
                ", its clock fast by {:.1} ±{:.1} ppm against the board's, edges within {}",
                clock.skew_ppm.value,
                clock.skew_ppm.uncertainty,
                crate::units::time(clock.jitter_ns)
            )
        });
        let accuracy = self.accuracy.as_ref().map_or_else(
            || "the meter's own error is not in ±: --meter-accuracy puts it there".to_owned(),
            |accuracy| format!("the meter is taken as good to {accuracy}"),
        );
        let holes = match self.holed_windows {
            0 => String::new(),
            count => format!(
                "; it lost readings in {}, whose energy is left out",
                crate::text::counted(count, "window")
            ),
        };
        format!(
            "energy by an external meter, idle power included: {}, a reading every {}{clock}; {accuracy}{holes}",
            self.file,
            crate::units::time(self.interval_ns)
        )
    }
}

/// What the times of the run's windows are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Ticks of the board's own clock; the pin changes its level at both ends of a window.
    Board,
    /// This machine's clock and MLPerf Tiny's line: durations, roughly. A falling edge at both ends.
    Host,
}

/// Adds the energy by `recording` to a run. A trial whose latency may not be published has none, as ever.
///
/// # Errors
/// [`MeterError`] when the recording is not of this run; the results are then as they were.
pub fn add(
    results: &mut RunResults,
    recording: &Recording,
    marks: Marks,
    accuracy: Option<Accuracy>,
) -> Result<(), MeterError> {
    let tick_ns = results
        .board
        .as_ref()
        .map_or(1.0, |board| 1e9 / board.ticks_per_second.max(1) as f64);
    let pulses = pulses(results, marks);
    if pulses.iter().all(|pulse| pulse.place.is_none()) {
        return Err(MeterError::NoWindows);
    }
    let named = |pulse: &Pulse| clock::Window {
        name: match pulse.place {
            Some((trial, window)) => format!(
                "window {} of trial {}",
                results.trials[trial].windows[window].window, results.trials[trial].trial
            ),
            None => "a window that was discarded".to_owned(),
        },
        begin: pulse.marked.begin as f64 * tick_ns / 1e9,
        end: pulse.marked.end as f64 * tick_ns / 1e9,
        host: pulse.host_s,
    };
    let wanted: Vec<clock::Window> = pulses.iter().map(named).collect();
    let aligned = clock::align(&wanted, recording, marks)?;
    let scale = recording.scale(accuracy.as_ref(), aligned.marks_s, aligned.rate_u)?;
    let rail = results
        .rails
        .iter()
        .position(|rail| rail.tier == tier_word(Tier::ExternalMeter))
        .unwrap_or(results.rails.len());
    let rail = u8::try_from(rail).unwrap_or(u8::MAX);
    let (mut energies, mut holed) = (Vec::new(), Vec::new());
    for ((wanted, span), pulse) in wanted.iter().zip(&aligned.spans).zip(&pulses) {
        let Some(place) = pulse.place else {
            continue;
        };
        if recording.has_hole(span.zero, span.zero + span.rate * span.seconds) {
            holed.push(place);
            continue;
        }
        let readings = recording.between(span);
        let integral =
            integrate(&readings, &scale, span.seconds).map_err(|reason| MeterError::Window {
                window: wanted.name.clone(),
                reason,
            })?;
        let energy = RailEnergy {
            rail,
            readings: u32::try_from(readings.len()).unwrap_or(u32::MAX),
            missed: 0,
            gross_j: value(&integral),
            net_j: None,
            budget_j: integral.budget,
            net_budget_j: None,
            idle_w: None,
            mean_w: integral.watts(),
            peak_w: integral.peak,
        };
        energies.push((place, energy));
    }
    for trial in &mut results.trials {
        for window in &mut trial.windows {
            window.rails.retain(|other| other.rail != rail);
        }
    }
    for ((trial, window), energy) in energies {
        results.trials[trial].windows[window].rails.push(energy);
    }
    for (number, trial) in results.trials.iter_mut().enumerate() {
        let is_holed = holed.iter().any(|(trial, _)| *trial == number);
        publish(trial, rail, marks, is_holed);
    }
    results.rails.truncate(usize::from(rail));
    results.rails.push(RailResult {
        name: RAIL.to_owned(),
        tier: tier_word(Tier::ExternalMeter).to_owned(),
        interval_ns: recording.interval() * 1e9,
        tolerance: accuracy.as_ref().map_or(0.0, |accuracy| accuracy.share),
    });
    results.meter = Some(Meter {
        file: recording.file.clone(),
        sha256: recording.sha256.clone(),
        columns: recording.columns.clone(),
        readings: recording.readings() as u64,
        interval_ns: recording.interval() * 1e9,
        earlier_edges: aligned.earlier_edges,
        holed_windows: holed.len(),
        accuracy,
        clock: aligned.line.map(|line: Line| Clock {
            skew_ppm: Value {
                value: (line.rate - 1.0) * 1e6,
                uncertainty: COVERAGE_FACTOR * line.rate_u * 1e6,
            },
            jitter_ns: line.jitter_s * 1e9,
        }),
    });
    Ok(())
}

/// A window as the pin marked it, whatever became of it.
struct Pulse {
    marked: Marked,
    /// What it lasted by this machine's clock, in seconds.
    host_s: f64,
    /// The numbers of its trial and its window among the results; `None` where it was discarded.
    place: Option<(usize, usize)>,
}

/// All windows of a run in the order in which the pin marked them.
fn pulses(results: &RunResults, marks: Marks) -> Vec<Pulse> {
    let mut pulses = Vec::new();
    for (trial, result) in results.trials.iter().enumerate() {
        for (window, told) in result.windows.iter().enumerate() {
            pulses.push(Pulse {
                marked: told.marked(),
                host_s: told.mean_ns * f64::from(told.inferences) / 1e9,
                place: Some((trial, window)),
            });
        }
    }
    if marks == Marks::Board {
        pulses.extend(results.discarded.iter().map(|&marked| Pulse {
            marked,
            host_s: 0.0,
            place: None,
        }));
        // The order of the plan is that of the capture, unless something was tried again.
        pulses.sort_by_key(|pulse| pulse.marked.begin);
    }
    pulses
}

fn publish(trial: &mut TrialResult, rail: u8, marks: Marks, is_holed: bool) {
    if trial.windows.is_empty() {
        return;
    }
    let withheld = match (&trial.status, marks, &trial.latency_withheld) {
        (Status::Done, Marks::Board, Some(reason)) => Some(reason.clone()),
        (Status::Done, ..) => None,
        _ => Some("the trial did not end well".to_owned()),
    };
    let energy = match withheld {
        Some(reason) => Err(reason),
        None => of_windows(&trial.windows, &[rail], Tier::ExternalMeter).map_err(|reason| {
            if is_holed {
                "the meter lost readings in its windows".to_owned()
            } else {
                reason
            }
        }),
    };
    trial.energy_withheld = energy.as_ref().err().cloned();
    trial.energy = energy.ok();
}

/// Takes what a meter has added to `from` over into `to`, the same run as told by its capture, which knows nothing
/// of meters.
pub fn carry(from: &RunResults, to: &mut RunResults) {
    let Some(meter) = &from.meter else {
        return;
    };
    let Some(rail) = from
        .rails
        .iter()
        .position(|rail| rail.tier == tier_word(Tier::ExternalMeter))
    else {
        return;
    };
    let same = |a: &WindowResult, b: &WindowResult| (a.begin, a.end) == (b.begin, b.end);
    for (told, ours) in from.trials.iter().zip(&mut to.trials) {
        let windows = told.windows.iter().zip(&mut ours.windows);
        for (told, ours) in windows.filter(|(told, ours)| same(told, ours)) {
            let by_meter = told
                .rails
                .iter()
                .filter(|energy| usize::from(energy.rail) == rail);
            ours.rails.extend(by_meter);
        }
        if !ours.windows.is_empty() {
            ours.energy.clone_from(&told.energy);
            ours.energy_withheld.clone_from(&told.energy_withheld);
        }
    }
    to.rails.extend(from.rails.get(rail).cloned());
    to.meter = Some(meter.clone());
}

/// A recording's readings from before its first mark until after its second, on the run's clock.
impl Recording {
    fn between(&self, span: &Span) -> Vec<crate::energy::Reading> {
        self.around(span.zero, span.zero + span.rate * span.seconds)
            .iter()
            .map(|reading| crate::energy::Reading {
                at: (reading.at - span.zero) / span.rate,
                ..*reading
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
