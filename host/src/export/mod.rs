//! Runs for other programs: CSV, JSON and Parquet, all from one list of columns.
//!
//! | module | what it writes |
//! |---|---|
//! | [`columns`] | the columns of a trial, and of a reading |
//! | [`csv`] | one table of trials |
//! | [`document`] | trials as JSON of a published, versioned schema |
//! | [`partitions`] | Parquet in folders `board=…/family=…/run=…`, trials and readings |

pub mod columns;
pub mod csv;
pub mod document;
pub mod partitions;
#[cfg(test)]
mod tests;

use crate::aggregate::WindowReadings;
use crate::plan::PlannedTrial;
use crate::results::TrialResult;
use crate::store::{RunFile, RunFolder, StoreError};

/// The version of the columns. Raised when one changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// A run to export.
#[derive(Debug)]
pub struct Exported {
    /// Name of its folder.
    pub id: String,
    /// `run.json`.
    pub file: RunFile,
    /// Readings of the windows, from the capture.
    pub readings: Vec<WindowReadings>,
}

/// A trial of a run, as the columns see it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Name of the run's folder.
    pub id: &'a str,
    /// The run.
    pub file: &'a RunFile,
    /// What was to be measured.
    pub planned: &'a PlannedTrial,
    /// What was found.
    pub result: &'a TrialResult,
}

impl Exported {
    /// Reads a run, and its readings if they are wanted.
    ///
    /// # Errors
    /// [`StoreError`] of the folder, its `run.json` or its capture.
    pub fn read(folder: &RunFolder, readings: bool) -> Result<Self, StoreError> {
        Ok(Self {
            id: crate::fleet::id(folder.dir()),
            file: folder.load()?,
            readings: if readings {
                folder.readings()?
            } else {
                Vec::new()
            },
        })
    }

    /// Its trials, in the order of tables.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        crate::table::ordered(&self.file)
            .into_iter()
            .map(|(planned, result)| Row {
                id: &self.id,
                file: &self.file,
                planned,
                result,
            })
    }
}
