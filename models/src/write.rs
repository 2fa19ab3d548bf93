//! Writers of the containers and of manifests, the counterpart of [`crate::container`]'s parsers and of
//! [`crate::parse_manifest`]. Runs on the laptop.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::container::{
    DATASET_MAGIC, DATASET_VERSION, GOLDEN_MAGIC, GOLDEN_VERSION, InputSpec, LabelKind, TensorSpec,
};
use crate::manifest::{FileRef, Manifest, Tolerance};
use crate::vocabulary::{Metric, Weights};

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A dataset file's bytes. `inputs` holds for each input its description and all samples one after
/// another; `labels` all labels one after another. Lengths are not checked here: parse the result.
pub fn dataset(
    samples: u32,
    inputs: &[(InputSpec, &[u8])],
    kind: LabelKind,
    labels: &[u8],
) -> Vec<u8> {
    let (code, classes, count, scale, offset) = match kind {
        LabelKind::None => (0, 0, 0, 1.0, 0.0),
        LabelKind::Class { classes } => (1, classes, 1, 1.0, 0.0),
        LabelKind::Values {
            count,
            scale,
            offset,
        } => (2, 0, count, scale, offset),
        LabelKind::Boxes { classes, slots } => (3, classes, slots, 1.0, 0.0),
    };
    let mut out = Vec::new();
    out.extend(DATASET_MAGIC);
    out.extend(DATASET_VERSION.to_le_bytes());
    out.extend([inputs.len() as u8, code]);
    out.extend(
        [samples, u32::from(classes), count]
            .map(u32::to_le_bytes)
            .concat(),
    );
    out.extend([scale, offset].map(f32::to_le_bytes).concat());
    out.extend([0; 4]);
    for (spec, _) in inputs {
        out.extend([spec.dtype as u8, 0, 0, 0]);
        out.extend(spec.elements.to_le_bytes());
        out.extend([spec.scale, spec.offset].map(f32::to_le_bytes).concat());
    }
    for section in inputs.iter().map(|(_, data)| *data).chain([labels]) {
        out.extend(section);
        pad(&mut out);
    }
    out
}

/// A golden vector file's bytes. Each vector holds its input tensors, then its output tensors, in the
/// order of `inputs` and `outputs`. Lengths are not checked here: parse the result.
pub fn golden(inputs: &[TensorSpec], outputs: &[TensorSpec], vectors: &[Vec<&[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(GOLDEN_MAGIC);
    out.extend(GOLDEN_VERSION.to_le_bytes());
    out.extend([inputs.len() as u8, outputs.len() as u8]);
    out.extend((vectors.len() as u32).to_le_bytes());
    out.extend([0; 4]);
    for TensorSpec { dtype, bytes } in inputs.iter().chain(outputs) {
        out.extend([*dtype as u8, 0, 0, 0]);
        out.extend(bytes.to_le_bytes());
    }
    for tensor in vectors.iter().flatten() {
        out.extend(*tensor);
        pad(&mut out);
    }
    out
}

/// A manifest's text, which [`crate::parse_manifest`] reads back as the same manifest. Keys that hold what is assumed
/// without them are left out.
#[must_use]
pub fn manifest(m: &Manifest) -> String {
    let mut out = Lines(format!("schema = {}\n", m.schema));
    out.text("name", &m.name);
    out.text("title", &m.title);
    out.text("use_case", m.use_case.word());
    out.text("licence", &m.licence);
    out.words("notes", &m.notes);
    out.words("preprocessing", &m.preprocessing);
    out.list("dimensions", &m.dimensions);
    if m.weights != Weights::Trained {
        out.text("weights", m.weights.word());
    }
    if !m.classes.is_empty() {
        out.list("classes", &m.classes);
    }
    out.table("[quality]");
    out.text("metric", m.quality.metric.word());
    out.text("direction", m.quality.direction.word());
    out.words("unit", &m.quality.unit);
    out.text("baseline_rule", &m.quality.baseline_rule);
    out.raw("baseline", figures(&m.quality.baseline));
    if let Some(recipe) = &m.recipe {
        out.table("[recipe]");
        out.text("command", &recipe.command);
        out.raw("seed", recipe.seed);
        out.text("run_time", &recipe.run_time);
        out.list("packages", &recipe.packages);
    }
    for origin in &m.origins {
        out.table("[[origin]]");
        out.text("what", &origin.what);
        out.text("title", &origin.title);
        out.text("source", &origin.source);
        out.text("licence", &origin.licence);
        out.text("copyright", &origin.copyright);
        if let Some(sha256) = origin.sha256 {
            out.text("sha256", &sha256.to_string());
        }
    }
    for attachment in &m.attachments {
        out.table("[[attachment]]");
        out.text("role", &attachment.role);
        out.raw("artefact", file(&attachment.artefact));
    }
    for dataset in &m.datasets {
        out.table("[[dataset]]");
        out.text("name", &dataset.name);
        out.raw("artefact", file(&dataset.artefact));
        out.raw("samples", dataset.samples);
        for input in &dataset.inputs {
            out.table("[[dataset.input]]");
            out.text("name", &input.name);
            out.raw("shape", format_args!("{:?}", input.shape));
            if !input.features.is_empty() {
                out.list("features", &input.features);
            }
        }
    }
    for variant in &m.variants {
        out.table("[[variant]]");
        out.text("name", &variant.name);
        out.text("dataset", &variant.dataset);
        out.raw("parameters", variant.parameters);
        out.raw("macs", variant.macs);
        let coordinates = variant.coordinates.iter();
        let coordinates = coordinates.map(|(name, value)| (quoted(name), *value));
        out.raw("coordinates", inline(coordinates));
        if !variant.default {
            out.raw("default", false);
        }
        for (precision, build) in variant.builds() {
            out.table(&format!("[variant.{precision}]"));
            out.raw("model", file(&build.model));
            out.raw("golden", file(&build.golden));
            out.raw("vectors", build.vectors);
            if !build.answers.are_references() {
                out.text("answers", build.answers.word());
            }
            out.raw("tolerance", tolerance(build.tolerance));
            if !build.quality.is_empty() {
                out.raw("quality", figures(&build.quality));
            }
        }
    }
    out.0
}

/// TOML, line by line.
struct Lines(String);

impl Lines {
    fn table(&mut self, head: &str) {
        self.0.push_str(&format!("\n{head}\n"));
    }

    fn raw(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, quoted(value));
    }

    /// As [`Lines::text`], but nothing where there is nothing to say.
    fn words(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    fn list(&mut self, key: &str, values: &[String]) {
        let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
        self.raw(key, format_args!("[{}]", values.join(", ")));
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn inline(entries: impl Iterator<Item = (String, f64)>) -> String {
    let entries: Vec<_> = entries
        .map(|(key, value)| format!("{key} = {}", toml::Value::from(value)))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}

fn figures(figures: &BTreeMap<Metric, f64>) -> String {
    let figures = figures.iter();
    inline(figures.map(|(metric, value)| (metric.word().to_owned(), *value)))
}

fn file(file: &FileRef) -> String {
    format!(
        "{{ file = {}, sha256 = \"{}\", bytes = {} }}",
        quoted(&file.file),
        file.sha256,
        file.bytes
    )
}

fn tolerance(tolerance: Tolerance) -> String {
    match tolerance.steps {
        Some(steps) => format!("{{ steps = {steps} }}"),
        None => inline(
            [
                ("absolute", tolerance.absolute),
                ("relative", tolerance.relative),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?))),
        ),
    }
}
