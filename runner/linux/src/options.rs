//! The command line.

use crate::again::Again;
use crate::governor::{self, Governor};
use crate::mlperf::{self, MlperfError, Task};
use crate::trigger::{Idle, Meter, Pin, PinError};
use crate::{
    Linux, clock, counters, engine, identity, init, knobs, log, quarantine, rails, serial, store,
    vitals,
};
use clap::Parser;
use scalebench_boards::{Board, Kind, Trigger};
use scalebench_core::board::{Clock as _, Parts};
use scalebench_core::mlperf::kind::Kind as ModelId;
use scalebench_core::session::{Farewell, Session};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The scalebench runner: measures models for the host at the other end of a serial line.
#[derive(Debug, Parser)]
#[command(name = "scalebench-runner", version, no_binary_name = true)]
#[command(
    after_help = "Exit codes: 0 ended by a signal or by a line that was closed; 1 it could not start; 2 wrong usage; 64 and 65 the host asks to power off, to reboot."
)]
struct Options {
    /// The serial device, such as /dev/ttyS0 [default: the board file's]
    #[arg(long, value_name = "PATH", required_unless_present_any = ["quarantine", "board", "keep_governors"])]
    serial: Option<PathBuf>,
    /// Its speed in bits per second [default: the board file's, else 921600; over MLPerf Tiny's protocol 115200, in
    /// energy mode 9600]
    #[arg(long)]
    baud: Option<u32>,
    /// The board file: serial device, core, governor, thermal zones
    #[arg(long, value_name = "FILE")]
    board: Option<PathBuf>,
    /// Where models and datasets are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/scalebench")]
    store: PathBuf,
    /// Timing readings that a window can hold
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(64..=1 << 26))]
    readings: u32,
    /// What is spoken on the line: with a scalebench host, or as MLPerf Tiny firmware
    #[arg(long, value_enum, default_value = "scalebench")]
    protocol: Protocol,
    /// The TFLite file to serve over MLPerf Tiny's protocol
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Which of the benchmark's tasks it does: ad01, ic01, kws01 or vww01
    #[arg(long, value_name = "ID", value_parser = model_id)]
    model_id: Option<ModelId>,
    /// Energy mode: mark windows by falling edges of the board file's trigger pin instead of by lines
    #[arg(long, requires = "model", requires = "board")]
    energy: bool,
    /// The command that this runner itself is started under, such as `qemu-aarch64`, on a machine whose kernel cannot
    /// start it alone: it starts itself again with it, to try models in a process of their own
    #[arg(long, value_name = "COMMAND")]
    emulator: Option<String>,
    /// The pin that is high during windows, for an external meter [default: the board file's]
    #[arg(long, value_name = "CHIP:LINE", value_parser = line_of)]
    trigger: Option<Trigger>,
    /// Put back the governors that standard input names once it ends, then exit: what the runner starts before it
    /// changes any
    #[arg(long, hide = true)]
    keep_governors: bool,
    /// Where the kernel keeps the CPU's clock domains
    #[arg(long, value_name = "DIR", default_value = governor::CPUFREQ, hide = true)]
    cpufreq: PathBuf,
    /// Load and run this model once, then exit: how the runner tries a model before it trusts it
    #[arg(long, value_name = "FILE", hide = true)]
    quarantine: Option<PathBuf>,
    /// Memory for --quarantine, in bytes
    #[arg(long, default_value_t = 1 << 30, hide = true)]
    memory: u64,
}

/// What is spoken on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Protocol {
    /// Frames, with a scalebench host.
    Scalebench,
    /// Lines, with MLPerf Tiny's runners.
    MlperfTiny,
}

fn model_id(word: &str) -> Result<ModelId, String> {
    ModelId::named(word).ok_or_else(|| "choose ad01, ic01, kws01 or vww01".to_owned())
}

/// `CHIP:LINE`
fn line_of(text: &str) -> Result<Trigger, String> {
    let line = |text: &str| {
        let (chip, line) = text.rsplit_once(':')?;
        Some(Trigger {
            chip: chip.to_owned(),
            line: line.parse().ok()?,
            pin: String::new(),
        })
    };
    line(text).ok_or_else(|| "write a device and a line of it, /dev/gpiochip0:17".to_owned())
}

