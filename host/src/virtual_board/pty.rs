//! Pseudo-terminals.

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, OptionalActions, QueueSelector};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A pseudo-terminal, raw from the start: no echo, no line editing.
///
/// Its far side stays open as long as this lives, so that a program at the far side may end and
/// another take its place without the near side noticing a hang-up.
#[derive(Debug)]
pub struct Pty {
    near: OwnedFd,
    far: OwnedFd,
    path: PathBuf,
}

impl Pty {
    /// Makes one.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<Self> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let name = ptsname(&near, Vec::new())?;
        let path = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let far = open(&path, flags, Mode::empty())?;
        let mut settings = termios::tcgetattr(&far)?;
        settings.make_raw();
        termios::tcsetattr(&far, OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&near, true)?;
        Ok(Self { near, far, path })
    }

    /// The far side, to be opened as a serial port.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The speed that the program at the far side has set, in bits per second.
    #[must_use]
    pub fn baud(&self) -> Option<u32> {
        termios::tcgetattr(&self.near)
            .ok()
            .map(|settings| settings.output_speed())
            .filter(|&baud| baud > 0)
    }

    /// Reads what the far side wrote; zero when there is nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        settled(rustix::io::read(&self.near, into))
    }

    /// Writes to the far side; zero when it does not read and its buffer is full.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        settled(rustix::io::write(&self.near, bytes))
    }

    /// Another handle of the near side, for a program that carries its bytes elsewhere.
    pub(crate) fn near(&self) -> io::Result<OwnedFd> {
        self.near.try_clone()
    }

    /// A handle that prepares the far side for another program.
    pub(super) fn resetter(&self) -> io::Result<Resetter> {
        Ok(Resetter(self.far.try_clone()?))
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.near.as_fd()
    }
}

fn settled(result: rustix::io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
        other => Ok(other?),
    }
}

/// Undoes what a killed program left behind at a far side.
#[derive(Debug)]
pub(super) struct Resetter(OwnedFd);

impl Resetter {
    /// Lets others open it again and drops what nobody will read.
    pub(super) fn reset(&self) {
        let _ = termios::ioctl_tiocnxcl(&self.0);
        let _ = termios::tcflush(&self.0, QueueSelector::IFlush);
    }
}
