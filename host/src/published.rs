//! Published tables as runs, so that they are listed, shown, compared and reported beside measured ones.
//!
//! What was not published stays unknown: no spread, no percentiles, no memory, no outputs to check.

use crate::plan::{self, File, Plan, PlannedTrial, Schedule, Thoroughness, Tolerance, Unstated};
use crate::results::{Latency, QualityResult, RunResults, Status, TrialResult};
use crate::stats;
use crate::store::{Connection, Machine, RunFile, SCHEMA};
use crate::text::escaped;
use scalebench_models::{ManifestError, Metric, Published, PublishedRow, parse_published};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Of tables; what they have in common is said once.
    fn of(tables: &[Published]) -> Self {
        let joined = |of: &dyn Fn(&Published) -> &str, between: &str| {
            let mut all: Vec<&str> = tables
                .iter()
                .map(of)
                .filter(|said| !said.is_empty())
                .collect();
            let mut seen = BTreeSet::new();
            all.retain(|said| seen.insert(*said));
            escaped(&all.join(between))
        };
        let notes = match tables {
            [table] => escaped(&table.notes),
            tables => {
                let noted = tables.iter().filter(|table| !table.notes.is_empty());
                let notes: Vec<String> = noted
                    .map(|table| format!("{}: {}", table.name, escaped(&table.notes)))
                    .collect();
                notes.join(" ")
            }
        };
        Self {
            citation: joined(&|table| &table.citation, "; "),
            source: joined(&|table| &table.source, " and "),
            // Of several days the last.
            read: tables
                .iter()
                .map(|table| escaped(&table.read))
                .max()
                .unwrap_or_default(),
            machine: joined(&|table| &table.machine, " and "),
            notes,
        }
    }

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

/// Reads tables, a family each, as one run.
///
/// # Errors
/// [`PublishedError`], one sentence.
pub fn read(paths: &[PathBuf]) -> Result<RunFile, PublishedError> {
    let tables: Vec<Published> = paths
        .iter()
        .map(|path| table(path))
        .collect::<Result<_, _>>()?;
    Ok(run(&tables))
}

fn table(path: &Path) -> Result<Published, PublishedError> {
    let text = std::fs::read_to_string(path).map_err(|source| PublishedError::Io {
        path: path.to_owned(),
        source,
    })?;
    parse_published(&text).map_err(|source| PublishedError::Table {
        path: path.to_owned(),
        source,
    })
}

