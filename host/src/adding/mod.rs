//! A family out of files that a person has already: TFLite models, pictures or tensors, labels.
//!
//! What it writes is a family like any other. Where no reference answers are given, the golden vectors hold the
//! engine's own, and the manifest says so: see [`scalebench_models::Answers`].

mod data;
mod golden;
mod labels;
mod npy;
mod npz;
mod perturbation;
mod pictures;
mod sizes;
mod source;
mod table;

pub use pictures::Normal;
pub use source::Source;

use data::Samples;
use labels::Labels;
use scalebench_engine::check::CheckError;
use scalebench_engine::{LoadError, RunError};
use scalebench_models::container::{InputSpec, LabelKind};
use scalebench_models::{
    DatasetEntry, Family, FileRef, InputEntry, Manifest, Metric, ModelsError, Origin, Quality,
    Sha256, UseCase, Variant, Weights, parse_manifest, write,
};
use sha2::{Digest, Sha256 as Hasher};
use sizes::Size;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The longest file that a family may have, in bytes.
const MAX_FILE: u64 = 1 << 30;
/// The most reference vectors taken of a folder.
const MAX_GOLDEN: usize = 64;
/// Golden vectors made where there are no references.
const OWN_GOLDEN: u32 = 4;

/// What to make a family of.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// Its name.
    pub name: String,
    /// One line for people; the name where nothing is said.
    pub title: Option<String>,
    /// SPDX expression of weights and data.
    pub licence: Option<String>,
    /// TFLite models.
    pub files: Vec<PathBuf>,
    /// A folder of pictures, or arrays, one for each input of the models.
    pub data: Vec<Source>,
    /// Labels; without them, folders of pictures are the classes.
    pub labels: Option<Source>,
    /// File with the names of the classes, one a line, in the order of the models' outputs.
    pub classes: Option<PathBuf>,
    /// What bytes 0 and 255 of pictures stand for.
    pub range: Option<[f32; 2]>,
    /// What models take of pictures, where that is not one range for all channels.
    pub normal: Option<Normal>,
    /// Scale and offset that turn the models' outputs into the labels' unit.
    pub output: [f32; 2],
    /// The labels' unit.
    pub unit: String,
    /// Most samples taken, from the first.
    pub samples: Option<u32>,
    /// What ranks the variants; follows from the labels where nothing is said.
    pub metric: Option<Metric>,
    /// Folder of reference answers.
    pub golden: Option<PathBuf>,
    /// Coordinates of variants by name.
    pub coordinates: BTreeMap<String, BTreeMap<String, f64>>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The family's folder.
    pub folder: PathBuf,
    /// What the maker should know.
    pub remarks: Vec<String>,
}

/// Why there is no family.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Something cannot be read.
    #[error("{}: {source}: check the path and its permissions", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something cannot be written.
    #[error("{}: {source}: check the folder's permissions and the room on the disk", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// An option is missing or does not fit the files.
    #[error("{0}")]
    Option(String),
    /// The family is there already.
    #[error("{}: is there already: choose another --name, or remove that folder first", path.display())]
    Exists {
        /// Its folder.
        path: PathBuf,
    },
    /// A model is refused.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LoadError,
    },
    /// An inference failed.
    #[error("{}: {source}", path.display())]
    Run {
        /// The model.
        path: PathBuf,
        /// Why.
        source: RunError,
    },
    /// Reference answers cannot be used.
    #[error(transparent)]
    Golden(#[from] CheckError),
    /// The engine does not give the reference answers.
    #[error(
        "{}: the engine's answers are not those of {} ({differ}): `scalebench models check` shows where they part; nothing was added",
        path.display(), folder.display()
    )]
    Unfaithful {
        /// The model.
        path: PathBuf,
        /// The references.
        folder: PathBuf,
        /// In words.
        differ: String,
    },
    /// The family would not be one.
    #[error(transparent)]
    Models(#[from] ModelsError),
}

impl AddError {
    fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    fn model(path: &Path) -> impl Fn(LoadError) -> Self + '_ {
        move |source| Self::Model {
            path: path.to_owned(),
            source,
        }
    }

    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

