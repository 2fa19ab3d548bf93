//! Text onto the line, piece by piece and without a heap.

use crate::board::Line;
use core::fmt::{self, Write as _};
use heapless::Vec;

/// While the line takes nothing, it is asked again after so long.
const LINE_WAIT_US: u64 = 1_000;

/// Bytes as pairs of digits with dashes between.
pub(super) struct Dashed<'a>(pub(super) &'a [u8]);

impl fmt::Display for Dashed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, byte)| {
            let dash = if at == 0 { "" } else { "-" };
            write!(f, "{dash}{byte:02x}")
        })
    }
}

/// Numbers with commas between.
pub(super) struct Scores<I> {
    pub(super) digits: usize,
    pub(super) reals: I,
}

impl<I: Iterator<Item = f32> + Clone> fmt::Display for Scores<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits;
        self.reals.clone().enumerate().try_for_each(|(at, real)| {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{real:.digits$}")
        })
    }
}

/// Sends a line of text. Waits for a line that takes nothing, unless the runner is to end.
pub(super) fn say<L: Line>(
    line: &mut L,
    stop: &dyn Fn() -> bool,
    text: fmt::Arguments<'_>,
) -> Result<(), L::Error> {
    let mut out = Out {
        line,
        stop,
        pending: Vec::new(),
        failed: None,
    };
    // A failed line is remembered with its own error.
    let _ = out.write_fmt(format_args!("{text}\r\n"));
    out.flush();
    out.failed.map_or(Ok(()), Err)
}

/// Gathers what is formatted piece by piece into fewer writes.
struct Out<'a, L: Line> {
    line: &'a mut L,
    stop: &'a dyn Fn() -> bool,
    pending: Vec<u8, 128>,
    failed: Option<L::Error>,
}

impl<L: Line> Out<'_, L> {
    fn flush(&mut self) {
        let mut rest = self.pending.as_slice();
        while !rest.is_empty() && self.failed.is_none() && !(self.stop)() {
            let taken = match self.line.write_ready() {
                Ok(true) => self.line.write(rest),
                Ok(false) => Ok(0),
                Err(error) => Err(error),
            };
            match taken {
                Ok(0) => self.line.wait(LINE_WAIT_US),
                Ok(count) => rest = rest.get(count..).unwrap_or(&[]),
                Err(error) => self.failed = Some(error),
            }
        }
        self.pending.clear();
    }
}

impl<L: Line> fmt::Write for Out<'_, L> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.pending.is_full() {
                self.flush();
            }
            // There is room now.
            let _ = self.pending.push(byte);
        }
        Ok(())
    }
}
