//! What `family.toml` says. Every struct here is one TOML table, every field one key; a key that is
//! not here is refused. Formulas of the metrics are at [`Metric`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::vocabulary::{Answers, Direction, Metric, Precision, UseCase, Weights};

/// A family: one architecture in many sizes on the same data.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this schema, 1.
    pub schema: u32,
    /// Name, the same as the folder's: `a-z 0-9 . _ -`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What it is for.
    pub use_case: UseCase,
    /// SPDX expression for the weights and the data together.
    pub licence: String,
    /// Anything a reader should know.
    #[serde(default)]
    pub notes: String,
    /// How raw data becomes what the dataset holds, in words.
    #[serde(default)]
    pub preprocessing: String,
    /// Names of the scaling dimensions; each variant has a coordinate for each of them.
    pub dimensions: Vec<String>,
    /// Where the weights come from.
    #[serde(default = "trained")]
    pub weights: Weights,
    /// Names of the classes, in the order of the outputs; empty for regression.
    #[serde(default)]
    pub classes: Vec<String>,
    /// How good it should be and what counts as good.
    pub quality: Quality,
    /// How the files were made.
    #[serde(default)]
    pub recipe: Option<Recipe>,
    /// Sources of data and weights.
    #[serde(rename = "origin")]
    pub origins: Vec<Origin>,
    /// Further files, such as a vocabulary.
    #[serde(rename = "attachment", default)]
    pub attachments: Vec<Attachment>,
    /// Evaluation sets; variants name theirs.
    #[serde(rename = "dataset")]
    pub datasets: Vec<DatasetEntry>,
    /// The sizes, smallest first.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
}

fn yes() -> bool {
    true
}

fn trained() -> Weights {
    Weights::Trained
}

/// What counts as good.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The metric that ranks variants.
    pub metric: Metric,
    /// Which way it improves; must agree with the metric.
    pub direction: Direction,
    /// Unit of errors, such as `USD`; empty when there is none.
    #[serde(default)]
    pub unit: String,
    /// In words: what the baseline predicts.
    pub baseline_rule: String,
    /// What that scores on the evaluation set.
    pub baseline: BTreeMap<Metric, f64>,
}

/// How the files were made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Command, from the family's folder.
    pub command: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Run time in words.
    pub run_time: String,
    /// Packages that decide the result, `name==version`.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What comes from there: `data`, `weights`, `architecture`.
    pub what: String,
    /// Name of the source.
    pub title: String,
    /// Where to get it: package and version, file inside.
    pub source: String,
    /// SPDX expression.
    pub licence: String,
    /// Copyright line as the source states it.
    pub copyright: String,
    /// Hash of the source's bytes (after unpacking, where packed).
    #[serde(default)]
    pub sha256: Option<Sha256>,
}

/// A SHA-256, 64 lowercase hexadecimal digits in the manifest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?))
            .collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| {
                serde::de::Error::custom(
                    "a SHA-256 is 64 lowercase hexadecimal digits: write what `sha256sum` prints",
                )
            })
    }
}

/// A file of the family, named by content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Path below the family's folder: parts of `a-z 0-9 . _ -` joined by `/`.
    pub file: String,
    /// SHA-256 of the bytes.
    pub sha256: Sha256,
    /// Length.
    pub bytes: u64,
}

/// A further file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// What it is, such as `vocabulary`.
    pub role: String,
    /// The file.
    pub artefact: FileRef,
}

/// An evaluation set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetEntry {
    /// Name that variants use.
    pub name: String,
    /// The `.sbds` file.
    pub artefact: FileRef,
    /// Samples in it.
    pub samples: u32,
    /// Model inputs, in the order of the file.
    #[serde(rename = "input")]
    pub inputs: Vec<InputEntry>,
}

/// One model input.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// Name for people.
    pub name: String,
    /// Shape without the batch.
    pub shape: Vec<u32>,
    /// Names of the elements, where they have names.
    #[serde(default)]
    pub features: Vec<String>,
}

/// One size.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name, unique in the family.
    pub name: String,
    /// Evaluation set, by name.
    pub dataset: String,
    /// Weights and biases of the graph as run (batch normalisation folded in).
    pub parameters: u64,
    /// Multiply-accumulates of one inference in convolutions, dense layers and matrix products.
    pub macs: u64,
    /// Position along each dimension.
    pub coordinates: BTreeMap<String, f64>,
    /// Whether a run without any choice measures it; so it does where nothing is said.
    #[serde(default = "yes")]
    pub default: bool,
    /// The float build.
    #[serde(default)]
    pub float32: Option<Build>,
    /// The full-integer build.
    #[serde(default)]
    pub int8: Option<Build>,
    /// The dynamic-range build.
    #[serde(default)]
    pub dynamic: Option<Build>,
}

impl Variant {
    /// The builds there are, in the order of [`Precision::ALL`].
    pub fn builds(&self) -> impl Iterator<Item = (Precision, &Build)> {
        Precision::ALL
            .iter()
            .filter_map(|&precision| Some((precision, self.build(precision)?)))
    }

    /// The build of one precision, if there is one.
    pub fn build(&self, precision: Precision) -> Option<&Build> {
        match precision {
            Precision::Float32 => self.float32.as_ref(),
            Precision::Int8 => self.int8.as_ref(),
            Precision::Dynamic => self.dynamic.as_ref(),
        }
    }
}

/// One variant in one precision.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The `.tflite` file, batch 1.
    pub model: FileRef,
    /// The `.sbgv` file.
    pub golden: FileRef,
    /// Vectors in it.
    pub vectors: u32,
    /// Whose answers they hold; the TFLite reference kernels' where nothing is said.
    #[serde(default)]
    pub answers: Answers,
    /// How far outputs may be from the golden ones.
    pub tolerance: Tolerance,
    /// Measured on the evaluation set with the TFLite reference kernels; empty only for seeded weights, and in a
    /// family without a recipe, whose files came without such figures.
    #[serde(default)]
    pub quality: BTreeMap<Metric, f64>,
}

/// How far an output may be from its golden value: integers in `steps`, floats as
/// `|output - golden| <= absolute + relative * |golden|`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Integer outputs: steps of the output's scale.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Float outputs: absolute part.
    #[serde(default)]
    pub absolute: Option<f64>,
    /// Float outputs: relative part.
    #[serde(default)]
    pub relative: Option<f64>,
}
