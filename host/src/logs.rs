//! The board's log: defmt frames, decoded with the runner's ELF.

use crate::text::escaped;
use defmt_decoder::{DecodeError, StreamDecoder, Table};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why logs cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The ELF cannot be read.
    #[error("cannot read {}: {source}: name the runner's ELF with --elf", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It has no usable table.
    #[error("{} holds no log strings this host can read ({problem}): name the ELF of the very runner on the board with --elf", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Log strings of a runner.
pub struct Strings(Table);

impl std::fmt::Debug for Strings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Strings")
    }
}

impl Strings {
    /// Reads them from a runner's ELF.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn load(path: &Path) -> Result<Self, LogError> {
        let elf = std::fs::read(path).map_err(|source| LogError::Io {
            path: path.to_owned(),
            source,
        })?;
        let table = |problem: String| LogError::Table {
            path: path.to_owned(),
            problem: escaped(&problem),
        };
        match Table::parse(&elf) {
            Ok(Some(strings)) => Ok(Self(strings)),
            Ok(None) => Err(table("no .defmt section".to_owned())),
            Err(error) => Err(table(error.to_string())),
        }
    }

    /// Decodes all of a log; lines are escaped.
    #[must_use]
    pub fn decode(&self, bytes: &[u8]) -> Vec<String> {
        let mut decoder = self.0.new_stream_decoder();
        decoder.received(bytes);
        lines(decoder.as_mut()).0
    }
}

/// Everything that can be decoded now; the second is whether the stream is broken from here on.
fn lines(decoder: &mut dyn StreamDecoder) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("-", |level| level.as_str());
                let time = frame
                    .display_timestamp()
                    .map_or(String::new(), |time| format!("{time} "));
                let message = frame.display_message().to_string();
                lines.push(escaped(&format!("{time}{level:5} {message}")));
            }
            Err(DecodeError::UnexpectedEof) => return (lines, false),
            Err(DecodeError::Malformed) => {
                lines.push("(a log frame that cannot be read)".to_owned());
                return (lines, true);
            }
        }
    }
}

/// Decodes a log while it arrives, into a file.
pub struct Sink {
    table: &'static Table,
    decoder: Box<dyn StreamDecoder + Send + Sync>,
    file: BufWriter<File>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

impl Sink {
    /// Appends to the file at `path`. The strings live as long as the program.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn append(strings: Strings, path: &Path) -> std::io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        let table: &'static Table = Box::leak(Box::new(strings.0));
        Ok(Self {
            table,
            decoder: table.new_stream_decoder(),
            file: BufWriter::new(file),
        })
    }

    /// Takes the next bytes. A log that cannot be written is no reason to end a run.
    pub fn take(&mut self, bytes: &[u8]) {
        self.decoder.received(bytes);
        let (lines, broken) = lines(self.decoder.as_mut());
        for line in lines {
            let _ = writeln!(self.file, "{line}");
        }
        let _ = self.file.flush();
        if broken {
            self.restart();
        }
    }

    /// A new session: what was cut off is dropped.
    pub fn restart(&mut self) {
        self.decoder = self.table.new_stream_decoder();
    }
}
