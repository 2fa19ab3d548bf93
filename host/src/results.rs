//! What a run found out, as it stands in `run.json`.

use crate::energy::Budget;
use crate::meter::Meter;
use crate::profile::Profile;
use crate::stats::grid::Counts;
use crate::stats::{Interval, Percentile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Results of all trials, and what else was learnt from the received bytes alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunResults {
    /// The board, once it has introduced itself.
    pub board: Option<Board>,
    /// One entry a planned trial, in the plan's order.
    pub trials: Vec<TrialResult>,
    /// Frames taken in, repeated, rejected.
    pub link: Received,
    /// How often the board restarted in the middle of a session.
    pub restarts: u32,
    /// Text from the board that was no frame, escaped; at most the first hundred.
    pub printed: Vec<String>,
    /// Bytes of defmt logs.
    pub log_bytes: u64,
    /// Messages that could not be read, or did not belong where they came.
    pub odd_messages: u32,
    /// Frames of power readings.
    pub power_frames: u32,
    /// The power rails that were sampled.
    #[serde(default)]
    pub rails: Vec<RailResult>,
    /// The external meter whose recording was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<Meter>,
    /// Events of the processor that were not counted, by name, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uncounted: BTreeMap<String, String>,
    /// What became of the governor that the plan asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governor: Option<GovernorResult>,
    /// Windows since the board's last start that count for nothing: too short, or of a trial that was lost and begun
    /// again. The trigger pin marked them like any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discarded: Vec<Marked>,
}

/// What lies between two marks, in ticks of the board's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// First mark.
    pub begin: u64,
    /// Second mark.
    pub end: u64,
}

/// A governor that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GovernorResult {
    /// What set the clock before, where that is known; escaped.
    pub before: Option<String>,
    /// Why that still did; escaped. `None`: the one asked for did.
    pub refused: Option<String>,
}

/// Events of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreCounts<T> {
    /// Cycles of the core.
    pub cycles: Option<T>,
    /// Instructions that were executed to their end.
    pub instructions: Option<T>,
    /// Accesses that missed the last cache.
    pub cache_misses: Option<T>,
}

/// The receiving half of the link's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Sequenced frames accepted.
    pub accepted: u32,
    /// Sequenced frames that had been accepted before.
    pub repeated: u32,
    /// Byte runs that were no sound frame.
    pub rejected: u32,
}

/// What a board says of itself; strings escaped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// The runner's version.
    pub runner: String,
    /// Target triple.
    pub target: String,
    /// The machine.
    pub machine: String,
    /// Operating system.
    pub system: String,
    /// Inference engine.
    pub engine: String,
    /// Build id of the runner's ELF, hexadecimal; empty if it has none.
    pub build_id: String,
    /// Memory in bytes; zero if unknown.
    pub memory_bytes: u64,
    /// Whether the machine is known to be emulated.
    pub emulated: bool,
    /// Ticks to a second.
    pub ticks_per_second: u64,
    /// Smallest step of the clock.
    pub resolution_ns: f64,
    /// Cost of reading the clock.
    pub clock_read_ns: f64,
    /// Cost of everything the harness does per timed inference, clock readings included.
    pub harness_ns: f64,
}

impl Board {
    /// What must be equal for two sessions to be with the same kind of board.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{} ({}, {})", self.machine, self.target, self.engine)
    }
}

/// How a trial stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// Begun, and cut short by a restart or the end of the run.
    Lost,
    /// Everything was measured.
    Done,
    /// The engine of this board does not execute this model.
    NotExecutable(String),
    /// Outputs differ from the golden vectors.
    Unfaithful(String),
    /// It failed, for this reason.
    Failed(String),
}

impl Status {
    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Lost)
    }

    /// Whether a run that ends so has failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Done | Self::NotExecutable(_))
    }
}

/// What one trial gave. Times are nanoseconds on the board's clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// Its number in the plan.
    pub trial: u32,
    /// How it stands.
    pub status: Status,
    /// How often it was begun.
    pub attempts: u32,
    /// From bytes in the store to ready.
    pub load_ns: Option<f64>,
    /// The first inference.
    pub cold_ns: Option<f64>,
    /// Comparison with the golden vectors.
    pub golden: Option<GoldenResult>,
    /// The windows.
    pub windows: Vec<WindowResult>,
    /// Steady state; only where it may be published.
    pub latency: Option<Latency>,
    /// Why it may not.
    pub latency_withheld: Option<String>,
    /// Of how many inferences one was kept as a reading.
    pub stride: Option<u32>,
    /// The accuracy pass.
    pub quality: Option<QualityResult>,
    /// The runner's heap at its largest above what it was before the model was loaded, in bytes.
    pub peak_bytes: Option<u64>,
    /// Activations planned by the engine, in bytes.
    pub activation_bytes: Option<u64>,
    /// Operators timed one by one, where the plan wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What the processor did for one inference, the harness's part included: medians over the windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<CoreCounts<f64>>,
    /// Energy of one inference.
    #[serde(default)]
    pub energy: Option<Energy>,
    /// Why there is none.
    #[serde(default)]
    pub energy_withheld: Option<String>,
    /// Power in the first window that counts, to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_trace: Option<PowerTrace>,
    /// Median latency of windows with power sampling over that of windows without it, less one; only where
    /// both were measured.
    #[serde(default)]
    pub observer_cost: Option<f64>,
}

/// A power rail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RailResult {
    /// Its name, escaped.
    pub name: String,
    /// `external meter`, `board rail`, `estimated`, `simulated` or `none`.
    pub tier: String,
    /// From one reading to the next.
    pub interval_ns: f64,
    /// Limit of the relative error.
    pub tolerance: f64,
}

