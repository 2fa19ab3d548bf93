//! The command line.

use crate::{Linux, clock, engine, identity, log, quarantine, serial, store, vitals};
use clap::Parser;
use scalebench_core::board::{Clock as _, NoRails, Parts};
use scalebench_core::session::Session;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The scalebench runner: measures models for the host at the other end of a serial line.
#[derive(Debug, Parser)]
#[command(name = "scalebench-runner", version, no_binary_name = true)]
#[command(
    after_help = "Exit codes: 0 ended by a signal or by a line that was closed; 1 it could not start; 2 wrong usage."
)]
struct Options {
    /// The serial device, such as /dev/ttyS0
    #[arg(long, value_name = "PATH", required_unless_present = "quarantine")]
    serial: Option<PathBuf>,
    /// Its speed in bits per second
    #[arg(long, default_value_t = 921_600)]
    baud: u32,
    /// Where models and datasets are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/scalebench")]
    store: PathBuf,
    /// Timing readings that a window can hold
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(64..=1 << 26))]
    readings: u32,
    /// Load and run this model once, then exit: how the runner tries a model before it trusts it
    #[arg(long, value_name = "FILE", hide = true)]
    quarantine: Option<PathBuf>,
    /// Memory for --quarantine, in bytes
    #[arg(long, default_value_t = 1 << 30, hide = true)]
    memory: u64,
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
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scalebench-runner: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Error::Signal)?;
    }
    let path = options.serial.clone().unwrap_or_default();
    let line = serial::Serial::open(&path, options.baud)
        .map_err(|source| Error::Serial { path, source })?;
    let root = options.store.clone();
    let store = store::Folder::new(root.clone()).map_err(|source| Error::Store {
        path: root.clone(),
        source,
    })?;
    let parts = Parts::<Linux> {
        clock: clock::Monotonic,
        line,
        engine: engine::Tract::new(quarantine::Quarantine::new(root)),
        store,
        rails: NoRails,
        log: log::Ring,
        vitals: vitals::Linux,
    };
    // Two starts of one process number within one nanosecond do not happen.
    let boot = (clock::Monotonic.now() as u32) ^ std::process::id().rotate_left(16);
    let mut readings = vec![0; options.readings as usize];
    let mut session = Session::new(
        parts,
        identity::board_info(),
        boot,
        options.baud,
        &mut readings,
    );
    let ended = session.run(|| stop.load(Ordering::Relaxed));
    match ended {
        // The host is gone, and with it the terminal: nothing is left to do.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::BrokenPipe)
                || error.raw_os_error() == Some(5) =>
        {
            Ok(())
        }
        Err(source) => Err(Error::Line(source)),
        Ok(()) => Ok(()),
    }
}

/// Why the runner cannot go on.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the serial device {} cannot be opened: {source}; give another with --serial", path.display())]
    Serial { path: PathBuf, source: io::Error },
    #[error("the store {} cannot be used: {source}; give another with --store", path.display())]
    Store { path: PathBuf, source: io::Error },
    #[error("signals cannot be watched: {0}")]
    Signal(io::Error),
    #[error("the line failed: {0}")]
    Line(io::Error),
}
