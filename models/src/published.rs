//! Tables that others have published: one accuracy, one cost, one time for each size of a family, no
//! spread. Laid beside measured families, they are marked as what they are everywhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::parse::{
    ManifestError, check_count, check_name, check_text, check_unique, is_name, parsed, refuse,
};
use crate::vocabulary::{Metric, Precision, UseCase};

/// Most entries that are looked at in a folder of tables.
const MAX_TABLES: usize = 1_000;

/// A published table: a TOML file, every field one key; a key that is not here is refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Version of this schema, 1.
    pub schema: u32,
    /// Name of the family: `a-z 0-9 . _ -`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What it is for.
    pub use_case: UseCase,
    /// What quality is counted in.
    pub metric: Metric,
    /// What it was measured on, and what the authors say of the conditions; empty where no time is given.
    #[serde(default)]
    pub machine: String,
    /// Who published it: authors, title, place.
    pub citation: String,
    /// Where it can be read.
    pub source: String,
    /// The day somebody read it there and copied the figures, `YYYY-MM-DD`.
    pub read: String,
    /// Anything a reader should know, such as how the authors count operations.
    #[serde(default)]
    pub notes: String,
    /// Names of the scaling dimensions; each row has a coordinate for each of them.
    pub dimensions: Vec<String>,
    /// The figures.
    #[serde(rename = "row")]
    pub rows: Vec<PublishedRow>,
}

/// What was published of one size in one precision.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedRow {
    /// Name of the size.
    pub variant: String,
    /// How its numbers are held.
    pub precision: Precision,
    /// Where it stands in each scaling dimension.
    pub coordinates: BTreeMap<String, f64>,
    /// Weights and biases, where the authors say how many.
    pub parameters: Option<u64>,
    /// Multiply-accumulates of one inference; half of what counts multiplications and additions apart.
    pub macs: Option<u64>,
    /// What the authors call FLOPs of one inference, where it cannot be told whether a multiply-accumulate counts
    /// once or twice.
    pub flops: Option<u64>,
    /// Quality, in the table's metric; fractions, not percent.
    pub quality: Option<f64>,
    /// Samples that quality was measured on, where the authors say it.
    pub samples: Option<u32>,
    /// Milliseconds of one inference.
    pub latency_ms: Option<f64>,
    /// The time as the authors give it, where they do not say in which unit, or of how many inferences.
    pub time: Option<f64>,
}

impl PublishedRow {
    /// Whether a time is given, in whatever unit.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.latency_ms.is_some() || self.time.is_some()
    }
}

/// The tables below `root/published` that `name` names: the one of just that name or, if there is none, all whose
/// names go on behind it with a dash (`study`: `study-bert` and `study-efficientnet`), by name. Empty of none.
///
/// # Errors
/// The system's, when the folder cannot be read; a folder that does not exist holds no tables.
pub fn shipped_tables(root: &Path, name: &str) -> std::io::Result<Vec<PathBuf>> {
    let folder = root.join("published");
    let exact = folder.join(format!("{name}.toml"));
    let whole = is_name(name);
    if whole && exact.is_file() {
        return Ok(vec![exact]);
    }
    if !whole || !folder.is_dir() {
        return Ok(Vec::new());
    }
    let begins = format!("{name}-");
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(&folder)?.take(MAX_TABLES) {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let is_table = path.extension().is_some_and(|end| end == "toml");
        if is_table && stem.is_some_and(|stem| stem.starts_with(&begins)) {
            tables.push(path);
        }
    }
    tables.sort();
    Ok(tables)
}

/// Parse and check a table's text. Reads no file; equal text gives an equal answer.
///
/// # Errors
/// The first thing wrong, as one sentence with its line or field.
pub fn parse_published(text: &str) -> Result<Published, ManifestError> {
    let table = parsed(text)?;
    check(&table)?;
    Ok(table)
}

fn check(table: &Published) -> Result<(), ManifestError> {
    if table.schema != 1 {
        let what = format!(
            "version {} is not known here: this program reads 1",
            table.schema
        );
        return Err(refuse("schema", what));
    }
    check_name("name", &table.name)?;
    check_text("title", &table.title, true)?;
    check_text("citation", &table.citation, true)?;
    check_text("source", &table.source, true)?;
    check_text("read", &table.read, true)?;
    check_text("notes", &table.notes, false)?;
    check_count("dimensions", table.dimensions.len(), 1)?;
    table
        .dimensions
        .iter()
        .try_for_each(|name| check_name("dimensions", name))?;
    check_unique("dimensions", table.dimensions.iter().map(String::as_str))?;
    check_count("row", table.rows.len(), 1)?;
    let timed = table.rows.iter().any(PublishedRow::is_timed);
    check_text("machine", &table.machine, timed)?;
    let mut seen = std::collections::BTreeSet::new();
    for row in &table.rows {
        check_row(table, row)?;
        if !seen.insert((&row.variant, row.precision)) {
            let what = format!(
                "`{} {}` occurs twice: rename one",
                row.variant, row.precision
            );
            return Err(refuse("row", what));
        }
    }
    Ok(())
}

fn check_row(table: &Published, row: &PublishedRow) -> Result<(), ManifestError> {
    check_name("row.variant", &row.variant)?;
    let place = |field: &str| format!("row {} {} {field}", row.variant, row.precision);
    if !row.coordinates.keys().eq(sorted(&table.dimensions)) {
        let what = format!("give one for each of {}", table.dimensions.join(", "));
        return Err(refuse(place("coordinates"), what));
    }
    if let Some(quality) = row.quality {
        let (least, most) = table.metric.range();
        if !(least..=most).contains(&quality) {
            let what = format!(
                "{quality} is not a value that {} can take: fractions are 0 to 1, not percent",
                table.metric
            );
            return Err(refuse(place("quality"), what));
        }
    }
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if !row.latency_ms.is_none_or(positive) {
        return Err(refuse(
            place("latency_ms"),
            "is not a duration: give milliseconds above 0",
        ));
    }
    if !row.time.is_none_or(positive) {
        return Err(refuse(
            place("time"),
            "is not a duration: give a number above 0",
        ));
    }
    // One axis for all sizes of a family.
    let alike = |has: &dyn Fn(&PublishedRow) -> bool| {
        let mut rows = table.rows.iter();
        !rows.clone().any(has) || rows.all(has)
    };
    if row.latency_ms.is_some() && row.time.is_some() {
        return Err(refuse(
            place("time"),
            "stands beside `latency_ms`: give the one whose unit is known",
        ));
    }
    if row.time.is_some() && table.rows.iter().any(|other| other.latency_ms.is_some()) {
        return Err(refuse(
            place("time"),
            "has no unit, while other rows have milliseconds: make two tables of them",
        ));
    }
    if row.macs.is_some() == row.flops.is_some() || !alike(&|row| row.flops.is_some()) {
        return Err(refuse(
            place("macs"),
            "operations are given once, and in all rows as one of `macs` and `flops`",
        ));
    }
    if row.coordinates.values().any(|value| !value.is_finite()) {
        return Err(refuse(place("coordinates"), "hold what is no number"));
    }
    Ok(())
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort_unstable();
    names
}
