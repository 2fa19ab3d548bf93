//! The command line.

use clap::{Args, Parser, Subcommand};
use scalebench::adding::Source;
use scalebench::meter::accuracy::Accuracy;
use scalebench::meter::live;
use scalebench::mlperf::task::Task;
use scalebench::plan::{self, Thoroughness};
use scalebench::quantity;
use scalebench_models::{Metric, Precision};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Measures what each step up in model size buys in accuracy and costs in compute, latency and memory,
/// on the board at the other end of a serial cable.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Begin with
    scalebench run                                  all families on this machine's own virtual board
    scalebench run --port /dev/ttyUSB0              the same on a board at a serial port
    scalebench run --family diamonds-mlp --plan full   one family, thoroughly

Exit codes
    0  everything was measured
    1  some trials, or some of several boards, failed or were lost; the others are reported
    2  a wrong argument, or a file that is not what it should be
    3  the board cannot be reached, or was lost
    4  runner and host speak different protocol versions
    5  something on this machine: disk, permissions";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bench families on a board and write a run folder with a report
    #[command(after_help = RUN)]
    Run(Box<RunArgs>),
    /// Work out the results of a run again from its capture alone
    #[command(after_help = REPLAY)]
    Replay(ReplayArgs),
    /// Name the variant to ship under limits, and what the next ones would cost
    #[command(after_help = PICK)]
    Pick(PickArgs),
    /// Compare two runs of the same board: a verdict for each variant and figure
    #[command(after_help = COMPARE)]
    Compare(CompareArgs),
    /// List the runs that are kept, the newest first
    List(ListArgs),
    /// Show a run's table and analysis again
    Show(ShowArgs),
    /// Write a run's report again, its plots as SVG files, its tables as LaTeX and Markdown
    #[command(after_help = REPORT)]
    Report(ReportArgs),
    /// Give a run a name that commands take in its place
    Tag(TagArgs),
    /// Write runs as CSV, JSON or Parquet for other programs
    #[command(after_help = EXPORT)]
    Export(ExportArgs),
    /// Keep run folders that come from another laptop
    Import(ImportArgs),
    /// Delete runs, captures and all
    Rm(RmArgs),
    /// List the boards that are known and the serial ports found here
    Boards(JsonArgs),
    /// List families and their variants
    Models(ModelsArgs),
    /// Build the runner for a board
    Build(BuildArgs),
    /// Make what a board boots straight into the runner
    #[command(after_help = IMAGE)]
    Image(ImageArgs),
    /// Copy the runner to a board that runs Linux, and start it there, over ssh
    #[command(after_help = DEPLOY)]
    Deploy(DeployArgs),
    /// Test a cable: goodput, errors, round trip, best speed
    #[command(after_help = LINK)]
    Link(LinkArgs),
    /// Measure a board with MLPerf Tiny firmware by the benchmark's rules
    #[command(after_help = MLPERF_TINY)]
    MlperfTiny(MlperfTinyArgs),
    /// Add the energy to a run whose windows an external meter has recorded
    #[command(after_help = ENERGY)]
    Energy(EnergyArgs),
    /// Show a board's power rails as they are now: values, rate, missed readings
    Rails(RailsArgs),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

const RUN: &str = "\
Examples
    scalebench run
        every shipped family, on the virtual board, in minutes
    scalebench run --port /dev/ttyUSB0 --baud 921600 --plan default
        a board that runs scalebench-runner, windows of one second
    scalebench run --family fashion-cnn --variant s1 --variant s2 --precision float32
        only these
    scalebench run --board raspberry-pi-4 --board rock-5b --port /dev/ttyUSB0 --port /dev/ttyUSB1
        two boards at the same time, one report
    scalebench run --resume runs/2026-01-31T101500Z-local
        go on with a run that was cut short";

const REPLAY: &str = "\
Examples
    scalebench replay runs/2026-01-31T101500Z-local
        prints the table and writes report.html again
    scalebench replay --json runs/2026-01-31T101500Z-local
        prints the results as JSON, byte for byte those of run.json";

