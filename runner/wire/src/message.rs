//! What the two sides say to each other, in postcard's encoding.
//!
//! Enums are append-only. Every string and list is bounded by its type. Ticks are those of the board's
//! clock, [`Clock::ticks_per_second`] to the second.

use crate::digest::Digest;
use crate::link::LinkStats;
use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

/// A short name: of a board, a version, a rail.
pub type Name = String<48>;
/// A sentence for a person. Longer ones are cut.
pub type Text = String<160>;

/// As much of `text` as fits.
#[must_use]
pub fn clipped<const N: usize>(text: &str) -> String<N> {
    let mut clipped = String::new();
    for char in text.chars() {
        if clipped.push(char).is_err() {
            break;
        }
    }
    clipped
}

/// Opens a session. Ends whatever the board was doing for another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The session's number, chosen at random, not zero.
    pub session: u32,
    /// The host's version.
    pub host: Name,
}

/// Answers a [`Hello`]; with session zero, it says once a second that the board waits for one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The session that is open now, or zero.
    pub session: u32,
    /// Drawn anew at every start of the runner: a change means that the board restarted.
    pub boot: u32,
    /// What this board is.
    pub board: BoardInfo,
}

/// What a board says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardInfo {
    /// The runner's version.
    pub runner: Name,
    /// Target triple the runner was built for.
    pub target: Name,
    /// The machine, as its firmware or kernel names it.
    pub machine: Name,
    /// The operating system and its version.
    pub system: Name,
    /// The inference engine and its version.
    pub engine: Name,
    /// Build id of the runner's ELF, empty if it has none: the key to its log strings.
    pub build_id: Vec<u8, 20>,
    /// Memory of the board in bytes; zero if unknown.
    pub memory_bytes: u64,
    /// Readings of one kind that a window can hold.
    pub readings_capacity: u32,
    /// Whether the machine is known to be emulated.
    pub emulated: bool,
    /// The clock all ticks belong to.
    pub clock: Clock,
}

/// The board's clock, as measured when the runner started.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Ticks to a second.
    pub ticks_per_second: u64,
    /// The smallest step seen between two readings that differ, in ticks.
    pub resolution_ticks: u32,
    /// Mean cost of reading it, in picoseconds.
    pub read_ps: u32,
    /// Mean cost of everything the harness does per timed inference, clock readings included, in
    /// picoseconds: a window over an engine that does nothing.
    pub harness_ps: u32,
}

/// Host to board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// How much of this artefact is there? Answered by [`Event::Artefact`].
    ArtefactStatus {
        /// Which.
        digest: Digest,
    },
    /// From now on, chunks extend this artefact from `offset`, which is as much as is there.
    ArtefactBegin {
        /// Which.
        digest: Digest,
        /// Its whole length.
        bytes: u64,
        /// Where the first chunk belongs.
        offset: u64,
    },
    /// The last chunk was sent: check the hash. Answered by [`Event::Artefact`].
    ArtefactCommit,
    /// Measure one variant.
    Trial(Trial),
    /// End the trial that is running after the phase it is in.
    Abort,
    /// The session is over; the board goes back to waiting.
    Bye,
    /// Send this many bytes of [`crate::frame::Kind::Probe`] filler, then [`Event::LineTested`].
    LineTest {
        /// Filler bytes.
        bytes: u32,
    },
    /// Answer with [`Event::Echo`].
    Echo(u32),
    /// Confirm with [`Event::Baud`], then change the line's speed. Without a frame heard at the new
    /// speed within a second the board returns to the old one.
    Baud {
        /// Bits per second.
        baud: u32,
    },
    /// Whether the timed windows of detection trials from now on hold the decoding of the outputs into
    /// boxes too; at the start of a session they do not.
    TimeDecoding(bool),
    /// The session is over for good: switch the board off, where it runs nothing but the runner; else the
    /// runner ends.
    PowerOff,
    /// As [`Request::PowerOff`], but start the board anew.
    Reboot,
    /// Trials from now on end with inferences whose operators are timed one by one, for at least this many
    /// milliseconds; with zero, as at the start of a session, they do not.
    Profile(u32),
    /// How trials after this one sample power.
    Sampling(Sampling),
    /// Sample power for this long, sending readings as they come; then one [`Event::Power`] a rail.
    WatchRails {
        /// Milliseconds.
        millis: u32,
    },
    /// Let this governor set the clock until the session is over. Answered by [`Event::Governor`].
    Governor(Name),
}

