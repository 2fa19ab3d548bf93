//! The line: commands out, lines in. Every byte received is kept in the run's capture, and the conversation,
//! without the inputs, in a log that a person can read.

use crate::capture::Writer;
use crate::port::{Port, PortError};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

/// No line of the protocol is nearly as long: more is noise.
const MOST_LINE: usize = 16 * 1024;
/// Stray lines that are remembered.
const MOST_PRINTED: usize = 100;

/// Where the conversation is kept.
#[derive(Debug)]
pub struct Records {
    /// Every byte received.
    pub capture: Writer,
    /// Commands and answers with their times.
    pub log: BufWriter<File>,
}

/// Why the line does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The disk.
    #[error("the conversation cannot be kept: {0}: make room on the disk")]
    Record(#[from] io::Error),
}

/// An open line.
#[derive(Debug)]
pub struct Line {
    port: Port,
    records: Option<Records>,
    pending: Vec<u8>,
    begun: Instant,
    /// Bytes received.
    pub received: u64,
    /// Stray lines, escaped, the first hundred.
    pub printed: Vec<String>,
}

impl Line {
    /// Over `port`.
    #[must_use]
    pub fn new(port: Port) -> Self {
        Self {
            port,
            records: None,
            pending: Vec::new(),
            begun: Instant::now(),
            received: 0,
            printed: Vec::new(),
        }
    }

    /// From now on keeps what is said.
    pub fn keep(&mut self, records: Records) {
        self.records = Some(records);
    }

    /// Changes the speed of this end.
    ///
    /// # Errors
    /// The port's.
    pub fn set_baud(&mut self, baud: u32) -> Result<(), PortError> {
        self.pending.clear();
        self.port.set_baud(baud)
    }

    /// Sends a command.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn send(&mut self, command: &str) -> Result<(), LineError> {
        self.note('>', command)?;
        let bytes = format!("{command}%");
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            let written = self.port.write(rest)?;
            rest = &rest[written..];
            if written == 0 {
                self.port.wait(true, Duration::from_millis(50))?;
            }
        }
        Ok(())
    }

    /// The next line that is complete before `deadline`, and when it was; without its end.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn next(&mut self, deadline: Instant) -> Result<Option<(Instant, String)>, LineError> {
        loop {
            if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_matches(['\r', '\n', '\0', ' ']).to_owned();
                if text.is_empty() {
                    continue;
                }
                self.note('<', &text)?;
                return Ok(Some((Instant::now(), text)));
            }
            if self.pending.len() > MOST_LINE {
                self.pending.clear();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.port.wait(false, left)?;
            self.read()?;
        }
    }

    /// Lets what is still on its way arrive and forgets it: until nothing came for `quiet`, at most two seconds.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn drain(&mut self, quiet: Duration) -> Result<(), LineError> {
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let ready = self.port.wait(false, quiet)?;
            if !ready.readable || self.read()? == 0 {
                break;
            }
        }
        self.pending.clear();
        Ok(())
    }

    /// Remembers a line that nobody asked for.
    pub fn stray(&mut self, text: &str) {
        if self.printed.len() < MOST_PRINTED {
            self.printed.push(crate::text::escaped(text));
        }
    }

    fn read(&mut self) -> Result<usize, LineError> {
        let mut bytes = [0; 4096];
        let count = self.port.read(&mut bytes)?;
        if let Some(records) = &mut self.records {
            records.capture.bytes(&bytes[..count])?;
            records.capture.tick()?;
        }
        self.received += count as u64;
        self.pending.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Inputs, and the answers to them, are left out of the log: they are the most of the conversation.
    fn note(&mut self, direction: char, text: &str) -> Result<(), LineError> {
        let input = text.strip_prefix("db ").is_some_and(|digits| {
            !digits.starts_with("load") && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if let (Some(records), false) = (&mut self.records, input) {
            let at = self.begun.elapsed().as_secs_f64();
            let text = crate::text::escaped(text);
            writeln!(records.log, "{at:10.3} {direction} {text}")?;
        }
        Ok(())
    }
}