/// Makes a family below `root`. Its folder appears whole or not at all.
///
/// # Errors
/// [`AddError`], with what to do about it.
pub fn add(root: &Path, wishes: &Wishes) -> Result<Added, AddError> {
    let name = &wishes.name;
    if !scalebench_models::is_name(name) {
        return Err(ModelsError::NewName { name: name.clone() }.into());
    }
    let folder = root.join(name);
    if folder.exists() {
        return Err(AddError::Exists { path: folder });
    }
    let mut sizes = sizes::load(&wishes.files)?;
    let labels = labels::load(wishes, &sizes)?;
    let bench = tempfile::tempdir_in(root).map_err(AddError::write(root))?;
    let mut maker = Maker {
        dir: bench.path().join(name),
        remarks: Vec::new(),
    };
    fs::create_dir(&maker.dir).map_err(AddError::write(&maker.dir))?;
    let manifest = maker.manifest(wishes, &mut sizes, labels)?;
    let text = write::manifest(&manifest);
    let path = maker.dir.join("family.toml");
    parse_manifest(&text).map_err(|source| ModelsError::Manifest {
        path: folder.join("family.toml"),
        source,
    })?;
    fs::write(&path, text).map_err(AddError::write(&path))?;
    Family::load(&maker.dir)?.validate()?;
    fs::rename(&maker.dir, &folder).map_err(AddError::write(&folder))?;
    Ok(Added {
        folder,
        remarks: maker.remarks,
    })
}

/// Writes the files of a family.
struct Maker {
    dir: PathBuf,
    remarks: Vec<String>,
}

impl Maker {
    fn put(&self, file: &str, bytes: &[u8]) -> Result<FileRef, AddError> {
        let path = self.dir.join(file);
        let parent = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(parent).map_err(AddError::write(parent))?;
        fs::write(&path, bytes).map_err(AddError::write(&path))?;
        Ok(FileRef {
            file: file.to_owned(),
            sha256: Sha256(Hasher::digest(bytes).into()),
            bytes: bytes.len() as u64,
        })
    }

    fn manifest(
        &mut self,
        wishes: &Wishes,
        sizes: &mut [Size],
        labels: Labels,
    ) -> Result<Manifest, AddError> {
        let metric = metric(wishes.metric, &labels)?;
        if wishes.classes.is_none() && !labels.names().is_empty() {
            self.remarks.push(format!(
                "classes, in the order in which the models' outputs are taken to be: {}; give --classes FILE if theirs is another",
                crate::text::escaped(&labels.names().join(", "))
            ));
        }
        let sets = data::load(wishes, sizes, &labels)?;
        let dimensions = dimensions(wishes, sizes)?;
        let mut datasets = Vec::new();
        for samples in &sets {
            datasets.push(self.dataset(wishes, samples, &labels)?);
        }
        let mut variants: Vec<Variant> = Vec::new();
        for size in sizes.iter_mut() {
            let samples = sets.iter().find(|set| set.suits(size));
            let samples = samples.ok_or_else(|| {
                AddError::file(
                    &size.path,
                    "no data suits its inputs: give data of their shape",
                )
            })?;
            let build = golden::build(self, wishes, size, samples)?;
            let known = variants
                .iter()
                .position(|variant| variant.name == size.variant);
            let place = known.unwrap_or_else(|| {
                variants.push(Variant {
                    name: size.variant.clone(),
                    dataset: samples.name.clone(),
                    parameters: size.parameters,
                    macs: size.macs,
                    coordinates: coordinates(wishes, size),
                    default: true,
                    float32: None,
                    int8: None,
                    dynamic: None,
                });
                variants.len() - 1
            });
            *size.slot(&mut variants[place]) = Some(build);
        }
        variants.sort_by_key(|variant| (variant.macs, variant.parameters));
        let kind = labels.kind(wishes.output);
        let use_case = match kind {
            LabelKind::Boxes { .. } => UseCase::Detection,
            LabelKind::Values { .. } => UseCase::Regression,
            _ => UseCase::Classification,
        };
        let (baseline_rule, baseline) = labels.baseline();
        Ok(Manifest {
            schema: 1,
            name: wishes.name.clone(),
            title: wishes.title.clone().unwrap_or_else(|| wishes.name.clone()),
            use_case,
            licence: licence(wishes),
            notes: "Made by `scalebench models add` out of finished files: reference quality is not known.".to_owned(),
            preprocessing: sets.first().map_or(String::new(), |set| set.how.clone()),
            dimensions,
            weights: Weights::Trained,
            classes: labels.names().to_vec(),
            quality: Quality {
                metric,
                direction: metric.direction(),
                unit: wishes.unit.clone(),
                baseline_rule: baseline_rule.to_owned(),
                baseline,
            },
            recipe: None,
            origins: origins(wishes, sizes),
            attachments: Vec::new(),
            datasets,
            variants,
        })
    }

