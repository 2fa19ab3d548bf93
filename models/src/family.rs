//! Families on disk: loading, checking every file against its manifest.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256 as Hasher};
use thiserror::Error;

use crate::container::{ContainerError, Dataset, Golden, LabelKind};
use crate::manifest::{Build, DatasetEntry, FileRef, Manifest, Sha256, Variant};
use crate::parse::{MAX_MANIFEST, ManifestError, is_name, parse_manifest};
use crate::vocabulary::Precision;

/// Name of a family's manifest.
const MANIFEST: &str = "family.toml";
/// What [`begin`] writes.
const TEMPLATE: &str = include_str!("template.toml");
/// Most entries read of a folder of families.
const MAX_FOLDER: usize = 4096;

/// Why families cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// The file system said no.
    #[error("{}: {source}: check the path and its permissions", path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A folder without any family.
    #[error(
        "{}: no family here (a family is a folder with a family.toml): point SCALEBENCH_MODELS at the models folder",
        path.display()
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is not acceptable.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The manifest's name and the folder's differ.
    #[error("{}: field `name`: the family is called `{name}` but its folder is not: rename one", path.display())]
    Name {
        /// The manifest.
        path: PathBuf,
        /// The name inside.
        name: String,
    },
    /// A link leads out of the family's folder.
    #[error("{}: leads out of the family's folder: put the file itself there", path.display())]
    Escape {
        /// The file as the manifest names it.
        path: PathBuf,
    },
    /// The file's length is not the manifest's.
    #[error(
        "{}: {found} bytes long, but the manifest says {expected}: restore the file or rerun the recipe",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// By the manifest.
        expected: u64,
        /// On disk.
        found: u64,
    },
    /// The file's hash is not the manifest's.
    #[error(
        "{}: SHA-256 is {found}, but the manifest says {expected}: restore the file or rerun the recipe",
        path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// By the manifest.
        expected: Sha256,
        /// Of the bytes.
        found: Sha256,
    },
    /// A family cannot be begun under this name.
    #[error("`{}` is not a family's name: use 1 to 64 of a-z 0-9 . _ - and no dot in front", name.escape_debug())]
    NewName {
        /// The name.
        name: String,
    },
    /// A dataset or golden vector file is malformed.
    #[error("{}: {source}: write it again with the recipe", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ContainerError,
    },
    /// A file is well-formed but does not agree with the manifest.
    #[error("{}: {what}: rerun the recipe", path.display())]
    Disagrees {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ModelsError + '_ {
    move |source| ModelsError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The folder of families: `explicit`, else the environment's `SCALEBENCH_MODELS`, else the folder
/// this crate was built in, so that `cargo run` works from anywhere.
pub fn root(explicit: Option<&Path>) -> PathBuf {
    match (explicit, std::env::var_os("SCALEBENCH_MODELS")) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) if !path.is_empty() => path.into(),
        _ => env!("CARGO_MANIFEST_DIR").into(),
    }
}

/// Load every family below `root`, sorted by name. Manifests only; see [`Family::validate`].
///
/// # Errors
/// The first folder that cannot be read, the first manifest refused, or no family at all.
pub fn load_all(root: &Path) -> Result<Vec<Family>, ModelsError> {
    let mut families = Vec::new();
    for entry in fs::read_dir(root).map_err(io_error(root))?.take(MAX_FOLDER) {
        let path = entry.map_err(io_error(root))?.path();
        if path.join(MANIFEST).is_file() {
            families.push(Family::load(&path)?);
        }
    }
    if families.is_empty() {
        return Err(ModelsError::Empty {
            path: root.to_owned(),
        });
    }
    families.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
    Ok(families)
}

/// Begin a family: write a manifest with every key explained into a new folder `name` below `root`.
/// Returns the manifest's path.
///
/// # Errors
/// The name is none for a family, the folder is there already, or the file system says no.
pub fn begin(root: &Path, name: &str) -> Result<PathBuf, ModelsError> {
    if !is_name(name) {
        return Err(ModelsError::NewName { name: name.into() });
    }
    let folder = root.join(name);
    fs::create_dir(&folder).map_err(io_error(&folder))?;
    let path = folder.join(MANIFEST);
    fs::write(&path, TEMPLATE.replace("NAME", name)).map_err(io_error(&path))?;
    Ok(path)
}

/// A file of a family, ready to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes, which is also its name on a board.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
}

impl Artefact {
    /// Read the bytes and check length and hash of exactly what was read.
    ///
    /// # Errors
    /// The file cannot be read, or is not what the manifest says.
    pub fn read(&self) -> Result<Vec<u8>, ModelsError> {
        let path = &self.path;
        let file = File::open(path).map_err(io_error(path))?;
        let found = file.metadata().map_err(io_error(path))?.len();
        let expected = self.bytes;
        if found != expected {
            return Err(ModelsError::Length {
                path: path.clone(),
                expected,
                found,
            });
        }
        let mut bytes = Vec::new();
        // One byte more than expected, so that a file growing meanwhile is noticed by its hash.
        file.take(expected.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(io_error(path))?;
        let found = Sha256(Hasher::digest(&bytes).into());
        let expected = Sha256(self.sha256);
        if found != expected {
            return Err(ModelsError::Hash {
                path: path.clone(),
                expected,
                found,
            });
        }
        Ok(bytes)
    }
}

/// A loaded family.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its folder.
    pub dir: PathBuf,
    /// What its manifest says.
    pub manifest: Manifest,
}

