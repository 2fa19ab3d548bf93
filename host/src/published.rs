//! Published tables as runs, so that they are listed, shown, compared and reported beside measured ones.
//!
//! What was not published stays unknown: no spread, no percentiles, no memory, no outputs to check.

use crate::plan::{self, File, Plan, PlannedTrial, Schedule, Thoroughness, Tolerance};
use crate::results::{Latency, QualityResult, RunResults, Status, TrialResult};
use crate::stats;
use crate::store::{Connection, Machine, RunFile, SCHEMA};
use crate::text::escaped;
use scalebench_models::{ManifestError, Metric, Published, PublishedRow, parse_published};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedError {
    /// The file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What it says.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
}

/// What only a published table has; it stands in `run.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Who published it.
    pub citation: String,
    /// Where it can be read.
    pub source: String,
    /// The day it was read there.
    pub read: String,
    /// What it was measured on; empty where no time is given.
    pub machine: String,
    /// Anything a reader should know.
    pub notes: String,
}

impl Source {
    /// The machine, or that there was none.
    #[must_use]
    pub fn on(&self) -> &str {
        if self.machine.is_empty() {
            "no machine in particular"
        } else {
            &self.machine
        }
    }

    /// What a person must know beside the figures.
    #[must_use]
    pub fn remark(&self) -> String {
        let notes = if self.notes.is_empty() {
            String::new()
        } else {
            format!(" {}", self.notes)
        };
        format!(
            "these are published figures, not measured by scalebench, and without spread: {} ({}, read {}).{notes}",
            self.citation, self.source, self.read
        )
    }
}

/// Reads a table.
///
/// # Errors
/// [`PublishedError`], one sentence.
pub fn read(path: &Path) -> Result<RunFile, PublishedError> {
    let text = std::fs::read_to_string(path).map_err(|source| PublishedError::Io {
        path: path.to_owned(),
        source,
    })?;
    let table = parse_published(&text).map_err(|source| PublishedError::Table {
        path: path.to_owned(),
        source,
    })?;
    Ok(run(&table))
}

/// The table as a run.
fn run(table: &Published) -> RunFile {
    let trials = (0..).zip(&table.rows);
    let trials = trials.map(|(at, row)| planned(table, at, row)).collect();
    let results = RunResults {
        trials: (0..)
            .zip(&table.rows)
            .map(|(at, row)| result(table, at, row))
            .collect(),
        ..RunResults::default()
    };
    RunFile {
        schema: SCHEMA,
        scalebench: env!("CARGO_PKG_VERSION").to_owned(),
        started: format!("{}T00:00:00Z", escaped(&table.read)),
        complete: true,
        host: Machine::here(),
        connection: Connection::default(),
        plan: Plan {
            schema: plan::SCHEMA,
            plan: Thoroughness::Quick,
            board: "published".to_owned(),
            seed: 0,
            schedule: Schedule {
                warm_up_ms: 0,
                windows: 1,
                window_ms: 0,
                readings: 0,
            },
            profile_ms: 0,
            time_decoding: false,
            power: Default::default(),
            labels: Default::default(),
            governor: None,
            trials,
        },
        results,
        mlperf_tiny: None,
        published: Some(Source {
            citation: escaped(&table.citation),
            source: escaped(&table.source),
            read: escaped(&table.read),
            machine: escaped(&table.machine),
            notes: escaped(&table.notes),
        }),
        capture_sha256: None,
    }
}

fn planned(table: &Published, trial: u32, row: &PublishedRow) -> PlannedTrial {
    let unknown = || File {
        sha256: String::new(),
        bytes: 0,
    };
    PlannedTrial {
        trial,
        family: table.name.clone(),
        title: escaped(&table.title),
        use_case: table.use_case,
        variant: row.variant.clone(),
        precision: row.precision,
        coordinates: row.coordinates.clone(),
        parameters: row.parameters,
        macs: row.macs,
        metric: table.metric,
        direction: table.metric.direction(),
        reference_quality: None,
        model: unknown(),
        golden: unknown(),
        answers: Default::default(),
        tolerance: Tolerance {
            steps: 0,
            absolute: 0.0,
            relative: 0.0,
        },
        dataset: None,
        samples: row.samples.unwrap_or(0),
        operators: Vec::new(),
    }
}

fn result(table: &Published, trial: u32, row: &PublishedRow) -> TrialResult {
    let shares = matches!(table.metric, Metric::Top1 | Metric::Top5);
    let quality = row.quality.map(|value| QualityResult {
        value: Some(value),
        interval: row
            .samples
            .filter(|_| shares)
            .and_then(|samples| stats::wilson(value, samples)),
        samples: row.samples.unwrap_or(0),
        outcomes: 0,
        outcomes_crc: 0,
        outputs_match: true,
        metrics: BTreeMap::from([(table.metric.word().to_owned(), value)]),
    });
    let latency = row.latency_ms.map(|milliseconds| {
        let median_ns = milliseconds * 1e6;
        Latency {
            median_ns,
            low_ns: median_ns,
            high_ns: median_ns,
            mad_ns: 0.0,
            p90: None,
            p95: None,
            p99: None,
            samples: 1,
            outliers: 0,
            windows: 1,
        }
    });
    TrialResult {
        trial,
        status: Status::Done,
        latency_withheld: latency
            .is_none()
            .then(|| "no time was published".to_owned()),
        quality,
        latency,
        ..TrialResult::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(name: &str) -> RunFile {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/published");
        read(&root.join(name)).unwrap()
    }

    #[test]
    fn a_published_table_is_a_run_that_says_what_it_is() {
        let file = shipped("efficientnet-lite.toml");
        assert_eq!(file.kind(), "published");
        assert_eq!(file.plan.trials.len(), 10);
        let latency = file.results.trials[0].latency.unwrap();
        assert_eq!((latency.median_ns, latency.windows), (12e6, 1));
        assert_eq!(crate::table::median(&latency), "12.0 ms");
        let said = crate::table::caveat(&file).unwrap();
        assert!(said.contains("not measured by scalebench"), "{said}");
        let page = crate::report::page(&file);
        assert!(page.contains("not measured by scalebench"));
    }

    #[test]
    fn without_times_there_is_still_a_picture() {
        let file = shipped("efficientnet.toml");
        assert!(
            file.results
                .trials
                .iter()
                .all(|trial| trial.latency.is_none())
        );
        assert!(crate::report::page(&file).contains("efficientnet"));
    }

    #[test]
    fn what_is_wrong_with_a_table_is_said_in_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.toml");
        let good = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../models/published/efficientnet-lite.toml"),
        )
        .unwrap();
        let told = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path).unwrap_err().to_string()
        };
        for (from, to, expected) in [
            ("quality = 0.751", "quality = 75.1", "fractions are 0 to 1"),
            ("latency_ms = 12.0", "latency_ms = -1.0", "not a duration"),
            (
                "latency_ms = 12.0",
                "latency = 12.0",
                "did you mean `latency_ms`",
            ),
            (
                "width = 1.0 }",
                "widht = 1.0 }",
                "give one for each of depth, resolution, width",
            ),
            (
                "machine = \"Pixel 4, 4 CPU threads, batch 1 (TensorFlow Lite)\"",
                "",
                "say it in words",
            ),
            (
                "precision = \"int8\"",
                "precision = \"float32\"",
                "occurs twice",
            ),
        ] {
            let said = told(&good.replacen(from, to, 1));
            assert!(said.contains(expected), "{said}");
        }
    }
}
