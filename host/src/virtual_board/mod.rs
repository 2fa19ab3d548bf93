//! The local virtual board: the real runner in a process of its own, behind a serial line of real speed.
//!
//! ```text
//! host ── Port ── pty ═ line (paced) ═ pty ── runner process
//! ```
//!
//! The runner is started from this very executable (`scalebench __runner`), and started again when it
//! dies, as a watchdog would do with a board. It ends with the host.

mod line;
mod pty;

pub use line::{Direction, Line, Tamper};
pub use pty::Pty;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Why there is no virtual board.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VirtualBoardError {
    /// The system gives no pseudo-terminal.
    #[error("cannot make a pseudo-terminal: {0}: check that /dev/pts is mounted")]
    Pty(io::Error),
    /// The store's folder cannot be made.
    #[error("cannot make the virtual board's store {}: {source}: choose another folder with --store", path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The runner did not start.
    #[error("cannot start the runner {}: {source}: build scalebench again", program.display())]
    Start {
        /// What was to be started.
        program: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// What a virtual board is made of.
pub struct Setup {
    /// The program that contains the runner.
    pub program: PathBuf,
    /// Arguments before the runner's own.
    pub arguments: Vec<OsString>,
    /// Bits per second of the runner's end when it starts.
    pub baud: u32,
    /// Where the board keeps its artefacts.
    pub store: PathBuf,
    /// Board file for the runner, which samples its power rails.
    pub board: Option<PathBuf>,
    /// Damages bytes on the way; `None` for a clean line.
    pub tamper: Option<Box<dyn Tamper>>,
}

impl Setup {
    /// This executable's own runner, with the user's cache as the board's store.
    ///
    /// # Errors
    /// The path of this executable is not to be had.
    pub fn local(baud: u32) -> io::Result<Self> {
        Ok(Self {
            // This very program, also when its file has been replaced by the time that the board restarts.
            program: format!("/proc/{}/exe", std::process::id()).into(),
            arguments: vec!["__runner".into()],
            baud,
            store: default_store(),
            board: None,
            tamper: None,
        })
    }
}

/// The local board's store: `$XDG_CACHE_HOME/scalebench/store`, else `~/.cache/scalebench/store`.
#[must_use]
pub fn default_store() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    cache.join("scalebench").join("store")
}

/// A running virtual board.
#[derive(Debug)]
pub struct VirtualBoard {
    path: PathBuf,
    pid: Arc<AtomicU32>,
    starts: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    watchdog: Option<JoinHandle<()>>,
    log: PathBuf,
    _line: Line,
}

impl VirtualBoard {
    /// Starts the line and the runner.
    ///
    /// # Errors
    /// [`VirtualBoardError`].
    pub fn start(setup: Setup) -> Result<Self, VirtualBoardError> {
        fs::create_dir_all(&setup.store).map_err(|source| VirtualBoardError::Store {
            path: setup.store.clone(),
            source,
        })?;
        let (hosts, boards) = (
            Pty::open().map_err(VirtualBoardError::Pty)?,
            Pty::open().map_err(VirtualBoardError::Pty)?,
        );
        let path = hosts.path().to_owned();
        let log = setup
            .store
            .join(format!("runner-{}.log", std::process::id()));
        let mut command = Command::new(&setup.program);
        command
            .args(&setup.arguments)
            .arg("--serial")
            .arg(boards.path())
            .arg("--baud")
            .arg(setup.baud.to_string())
            .arg("--store")
            .arg(&setup.store)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(board) = &setup.board {
            command.arg("--board").arg(board);
        }
        if let Ok(file) = File::create(&log) {
            command.stderr(file);
        } else {
            command.stderr(Stdio::null());
        }
        let reset = boards.resetter().map_err(VirtualBoardError::Pty)?;
        let line = Line::start(hosts, boards, setup.tamper).map_err(VirtualBoardError::Pty)?;
        let (pid, starts, stop) = Default::default();
        let mut board = Self {
            path,
            pid,
            starts,
            stop,
            watchdog: None,
            log,
            _line: line,
        };
        board.watch(command, reset, &setup.program)?;
        Ok(board)
    }

    /// Starts the runner, in a thread that starts it again when it dies. (A runner asks to be killed
    /// when the *thread* that started it ends, so one thread has to do all of it.)
    fn watch(
        &mut self,
        mut command: Command,
        reset: pty::Resetter,
        program: &Path,
    ) -> Result<(), VirtualBoardError> {
        let (pid, starts, stop) = (self.pid.clone(), self.starts.clone(), self.stop.clone());
        let (started, first) = mpsc::sync_channel(1);
        let watchdog = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || {
                let mut child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => return drop(started.send(Err(error))),
                };
                pid.store(child.id(), Ordering::SeqCst);
                starts.fetch_add(1, Ordering::SeqCst);
                let _ = started.send(Ok(()));
                while !stop.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(50));
                    if matches!(child.try_wait(), Ok(None)) {
                        continue;
                    }
                    std::thread::sleep(Duration::from_millis(200));
                    reset.reset();
                    if let Ok(next) = command.spawn() {
                        child = next;
                        pid.store(child.id(), Ordering::SeqCst);
                        starts.fetch_add(1, Ordering::SeqCst);
                    }
                }
                end(&mut child);
            })
            .map_err(VirtualBoardError::Pty)?;
        self.watchdog = Some(watchdog);
        match first.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(VirtualBoardError::Start {
                program: program.to_owned(),
                source,
            }),
            Err(_) => Err(VirtualBoardError::Start {
                program: program.to_owned(),
                source: io::Error::other("its thread ended"),
            }),
        }
    }

    /// The serial port at which the host finds it.
    #[must_use]
    pub fn port(&self) -> &Path {
        &self.path
    }

    /// The runner's process now; it changes when the runner died and was started again.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// How often the runner was started.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }

    /// The end of what the runner wrote to its standard error, escaped; empty if nothing.
    #[must_use]
    pub fn complaints(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let tail = &text[text.len().saturating_sub(400)..];
        crate::text::escaped(String::from_utf8_lossy(tail).trim())
    }
}

impl Drop for VirtualBoard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(watchdog) = self.watchdog.take() {
            let _ = watchdog.join();
        }
        if fs::metadata(&self.log).is_ok_and(|log| log.len() == 0) {
            let _ = fs::remove_file(&self.log);
        }
    }
}

/// Asks a process to end, and makes it after a second.
fn end(child: &mut Child) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}
