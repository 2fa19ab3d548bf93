//! The governor of the CPU's clock: set for a while, and put back whatever becomes of the runner.
//!
//! Before the first change a keeper is started: this program once more, in a session of its own, which is told on
//! its standard input what was set before, and waits for that to end. It ends with the runner, whether that
//! returns or is killed; then the keeper puts the old governors back. What it cannot outlive is the kernel, which
//! begins with its own governor, and somebody who kills it first.

use crate::again::Again;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Where the kernel keeps clock domains.
pub const CPUFREQ: &str = "/sys/devices/system/cpu/cpufreq";
const FILE: &str = "scaling_governor";

/// Why a governor is not set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GovernorError {
    /// No clock domain.
    #[error("this board's clock has no governor")]
    None,
    /// No such governor.
    #[error("there is no governor `{name}` here, but {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The kernel says no.
    #[error("{}: {source}", path.display())]
    Denied {
        /// What was written to.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
    /// Without it a killed runner would leave the governor behind.
    #[error("the process that puts the old governor back cannot be started: {0}")]
    Keeper(io::Error),
}

/// What sets the clock of every domain.
#[derive(Debug)]
pub struct Governor {
    root: PathBuf,
    again: Again,
    /// What was set when the runner started, by file; empty until something is changed.
    original: Vec<(PathBuf, String)>,
    /// What the board file wants for as long as the runner runs.
    standing: Option<String>,
    keeper: Option<Child>,
}

impl Governor {
    /// Of the clock domains below `root`; `again` starts the keeper.
    #[must_use]
    pub fn new(root: PathBuf, again: Again) -> Self {
        Self {
            root,
            again,
            original: Vec::new(),
            standing: None,
            keeper: None,
        }
    }

    /// Sets the governor for as long as the runner runs.
    ///
    /// # Errors
    /// [`GovernorError`]; then it is as before.
    pub fn stand(&mut self, name: &str) -> Result<(), GovernorError> {
        self.set(name)?;
        self.standing = Some(name.to_owned());
        Ok(())
    }

    /// Sets the governor until [`Governor::unset`], and gives what was set before.
    ///
    /// # Errors
    /// [`GovernorError`]; then it is as before.
    pub fn set(&mut self, name: &str) -> Result<String, GovernorError> {
        let now = governors(&self.root);
        let Some((_, before)) = now.first().cloned() else {
            return Err(GovernorError::None);
        };
        for (file, _) in &now {
            let known = fs::read_to_string(file.with_file_name("scaling_available_governors"));
            let known = known.unwrap_or_default();
            if !known.split_whitespace().any(|known| known == name) {
                return Err(GovernorError::Unknown {
                    name: name.escape_default().to_string(),
                    known: known.split_whitespace().collect::<Vec<_>>().join(", "),
                });
            }
        }
        if self.keeper.is_none() {
            self.keeper = Some(self.keep(&now).map_err(GovernorError::Keeper)?);
            self.original.clone_from(&now);
        }
        for (file, _) in &now {
            if let Err(source) = fs::write(file, name) {
                put(&now);
                return Err(GovernorError::Denied {
                    path: file.clone(),
                    source,
                });
            }
        }
        Ok(before)
    }

    /// Sets again what stood before [`Governor::set`].
    pub fn unset(&mut self) {
        match &self.standing {
            Some(name) => {
                let standing = self.original.iter();
                put(&standing
                    .map(|(file, _)| (file.clone(), name.clone()))
                    .collect::<Vec<_>>());
            }
            None => put(&self.original),
        }
    }

    fn keep(&self, now: &[(PathBuf, String)]) -> io::Result<Child> {
        let mut keeper = self
            .again
            .command()?
            .arg("--keep-governors")
            .arg("--cpufreq")
            .arg(&self.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(pipe) = &mut keeper.stdin {
            for (file, governor) in now {
                let domain = file.parent().and_then(Path::file_name).unwrap_or_default();
                writeln!(pipe, "{} {governor}", domain.to_string_lossy())?;
            }
        }
        // Before it is deaf to the signals that end the runner, it would end with it.
        let mut ready = [0];
        if let Some(mut pipe) = keeper.stdout.take() {
            pipe.read_exact(&mut ready)?;
        }
        Ok(keeper)
    }
}

impl Drop for Governor {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// The file of every clock domain below `root`, and what it holds.
fn governors(root: &Path) -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|domain| domain.path().join(FILE))
        .collect();
    files.sort();
    files
        .into_iter()
        .filter_map(|file| {
            let governor = fs::read_to_string(&file).ok()?.trim().to_owned();
            Some((file, governor))
        })
        .collect()
}

/// Sets what can be set: where one domain refuses, the others are set all the same.
fn put(governors: &[(PathBuf, String)]) {
    for (file, governor) in governors {
        let _ = fs::write(file, governor);
    }
}

/// What the keeper does: waits for the runner's end.
#[must_use]
pub fn keep(root: &Path) -> ExitCode {
    // Neither the terminal, nor whoever ends the runner or its group, ends the keeper before its time.
    let _ = nix::unistd::setsid();
    let heard = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        let _ = signal_hook::flag::register(signal, Arc::clone(&heard));
    }
    if io::stdout()
        .write_all(b".")
        .and_then(|()| io::stdout().flush())
        .is_err()
    {
        return ExitCode::FAILURE;
    }
    let mut told = String::new();
    let _ = io::stdin().read_to_string(&mut told);
    let named = |line: &str| {
        let (domain, governor) = line.split_once(' ')?;
        let plain = !domain.is_empty() && !domain.contains('/') && domain != "..";
        plain.then(|| (root.join(domain).join(FILE), governor.to_owned()))
    };
    put(&told.lines().filter_map(named).collect::<Vec<_>>());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clock domains, as the kernel shows them.
    fn domains() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (domain, governor) in [("policy0", "ondemand"), ("policy4", "schedutil")] {
            let folder = root.path().join(domain);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(FILE), format!("{governor}\n")).unwrap();
            fs::write(
                folder.join("scaling_available_governors"),
                "ondemand schedutil performance\n",
            )
            .unwrap();
        }
        root
    }

    #[test]
    fn a_governor_that_is_not_there_changes_nothing() {
        let root = domains();
        let mut governor = Governor::new(root.path().to_owned(), Again::default());
        let error = governor.set("warp").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no governor `warp` here, but ondemand, schedutil, performance"
        );
        let now = governors(root.path());
        assert_eq!(now[0].1, "ondemand");
        assert_eq!(now[1].1, "schedutil");
    }

    #[test]
    fn a_board_without_clock_domains_says_so() {
        let root = tempfile::tempdir().unwrap();
        let mut governor = Governor::new(root.path().to_owned(), Again::default());
        let error = governor.set("performance").unwrap_err().to_string();
        assert_eq!(error, "this board's clock has no governor");
    }
}