/// How power is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sampling {
    /// In which windows.
    pub when: When,
    /// Microseconds of one conversion; the nearest that the sensor has.
    pub conversion_us: u32,
    /// Conversions averaged into one reading; the nearest that the sensor has.
    pub averages: u32,
}

/// In which windows power is sampled. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum When {
    /// In all.
    Always,
    /// In none.
    Never,
    /// In every other one, from the first: what sampling costs shows in the difference.
    Alternate,
}

/// One variant to be measured on this board, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number of the trial in the run.
    pub trial: u32,
    /// The model.
    pub model: Digest,
    /// Golden vectors that gate it; without them its latencies are reported as not verified.
    pub golden: Option<Golden>,
    /// What the accuracy pass runs over, and what the windows take their inputs from.
    pub dataset: Option<Digest>,
    /// How many samples of it, from the first; zero for all.
    pub samples: u32,
    /// How long to measure.
    pub schedule: Schedule,
    /// More memory than this the engine must not ask for, in bytes; zero for no limit but the board's.
    pub memory_bytes: u64,
}

/// Reference outputs and how near they must be met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// The file.
    pub digest: Digest,
    /// Integer outputs may differ by this many steps.
    pub steps: u32,
    /// Float outputs may differ by `absolute + relative * |reference|`.
    pub absolute: f32,
    /// See `absolute`.
    pub relative: f32,
}

/// How long and how often to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Warm-up, at least this long.
    pub warm_up_ms: u32,
    /// How many windows.
    pub windows: u8,
    /// How long a window is at least.
    pub window_ms: u32,
    /// The most readings to keep of a window; zero for as many as the board holds. When a window has
    /// more inferences, every n-th one's time is kept.
    pub readings: u32,
}

/// Board to host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// State of an artefact on the board.
    Artefact {
        /// Which.
        digest: Digest,
        /// Bytes there.
        have: u64,
        /// And what is to be said of them.
        state: ArtefactState,
    },
    /// A trial begins.
    TrialBegun {
        /// Its number.
        trial: u32,
    },
    /// Nothing will be heard from the board for up to this long: it measures.
    Quiet {
        /// Milliseconds.
        up_to_ms: u32,
    },
    /// The model is loaded and ready.
    Loaded(Loaded),
    /// Outputs were compared with the golden vectors.
    Checked(Checked),
    /// The first inference, in ticks.
    Cold {
        /// Ticks.
        ticks: u64,
    },
    /// How the windows will be.
    Calibrated(Calibrated),
    /// A window was measured; its readings follow.
    Window(Window),
    /// All readings of a window have been sent.
    WindowSent {
        /// Which.
        window: u8,
        /// How many timing readings.
        readings: u32,
    },
    /// The accuracy pass is over.
    Quality(Quality),
    /// The trial is over.
    TrialEnded {
        /// Its number.
        trial: u32,
        /// `None` when everything was measured.
        failure: Option<Failure>,
        /// The runner's heap at its largest since the trial's files were at hand, and what it was then, in bytes;
        /// zero if unknown.
        peak_bytes: u64,
        /// See `peak_bytes`.
        before_bytes: u64,
        /// The board's end of the link, so far.
        link: LinkStats,
    },
    /// Answer to [`Request::Echo`].
    Echo(u32),
    /// The filler of a line test was sent.
    LineTested {
        /// Bytes of filler.
        bytes: u32,
    },
    /// Answer to [`Request::Baud`]; sent at the old speed.
    Baud {
        /// The speed from now on.
        baud: u32,
        /// Whether the board can.
        accepted: bool,
    },
    /// A rail of which power readings will come, before the first of them.
    Rail(Rail),
    /// So many inferences were profiled. An [`Event::Operator`] follows for each operator that took part.
    Profiled {
        /// Inferences.
        inferences: u32,
    },
    /// What one operator took in all profiled inferences.
    Operator {
        /// Its index in the model's file.
        operator: u32,
        /// The sum, in ticks, the reading of the clock included.
        ticks: u64,
    },
    /// How well that rail is read; follows [`Event::Rail`].
    Accuracy(Accuracy),
    /// All power readings of a rail in a span have been sent. In a trial, spans are the idle one before
    /// the warm-up, and those windows that were sampled, each before its [`Event::WindowSent`].
    Power(Power),
    /// An event of the processor is not counted; before the first window of a trial.
    Uncounted {
        /// Which.
        what: Counter,
        /// Why.
        reason: Text,
    },
    /// What the processor did in a window; follows its [`Event::Window`].
    Counted(Counted),
    /// Answer to [`Request::Governor`].
    Governor {
        /// What set the clock before.
        before: Option<Name>,
        /// Why that still does; `None` where the one asked for does now.
        refused: Option<Text>,
    },
    /// What was found in a picture of the accuracy pass, before [`Event::Quality`].
    Found(Found),
    /// A window was too short and is measured again. An external meter has seen its pulse all the same.
    Discarded {
        /// The clock at the mark before its first inference, in ticks.
        begin: u64,
        /// The clock at the mark after its last.
        end: u64,
    },
}

