//! This program, started once more: for what must survive the runner, or must not take it along.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What this process runs, also when its file has another name by now, or none (proc_pid_exe(5)).
const RUNNING: &str = "/proc/self/exe";

/// How to start it.
#[derive(Clone, Debug, Default)]
pub struct Again {
    /// Words of the command that this program was started under, if the kernel cannot start it alone.
    emulator: Vec<String>,
}

impl Again {
    /// `emulator` is the command that this program itself was started under, on a machine whose kernel cannot
    /// start it alone.
    #[must_use]
    pub fn new(emulator: Option<&str>) -> Self {
        let words = emulator.unwrap_or_default().split_whitespace();
        Self {
            emulator: words.map(str::to_owned).collect(),
        }
    }

    /// The command, to which arguments of the runner can be added: the host tool carries the runner as its
    /// subcommand `__runner`.
    ///
    /// # Errors
    /// When the system does not tell where this program is.
    pub fn command(&self) -> io::Result<Command> {
        let mut command = match self.emulator.as_slice() {
            [] => Command::new(running()?),
            [emulator, words @ ..] => {
                let mut command = Command::new(emulator);
                // Its own `/proc/self/exe` is the emulator.
                command.args(words).arg(std::env::current_exe()?);
                command
            }
        };
        command.args(
            std::env::args_os()
                .nth(1)
                .filter(|word| word == crate::SUBCOMMAND),
        );
        Ok(command)
    }
}

/// Where this very program is started from: its file, unless another has taken that one's place since.
fn running() -> io::Result<PathBuf> {
    let file = std::env::current_exe()?;
    let identity = |path: &Path| {
        fs::metadata(path)
            .map(|found| (found.dev(), found.ino()))
            .ok()
    };
    let is_there = identity(&file) == identity(Path::new(RUNNING));
    Ok(if is_there { file } else { RUNNING.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_an_emulator_it_starts_itself_under_it_again() {
        let own = std::env::current_exe().unwrap();
        let command = Again::new(Some("qemu-arm -s 8M")).command().unwrap();
        assert_eq!(command.get_program(), "qemu-arm");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(
            arguments[..3],
            ["-s".as_ref(), "8M".as_ref(), own.as_os_str()]
        );
        assert_eq!(Again::default().command().unwrap().get_program(), own);
    }
}
