//! The runs that a folder, a tag or an id names: of one board, or of several boards at once.

use anyhow::Result;
use scalebench::catalogue::Catalogue;
use scalebench::fleet::FleetFolder;
use scalebench::store::{RunFile, RunFolder, StoreError};
use std::path::{Path, PathBuf};

/// A run that is kept.
pub(crate) enum Kept {
    /// Of one board.
    One(RunFolder),
    /// Of several, each with a run folder of its own in this one.
    Several(FleetFolder),
}

impl Kept {
    /// The one in a folder.
    pub(crate) fn at(dir: &Path) -> Result<Self> {
        Ok(match FleetFolder::at(dir) {
            Some(fleet) => Self::Several(fleet),
            None => Self::One(RunFolder::open(dir)?),
        })
    }

    /// The one that a folder, a tag or an id names.
    pub(crate) fn named(name: &str, runs: &Path) -> Result<Self> {
        Self::at(&dir(name, runs)?)
    }

    /// The one of that name or, without a name, the newest; of several boards as a whole.
    pub(crate) fn named_or_newest(name: Option<&str>, runs: &Path) -> Result<Self> {
        if let Some(name) = name {
            return Self::named(name, runs);
        }
        let dir = newest(runs)?;
        match dir.parent().and_then(FleetFolder::at) {
            Some(fleet) => Ok(Self::Several(fleet)),
            None => Self::at(&dir),
        }
    }

    /// The folders of its boards, in their order.
    pub(crate) fn folders(&self) -> Result<Vec<RunFolder>> {
        Ok(match self {
            Self::One(folder) => vec![folder.clone()],
            Self::Several(fleet) => {
                let members = fleet.load()?.boards.into_iter();
                let open = |name: String| RunFolder::open(&fleet.member(&name));
                members
                    .map(|member| open(member.name))
                    .collect::<Result<_, _>>()?
            }
        })
    }

    /// Its boards' runs, each with the board's name where there are several.
    pub(crate) fn files(&self) -> Result<Vec<(Option<String>, RunFile)>> {
        Ok(match self {
            Self::One(folder) => vec![(None, folder.load()?)],
            Self::Several(fleet) => {
                let runs = fleet.runs()?.into_iter();
                runs.map(|(member, file)| (Some(member.name), file))
                    .collect()
            }
        })
    }

    /// The run of one board; of several boards the sentence that names them.
    pub(crate) fn one(self) -> Result<RunFolder> {
        match self {
            Self::One(folder) => Ok(folder),
            Self::Several(fleet) => Ok(RunFolder::open(fleet.dir())?),
        }
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        match self {
            Self::One(folder) => folder.dir(),
            Self::Several(fleet) => fleet.dir(),
        }
    }
}

/// The run of one board of that name or, without one, the newest that is kept.
pub(crate) fn one_or_newest(name: Option<&str>, runs: &Path) -> Result<RunFolder> {
    match name {
        Some(name) => Kept::named(name, runs)?.one(),
        None => Ok(RunFolder::open(&newest(runs)?)?),
    }
}

fn dir(name: &str, runs: &Path) -> Result<PathBuf> {
    let dir = Path::new(name);
    if dir.is_dir() {
        return Ok(dir.to_owned());
    }
    // Before the catalogue, which knows no run on several boards of which none can be read.
    if FleetFolder::at(&runs.join(name)).is_some() {
        return Ok(runs.join(name));
    }
    Ok(Catalogue::open(runs)?.dir(name)?)
}

fn newest(runs: &Path) -> Result<PathBuf> {
    let entries = Catalogue::open(runs)?.list()?;
    let newest = entries.into_iter().next();
    let none = || StoreError::NoRun {
        path: runs.to_owned(),
    };
    Ok(newest.ok_or_else(none)?.dir)
}