const PICK: &str = "\
Examples
    scalebench pick --max-latency 20ms --family fashion-cnn --min-quality 0.85
        of the newest run in runs/
    scalebench pick runs/2026-01-31T101500Z-local --max-memory 2MiB
        for every family of that run

Exit codes
    0  every family has a variant that keeps the limits
    1  some have none; the nearest is named
    2  a wrong argument, or no run";

const COMPARE: &str = "\
Examples
    scalebench compare baseline runs/2026-01-31T101500Z-local
        the run that was tagged `baseline`, and a newer one
    scalebench compare --markdown --threshold 2% before after >comment.md
        for a pull request

Exit codes
    0  nothing got worse, as far as can be told
    1  something got worse, or lost its figures
    2  no such run, or two that must not be compared";

const REPORT: &str = "\
Examples
    scalebench report
        report.html of the newest run in runs/, again
    scalebench report runs/2026-01-31T101500Z-local --svg plots --latex tables.tex
        every plot as an SVG file, and a table a family that wants the package booktabs
    scalebench report --markdown - >tables.md
        the tables for a pull request";

const EXPORT: &str = "\
Examples
    scalebench export --format csv >trials.csv
        all runs that are kept, a line a trial
    scalebench export --format parquet --output lake baseline
        one run, in folders board=/family=/run=, with every reading
    scalebench export --schema
        what the columns are";

const IMAGE: &str = "\
Examples
    scalebench image --board raspberry-pi-4 -o card
        every shipped family; card/ then holds what goes to the boot partition
    scalebench image --board qemu-virt-aarch64 -o image --family diamonds-mlp
        only one family, for an emulated board
    scalebench image --board raspberry-pi-4 -o card --mlperf-tiny kws.tflite --model-id kws01
        a board that any runner of MLPerf Tiny can measure, at 115,200 baud";

const DEPLOY: &str = "\
Examples
    scalebench deploy --board raspberry-pi-4 --ssh pi@raspberrypi.local
        the runner serves the board's serial port until this is ended
    scalebench deploy --board raspberry-pi-4 --ssh pi@raspberrypi.local --channel
        the same without a serial cable, over ssh
    scalebench deploy --board raspberry-pi-4 --ssh pi@raspberrypi.local --family gloss-bert --precision int8
        what such a run needs is copied too, and need not go over the serial line: 90 s a megabyte at 115,200 baud";

const LINK: &str = "\
Examples
    scalebench link --port /dev/ttyUSB0
        the cable at its present speed
    scalebench link --port /dev/ttyUSB0 --best
        also tries higher speeds, and says which is best";

const MLPERF_TINY: &str = "\
Examples
    scalebench mlperf-tiny --port /dev/ttyACM0 --data datasets
        whatever firmware the board has: five windows of ten seconds, then accuracy over the whole set
    scalebench mlperf-tiny --model kws.tflite --model-id kws01 --data datasets --window 1s
        this machine's own virtual board, with windows that are too short for the rules
    scalebench mlperf-tiny --port /dev/ttyUSB0 --data datasets --mode energy --output run
    scalebench energy run --meter recording.csv
        energy: the board marks windows on a pin, which the meter records beside the power

Data
    DIR/TASK/y_labels.csv beside the .bin files it names, TASK one of ad01, ic01, kws01, vww01, as in
    `datasets` of EEMBC's energyrunner";

