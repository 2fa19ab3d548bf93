//! The way onto a board that runs Linux already: the system's `ssh`, so keys and settings are the user's own.
//!
//! Everything goes into one new folder on the board, which is removed when the runner ends or the
//! connection is lost.

use crate::provision::Sources;
use crate::virtual_board::Pty;
use scalebench_models::ModelsError;
use scalebench_runner::{init, store};
use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

/// Names a program to use instead of `ssh`.
const PROGRAM: &str = "SCALEBENCH_SSH";
const RUNNER: &str = "scalebench-runner";
/// Exit codes of a runner that the host asked to power off, or to reboot: a board that runs Linux does not, its runner
/// ends.
const FAREWELLS: [u8; 2] = [init::POWER_OFF, init::REBOOT];
const BOARD_FILE: &str = "board.toml";
const STORE: &str = "store";
/// Bytes of a board's answer: hashes, names, the end of a complaint.
const MOST_SAID: u64 = 4096;

/// Why the runner is not on the board.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// No destination.
    #[error("`{0}` is no destination: write --ssh USER@HOST")]
    Destination(String),
    /// ssh cannot be started.
    #[error("ssh cannot be started: {0}: install it (Debian: openssh-client)")]
    Start(io::Error),
    /// ssh, or what it ran, failed.
    #[error(
        "{host}: {doing} failed{said}: try `ssh {host} true`, then look for room in /tmp there"
    )]
    Failed {
        /// Where.
        host: String,
        /// What was tried.
        doing: &'static str,
        /// What was said, as the end of a sentence.
        said: String,
    },
    /// The copy is not what was sent.
    #[error(
        "{host}: the copy of {file} is damaged: check the board's memory and storage, then try again"
    )]
    Damaged {
        /// Where.
        host: String,
        /// Which file.
        file: String,
    },
    /// A file to be copied is not what its manifest says.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// No pseudo-terminal.
    #[error("cannot make a pseudo-terminal: {0}: check that /dev/pts is mounted")]
    Pty(io::Error),
}

/// A board that ssh reaches.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    program: OsString,
}

impl Host {
    /// `USER@HOST`, or a name of the user's ssh settings.
    ///
    /// # Errors
    /// [`SshError::Destination`] for what ssh would take as an option.
    pub fn new(name: &str) -> Result<Self, SshError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "@.-_:[]%/".contains(c);
        if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
            return Err(SshError::Destination(crate::text::escaped(name)));
        }
        let program = std::env::var_os(PROGRAM).filter(|program| !program.is_empty());
        Ok(Self {
            name: name.to_owned(),
            program: program.unwrap_or_else(|| "ssh".into()),
        })
    }

    /// Whether the board is there and lets one in.
    ///
    /// # Errors
    /// [`SshError::Failed`], [`SshError::Start`].
    pub fn reach(&self) -> Result<(), SshError> {
        self.run("reaching it", "true", &[]).map(drop)
    }

    /// Runs `script` in the board's shell with `input`, and gives what it printed.
    fn run(&self, doing: &'static str, script: &str, input: &[u8]) -> Result<String, SshError> {
        let mut child = Command::new(&self.program)
            .args([&self.name, script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(SshError::Start)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // At the same time, since a board may say much before it reads.
        let (fed, out, err) = thread::scope(|scope| {
            let fed = scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input)));
            let err = scope.spawn(|| bounded(stderr));
            let out = bounded(stdout);
            let fed = fed.join().unwrap_or(None);
            (fed, out, err.join().unwrap_or_default())
        });
        let status = child.wait().map_err(SshError::Start)?;
        if status.success() && !matches!(fed, Some(Err(_))) {
            return Ok(out.trim().to_owned());
        }
        let last = err.lines().map(str::trim).rfind(|line| !line.is_empty());
        Err(SshError::Failed {
            host: self.name.clone(),
            doing,
            said: last.map_or_else(String::new, |last| {
                format!(" ({})", crate::text::escaped(last))
            }),
        })
    }
}

/// The first of what a program says, as text; the rest is read and dropped.
fn bounded(pipe: Option<impl io::Read>) -> String {
    let mut said = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is what there is.
        let read = pipe.by_ref().take(MOST_SAID).read_to_end(&mut said);
        let _ = read.and_then(|_| io::copy(&mut pipe, &mut io::sink()).map(drop));
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// A runner copied to a board.
#[derive(Debug)]
pub struct Deployment<'a> {
    host: &'a Host,
    folder: String,
}