/// A number and its expanded uncertainty (two standard uncertainties, about 95 %), in the same unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// The number.
    pub value: f64,
    /// What stands behind ±.
    pub uncertainty: f64,
}

/// Energy of one inference, by the board file's rule for the total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// What it is worth: the least of its rails' tiers.
    pub tier: String,
    /// Joules.
    pub gross_j: Value,
    /// Joules above what the board draws without work.
    pub net_j: Option<Value>,
    /// Mean power in the windows, in watts.
    pub mean_w: f64,
    /// Highest reading, in watts.
    pub peak_w: f64,
    /// Power without work, in watts.
    pub idle_w: Option<f64>,
    /// Gross energy times latency, in joule seconds.
    pub energy_delay_js: f64,
    /// Inferences for a joule, gross.
    pub inferences_per_joule: f64,
    /// Windows behind all this.
    pub windows: u32,
}

/// Power in and around one window: the total by the board file's rule, in steps of equal length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerTrace {
    /// The window.
    pub window: u8,
    /// Seconds from the window's opening mark to its closing one.
    pub window_s: f64,
    /// Where the first step begins, in seconds after the opening mark.
    pub from_s: f64,
    /// Seconds of a step.
    pub step_s: f64,
    /// Readings behind it.
    pub readings: u32,
    /// Mean of the readings in each step, in watts; `None` where there is none.
    pub watts: Vec<Option<f64>>,
}

/// Energy of one rail in one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RailEnergy {
    /// Its place among the rails.
    pub rail: u8,
    /// Readings.
    pub readings: u32,
    /// Readings that the sensor had, but that nobody fetched in time.
    pub missed: u32,
    /// Joules.
    pub gross_j: Value,
    /// Joules above idle.
    pub net_j: Option<Value>,
    /// Where the uncertainty comes from.
    pub budget_j: Budget,
    /// And of the net energy.
    pub net_budget_j: Option<Budget>,
    /// Power without work, in watts.
    pub idle_w: Option<f64>,
    /// Mean power, in watts.
    pub mean_w: f64,
    /// Highest reading, in watts.
    pub peak_w: f64,
}

impl TrialResult {
    /// Of the peak memory, what is neither the model, whose file has so many bytes, nor planned activations.
    #[must_use]
    pub fn unplanned_bytes(&self, model_bytes: u64) -> Option<u64> {
        let planned = model_bytes.saturating_add(self.activation_bytes?);
        Some(self.peak_bytes?.saturating_sub(planned))
    }
}

/// Comparison with the golden vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoldenResult {
    /// Vectors compared.
    pub vectors: u32,
    /// Values compared.
    pub values: u32,
    /// Values beyond the tolerance.
    pub beyond: u32,
    /// Largest difference: steps for integers, absolute for floats.
    pub worst: f64,
}

/// One window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowResult {
    /// Its number.
    pub window: u8,
    /// Marks, in ticks.
    pub begin: u64,
    /// See `begin`.
    pub end: u64,
    /// Inferences between the marks.
    pub inferences: u32,
    /// Readings received.
    pub readings: u32,
    /// Duration divided by inferences.
    pub mean_ns: f64,
    /// Median of the readings.
    pub median_ns: Option<f64>,
    /// Readings beyond a modified z-score of 3.5.
    pub outliers: u32,
    /// The readings, counted on the grid of [`crate::stats::grid`].
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub distribution: Counts,
    /// CRC-32 of the last output.
    pub output_crc: u32,
    /// Clock of the core at both marks, in kHz, where known.
    pub clock_khz: [Option<u32>; 2],
    /// Temperature at both marks, in thousandths of a degree, where known.
    pub millicelsius: [Option<i32>; 2],
    /// Why it does not count.
    pub void: Option<String>,
    /// Energy of each rail that was sampled.
    #[serde(default)]
    pub rails: Vec<RailEnergy>,
    /// What the processor did between the marks, and some instructions beyond them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<CoreCounts<u64>>,
}

impl WindowResult {
    /// Its marks.
    #[must_use]
    pub fn marked(&self) -> Marked {
        Marked {
            begin: self.begin,
            end: self.end,
        }
    }

    /// What an inference of this window took: the median of its readings or, of a board that tells no single
    /// times, the mean.
    #[must_use]
    pub fn typical_ns(&self) -> f64 {
        self.median_ns.unwrap_or(self.mean_ns)
    }
}

/// Steady-state latency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median over windows of the windows' medians.
    pub median_ns: f64,
    /// The smallest of the windows' medians.
    pub low_ns: f64,
    /// The largest.
    pub high_ns: f64,
    /// Median absolute deviation of all readings.
    pub mad_ns: f64,
    /// 90th percentile of all readings; `None`: not enough samples.
    pub p90: Option<Percentile>,
    /// 95th.
    pub p95: Option<Percentile>,
    /// 99th.
    pub p99: Option<Percentile>,
    /// Readings behind all this.
    pub samples: u32,
    /// Of which beyond a modified z-score of 3.5 in their window.
    pub outliers: u32,
    /// Windows behind all this.
    pub windows: u32,
}

/// The accuracy pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityResult {
    /// The family's metric.
    pub value: Option<f64>,
    /// Its 95 % interval, where there is a rule for it.
    pub interval: Option<Interval>,
    /// Samples inferred.
    pub samples: u32,
    /// Outcomes received.
    pub outcomes: u32,
    /// CRC-32 over all outcomes in order: equal on boards that agree on every prediction.
    pub outcomes_crc: u32,
    /// Whether timed outputs were those of the accuracy pass.
    pub outputs_match: bool,
    /// All metrics the board computed, by name.
    pub metrics: BTreeMap<String, f64>,
}
