//! Model families: manifests, variants, datasets, golden vectors. Runs on the laptop and on boards
//! with std.
//!
//! A family is a folder with a `family.toml` ([`Manifest`] documents its fields). It names the
//! variants of one architecture, their scaling coordinates, and for each precision the model file
//! and the golden vectors that a board must reproduce before any latency of it is published.
//!
//! ```no_run
//! let root = scalebench_models::root(None);
//! for family in scalebench_models::load_all(&root)? {
//!     family.validate()?;
//!     for variant in &family.manifest.variants {
//!         for (precision, build) in variant.builds() {
//!             let model = family.artefact(&build.model);
//!             println!("{} {precision} {}", variant.name, model.path.display());
//!         }
//!     }
//! }
//! # Ok::<(), scalebench_models::ModelsError>(())
//! ```

mod family;
mod manifest;
mod parse;
mod published;
mod vocabulary;
pub mod write;

pub use family::{Artefact, Family, ModelsError, begin, load_all, root};
pub use manifest::{
    Attachment, Build, DatasetEntry, FileRef, InputEntry, Manifest, Origin, Quality, Recipe,
    Sha256, Tolerance, Variant,
};
pub use parse::{ManifestError, is_name, parse_manifest};
pub use published::{Published, PublishedRow, parse_published, shipped_tables};
pub use scalebench_wire::container;
pub use vocabulary::{Answers, Direction, Metric, Precision, UseCase, Weights};