#[derive(Debug, Args)]
pub(crate) struct MlperfTinyArgs {
    /// Serial port of the board [default: this machine's own virtual board, with --model]
    #[arg(long, value_name = "PATH")]
    pub(crate) port: Option<PathBuf>,
    /// Folder of the benchmark's inputs and labels
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Only windows on the line's clock, only accuracy, or windows marked on a pin [default: performance and accuracy]
    #[arg(long, value_enum)]
    pub(crate) mode: Option<MlperfMode>,
    /// Bits per second to try first; others follow [default: 115200, in energy mode 9600]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1_200..=12_000_000))]
    pub(crate) baud: Option<u32>,
    /// The TFLite file that the board runs: its name, size and MACs go into the run
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// The task that the virtual board does with it: ad01, ic01, kws01 or vww01
    #[arg(long, value_name = "ID", requires = "model", conflicts_with = "port", value_parser = task)]
    pub(crate) model_id: Option<Task>,
    /// How the model's numbers are held, which firmware does not tell
    #[arg(long, value_name = "NAME", default_value = "int8", value_parser = precision)]
    pub(crate) precision: Precision,
    /// What a window lasts at least; less than 10s does not conform to the rules
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = window)]
    pub(crate) window: f64,
    /// Read every input back before it is inferred; done anyway once the line was seen to do damage
    #[arg(long)]
    pub(crate) verify: bool,
    /// What the run calls the board [default: serial, or local]
    #[arg(long, value_name = "NAME")]
    pub(crate) board: Option<String>,
    /// Run folder to write [default: runs/<time>-mlperf-tiny-<task>]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Print the results as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) showing: Showing,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Showing {
    /// No progress, only the result
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Progress as plain lines, on a terminal too
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) plain: bool,
}

/// What is measured of a board with MLPerf Tiny firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MlperfMode {
    /// Five windows
    Performance,
    /// Every input once
    Accuracy,
    /// Five windows, marked by falling edges of a pin for an external meter
    Energy,
}

fn task(word: &str) -> Result<Task, String> {
    Task::named(word).ok_or_else(|| "choose ad01, ic01, kws01 or vww01".to_owned())
}

/// Nanoseconds of a window.
fn window(text: &str) -> Result<f64, String> {
    quantity::duration(text).and_then(|ns| match ns {
        1e6..=600e9 => Ok(ns),
        _ => Err("choose 1ms to 600s".to_owned()),
    })
}

#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) action: Option<ModelsAction>,
    /// Folder of families [default: the shipped one, or $SCALEBENCH_MODELS]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) models: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsAction {
    /// List families and their variants (the same as no word at all)
    List,
    /// Check every file of every family against its manifest, and say what is missing
    Validate {
        /// Only this family
        name: Option<String>,
    },
    /// Begin a family: write a manifest with every key explained into a new folder
    New {
        /// The family's name: a-z 0-9 . _ -
        name: String,
    },
    /// Make a family out of finished files: TFLite models, pictures or arrays, labels
    Add(Box<AddArgs>),
    /// Put what a run needs into a store, so that no serial line has to carry it
    Stock(StockArgs),
    /// Say what a TFLite file holds and how it would be executed, without running it
    Inspect(InspectArgs),
    /// Check one TFLite file against golden vectors; without a file the same as validate
    Check(CheckArgs),
}