/// The most boxes reported for a picture.
pub const MAX_FOUND: usize = 16;

/// The boxes that were reported for a picture, best score first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The picture's number in the evaluation set.
    pub sample: u32,
    /// What was reported.
    pub boxes: Vec<FoundBox, MAX_FOUND>,
}

/// What a mean average precision takes of a reported box.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundBox {
    /// Its class.
    pub class: u16,
    /// How sure the model is.
    pub score: f32,
    /// Bit `t` is set where the box is the match of a label at an overlap of `0.5 + 0.05 t`.
    pub right: u16,
}

/// An event that processors count. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Counter {
    /// Cycles of the core.
    Cycles,
    /// Instructions that were executed to their end.
    Instructions,
    /// Accesses that missed the last cache.
    CacheMisses,
}

/// What the processor did for the runner, without what the kernel did, from before a window's first mark to after its
/// second; `None` where that is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The window's number in the trial.
    pub window: u8,
    /// See [`Counter::Cycles`].
    pub cycles: Option<u64>,
    /// See [`Counter::Instructions`].
    pub instructions: Option<u64>,
    /// See [`Counter::CacheMisses`].
    pub cache_misses: Option<u64>,
}

/// What the board's store says of an artefact. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ArtefactState {
    /// Not all of it is there.
    Partial,
    /// All of it is there and its hash is right.
    Complete,
    /// All of it was there but the hash was wrong; it was dropped.
    WrongHash,
    /// The store cannot take it: full or broken.
    Refused,
}

/// A model in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// From bytes in the store to ready, in ticks.
    pub ticks: u64,
    /// Bytes of planned activations, if the engine plans them; else zero.
    pub activation_bytes: u64,
    /// Bytes of all inputs.
    pub input_bytes: u32,
    /// Bytes of all outputs.
    pub output_bytes: u32,
}

/// Comparison with golden vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// Vectors compared.
    pub vectors: u32,
    /// Output values compared.
    pub values: u32,
    /// Values beyond the tolerance.
    pub beyond: u32,
    /// The largest difference: in steps for integers, absolute for floats.
    pub worst: f32,
}

/// How the windows will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Inferences in a window.
    pub inferences: u32,
    /// Of how many inferences one is kept as a reading.
    pub stride: u32,
    /// Readings count in units of 2^this ticks: no finer than the clock, no coarser than 1/65536 of a
    /// typical inference.
    pub unit_log2: u8,
}

/// A measured window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its number in the trial.
    pub window: u8,
    /// The clock at the mark before its first inference, in ticks.
    pub begin: u64,
    /// The clock at the mark after its last.
    pub end: u64,
    /// Inferences between the marks.
    pub inferences: u32,
    /// Timing readings kept.
    pub readings: u32,
    /// The sample of the dataset that was inferred.
    pub sample: u32,
    /// CRC-32 of the output of the last inference.
    pub output_crc: u32,
    /// The board's condition at the first mark.
    pub before: Condition,
    /// And at the second.
    pub after: Condition,
}

/// What makes two windows on one board comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Clock of the measuring core in kHz, if the system tells.
    pub clock_khz: Option<u32>,
    /// Temperature in thousandths of a degree Celsius.
    pub millicelsius: Option<i32>,
    /// Whether the board throttles.
    pub throttled: Option<bool>,
}

/// Result of the accuracy pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Samples inferred.
    pub samples: u32,
    /// Whether the outputs of the timed windows were those of the accuracy pass for the same samples.
    pub outputs_match: bool,
    /// What the task's accumulators hold.
    pub metrics: Metrics,
}

