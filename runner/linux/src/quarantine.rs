//! Where a model is tried first: a process of its own, with limits.
//!
//! A panic can be caught, but a stack overflow, a failed allocation, a crash or an endless loop cannot. So
//! before the runner loads a model, a child loads it and runs it once; if the child dies, the model
//! is refused and the runner lives on.

use crate::again::Again;
use crate::{engine, store};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::Signal;
use scalebench_wire::Digest;
use std::collections::HashSet;
use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A model that takes longer than this to load and run once is refused.
pub const LONGEST: Duration = Duration::from_secs(240);
/// Without a limit from the host, a model gets this share of the memory that is available.
const SHARE: f64 = 0.8;

/// Why a model was not let out of quarantine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// The engine refused it, in its own words.
    #[error("{0}")]
    Refused(String),
    /// The child was ended by a signal.
    #[error(
        "the engine crashed on this model ({0}); it was tried in a process of its own and harmed nothing"
    )]
    Crashed(String),
    /// The child ran out of memory.
    #[error("this model asks for more than the {} MiB of memory it may use", .0 >> 20)]
    Memory(u64),
    /// The child did not end.
    #[error("this model did not load and run once within {} s", LONGEST.as_secs())]
    TooSlow,
    /// The child could not be started.
    #[error("the process to try this model in cannot be started: {0}")]
    Start(#[from] io::Error),
}

/// Tries models of one store.
#[derive(Debug)]
pub struct Quarantine {
    root: PathBuf,
    again: Again,
    passed: HashSet<(Digest, u64)>,
}

impl Quarantine {
    /// For the store at `root`; `again` starts the child.
    #[must_use]
    pub fn new(root: PathBuf, again: Again) -> Self {
        Self {
            root,
            again,
            passed: HashSet::new(),
        }
    }

    /// Loads and runs the model once in a child that may use `memory_bytes` (zero: most of what is free).
    ///
    /// # Errors
    /// When it did not survive that.
    pub fn vet(&mut self, digest: Digest, memory_bytes: u64) -> Result<(), QuarantineError> {
        let memory_bytes = if memory_bytes == 0 {
            available_memory()
        } else {
            memory_bytes
        };
        if self.passed.contains(&(digest, memory_bytes)) {
            return Ok(());
        }
        let mut child = self
            .again
            .command()?
            .arg("--quarantine")
            .arg(store::path(&self.root, digest))
            .arg("--memory")
            .arg(memory_bytes.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let until = Instant::now() + LONGEST;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                child.kill()?;
                child.wait()?;
                return Err(QuarantineError::TooSlow);
            }
            thread::sleep(Duration::from_millis(1));
        };
        let mut words = String::new();
        if let Some(pipe) = child.stdout.take() {
            // One sentence; a model shall not make it a book.
            let _ = pipe.take(4096).read_to_string(&mut words);
        }
        verdict(status, words.trim(), memory_bytes)?;
        self.passed.insert((digest, memory_bytes));
        Ok(())
    }
}

fn verdict(status: ExitStatus, words: &str, memory_bytes: u64) -> Result<(), QuarantineError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(_), _) if !words.is_empty() => Err(QuarantineError::Refused(words.to_owned())),
        // An allocation that failed aborts.
        (_, Some(signal)) if signal == Signal::SIGABRT as i32 => {
            Err(QuarantineError::Memory(memory_bytes))
        }
        (_, Some(signal)) => Err(QuarantineError::Crashed(
            Signal::try_from(signal)
                .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string()),
        )),
        (code, None) => Err(QuarantineError::Crashed(format!(
            "exit code {}",
            code.unwrap_or(-1)
        ))),
    }
}

/// Bytes a model may use: a share of what the kernel calls available.
fn available_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    (kib.unwrap_or(512 << 10) as f64 * 1024.0 * SHARE) as u64 >> 26 << 26
}

/// What the child does.
#[must_use]
pub fn child(path: &Path, memory_bytes: u64) -> ExitCode {
    let tried = limit(Resource::RLIMIT_AS, memory_bytes)
        .and_then(|()| limit(Resource::RLIMIT_CORE, 0))
        .and_then(|()| limit(Resource::RLIMIT_CPU, LONGEST.as_secs()))
        .map_err(|error| format!("limits cannot be set: {error}"))
        .and_then(|()| {
            std::fs::read(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        })
        .and_then(|bytes| {
            let mut model =
                engine::load(&bytes, memory_bytes).map_err(|error| error.to_string())?;
            engine::run(&mut model).map_err(|error| error.to_string())
        });
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            println!("{words}");
            ExitCode::FAILURE
        }
    }
}

fn limit(resource: Resource, value: u64) -> nix::Result<()> {
    let hard = getrlimit(resource)?.1;
    // 32 bits on 32-bit boards.
    let value = rlim_t::try_from(value).unwrap_or(rlim_t::MAX);
    setrlimit(resource, value.min(hard), hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_sentence() {
        let say = |raw, words| {
            verdict(ExitStatus::from_raw(raw), words, 64 << 20)
                .unwrap_err()
                .to_string()
        };
        assert!(verdict(ExitStatus::from_raw(0), "", 1).is_ok());
        assert_eq!(
            say(1 << 8, "operator `FOO` is not supported"),
            "operator `FOO` is not supported"
        );
        assert_eq!(
            say(6, ""),
            "this model asks for more than the 64 MiB of memory it may use"
        );
        assert!(say(11, "").starts_with("the engine crashed on this model (SIGSEGV)"));
    }
}
