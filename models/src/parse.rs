//! From text to a [`Manifest`], trusting nothing: every count and string is bounded, every name
//! checked, every refusal one sentence.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::manifest::{Build, FileRef, Manifest, Tolerance, Variant};
use crate::vocabulary::{Metric, Precision, Weights};

/// Longest manifest, bytes.
pub(crate) const MAX_MANIFEST: usize = 1 << 20;
/// Most entries of any list.
const MAX_LIST: usize = 1024;
/// Longest name.
const MAX_NAME: usize = 64;
/// Longest text.
const MAX_TEXT: usize = 8192;
/// Longest model, dataset or golden vector file, bytes.
const MAX_FILE: u64 = 1 << 30;

/// Why a manifest was refused. The message says where and what to do; the file's name is added by
/// whoever opened it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Longer than any honest manifest.
    #[error("the manifest has {found} bytes, at most {MAX_MANIFEST} are read: split the family")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// A key that the schema does not have.
    #[error("line {line}: unknown field `{field}`: {hint}")]
    UnknownField {
        /// Line, from 1.
        line: usize,
        /// The key.
        field: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A value outside a fixed list of words.
    #[error("line {line}: unknown value `{word}`: {hint}")]
    UnknownWord {
        /// Line, from 1.
        line: usize,
        /// The word.
        word: String,
        /// The nearest known word, or all of them.
        hint: String,
    },
    /// A key that the schema needs.
    #[error("line {line}: field `{field}` is missing from the table that starts here: add it")]
    MissingField {
        /// Line where the table starts, from 1.
        line: usize,
        /// The key.
        field: String,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("line {line}: {what}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// Well-formed, but not acceptable.
    #[error("field `{field}`: {what}")]
    Field {
        /// Where, such as `variant d1-w4 int8.tolerance`.
        field: String,
        /// What is wrong and what to do.
        what: String,
    },
}

/// Parse and check a manifest's text. Reads no file; equal text gives an equal answer.
///
/// # Errors
/// The first thing wrong, as one sentence with its line or field.
pub fn parse_manifest(text: &str) -> Result<Manifest, ManifestError> {
    let manifest = parsed(text)?;
    check(&manifest)?;
    Ok(manifest)
}

/// What a text of bounded length says, not checked yet.
pub(crate) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, ManifestError> {
    if text.len() > MAX_MANIFEST {
        return Err(ManifestError::TooLong { found: text.len() });
    }
    toml::from_str(text).map_err(|error| explain(text, &error))
}

/// Turn the TOML parser's error into ours.
fn explain(text: &str, error: &toml::de::Error) -> ManifestError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = 1 + text.as_bytes()[..start]
        .iter()
        .filter(|&&b| b == b'\n')
        .count();
    let message = error.message();
    // serde's wording: "unknown field `a`, expected one of `b`, `c`", the same for variants.
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let first = |n: usize| quoted.get(n).map(|s| shorten(s)).unwrap_or_default();
    if message.starts_with("unknown field `") {
        ManifestError::UnknownField {
            line,
            field: first(0),
            hint: hint(&quoted),
        }
    } else if message.starts_with("unknown variant `") {
        ManifestError::UnknownWord {
            line,
            word: first(0),
            hint: hint(&quoted),
        }
    } else if message.starts_with("missing field `") {
        ManifestError::MissingField {
            line,
            field: first(0),
        }
    } else {
        ManifestError::Syntax {
            line,
            what: shorten(&message.replace('\n', "; ")),
        }
    }
}

/// `quoted` is the wrong word followed by the known ones.
fn hint(quoted: &[&str]) -> String {
    let Some((wrong, known)) = quoted.split_first() else {
        return "see the manifest's documentation".into();
    };
    let near = known
        .iter()
        .rev() // of equals `max_by` takes the last, and the first known is wanted
        .map(|k| (strsim::jaro_winkler(wrong, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, name)) if likeness > 0.75 => format!("did you mean `{name}`?"),
        _ => format!("known here: {}", known.join(", ")),
    }
}

fn shorten(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().count() > 200 {
        shown + "..."
    } else {
        shown
    }
}

pub(crate) fn refuse(field: impl Into<String>, what: impl Into<String>) -> ManifestError {
    ManifestError::Field {
        field: field.into(),
        what: what.into(),
    }
}

/// Whether `name` may name a family, variant, dataset or path part.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with(['.', '-'])
        && name.bytes().all(allowed)
}

pub(crate) fn check_name(field: &str, name: &str) -> Result<(), ManifestError> {
    if is_name(name) {
        return Ok(());
    }
    let what = format!(
        "`{}` is not a name: use 1 to {MAX_NAME} of a-z 0-9 . _ - and no dot in front",
        shorten(name)
    );
    Err(refuse(field, what))
}

