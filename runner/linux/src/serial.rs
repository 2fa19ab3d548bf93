//! The line to the host: a tty in raw mode.

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::termios::{self, OptionalActions};
use scalebench_core::board::Line;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A serial port.
#[derive(Debug)]
pub struct Serial {
    file: File,
}

impl Serial {
    /// Opens `path` raw, eight bits, no parity, one stop bit, no flow control.
    ///
    /// # Errors
    /// When there is no such tty, or it has no speed `baud`.
    pub fn open(path: &Path, baud: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_NONBLOCK).bits())
            .open(path)?;
        let mut serial = Self { file };
        let mut settings = termios::tcgetattr(&serial.file)?;
        settings.make_raw();
        settings.control_modes |= termios::ControlModes::CLOCAL | termios::ControlModes::CREAD;
        termios::tcsetattr(&serial.file, OptionalActions::Now, &settings)?;
        if !serial.set_baud(baud) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("it has no speed of {baud} baud"),
            ));
        }
        Ok(serial)
    }

    /// Which of `wanted` are possible now, waiting at most `timeout`.
    fn ready(&self, wanted: PollFlags, timeout: PollTimeout) -> io::Result<PollFlags> {
        let mut fds = [PollFd::new(self.file.as_fd(), wanted)];
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(PollFlags::empty()),
            Err(error) => return Err(error.into()),
        }
        let events = fds[0].revents().unwrap_or(PollFlags::empty());
        // What came before the line was hung up is still read.
        if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL)
            && !events.contains(PollFlags::POLLIN)
        {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the line was hung up",
            ));
        }
        Ok(events)
    }
}

impl ErrorType for Serial {
    type Error = io::Error;
}

impl Read for Serial {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match io::Read::read(&mut self.file, into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }
}

impl ReadReady for Serial {
    fn read_ready(&mut self) -> io::Result<bool> {
        Ok(self
            .ready(PollFlags::POLLIN, PollTimeout::ZERO)?
            .contains(PollFlags::POLLIN))
    }
}

impl Write for Serial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::Write::write(&mut self.file, bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(termios::tcdrain(&self.file)?)
    }
}

impl WriteReady for Serial {
    fn write_ready(&mut self) -> io::Result<bool> {
        Ok(self
            .ready(PollFlags::POLLOUT, PollTimeout::ZERO)?
            .contains(PollFlags::POLLOUT))
    }
}

impl Line for Serial {
    fn set_baud(&mut self, baud: u32) -> bool {
        let set = || -> rustix::io::Result<bool> {
            let mut settings = termios::tcgetattr(&self.file)?;
            settings.set_speed(baud)?;
            termios::tcsetattr(&self.file, OptionalActions::Drain, &settings)?;
            // A driver takes the nearest it has, and does not complain.
            Ok(termios::tcgetattr(&self.file)?.output_speed() == baud)
        };
        set().unwrap_or(false)
    }

    fn wait(&mut self, micros: u64) {
        let millis = u16::try_from(micros.div_ceil(1_000)).unwrap_or(u16::MAX);
        // A failed line is reported by the next read.
        let _ = self.ready(PollFlags::POLLIN, millis.into());
    }
}