/// Metrics of a task, computed on the board. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Metrics {
    /// The dataset has no labels.
    None,
    /// One class of several.
    Classification {
        /// Share of samples whose highest score is the label's.
        top1: f64,
        /// Share of samples with the label among the five highest scores; equal scores count for the
        /// lower class.
        top5: f64,
        /// Mean negative logarithm of the label's probability, in nats; `None` where the outputs are no
        /// probabilities.
        log_loss: Option<f64>,
        /// Area under the ROC curve from a histogram of 256 scores, with two classes.
        auc: Option<f64>,
    },
    /// A number, in the dataset's natural unit.
    Regression {
        /// Mean absolute error.
        mae: f64,
        /// Mean squared error.
        mse: f64,
        /// Coefficient of determination.
        r2: f64,
    },
    /// One class of several: what boards send now instead of [`Metrics::Classification`].
    Classes {
        /// As there.
        top1: f64,
        /// As there.
        top5: f64,
        /// As there.
        log_loss: Option<f64>,
        /// As there.
        auc: Option<f64>,
        /// Unweighted mean of F1 over the classes that occur among labels or predictions; `None` with
        /// more classes than the board tells apart.
        macro_f1: Option<f64>,
    },
    /// Boxes, scored as COCO does (pycocotools 2.0, all areas).
    Detection {
        /// Mean average precision at an overlap of 0.5.
        map50: f64,
        /// Mean over the overlaps 0.50, 0.55, ... 0.95.
        map50_95: f64,
        /// Right among the boxes reported with a score of at least 0.5, at an overlap of 0.5.
        precision: f64,
        /// Found among the labelled boxes, by the same boxes.
        recall: f64,
    },
}

/// Why a trial ended early. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// The artefact is not in the store.
    ArtefactMissing(Digest),
    /// The engine refused or failed; its own words.
    Engine(Text),
    /// Dataset or golden vectors do not fit the model, or are no such file; in words.
    Data(Text),
    /// Outputs differ from the golden vectors beyond the tolerance.
    Fidelity,
    /// The host asked for it.
    Aborted,
    /// The schedule makes no sense.
    Schedule,
}

/// A power rail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rail {
    /// Its index in power readings.
    pub rail: u8,
    /// Its name in the board file.
    pub name: Name,
    /// Where its readings come from.
    pub tier: Tier,
    /// Volts of one step of the voltage reading.
    pub volts_per_step: f32,
    /// Amperes of one step of the current reading.
    pub amperes_per_step: f32,
    /// Relative tolerance of the current, mostly the shunt's.
    pub tolerance: f32,
}

/// How well a rail is read. Offsets are limits, noise is a standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The rail's index.
    pub rail: u8,
    /// Largest offset of the voltage, in volts.
    pub volts_offset: f32,
    /// Largest offset of the current, in amperes.
    pub amperes_offset: f32,
    /// Noise of one reading of the current, in amperes.
    pub amperes_noise: f32,
    /// Share of the time during which the current is looked at: 0 for a glance, 1 for a sensor that
    /// integrates without a gap.
    pub coverage: f32,
    /// From one reading to the next, in ticks.
    pub interval_ticks: u64,
    /// A reading tells about the board this many ticks before its time.
    pub age_ticks: u64,
    /// Times of readings count in units of 2^this ticks.
    pub unit_log2: u8,
}

/// Power readings of one rail in one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    /// The rail's index.
    pub rail: u8,
    /// What was going on.
    pub span: Span,
    /// Readings sent.
    pub readings: u32,
    /// Readings that the sensor had, but that nobody fetched in time.
    pub missed: u32,
    /// Why there are no more.
    pub fault: Option<RailFault>,
}

/// What was going on while power was sampled. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Span {
    /// The model was loaded, and nothing was done between these ticks.
    Idle {
        /// First mark.
        begin: u64,
        /// Second mark.
        end: u64,
    },
    /// A window of this number.
    Window(u8),
    /// [`Request::WatchRails`].
    Watch,
}

/// Why a rail cannot be read. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RailFault {
    /// The sensor does not acknowledge.
    NoAcknowledge,
    /// The bus is stuck.
    Bus,
    /// The current is beyond the sensor's range.
    Saturated,
    /// The sensor answers, but has nothing new.
    Frozen,
    /// Readings came faster than there was room for them.
    Overrun,
    /// Something else answers where the sensor should.
    Stranger,
    /// The system does not let it be read.
    Unreadable,
}

/// How an energy figure came about. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Tier {
    /// There is none.
    None,
    /// A model of a board, not a board.
    Simulated,
    /// A sensor on the board.
    BoardRail,
    /// A meter beside the board.
    ExternalMeter,
    /// A model in the processor or its firmware, asked for by the board file.
    Estimated,
}

#[cfg(test)]
mod golden;