pub(crate) fn check_text(field: &str, text: &str, needed: bool) -> Result<(), ManifestError> {
    if text.len() > MAX_TEXT {
        return Err(refuse(
            field,
            format!("{} bytes are too long: keep to {MAX_TEXT}", text.len()),
        ));
    }
    if needed && text.trim().is_empty() {
        return Err(refuse(field, "is empty: say it in words"));
    }
    Ok(())
}

pub(crate) fn check_count(field: &str, count: usize, least: usize) -> Result<(), ManifestError> {
    if (least..=MAX_LIST).contains(&count) {
        return Ok(());
    }
    Err(refuse(
        field,
        format!("has {count} entries: give {least} to {MAX_LIST}"),
    ))
}

pub(crate) fn check_unique<'a>(
    field: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(refuse(
                field,
                format!("`{}` occurs twice: rename one", shorten(name)),
            ));
        }
    }
    Ok(())
}

fn check_file(field: &str, file: &FileRef) -> Result<(), ManifestError> {
    let path = &file.file;
    if !(1..=4).contains(&path.split('/').count()) || !path.split('/').all(is_name) {
        let what = format!(
            "`{}` is not a path inside the family's folder: use at most four parts of a-z 0-9 . _ - joined by /",
            shorten(path)
        );
        return Err(refuse(format!("{field}.file"), what));
    }
    if !(1..=MAX_FILE).contains(&file.bytes) {
        let what = format!(
            "{} bytes is outside 1 to {MAX_FILE}: state the file's length",
            file.bytes
        );
        return Err(refuse(format!("{field}.bytes"), what));
    }
    Ok(())
}

fn check_figures(field: &str, figures: &BTreeMap<Metric, f64>) -> Result<(), ManifestError> {
    for (metric, &figure) in figures {
        let (least, most) = metric.range();
        if !(least..=most).contains(&figure) {
            let what = format!(
                "{figure} is not a value that {metric} can take: fractions are 0 to 1, not percent"
            );
            return Err(refuse(format!("{field}.{metric}"), what));
        }
    }
    Ok(())
}

fn check(m: &Manifest) -> Result<(), ManifestError> {
    if m.schema != 1 {
        return Err(refuse(
            "schema",
            format!(
                "version {} is not known here: this program reads 1",
                m.schema
            ),
        ));
    }
    check_name("name", &m.name)?;
    check_text("title", &m.title, true)?;
    check_text("licence", &m.licence, true)?;
    check_text("notes", &m.notes, false)?;
    check_text("preprocessing", &m.preprocessing, false)?;
    check_count("dimensions", m.dimensions.len(), 1)?;
    m.dimensions
        .iter()
        .try_for_each(|d| check_name("dimensions", d))?;
    check_unique("dimensions", m.dimensions.iter().map(String::as_str))?;
    check_count("classes", m.classes.len(), 0)?;
    m.classes
        .iter()
        .try_for_each(|c| check_text("classes", c, true))?;
    check_unique("classes", m.classes.iter().map(String::as_str))?;

    let q = &m.quality;
    check_text("quality.unit", &q.unit, false)?;
    check_text("quality.baseline_rule", &q.baseline_rule, true)?;
    check_figures("quality.baseline", &q.baseline)?;
    if q.direction != q.metric.direction() {
        let what = format!(
            "{} improves towards {}: write that",
            q.metric,
            q.metric.direction()
        );
        return Err(refuse("quality.direction", what));
    }
    if m.weights == Weights::Trained && !q.baseline.contains_key(&q.metric) {
        return Err(refuse(
            "quality.baseline",
            format!("lacks {}: state what the baseline scores", q.metric),
        ));
    }
    if let Some(recipe) = &m.recipe {
        check_text("recipe.command", &recipe.command, true)?;
        check_text("recipe.run_time", &recipe.run_time, true)?;
        check_count("recipe.packages", recipe.packages.len(), 0)?;
        recipe
            .packages
            .iter()
            .try_for_each(|p| check_text("recipe.packages", p, true))?;
    }
    check_count("origin", m.origins.len(), 1)?;
    for origin in &m.origins {
        let texts = [
            ("origin.what", &origin.what),
            ("origin.title", &origin.title),
            ("origin.source", &origin.source),
            ("origin.licence", &origin.licence),
            ("origin.copyright", &origin.copyright),
        ];
        texts
            .into_iter()
            .try_for_each(|(field, text)| check_text(field, text, true))?;
    }
    check_count("attachment", m.attachments.len(), 0)?;
    for attachment in &m.attachments {
        check_name("attachment.role", &attachment.role)?;
        check_file(
            &format!("attachment {} artefact", attachment.role),
            &attachment.artefact,
        )?;
    }
    check_count("dataset", m.datasets.len(), 1)?;
    check_unique("dataset.name", m.datasets.iter().map(|d| d.name.as_str()))?;
    for dataset in &m.datasets {
        check_name("dataset.name", &dataset.name)?;
        let at = |field: &str| format!("dataset {} {field}", dataset.name);
        check_file(&at("artefact"), &dataset.artefact)?;
        check_count(&at("input"), dataset.inputs.len(), 1)?;
        for input in &dataset.inputs {
            check_text(&at("input.name"), &input.name, true)?;
            check_count(&at("input.features"), input.features.len(), 0)?;
            input
                .features
                .iter()
                .try_for_each(|f| check_text(&at("input.features"), f, true))?;
            let elements = input.shape.iter().try_fold(1u32, |n, &d| n.checked_mul(d));
            if !(1..=8).contains(&input.shape.len()) || elements.is_none_or(|n| n == 0) {
                return Err(refuse(
                    at("input.shape"),
                    "is not a shape: give 1 to 8 positive dimensions without batch",
                ));
            }
        }
    }
    check_count("variant", m.variants.len(), 1)?;
    check_unique("variant.name", m.variants.iter().map(|v| v.name.as_str()))?;
    m.variants.iter().try_for_each(|v| check_variant(m, v))
}

