//! A serial port: opened for ourselves alone, raw, at any speed.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::termios::{self, OptionalActions, QueueSelector};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a port cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such file.
    #[error("there is no serial port {}: plug the cable in, or name another one with --port (`scalebench boards` lists those found)", path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// Somebody else has it.
    #[error("serial port {} is in use by another program: end that one (`fuser {}` names it), then try again", path.display(), path.display())]
    Busy {
        /// What was asked for.
        path: PathBuf,
    },
    /// The user may not.
    #[error("no permission to open serial port {}: add yourself to the group that owns it (often `dialout`) and log in again", path.display())]
    Denied {
        /// What was asked for.
        path: PathBuf,
    },
    /// A file, but no terminal.
    #[error("{} is no serial port: name a device such as /dev/ttyUSB0 with --port", path.display())]
    NotSerial {
        /// What was asked for.
        path: PathBuf,
    },
    /// The device cannot do this speed.
    #[error("serial port {} cannot do {baud} baud: choose another speed with --baud", path.display())]
    Speed {
        /// The port.
        path: PathBuf,
        /// The speed asked for.
        baud: u32,
    },
    /// It was there, and is no more.
    #[error("serial port {} is gone: plug the cable in again, then go on with --resume", path.display())]
    Gone {
        /// The port.
        path: PathBuf,
    },
    /// Anything else the system says.
    #[error("serial port {}: {source}: check the cable and the adapter", path.display())]
    Io {
        /// The port.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Bytes can be read, or the port has hung up.
    pub readable: bool,
    /// Bytes can be written.
    pub writable: bool,
}

/// An open serial port. Others are kept out until it is dropped.
#[derive(Debug)]
pub struct Port {
    file: OwnedFd,
    path: PathBuf,
}

impl Port {
    /// Opens `path`, raw, eight bits, no parity, no flow control, at `baud` bits a second.
    ///
    /// # Errors
    /// [`PortError`], with the remedy.
    pub fn open(path: &Path, baud: u32) -> Result<Self, PortError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let owned = || path.to_owned();
        let file = open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => PortError::Missing { path: owned() },
            Errno::BUSY => PortError::Busy { path: owned() },
            Errno::ACCESS | Errno::PERM => PortError::Denied { path: owned() },
            Errno::ISDIR => PortError::NotSerial { path: owned() },
            other => PortError::Io {
                path: owned(),
                source: other.into(),
            },
        })?;
        if !termios::isatty(&file) {
            return Err(PortError::NotSerial { path: owned() });
        }
        // The lock keeps out programs that ask; exclusive mode those that do not (but not root's).
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| PortError::Busy { path: owned() })?;
        let port = Self {
            file,
            path: owned(),
        };
        let _ = termios::ioctl_tiocexcl(&port.file);
        port.set_baud(baud)?;
        let _ = termios::tcflush(&port.file, QueueSelector::IOFlush);
        Ok(port)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the speed of both directions, after everything written has left.
    ///
    /// # Errors
    /// [`PortError::Speed`] when the device refuses.
    pub fn set_baud(&self, baud: u32) -> Result<(), PortError> {
        let speed = |_| PortError::Speed {
            path: self.path.clone(),
            baud,
        };
        let mut settings = termios::tcgetattr(&self.file).map_err(|e| self.error(e))?;
        settings.make_raw();
        settings.control_modes |= termios::ControlModes::CLOCAL | termios::ControlModes::CREAD;
        settings.control_modes &= !termios::ControlModes::CRTSCTS;
        settings.set_speed(baud).map_err(speed)?;
        termios::tcsetattr(&self.file, OptionalActions::Drain, &settings).map_err(speed)?;
        let set = termios::tcgetattr(&self.file).map_err(|e| self.error(e))?;
        // Drivers that tell the rate they reach are some tenths of a per cent off; a receiver bears two per cent.
        if set.output_speed().abs_diff(baud) <= baud / 50 {
            Ok(())
        } else {
            Err(speed(Errno::INVAL))
        }
    }

    /// Waits until bytes can be read or, if asked, written; at most `timeout`.
    ///
    /// # Errors
    /// [`PortError::Io`] when the system cannot wait.
    pub fn wait(&self, write: bool, timeout: Duration) -> Result<Ready, PortError> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, write);
        let mut fds = [PollFd::new(&self.file, flags)];
        let timeout = Timespec {
            tv_sec: timeout.as_secs().min(3600) as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {
                let events = fds[0].revents();
                Ok(Ready {
                    readable: events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
                    writable: events.contains(PollFlags::OUT),
                })
            }
            Err(error) => Err(self.error(error)),
        }
    }

    /// Reads what is there; zero when nothing is.
    ///
    /// # Errors
    /// [`PortError::Gone`] when the other end hung up or the adapter was unplugged.
    pub fn read(&self, into: &mut [u8]) -> Result<usize, PortError> {
        match rustix::io::read(&self.file, into) {
            Ok(0) => Err(self.error(Errno::IO)),
            Ok(bytes) => Ok(bytes),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Writes as much as the port takes now; zero when its buffer is full.
    ///
    /// # Errors
    /// As [`Port::read`].
    pub fn write(&self, bytes: &[u8]) -> Result<usize, PortError> {
        match rustix::io::write(&self.file, bytes) {
            Ok(bytes) => Ok(bytes),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(self.error(error)),
        }
    }

    fn error(&self, errno: Errno) -> PortError {
        let path = self.path.clone();
        match errno {
            Errno::IO | Errno::NODEV | Errno::NXIO | Errno::BADF => PortError::Gone { path },
            other => PortError::Io {
                path,
                source: other.into(),
            },
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let _ = termios::ioctl_tiocnxcl(&self.file);
    }
}

/// Serial ports of this machine that look like boards: USB adapters and on-board UARTs with hardware.
#[must_use]
pub fn found() -> Vec<PathBuf> {
    let mut ports: Vec<PathBuf> = std::fs::read_dir("/sys/class/tty")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            // A tty with a driver behind its device; serial8250 lists ports that do not exist.
            std::fs::read_link(entry.path().join("device/driver")).is_ok_and(|driver| {
                driver
                    .file_name()
                    .is_some_and(|name| name != "serial8250" && name != "port")
            })
        })
        .map(|entry| Path::new("/dev").join(entry.file_name()))
        .filter(|path| path.exists())
        .collect();
    ports.sort();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtual_board::Pty;

    #[test]
    fn a_missing_port_is_named_with_a_remedy() {
        let error = Port::open(Path::new("/dev/ttyNOWHERE"), 115_200).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no serial port /dev/ttyNOWHERE: plug the cable in, or name another one with --port \
             (`scalebench boards` lists those found)"
        );
    }

    #[test]
    fn a_file_is_no_port() {
        let error = Port::open(Path::new("/dev/null"), 115_200).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/null is no serial port: name a device such as /dev/ttyUSB0 with --port"
        );
    }

    #[test]
    fn a_port_in_use_is_busy_until_it_is_dropped() {
        let pty = Pty::open().unwrap();
        let first = Port::open(pty.path(), 115_200).unwrap();
        let error = Port::open(pty.path(), 115_200).unwrap_err();
        assert!(
            error.to_string().contains("is in use by another program"),
            "{error}"
        );
        drop(first);
        Port::open(pty.path(), 115_200).unwrap();
    }

    #[test]
    fn a_port_whose_other_end_closed_is_gone() {
        let pty = Pty::open().unwrap();
        let port = Port::open(pty.path(), 115_200).unwrap();
        drop(pty);
        let error = port.read(&mut [0; 8]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("is gone: plug the cable in again"),
            "{error}"
        );
    }
}