impl<'a> Deployment<'a> {
    /// Copies the runner, the board file and, into the runner's store, `stock`; compares their hashes there.
    ///
    /// # Errors
    /// [`SshError`].
    pub fn copy(
        host: &'a Host,
        runner: &[u8],
        board_file: &[u8],
        stock: &Sources,
    ) -> Result<Self, SshError> {
        let folder = host.run("making a folder", "mktemp -d /tmp/scalebench.XXXXXXXX", &[])?;
        let name = folder.strip_prefix("/tmp/scalebench.");
        let plain =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
        if !name.is_some_and(plain) {
            return Err(SshError::Failed {
                host: host.name.clone(),
                doing: "making a folder",
                said: format!(" (it answered {})", crate::text::escaped(&folder)),
            });
        }
        let deployment = Self { host, folder };
        if let Err(error) = deployment.fill(runner, board_file, stock) {
            let _ = deployment.remove();
            return Err(error);
        }
        Ok(deployment)
    }

    fn fill(&self, runner: &[u8], board_file: &[u8], stock: &Sources) -> Result<(), SshError> {
        for (file, bytes) in [(RUNNER, runner), (BOARD_FILE, board_file)] {
            self.put(file, bytes, &store::sha256(bytes).to_string())?;
        }
        let script = format!("mkdir {}/{STORE}", self.folder);
        self.host.run("making the store", &script, &[])?;
        for (sha256, source) in stock {
            self.put(&format!("{STORE}/{sha256}"), &source.read()?, sha256)?;
        }
        Ok(())
    }

    fn put(&self, file: &str, bytes: &[u8], sha256: &str) -> Result<(), SshError> {
        let path = format!("{}/{file}", self.folder);
        let script = format!("cat > {path} && chmod 755 {path} && sha256sum {path}");
        let answer = self.host.run("copying", &script, bytes)?;
        if answer.split_whitespace().next() == Some(sha256) {
            Ok(())
        } else {
            Err(SshError::Damaged {
                host: self.host.name.clone(),
                file: file.to_owned(),
            })
        }
    }

    fn remove(&self) -> Result<(), SshError> {
        let script = format!("rm -rf {}", self.folder);
        self.host.run("removing the folder", &script, &[]).map(drop)
    }

    /// Starts the runner, on the board file's serial device or, with `channel`, over ssh itself.
    ///
    /// # Errors
    /// [`SshError::Start`], [`SshError::Pty`].
    pub fn start(self, channel: bool) -> Result<Running<'a>, SshError> {
        let folder = &self.folder;
        let serial = if channel { " --serial /dev/tty" } else { "" };
        let script = format!(
            "trap 'rm -rf {folder}' EXIT; trap 'exit 1' HUP INT TERM; \
             {folder}/{RUNNER} --board {folder}/{BOARD_FILE} --store {folder}/{STORE}{serial}"
        );
        let mut ssh = Command::new(&self.host.program);
        // A terminal on the board, so that the runner is hung up with the connection; no escape character
        // in the bytes of the session.
        ssh.args(["-tt", "-e", "none", &self.host.name, &script]);
        let pty = if channel {
            let pty = Pty::open().map_err(SshError::Pty)?;
            let near = || pty.near().map(Stdio::from).map_err(SshError::Pty);
            ssh.stdin(near()?).stdout(near()?);
            Some(pty)
        } else {
            ssh.stdin(Stdio::null());
            None
        };
        let child = ssh.spawn().map_err(SshError::Start)?;
        Ok(Running {
            child,
            pty,
            deployment: self,
        })
    }
}

/// A runner that runs on a board as long as this lives.
#[derive(Debug)]
pub struct Running<'a> {
    child: Child,
    pty: Option<Pty>,
    deployment: Deployment<'a>,
}

impl Running<'_> {
    /// The port at which the host finds the runner, when it was started over ssh itself.
    #[must_use]
    pub fn port(&self) -> Option<PathBuf> {
        self.pty.as_ref().map(|pty| pty.path().to_owned())
    }

    /// Waits until the runner or the connection ends. Whether it ended well: by itself, or because the host asked it to.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&mut self) -> io::Result<bool> {
        let status = self.child.wait()?;
        let asked = status.code().and_then(|code| u8::try_from(code).ok());
        let well = status.success() || asked.is_some_and(|code| FAREWELLS.contains(&code));
        if !well {
            // A connection that was cut before the board's shell was there has left the folder.
            let _ = self.deployment.remove();
        }
        Ok(well)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_no_destination() {
        for name in ["-oProxyCommand=x", "", "a b", "a;b"] {
            let error = Host::new(name).unwrap_err();
            assert!(
                error.to_string().ends_with("write --ssh USER@HOST"),
                "{error}"
            );
        }
        Host::new("pi@raspberrypi.local").unwrap();
    }
}
