//! A meter's file: readings, and the edges of the pin.

use super::MeterError;
use super::accuracy::{Accuracy, Offset};
use super::columns::{Columns, separator};
use crate::energy::{Reading, Scale};
use crate::text::escaped;
use csv::ByteRecord;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 16;

/// A change of the pin's level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Halfway from the last reading before it to the first after it, in seconds.
    pub at: f64,
    /// Whether it was high before.
    pub falls: bool,
}

/// A recording, on the meter's own clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The file's name, escaped.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The columns that were read, escaped.
    pub columns: String,
    /// The input with the pin, escaped.
    pub trigger: String,
    /// The edges, oldest first.
    pub edges: Vec<Edge>,
    /// Where readings were lost: the times of the last reading before and of the first after it, in seconds.
    pub holes: Vec<(f64, f64)>,
    averages: bool,
    has_volts: bool,
    readings: Vec<Reading>,
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    digest: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.digest.update(&into[..count]);
        Ok(count)
    }
}

/// What a person says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hints<'a> {
    /// The input with the pin.
    pub trigger: Option<&'a str>,
    /// What the supply was set to, where the meter records currents alone.
    pub supply_volts: Option<f64>,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// [`MeterError`].
    pub fn open(path: &Path, hints: Hints<'_>) -> Result<Self, MeterError> {
        let io = |source| MeterError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::with_capacity(BUFFER, File::open(path).map_err(io)?);
        let separator = separator(file.fill_buf().map_err(io)?);
        let mut lines = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .buffer_capacity(BUFFER)
            .from_reader(Hashing {
                inner: file,
                digest: Sha256::new(),
            });
        let failed = |error: csv::Error| io(error.into());
        let mut line = ByteRecord::new();
        lines.read_byte_record(&mut line).map_err(failed)?;
        let columns = Columns::of(&line, hints.trigger, hints.supply_volts).map_err(|what| {
            MeterError::Columns {
                path: path.to_owned(),
                what,
            }
        })?;
        let (mut readings, mut edges) = (Vec::<Reading>::new(), Vec::new());
        let (mut holes, mut is_hole) = (Vec::new(), false);
        // Level and time of the last reading that told a level.
        let mut last: Option<(bool, f64)> = None;
        while lines.read_byte_record(&mut line).map_err(failed)? {
            let first = line.get(0).unwrap_or_default().trim_ascii_start();
            let is_blank = line.iter().all(|field| field.trim_ascii().is_empty());
            if first.starts_with(b"#") || (is_blank && line.len() == 1) {
                continue;
            }
            let wrong = |what| MeterError::Row {
                path: path.to_owned(),
                line: line.position().map_or(0, csv::Position::line),
                what,
            };
            let Some(row) = columns.row(&line).map_err(wrong)? else {
                is_hole = true;
                continue;
            };
            if let Some(before) = readings.last().filter(|_| is_hole) {
                holes.push((before.at, row.at));
            }
            is_hole = false;
            if readings.last().is_some_and(|last| last.at >= row.at) {
                return Err(wrong(format!("time {} does not go on", row.at)));
            }
            if let Some(level) = row.level {
                if let Some((was, at)) = last.filter(|(was, _)| *was != level) {
                    edges.push(Edge {
                        at: f64::midpoint(at, row.at),
                        falls: was,
                    });
                }
                last = Some((level, row.at));
            }
            readings.push(Reading {
                at: row.at,
                volts: row.volts,
                amperes: row.amperes,
            });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            file: escaped(&name),
            sha256: lines
                .into_inner()
                .digest
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            columns: escaped(&columns.names.join(", ")),
            trigger: escaped(columns.trigger()),
            edges,
            holes,
            averages: columns.averages,
            has_volts: columns.has_volts(),
            readings,
        })
    }

    /// How many readings there are.
    #[must_use]
    pub fn readings(&self) -> usize {
        self.readings.len()
    }

    /// Mean distance of two readings, in seconds.
    #[must_use]
    pub fn interval(&self) -> f64 {
        match (self.readings.first(), self.readings.last()) {
            (Some(first), Some(last)) if self.readings.len() > 1 => {
                (last.at - first.at) / (self.readings.len() - 1) as f64
            }
            _ => 0.0,
        }
    }

    /// The readings from `begin` to `end`, and two more on either side where there are any.
    #[must_use]
    pub fn around(&self, begin: f64, end: f64) -> &[Reading] {
        let first = self.readings.partition_point(|reading| reading.at < begin);
        let last = self.readings.partition_point(|reading| reading.at <= end);
        let last = (last + 2).min(self.readings.len());
        &self.readings[first.saturating_sub(2).min(last)..last]
    }

    /// Whether readings were lost from `begin` to `end`.
    #[must_use]
    pub fn has_hole(&self, begin: f64, end: f64) -> bool {
        let mut holes = self.holes.iter();
        holes.any(|(from, to)| *from < end && begin < *to)
    }

    /// What the readings are worth, with marks that are known to `marks_s` seconds, and seconds that are known to the
    /// share `rate_u`.
    ///
    /// Unless its columns say so, what a meter does between two readings is not known here: as if it looked for moments
    /// only. Whatever differs from reading to reading is the load's.
    ///
    /// # Errors
    /// [`MeterError::Offset`].
    pub fn scale(
        &self,
        accuracy: Option<&Accuracy>,
        marks_s: f64,
        rate_u: f64,
    ) -> Result<Scale, MeterError> {
        let amperes_offset = match accuracy.and_then(|accuracy| accuracy.offset) {
            None => 0.0,
            Some(Offset::Amperes(amperes)) if self.has_volts => amperes,
            Some(Offset::Amperes(_)) => return Err(MeterError::Offset),
            Some(Offset::Watts(watts)) => {
                let volts: f64 = self.readings.iter().map(|reading| reading.volts).sum();
                watts * self.readings.len() as f64 / volts.max(f64::MIN_POSITIVE)
            }
        };
        Ok(Scale {
            volts_per_step: 0.0,
            amperes_per_step: 0.0,
            // A limit, as the maker's is.
            tolerance: (rate_u * 3_f64.sqrt())
                .hypot(accuracy.map_or(0.0, |accuracy| accuracy.share)),
            volts_offset: 0.0,
            amperes_offset,
            amperes_noise: 0.0,
            coverage: f64::from(u8::from(self.averages)),
            marks: marks_s,
        })
    }
}