#[derive(Debug, Args)]
#[command(after_help = ADD)]
pub(crate) struct AddArgs {
    /// The models, all sizes and precisions
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The family's name: a-z 0-9 . _ -
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// A folder of PNG or JPEG files; or FILE.npy, FILE.npz:ARRAY, once for each input of the models
    #[arg(long, value_name = "SOURCE", required = true)]
    pub(crate) data: Vec<Source>,
    /// FILE.csv, FILE.csv:COLUMN, FILE.npy or FILE.npz:ARRAY [default: each folder of pictures is a class]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) labels: Option<Source>,
    /// Names of the classes, one a line, in the order of the models' outputs
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// What bytes 0 and 255 of pictures stand for [default: what the int8 models tell]
    #[arg(long, value_name = "LOW,HIGH", value_parser = range, allow_hyphen_values = true)]
    pub(crate) range: Option<[f32; 2]>,
    /// Means of the channels of pictures, in shares of white; models take (share - mean) / deviation
    #[arg(
        long,
        value_name = "R,G,B",
        value_delimiter = ',',
        value_parser = finite,
        requires = "deviation",
        conflicts_with = "range",
        allow_hyphen_values = true
    )]
    pub(crate) mean: Vec<f32>,
    /// Standard deviations of the channels, in shares of white
    #[arg(
        long,
        value_name = "R,G,B",
        value_delimiter = ',',
        value_parser = above_zero,
        requires = "mean"
    )]
    pub(crate) deviation: Vec<f32>,
    /// What turns the models' numbers into the labels' unit
    #[arg(long, value_name = "SCALE,OFFSET", value_parser = scale, default_value = "1,0", allow_hyphen_values = true)]
    pub(crate) output: [f32; 2],
    /// The labels' unit, such as USD
    #[arg(long, value_name = "UNIT", default_value = "")]
    pub(crate) unit: String,
    /// Most samples to take, from the first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) samples: Option<u32>,
    /// What ranks the variants: top1, macro_f1, r2, rmse, map50, … [default: top1, r2 or map50]
    #[arg(long, value_name = "NAME", value_parser = metric)]
    pub(crate) metric: Option<Metric>,
    /// Folder of reference answers, as `models check` takes it [default: the engine's own, marked as such]
    #[arg(long, value_name = "DIR")]
    pub(crate) golden: Option<PathBuf>,
    /// Where a variant is along the scaling dimensions; once for each [default: its number of parameters]
    #[arg(long, value_name = "VARIANT:NAME=VALUE,…", value_parser = coordinates)]
    pub(crate) coordinates: Vec<(String, BTreeMap<String, f64>)>,
    /// One line for people [default: the name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// SPDX expression of weights and data [default: LicenseRef-unknown]
    #[arg(long, value_name = "SPDX")]
    pub(crate) licence: Option<String>,
}