/// The tables as a run. Nothing in it is of the machine that takes them in: it is the same wherever that is done.
fn run(tables: &[Published]) -> RunFile {
    let rows = || {
        tables
            .iter()
            .flat_map(|table| table.rows.iter().map(move |row| (table, row)))
    };
    let trials = (0..).zip(rows());
    let trials = trials
        .map(|(at, (table, row))| planned(table, at, row))
        .collect();
    let results = RunResults {
        trials: (0..)
            .zip(rows())
            .map(|(at, (table, row))| result(table, at, row))
            .collect(),
        ..RunResults::default()
    };
    let source = Source::of(tables);
    RunFile {
        schema: SCHEMA,
        scalebench: env!("CARGO_PKG_VERSION").to_owned(),
        started: format!("{}T00:00:00Z", source.read),
        complete: true,
        host: Machine::default(),
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
        published: Some(source),
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
        parameters: row.parameters.unwrap_or(0),
        macs: row.macs.or(row.flops).unwrap_or(0),
        metric: table.metric,
        direction: table.metric.direction(),
        reference_quality: None,
        model: unknown(),
        golden: unknown(),
        answers: Default::default(),
        weights: Default::default(),
        tolerance: Tolerance {
            steps: 0,
            absolute: 0.0,
            relative: 0.0,
        },
        dataset: None,
        samples: row.samples.unwrap_or(0),
        operators: Vec::new(),
        unstated: Unstated {
            time: row.time.is_some(),
            operations: row.flops.is_some(),
        },
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
    let time = row.latency_ms.map(|milliseconds| milliseconds * 1e6);
    let latency = time.or(row.time).map(|median_ns| Latency {
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
    use crate::scaling::Cost;

    fn shipped(name: &str) -> RunFile {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/published");
        read(&[root.join(name)]).unwrap()
    }

    #[test]
    fn a_published_table_is_a_run_that_says_what_it_is() {
        let file = shipped("efficientnet-lite.toml");
        assert_eq!(file.kind(), "published");
        assert_eq!(file.plan.trials.len(), 10);
        let latency = file.results.trials[0].latency.unwrap();
        assert_eq!((latency.median_ns, latency.windows), (12e6, 1));
        let planned = &file.plan.trials[0];
        assert_eq!(crate::table::median(planned, &latency), "12.0 ms");
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

    fn study() -> RunFile {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let tables = scalebench_models::shipped_tables(&root, "study").unwrap();
        assert_eq!(tables.len(), 2);
        read(&tables).unwrap()
    }

    #[test]
    fn the_studys_tables_make_the_committed_report() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/study.html");
        let page = crate::report::page(&study());
        let committed = std::fs::read_to_string(&path).unwrap();
        // Not assert_eq: nobody wants to read two pages in a terminal.
        assert!(
            page == committed,
            "docs/study.html is not what `scalebench import study` writes: copy its report.html there"
        );
        assert!(page.len() < 400_000, "{} bytes", page.len());
        // The machine that imported it says nothing of the figures.
        let here = Machine::here();
        assert!(!page.contains(&here.cpu) && !page.contains(&here.system));
    }

    #[test]
    fn the_studys_figures_are_told_as_it_states_them() {
        let file = study();
        assert_eq!(file.plan.trials.len(), 26);
        // Accuracies are whole shares of MRPC's test split.
        for (planned, result) in file.plan.trials.iter().zip(&file.results.trials).take(20) {
            let right = result.quality.as_ref().unwrap().value.unwrap() * 1725.0;
            assert!((right - right.round()).abs() < 1e-3, "{}", planned.variant);
        }
        let analysis = crate::analysis::Analysis::of(&file);
        let [bert, efficient] = analysis.families.as_slice() else {
            panic!("{} families", analysis.families.len());
        };
        // The column `norm` of the study's file.
        let published = [
            0.069_776_714_513_556_62,
            0.082_236_842_105_263_15,
            0.160_361_842_105_263_1,
        ];
        for (one, norm) in efficient.variants.iter().zip(published) {
            assert!((one.complexity - norm).abs() < 1e-12, "{}", one.variant);
        }
        assert_eq!(efficient.variants[5].complexity, 1.0);
        assert_eq!(
            efficient.front.len(),
            6,
            "each is better than the one below it"
        );
        let l2 = &bert.variants[0];
        assert_eq!(
            l2.shown(Cost::Latency).unwrap(),
            "1.86 (unit not stated) latency"
        );
        assert_eq!(l2.shown(Cost::Macs).unwrap(), "10.4 M FLOPs");
        assert!(bert.fits[0].latency.is_some() && efficient.fits[0].latency.is_some());
        // Nothing of them reaches a column that has a unit.
        let exported = crate::export::csv::csv(&[crate::export::Exported {
            id: "study".to_owned(),
            file,
            readings: Vec::new(),
        }]);
        let header: Vec<&str> = exported.lines().next().unwrap().split(',').collect();
        let first: Vec<&str> = exported.lines().nth(1).unwrap().split(',').collect();
        let cell = |name: &str| first[header.iter().position(|one| *one == name).unwrap()];
        assert_eq!((cell("median_ns"), cell("macs")), ("", ""));
        assert_eq!(
            (cell("unstated_time"), cell("unstated_flops")),
            ("1.861904", "10401318")
        );
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
            read(std::slice::from_ref(&path)).unwrap_err().to_string()
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