/// The whole program. `arguments` are without the program's name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match Options::try_parse_from(arguments) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    if let Some(path) = &options.quarantine {
        return quarantine::child(path, options.memory);
    }
    if options.keep_governors {
        return governor::keep(&options.cpufreq);
    }
    match serve(&options) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(farewell)) => init::exit_code(farewell),
        Err(error) => {
            eprintln!("scalebench-runner: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<Option<Farewell>, Error> {
    let board = match &options.board {
        Some(path) => Some(read_board(path)?),
        None => None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Error::Signal)?;
    }
    let stopped = || stop.load(Ordering::Relaxed);
    let serial = board.as_ref().map(|board| &board.serial);
    let path = options.serial.clone();
    let path = path.or_else(|| {
        serial
            .and_then(|serial| serial.board.clone())
            .map(PathBuf::from)
    });
    let path = path.ok_or(Error::NoSerial)?;
    let baud = options.baud.unwrap_or(match options.protocol {
        Protocol::Scalebench => serial.map_or(921_600, |serial| serial.baud),
        Protocol::MlperfTiny if options.energy => mlperf::ENERGY_BAUD,
        Protocol::MlperfTiny => mlperf::BAUD,
    });
    let line =
        serial::Serial::open(&path, baud).map_err(|source| Error::Serial { path, source })?;
    let again = Again::new(options.emulator.as_deref());
    let mut governor = Governor::new(options.cpufreq.clone(), again.clone());
    let spare = board
        .as_ref()
        .and_then(|board| knobs::set(&board.clock, &mut governor));
    if options.protocol == Protocol::MlperfTiny {
        return serve_mlperf(options, board.as_ref(), line, &stopped);
    }
    let root = options.store.clone();
    let store = store::Folder::new(root.clone()).map_err(|source| Error::Store {
        path: root.clone(),
        source,
    })?;
    let thermal = board.as_ref().map(|board| board.thermal.clone());
    let rails = board.as_ref();
    let rails = rails.map(|board| rails::LinuxRails::of(board, spare));
    let rails = rails.transpose();
    let rails = rails.unwrap_or_else(|error| {
        eprintln!("scalebench-runner: {error}; no power is measured");
        None
    });
    let parts = Parts::<Linux> {
        clock: clock::Monotonic,
        line,
        engine: engine::Tract::new(quarantine::Quarantine::new(root, again)),
        store,
        rails: rails.unwrap_or_default(),
        log: log::Ring,
        vitals: vitals::Linux::new(&thermal.unwrap_or_default(), governor),
        trigger: meter(options, board.as_ref())?,
        counters: counters::Processor::here(),
    };
    // Two starts of one process number within one nanosecond do not happen.
    let boot = (clock::Monotonic.now() as u32) ^ std::process::id().rotate_left(16);
    let mut readings = vec![0; options.readings as usize];
    let mut info = identity::board_info();
    info.emulated |= board.is_some_and(|board| board.kind == Kind::Emulated);
    info.emulated |= options.emulator.is_some();
    let mut session = Session::new(parts, info, boot, baud, &mut readings);
    session.run(stopped).or_else(gone)
}

/// The pin for a meter. One that was asked for must be there; the board file's may be missing or taken.
fn meter(options: &Options, board: Option<&Board>) -> Result<Meter, Error> {
    let asked = options.trigger.as_ref();
    let Some(trigger) = asked.or_else(|| board?.trigger.as_ref()) else {
        return Ok(Meter::default());
    };
    match Pin::open(trigger, Idle::Low) {
        Ok(pin) => Ok(pin.into()),
        Err(source) if asked.is_some() => Err(Error::Trigger {
            chip: trigger.chip.clone(),
            line: trigger.line,
            source,
        }),
        Err(error) => {
            eprintln!(
                "scalebench-runner: line {} of {} cannot be driven: {error}; no pin marks windows",
                trigger.line, trigger.chip
            );
            Ok(Meter::default())
        }
    }
}

fn serve_mlperf(
    options: &Options,
    board: Option<&Board>,
    line: serial::Serial,
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Farewell>, Error> {
    let (Some(model), Some(kind)) = (&options.model, options.model_id) else {
        return Err(Error::NoModel);
    };
    let trigger = board.and_then(|board| board.trigger.as_ref());
    let task = Task {
        model,
        kind,
        trigger: match options.energy {
            true => Some(trigger.ok_or(Error::NoTrigger)?),
            false => None,
        },
    };
    match mlperf::serve(&task, line, stopped) {
        Ok(()) => Ok(None),
        Err(MlperfError::Line(error)) => gone(error),
        Err(error) => Err(error.into()),
    }
}

/// A line that failed. Where it is hung up, the host is gone, and with it the terminal: nothing is left to do.
fn gone(error: io::Error) -> Result<Option<Farewell>, Error> {
    let hung_up = error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(5);
    if hung_up {
        Ok(None)
    } else {
        Err(Error::Line(error))
    }
}

fn read_board(path: &Path) -> Result<Board, Error> {
    let refused = |why: String| Error::Board {
        path: path.to_owned(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    scalebench_boards::parse_board(&text).map_err(|error| refused(error.to_string()))
}

/// Why the runner cannot go on.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the serial device {} cannot be opened: {source}; give another with --serial", path.display())]
    Serial { path: PathBuf, source: io::Error },
    #[error("the store {} cannot be used: {source}; give another with --store", path.display())]
    Store { path: PathBuf, source: io::Error },
    #[error("the board file {} cannot be used: {why}", path.display())]
    Board { path: PathBuf, why: String },
    #[error("the board file names no serial device: give one with --serial")]
    NoSerial,
    #[error("MLPerf Tiny's protocol needs a model: name it with --model and --model-id")]
    NoModel,
    #[error(
        "the board file names no trigger pin: leave --energy out, or use a board file with [trigger]"
    )]
    NoTrigger,
    #[error("line {line} of {chip} cannot be driven: {source}; give another with --trigger")]
    Trigger {
        chip: String,
        line: u32,
        source: PinError,
    },
    #[error(transparent)]
    Mlperf(#[from] MlperfError),
    #[error("signals cannot be watched: {0}")]
    Signal(io::Error),
    #[error("the line failed: {0}")]
    Line(io::Error),
}