const ADD: &str = "\
Examples
    scalebench models add small.int8.tflite large.int8.tflite --name pets --data photos
        photos/cat/*.jpg and photos/dog/*.jpg: the folders are the classes
    scalebench models add net.tflite --name pets --data photos --labels photos.csv --range 0,1
        photos.csv has columns `file` and `label`; with left, top, right, bottom in pixels besides, boxes
    scalebench models add mlp-*.tflite --name homes --data test.npz:x --labels test.npz:y --unit USD
        arrays, and values to be met
    scalebench models add net.tflite --name pets --data x.npy --labels y.npy --golden reference
        golden vectors that a reference answered, in the layout of `scalebench models check`

Names
    small.int8.tflite and small.float32.tflite are two precisions of variant `small`";

/// Two finite numbers.
fn pair(text: &str) -> Option<[f32; 2]> {
    let (first, second) = text.split_once(',')?;
    let pair = [first.trim().parse().ok()?, second.trim().parse().ok()?];
    pair.iter()
        .all(|number: &f32| number.is_finite())
        .then_some(pair)
}

fn finite(text: &str) -> Result<f32, String> {
    let number = text.trim().parse().ok();
    let finite = number.filter(|number: &f32| number.is_finite());
    finite.ok_or_else(|| "give numbers, such as 0.485,0.456,0.406".to_owned())
}

fn above_zero(text: &str) -> Result<f32, String> {
    let number = finite(text).ok().filter(|number| *number > 0.0);
    number.ok_or_else(|| "give numbers above 0, such as 0.229,0.224,0.225".to_owned())
}

fn range(text: &str) -> Result<[f32; 2], String> {
    pair(text)
        .filter(|[low, high]| low < high)
        .ok_or_else(|| "give two numbers, the smaller first, such as 0,1 or -1,1".to_owned())
}

fn scale(text: &str) -> Result<[f32; 2], String> {
    pair(text)
        .filter(|[scale, _]| *scale != 0.0)
        .ok_or_else(|| "give two numbers, such as 3989.5,3932.8, the first not zero".to_owned())
}

fn metric(word: &str) -> Result<Metric, String> {
    let known = Metric::ALL.iter().find(|metric| metric.word() == word);
    known.copied().ok_or_else(|| {
        let words: Vec<_> = Metric::ALL.iter().map(|metric| metric.word()).collect();
        format!("choose one of {}", words.join(", "))
    })
}

fn coordinates(text: &str) -> Result<(String, BTreeMap<String, f64>), String> {
    let parsed = || {
        let (variant, places) = text.split_once(':')?;
        let place = |place: &str| {
            let (name, value) = place.split_once('=')?;
            let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
            Some((name.to_owned(), value))
        };
        let places: Option<_> = places.split(',').map(place).collect();
        Some((variant.to_owned(), places?))
    };
    parsed().ok_or_else(|| "write it as small:width=8,depth=2".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct StockArgs {
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// The store: a folder that a runner was or will be started with [default: the local virtual board's]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The model
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = CHECK)]
pub(crate) struct CheckArgs {
    /// The model [default: all families]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Folder of golden vectors
    #[arg(long, value_name = "DIR", requires = "file")]
    pub(crate) golden: Option<PathBuf>,
    /// Largest difference of float outputs, as a share of the reference's largest magnitude
    #[arg(long, value_name = "SHARE", default_value_t = scalebench_engine::check::FLOAT_TOLERANCE, requires = "golden")]
    pub(crate) tolerance: f64,
}

const CHECK: &str = "\
Golden vectors of NAME.tflite
    NAME.0.in.bin, NAME.1.in.bin, ...    all inputs, one after the other, raw and little-endian
    NAME.0.out.bin, ...                  all outputs
    NAME.0.tensors/N.bin                 tensor number N, if each operator is to be compared";

/// Where the board is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// Board file to use [default: local, this machine's virtual board]
    #[arg(long, value_name = "BOARD")]
    pub(crate) board: Option<String>,
    /// Serial port of the board [default: the board file's; none for the virtual board]
    #[arg(long, value_name = "PATH")]
    pub(crate) port: Option<PathBuf>,
    /// Bits per second [default: the board file's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1_200..=12_000_000))]
    pub(crate) baud: Option<u32>,
    /// Where the virtual board keeps its artefacts [default: the user's cache]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Command that starts another runner for the virtual board, such as an emulator and a runner
    #[arg(long, value_name = "COMMAND", hide_short_help = true)]
    pub(crate) runner: Option<String>,
}

/// Where the boards of a run are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Places {
    /// Board file to use; several boards are measured at the same time [default: local, this machine's virtual
    /// board]
    #[arg(long, value_name = "BOARD")]
    pub(crate) board: Vec<String>,
    /// Serial port of the board; of several boards once for each in their order, or named [default: the board
    /// file's; none for the virtual board]
    #[arg(long, value_name = "[BOARD=]PATH")]
    pub(crate) port: Vec<PathBuf>,
    /// Bits per second [default: the board file's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1_200..=12_000_000))]
    pub(crate) baud: Option<u32>,
    /// Where the virtual board keeps its artefacts, of several each in a folder of its own [default: the user's
    /// cache]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Command that starts another runner for the virtual board, such as an emulator and a runner
    #[arg(long, value_name = "COMMAND", hide_short_help = true)]
    pub(crate) runner: Option<String>,
}

/// What of the families is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct Choice {
    /// Only this family; may be repeated
    #[arg(long, value_name = "NAME")]
    family: Vec<String>,
    /// Only this variant, as `variant` or `family/variant`; may be repeated
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// Only this precision: float32, int8 or dynamic; may be repeated
    #[arg(long, value_name = "NAME", value_parser = precision)]
    precision: Vec<Precision>,
}

impl Choice {
    /// Whether nothing was said.
    pub(crate) fn is_open(&self) -> bool {
        self.family.is_empty() && self.variant.is_empty() && self.precision.is_empty()
    }
}

impl From<&Choice> for plan::Choice {
    fn from(choice: &Choice) -> Self {
        Self {
            families: choice.family.clone(),
            variants: choice.variant.clone(),
            precisions: choice.precision.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// How thorough
    #[arg(long, value_enum, default_value = "quick")]
    pub(crate) plan: Thoroughness,
    /// What the order of the trials is drawn from [default: drawn, and recorded]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Windows a trial [default: the plan's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) windows: Option<u8>,
    /// Milliseconds a window lasts at least [default: the plan's]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub(crate) window_ms: Option<u32>,
    /// Time operators one by one too, for so many milliseconds at the end of every trial
    #[arg(
        long,
        value_name = "MS",
        num_args = 0..=1,
        default_missing_value = "500",
        value_parser = clap::value_parser!(u32).range(1..=600_000)
    )]
    pub(crate) profile: Option<u32>,
    /// Let the latency of detection hold the decoding of outputs into boxes and the suppression of doubles too
    #[arg(long)]
    pub(crate) time_decoding: bool,
    /// Microseconds of one conversion of the power sensors; the nearest they have [default: 1100]
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u32).range(50..=10_000))]
    pub(crate) conversion_us: Option<u32>,
    /// Sample power in every other window only, and report what sampling costs
    #[arg(long)]
    pub(crate) observer_cost: bool,
    /// Governor of the board's CPU clock during the run, such as `performance`; put back afterwards [default: the
    /// board file's, else as it is]
    #[arg(long, value_name = "NAME", value_parser = governor)]
    pub(crate) governor: Option<String>,
    /// Let an external meter record all the while, and add the energy by it: ppk2:/dev/ttyACM0 in another supply's line,
    /// ppk2-source:/dev/ttyACM0 where it feeds the board
    #[arg(
        long,
        value_name = "METER:PORT",
        requires = "supply_voltage",
        conflicts_with = "resume"
    )]
    pub(crate) meter: Option<live::Place>,
    #[command(flatten)]
    pub(crate) facts: MeterFacts,
    /// Run folder to write [default: runs/<time>-<board>]
    #[arg(short, long, value_name = "DIR", conflicts_with = "resume")]
    pub(crate) output: Option<PathBuf>,
    /// Go on with a run that was cut short; its plan is kept
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["family", "variant", "precision", "plan", "seed", "windows", "window_ms", "profile", "time_decoding", "conversion_us", "observer_cost", "governor"]
    )]
    pub(crate) resume: Option<PathBuf>,
    /// How often a trial is tried that a restart of the board cuts short
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) attempts: u8,
    /// Folder of families [default: the shipped one, or $SCALEBENCH_MODELS]
    #[arg(long, value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
    /// ELF of the board's runner, whose strings decode its log; of several boards once for each real one in their
    /// order, or named [default: this program]
    #[arg(long, value_name = "[BOARD=]FILE")]
    pub(crate) elf: Vec<PathBuf>,
    /// What the board shall do after the run, where it runs nothing but the runner
    #[arg(long, value_enum, default_value = "stay")]
    pub(crate) then: Then,
    /// Print the results as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) showing: Showing,
}

/// What a board does after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Then {
    /// Wait for the next host
    Stay,
    /// Switch itself off
    PowerOff,
    /// Start anew
    Reboot,
}

fn governor(word: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=48).contains(&word.len()) && word.chars().all(plain) {
        Ok(word.to_owned())
    } else {
        Err("write a governor's name, such as performance".to_owned())
    }
}

fn precision(word: &str) -> Result<Precision, String> {
    let known = Precision::ALL
        .iter()
        .find(|precision| precision.word() == word);
    known
        .copied()
        .ok_or_else(|| "choose float32, int8 or dynamic".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Board to build for
    #[arg(long, value_name = "BOARD")]
    pub(crate) board: String,
}

#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    /// Board to boot
    #[arg(long, value_name = "BOARD")]
    pub(crate) board: String,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Boot into MLPerf Tiny firmware with this TFLite file, instead of a runner for scalebench hosts
    #[arg(
        long,
        value_name = "FILE",
        requires = "model_id",
        conflicts_with = "Choice"
    )]
    pub(crate) mlperf_tiny: Option<PathBuf>,
    /// The benchmark's task that the file does: ad01, ic01, kws01 or vww01
    #[arg(long, value_name = "ID", requires = "mlperf_tiny", value_parser = task)]
    pub(crate) model_id: Option<Task>,
    /// Mark windows by falling edges of the board's trigger pin, as the benchmark's energy mode does
    #[arg(long, requires = "mlperf_tiny")]
    pub(crate) energy: bool,
    /// ELF of a runner that was built for this board [default: built now]
    #[arg(long, value_name = "FILE")]
    pub(crate) runner: Option<PathBuf>,
    /// A kernel module that the board needs, such as i2c-dev.ko; may be repeated, those that others need first
    #[arg(long, value_name = "FILE")]
    pub(crate) module: Vec<PathBuf>,
    /// Folder of families [default: the shipped one, or $SCALEBENCH_MODELS]
    #[arg(long, value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// Board it is
    #[arg(long, value_name = "BOARD")]
    pub(crate) board: String,
    /// Where ssh finds it
    #[arg(long, value_name = "USER@HOST")]
    pub(crate) ssh: String,
    /// Serve over ssh itself instead of the board's serial device
    #[arg(long)]
    pub(crate) channel: bool,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// ELF of a runner that was built for this board [default: built now]
    #[arg(long, value_name = "FILE")]
    pub(crate) runner: Option<PathBuf>,
    /// Folder of families [default: the shipped one, or $SCALEBENCH_MODELS]
    #[arg(long, value_name = "DIR")]
    pub(crate) models: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Run folder
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Print the results as JSON instead of a table, and write nothing
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PickArgs {
    /// Its folder, tag or id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) runs: Runs,
    /// Only this family; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) family: Vec<String>,
    /// Most median latency, such as 20ms
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) max_latency: Option<f64>,
    /// Most peak memory, such as 2MiB
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) max_memory: Option<f64>,
    /// Most energy of an inference, idle power included, such as 5mJ; only where it was measured
    #[arg(long, value_name = "ENERGY", value_parser = quantity::energy)]
    pub(crate) max_energy: Option<f64>,
    /// Most bytes of the model file, such as 64KiB
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) max_bytes: Option<f64>,
    /// Most multiply-accumulates of an inference, such as 300k
    #[arg(long, value_name = "COUNT", value_parser = quantity::count)]
    pub(crate) max_macs: Option<f64>,
    /// Least quality in the family's metric, such as 0.85; where less is better, the most
    #[arg(long, value_name = "Q", allow_negative_numbers = true)]
    pub(crate) min_quality: Option<f64>,
    /// Print JSON instead of sentences
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The run before: its folder, tag or id
    #[arg(value_name = "BEFORE")]
    pub(crate) before: String,
    /// The run after
    #[arg(value_name = "AFTER")]
    pub(crate) after: String,
    /// Latencies that change by less have not changed: what two starts of the same runner differ by
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = quantity::share)]
    pub(crate) threshold: f64,
    /// Compare different boards, or an emulated with a real one, all the same
    #[arg(long)]
    pub(crate) across_boards: bool,
    /// Print Markdown for a pull request
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) runs: Runs,
}

/// Where runs are kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct Runs {
    /// Where runs are kept
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) runs: Runs,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its folder, tag or id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) runs: Runs,
    /// Print the analysis as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Its folder, tag or id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) runs: Runs,
    /// Folder for every plot as an SVG file
    #[arg(long, value_name = "DIR")]
    pub(crate) svg: Option<PathBuf>,
    /// Folder for every plot as a PNG file
    #[arg(long, value_name = "DIR")]
    pub(crate) png: Option<PathBuf>,
    /// Pixels of a PNG file to an inch; a plot is some four inches wide
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(30..=2400))]
    pub(crate) dpi: u32,
    /// File for the tables in LaTeX; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) latex: Option<PathBuf>,
    /// File for the tables in Markdown; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// Its folder's name, or another tag
    #[arg(value_name = "RUN", required_unless_present = "delete")]
    pub(crate) run: Option<String>,
    /// The name
    #[arg(value_name = "TAG", required_unless_present = "delete")]
    pub(crate) tag: Option<String>,
    /// Take this tag away instead
    #[arg(long, value_name = "TAG", conflicts_with_all = ["run", "tag"])]
    pub(crate) delete: Option<String>,
    #[command(flatten)]
    pub(crate) runs: Runs,
}

/// What other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    /// A line a trial.
    Csv,
    /// Trials, after a published schema.
    Json,
    /// Trials and readings, in folders by board, family and run.
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Ids, tags or folders [default: all that are kept]
    #[arg(value_name = "RUN")]
    pub(crate) names: Vec<String>,
    /// The format
    #[arg(long, value_enum, default_value = "csv")]
    pub(crate) format: ExportFormat,
    /// File to write, for Parquet a folder [default: standard output]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Print the schema of the columns instead
    #[arg(long)]
    pub(crate) schema: bool,
    #[command(flatten)]
    pub(crate) runs: Runs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Run folders, tables of published figures (TOML), or names of those that ship in models/published: `study`,
    /// `efficientnet-lite`
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) runs: Runs,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Ids or tags
    #[arg(value_name = "RUN", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) runs: Runs,
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Bytes to send through the line [default: three seconds' worth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1_024..=100_000_000))]
    pub(crate) bytes: Option<u32>,
    /// Also try higher speeds, as far as both ends can
    #[arg(long)]
    pub(crate) best: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

const ENERGY: &str = "\
Examples
    scalebench energy runs/2026-01-31T101500Z-board --meter recording.csv --meter-accuracy 0.5%+20uA
        the table is shown again, with energy
    scalebench energy --meter ppk2.csv --trigger D3 --supply-voltage 5V
        of the newest run, from an export of nRF Connect's Power Profiler with the board's pin at D3

Recordings
    CSV. The first line names the columns, in any order: time, trigger, and power or voltage and current; in SI
    units, or with the unit in brackets as in Current(uA). The trigger is the board's pin, which changes its
    level at the begin and the end of every window; with MLPerf Tiny firmware it falls at both. Windows and
    edges are matched in order, from the last backwards, and must agree in length and place to 0.1 % and
    two readings and 2 ms; windows of MLPerf Tiny's energy mode to 10 % and 0.25 s, as only this machine
    has timed them.";

#[derive(Debug, Args)]
pub(crate) struct EnergyArgs {
    /// Its folder, tag or id [default: the newest]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) runs: Runs,
    /// The meter's recording
    #[arg(long, value_name = "FILE")]
    pub(crate) meter: PathBuf,
    #[command(flatten)]
    pub(crate) facts: MeterFacts,
    /// Print the results as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a person knows of a meter and its wires.
#[derive(Debug, Args)]
pub(crate) struct MeterFacts {
    /// The meter's column, or input, with the board's pin [default: trigger, or D0]
    #[arg(long, value_name = "NAME", requires = "meter")]
    pub(crate) trigger: Option<String>,
    /// What the supply was set to, such as 5V, where the meter records currents alone
    #[arg(long, value_name = "VOLTAGE", value_parser = quantity::voltage, requires = "meter")]
    pub(crate) supply_voltage: Option<f64>,
    /// What the meter's maker promises: a share of the reading and an offset, such as 0.5%+20uA
    #[arg(long, value_name = "LIMITS", requires = "meter")]
    pub(crate) meter_accuracy: Option<Accuracy>,
}

#[derive(Debug, Args)]
pub(crate) struct RailsArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// How long to look
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds: u32,
    /// Microseconds of one conversion; the nearest the sensors have [default: 1100]
    #[arg(long, value_name = "US", value_parser = clap::value_parser!(u32).range(50..=10_000))]
    pub(crate) conversion_us: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