fn check_variant(m: &Manifest, v: &Variant) -> Result<(), ManifestError> {
    check_name("variant.name", &v.name)?;
    let at = |field: &str| format!("variant {} {field}", v.name);
    if !m.datasets.iter().any(|d| d.name == v.dataset) {
        let what = format!(
            "no dataset is called `{}`: name one of this manifest",
            shorten(&v.dataset)
        );
        return Err(refuse(at("dataset"), what));
    }
    if v.parameters == 0 || v.macs == 0 {
        return Err(refuse(
            at("parameters, macs"),
            "are zero: state what the graph has",
        ));
    }
    if let Some(missing) = m
        .dimensions
        .iter()
        .find(|d| !v.coordinates.contains_key(*d))
    {
        return Err(refuse(
            at("coordinates"),
            format!("lack `{missing}`: give a coordinate for every dimension"),
        ));
    }
    for (name, value) in &v.coordinates {
        if !m.dimensions.contains(name) {
            return Err(refuse(
                at("coordinates"),
                format!("`{}` is not a dimension: add it there", shorten(name)),
            ));
        }
        if !value.is_finite() {
            return Err(refuse(
                at("coordinates"),
                format!("`{name}` is not a finite number: give one"),
            ));
        }
    }
    if v.builds().next().is_none() {
        return Err(refuse(
            at("float32"),
            "no precision is given: add float32, int8 or dynamic",
        ));
    }
    v.builds()
        .try_for_each(|(precision, build)| check_build(m, v, precision, build))
}

fn check_build(
    m: &Manifest,
    v: &Variant,
    precision: Precision,
    build: &Build,
) -> Result<(), ManifestError> {
    let at = |field: &str| format!("variant {} {precision}.{field}", v.name);
    check_file(&at("model"), &build.model)?;
    check_file(&at("golden"), &build.golden)?;
    if build.vectors == 0 {
        return Err(refuse(
            at("vectors"),
            "is zero: nothing would be compared with the reference",
        ));
    }
    let Tolerance {
        steps,
        absolute,
        relative,
    } = build.tolerance;
    if precision == Precision::Int8 {
        if steps.is_none() || absolute.is_some() || relative.is_some() {
            return Err(refuse(
                at("tolerance"),
                "integer outputs are compared in steps: write { steps = 0 }",
            ));
        }
    } else {
        let bounded = |x: Option<f64>| x.is_some_and(|x| (0.0..1e6).contains(&x));
        if steps.is_some() || !bounded(absolute) || !bounded(relative) {
            let what = "float outputs need both parts: write { absolute = 1e-5, relative = 1e-4 }";
            return Err(refuse(at("tolerance"), what));
        }
    }
    check_figures(&at("quality"), &build.quality)?;
    match (m.weights, build.quality.contains_key(&m.quality.metric)) {
        (Weights::Trained, false) if m.recipe.is_some() => Err(refuse(
            at("quality"),
            format!("lacks {}: measure it with the recipe", m.quality.metric),
        )),
        (Weights::Seeded, _) if !build.quality.is_empty() => Err(refuse(
            at("quality"),
            "seeded weights have no quality: remove the figures",
        )),
        _ => Ok(()),
    }
}
