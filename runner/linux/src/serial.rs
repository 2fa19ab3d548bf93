//! The line to the host: a tty in raw mode.

use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, BaudRate, SetArg};
use scalebench_core::board::Line;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Speeds a Linux tty knows by name.
pub const SPEEDS: [(u32, BaudRate); 14] = [
    (9_600, BaudRate::B9600),
    (19_200, BaudRate::B19200),
    (38_400, BaudRate::B38400),
    (57_600, BaudRate::B57600),
    (115_200, BaudRate::B115200),
    (230_400, BaudRate::B230400),
    (460_800, BaudRate::B460800),
    (500_000, BaudRate::B500000),
    (921_600, BaudRate::B921600),
    (1_000_000, BaudRate::B1000000),
    (1_500_000, BaudRate::B1500000),
    (2_000_000, BaudRate::B2000000),
    (3_000_000, BaudRate::B3000000),
    (4_000_000, BaudRate::B4000000),
];

/// A serial port.
#[derive(Debug)]
pub struct Serial {
    file: File,
}

impl Serial {
    /// Opens `path` raw, eight bits, no parity, one stop bit, no flow control.
    ///
    /// # Errors
    /// When there is no such tty, or `baud` is not in [`SPEEDS`].
    pub fn open(path: &Path, baud: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_NONBLOCK).bits())
            .open(path)?;
        let mut serial = Self { file };
        let mut settings = termios::tcgetattr(&serial.file)?;
        termios::cfmakeraw(&mut settings);
        settings.control_flags |= termios::ControlFlags::CLOCAL | termios::ControlFlags::CREAD;
        termios::tcsetattr(&serial.file, SetArg::TCSANOW, &settings)?;
        if !serial.set_baud(baud) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{baud} is no speed of a Linux tty"),
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
        termios::tcdrain(&self.file).map_err(Into::into)
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
        let Some(&(_, speed)) = SPEEDS.iter().find(|(known, _)| *known == baud) else {
            return false;
        };
        termios::tcgetattr(&self.file)
            .and_then(|mut settings| {
                // As cfsetspeed(3) does, which old C libraries lack under the name that new ones link.
                settings.control_flags -= termios::ControlFlags::CBAUD;
                settings.control_flags |= termios::ControlFlags::from_bits_retain(speed as _);
                termios::tcsetattr(&self.file, SetArg::TCSADRAIN, &settings)
            })
            .is_ok()
    }

    fn wait(&mut self, micros: u64) {
        let millis = u16::try_from(micros.div_ceil(1_000)).unwrap_or(u16::MAX);
        // A failed line is reported by the next read.
        let _ = self.ready(PollFlags::POLLIN, millis.into());
    }
}