impl Family {
    /// Load the manifest of the family in `dir`. No other file is opened.
    ///
    /// # Errors
    /// The manifest cannot be read or is refused.
    pub fn load(dir: &Path) -> Result<Self, ModelsError> {
        let path = dir.join(MANIFEST);
        let file = File::open(&path).map_err(io_error(&path))?;
        let mut text = String::new();
        file.take(MAX_MANIFEST as u64 + 1)
            .read_to_string(&mut text)
            .map_err(io_error(&path))?;
        let manifest = parse_manifest(&text).map_err(|source| ModelsError::Manifest {
            path: path.clone(),
            source,
        })?;
        let folder = fs::canonicalize(dir).map_err(io_error(dir))?;
        if folder
            .file_name()
            .is_none_or(|name| name != manifest.name.as_str())
        {
            return Err(ModelsError::Name {
                path,
                name: manifest.name,
            });
        }
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
        })
    }

    /// Where a file of this family is and what it must hold.
    pub fn artefact(&self, file: &FileRef) -> Artefact {
        Artefact {
            path: self.dir.join(&file.file),
            sha256: file.sha256.0,
            bytes: file.bytes,
        }
    }

    /// The dataset that a variant is evaluated on.
    pub fn dataset(&self, variant: &Variant) -> Option<&DatasetEntry> {
        self.manifest
            .datasets
            .iter()
            .find(|d| d.name == variant.dataset)
    }

    /// Check every file: inside the folder, length, hash, layout, agreement with the manifest.
    ///
    /// # Errors
    /// The first file that is not what the manifest says.
    pub fn validate(&self) -> Result<(), ModelsError> {
        for attachment in &self.manifest.attachments {
            self.read(&attachment.artefact)?;
        }
        for entry in &self.manifest.datasets {
            let bytes = self.read(&entry.artefact)?;
            let path = self.dir.join(&entry.artefact.file);
            let dataset = Dataset::parse(&bytes).map_err(|source| ModelsError::Container {
                path: path.clone(),
                source,
            })?;
            self.compare_dataset(entry, &dataset)
                .map_err(|what| ModelsError::Disagrees { path, what })?;
        }
        for variant in &self.manifest.variants {
            for (precision, build) in variant.builds() {
                self.validate_build(precision, build)?;
            }
        }
        Ok(())
    }

    /// Read one file, refusing links that lead out of the folder.
    fn read(&self, file: &FileRef) -> Result<Vec<u8>, ModelsError> {
        let artefact = self.artefact(file);
        let inside = fs::canonicalize(&self.dir).map_err(io_error(&self.dir))?;
        let real = fs::canonicalize(&artefact.path).map_err(io_error(&artefact.path))?;
        if !real.starts_with(inside) {
            return Err(ModelsError::Escape {
                path: artefact.path,
            });
        }
        artefact.read()
    }

    fn compare_dataset(&self, entry: &DatasetEntry, dataset: &Dataset<'_>) -> Result<(), String> {
        if dataset.samples() != entry.samples {
            return Err(format!(
                "{} samples, but the manifest says {}",
                dataset.samples(),
                entry.samples
            ));
        }
        if dataset.inputs() != entry.inputs.len() {
            return Err(format!(
                "{} inputs, but the manifest says {}",
                dataset.inputs(),
                entry.inputs.len()
            ));
        }
        for (index, input) in entry.inputs.iter().enumerate() {
            let elements = dataset
                .input(index)
                .map_or(0, |spec| u64::from(spec.elements));
            let expected: u64 = input.shape.iter().map(|&d| u64::from(d)).product();
            if elements != expected {
                return Err(format!(
                    "input {index} has {elements} elements, but the manifest's shape {expected}"
                ));
            }
        }
        let classes = match dataset.label_kind() {
            LabelKind::Class { classes } | LabelKind::Boxes { classes, .. } => usize::from(classes),
            LabelKind::None | LabelKind::Values { .. } => 0,
        };
        if classes != self.manifest.classes.len() {
            return Err(format!(
                "{classes} classes, but the manifest names {}",
                self.manifest.classes.len()
            ));
        }
        Ok(())
    }

    fn validate_build(&self, precision: Precision, build: &Build) -> Result<(), ModelsError> {
        let model = self.read(&build.model)?;
        // FlatBuffers put the schema's identifier after the root offset.
        if model.get(4..8) != Some(b"TFL3") {
            let what = format!("not a TensorFlow Lite model, though listed as {precision}");
            return Err(ModelsError::Disagrees {
                path: self.dir.join(&build.model.file),
                what,
            });
        }
        let bytes = self.read(&build.golden)?;
        let path = self.dir.join(&build.golden.file);
        let golden = Golden::parse(&bytes).map_err(|source| ModelsError::Container {
            path: path.clone(),
            source,
        })?;
        if golden.vectors() != build.vectors {
            let what = format!(
                "{} vectors, but the manifest says {}",
                golden.vectors(),
                build.vectors
            );
            return Err(ModelsError::Disagrees { path, what });
        }
        Ok(())
    }
}