    fn dataset(
        &self,
        wishes: &Wishes,
        samples: &Samples,
        labels: &Labels,
    ) -> Result<DatasetEntry, AddError> {
        let sections: Vec<(InputSpec, &[u8])> = samples
            .inputs
            .iter()
            .map(|input| (input.spec, input.bytes.as_slice()))
            .collect();
        let total: u64 = sections.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        if total > MAX_FILE - (1 << 20) {
            return Err(AddError::Option(format!(
                "the samples take {total} bytes, a family's file at most {MAX_FILE}: take fewer with --samples"
            )));
        }
        let kind = labels.kind(wishes.output);
        let bytes = write::dataset(samples.count, &sections, kind, &labels.bytes(samples));
        Ok(DatasetEntry {
            name: samples.name.clone(),
            artefact: self.put(&format!("data/{}.sbds", samples.name), &bytes)?,
            samples: samples.count,
            inputs: samples
                .inputs
                .iter()
                .map(|input| InputEntry {
                    name: input.name.clone(),
                    shape: input.shape.clone(),
                    features: Vec::new(),
                })
                .collect(),
        })
    }
}

/// The metric that ranks the variants.
fn metric(wanted: Option<Metric>, labels: &Labels) -> Result<Metric, AddError> {
    let fitting = labels.metrics();
    let metric = wanted.or_else(|| fitting.first().copied());
    metric
        .filter(|metric| fitting.contains(metric))
        .ok_or_else(|| {
            let fitting: Vec<_> = fitting.iter().map(|metric| metric.word()).collect();
            AddError::Option(format!(
                "--metric does not fit these labels: choose {}",
                fitting.join(", ")
            ))
        })
}

/// The names of the dimensions: those of `--coordinates`, else only the number of parameters.
fn dimensions(wishes: &Wishes, sizes: &[Size]) -> Result<Vec<String>, AddError> {
    let names = |name: &str| -> Option<Vec<String>> {
        Some(wishes.coordinates.get(name)?.keys().cloned().collect())
    };
    let Some(first) = wishes.coordinates.values().next() else {
        return Ok(vec![PARAMETERS.to_owned()]);
    };
    let dimensions: Vec<String> = first.keys().cloned().collect();
    for size in sizes {
        if names(&size.variant).as_ref() != Some(&dimensions) {
            return Err(AddError::Option(format!(
                "variant `{}` has no coordinates along {}: give --coordinates {0}:{}",
                size.variant,
                dimensions.join(" and "),
                dimensions
                    .iter()
                    .map(|name| format!("{name}=…"))
                    .collect::<Vec<_>>()
                    .join(",")
            )));
        }
    }
    let known = |name: &&String| sizes.iter().any(|size| size.variant == **name);
    if let Some(stranger) = wishes.coordinates.keys().find(|name| !known(name)) {
        return Err(AddError::Option(format!(
            "--coordinates names a variant `{stranger}`, but the files are {}: use one of these names",
            sizes
                .iter()
                .map(|size| size.variant.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )));
    }
    Ok(dimensions)
}

/// The dimension of a family whose maker names none.
const PARAMETERS: &str = "parameters";

fn coordinates(wishes: &Wishes, size: &Size) -> BTreeMap<String, f64> {
    let given = wishes.coordinates.get(&size.variant).cloned();
    given.unwrap_or_else(|| [(PARAMETERS.to_owned(), size.parameters as f64)].into())
}

fn licence(wishes: &Wishes) -> String {
    let licence = wishes.licence.as_deref();
    licence.unwrap_or("LicenseRef-unknown").to_owned()
}

fn origins(wishes: &Wishes, sizes: &[Size]) -> Vec<Origin> {
    let name = |path: &Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        crate::text::escaped(&name.to_string_lossy())
    };
    let origin = |what: &str, path: &Path, sha256: Option<Sha256>| Origin {
        what: what.to_owned(),
        title: name(path),
        source: format!("given to `scalebench models add` as {}", name(path)),
        licence: licence(wishes),
        copyright: "not stated".to_owned(),
        sha256,
    };
    let weights = sizes.iter().map(|size| {
        let sha256 = Sha256(Hasher::digest(&size.content).into());
        origin("weights", &size.path, Some(sha256))
    });
    let data: BTreeSet<&Path> = wishes
        .data
        .iter()
        .chain(&wishes.labels)
        .map(|source| source.path.as_path())
        .collect();
    weights
        .chain(data.into_iter().map(|path| origin("data", path, None)))
        .collect()
}

#[cfg(test)]
mod tests;
