//! Standard output, which may be closed by whoever reads it.

use anyhow::Result;
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Prints a line. A reader that has had enough (`| head`) is no error.
pub(crate) fn line(text: impl Display) -> Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<()> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
