//! Runs on several boards at once.
//!
//! ```text
//! RUN/boards.json     which boards there are, and what kept one from being measured
//! RUN/report.html     one report of all
//! RUN/<board>/        a run folder as any other: run.json, capture.bin, report.html, log.txt
//! ```
//!
//! Every board has its own plan, capture and session, so that none waits for another and each can be replayed,
//! resumed and compared by itself.

use crate::store::{RunFile, RunFolder, StoreError, json, write_whole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The version of `boards.json`. Raised when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;
const INDEX: &str = "boards.json";

/// `boards.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetFile {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of scalebench that wrote it.
    pub scalebench: String,
    /// When the run began, UTC.
    pub started: String,
    /// Its boards, in the order they were named in.
    pub boards: Vec<Member>,
}

/// One board of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Name of its folder: the board file's name, with a number behind it where that is taken.
    pub name: String,
    /// Why it was not measured to the end, if it was not.
    pub trouble: Option<String>,
}

/// What one board of a run gave, for tables and pages.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The member's name.
    pub name: &'a str,
    /// Its `run.json`.
    pub file: &'a RunFile,
    /// Why it was not measured to the end, if it was not.
    pub trouble: Option<&'a str>,
    /// Trials that could not be begun, and why.
    pub refusals: &'a BTreeMap<u32, String>,
}

/// A folder that holds a run on several boards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetFolder {
    dir: PathBuf,
}

impl FleetFolder {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when there is a run in it already.
    pub fn create(dir: &Path, file: &FleetFile) -> Result<Self, StoreError> {
        if is_fleet(dir) {
            return Err(StoreError::Taken {
                path: dir.to_owned(),
            });
        }
        // A folder with a run of one board is taken as well.
        let dir = RunFolder::create(dir)?.dir().to_owned();
        let folder = Self { dir };
        folder.save(file)?;
        Ok(folder)
    }

    /// The folder at `dir`, if it holds a run on several boards.
    #[must_use]
    pub fn at(dir: &Path) -> Option<Self> {
        is_fleet(dir).then(|| Self {
            dir: dir.to_owned(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `report.html`
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.dir.join("report.html")
    }

    /// A board's own run folder.
    #[must_use]
    pub fn member(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes `boards.json`.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn save(&self, file: &FleetFile) -> Result<(), StoreError> {
        write_whole(&self.dir.join(INDEX), &json(file))
    }

    /// Reads `boards.json`.
    ///
    /// # Errors
    /// [`StoreError`], also for names that lead out of the folder.
    pub fn load(&self) -> Result<FleetFile, StoreError> {
        let path = self.dir.join(INDEX);
        let bytes = fs::read(&path).map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        let wrong = |problem: String| StoreError::Index {
            path: path.clone(),
            problem,
        };
        let file: FleetFile = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(crate::text::escaped(&error.to_string())))?;
        if file.schema != SCHEMA {
            return Err(wrong(format!(
                "schema {}, this scalebench knows {SCHEMA}",
                file.schema
            )));
        }
        let stray = |member: &&Member| !is_name(&member.name);
        if let Some(member) = file.boards.iter().find(stray) {
            return Err(wrong(format!(
                "`{}` is no board's name",
                crate::text::escaped(&member.name)
            )));
        }
        Ok(file)
    }

    /// Every board's run, as its `run.json` has it.
    ///
    /// # Errors
    /// [`StoreError`] of any.
    pub fn runs(&self) -> Result<Vec<(Member, RunFile)>, StoreError> {
        let members = self.load()?.boards;
        let read = |member: Member| {
            let file = RunFolder::open(&self.member(&member.name))?.load()?;
            Ok((member, file))
        };
        members.into_iter().map(read).collect()
    }

    /// Writes the report of all boards.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write_report(&self) -> Result<(), StoreError> {
        let runs = self.runs()?;
        let parts: Vec<Part<'_>> = runs.iter().map(part).collect();
        write_whole(&self.report(), crate::report::fleet(&parts).as_bytes())
    }
}

/// A member as tables and pages take it.
#[must_use]
pub fn part((member, file): &(Member, RunFile)) -> Part<'_> {
    const NONE: &BTreeMap<u32, String> = &BTreeMap::new();
    Part {
        name: &member.name,
        file,
        trouble: member.trouble.as_deref(),
        refusals: NONE,
    }
}

/// What is to be said when several of the boards are this one machine.
#[must_use]
pub fn crowd(parts: &[Part<'_>]) -> Option<String> {
    let here: Vec<&str> = parts
        .iter()
        .filter(|part| part.file.connection.is_virtual)
        .map(|part| part.name)
        .collect();
    (here.len() > 1).then(|| {
        format!(
            "{} are this one machine at the same time: each slows the others down",
            here.join(" and ")
        )
    })
}

/// Whether the folder holds a run on several boards.
pub(crate) fn is_fleet(dir: &Path) -> bool {
    dir.join(INDEX).is_file()
}

/// What commands call the run in this folder: its name, behind the name of the run on several boards that it is
/// part of.
pub(crate) fn id(dir: &Path) -> String {
    let name = |dir: &Path| Some(dir.file_name()?.to_string_lossy().into_owned());
    let own = name(dir).unwrap_or_else(|| "run".to_owned());
    let whole = dir.parent().filter(|parent| is_fleet(parent));
    match whole.and_then(name) {
        Some(whole) => format!("{whole}/{own}"),
        None => own,
    }
}

/// Names for boards of these names: each once, with a number where it would be twice.
#[must_use]
pub fn names(boards: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for board in boards {
        let free = (1..)
            .map(|number| match number {
                1 => (*board).to_owned(),
                number => format!("{board}-{number}"),
            })
            .find(|name| !names.contains(name));
        names.extend(free);
    }
    names
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(names: &[&str]) -> FleetFile {
        FleetFile {
            schema: SCHEMA,
            scalebench: "0.1.0".to_owned(),
            started: "2026-01-31T10:15:00Z".to_owned(),
            boards: names
                .iter()
                .map(|name| Member {
                    name: (*name).to_owned(),
                    trouble: None,
                })
                .collect(),
        }
    }

    #[test]
    fn boards_of_one_name_are_told_apart() {
        assert_eq!(
            names(&["pi", "pi-2", "pi", "pi"]),
            ["pi", "pi-2", "pi-3", "pi-4"]
        );
    }

    #[test]
    fn an_index_that_leads_elsewhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../other", "", "a/b", ".."] {
            let folder = FleetFolder {
                dir: dir.path().to_owned(),
            };
            folder.save(&file(&["local", name])).unwrap();
            let error = folder.load().unwrap_err().to_string();
            assert!(error.contains("is no board's name"), "{error}");
        }
    }

    #[test]
    fn a_run_of_several_boards_is_no_run_of_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("night");
        let fleet = FleetFolder::create(&path, &file(&["pi", "bone"])).unwrap();
        assert_eq!(FleetFolder::at(&path), Some(fleet));
        let error = RunFolder::open(&path).unwrap_err().to_string();
        assert!(error.contains("a run of 2 boards"), "{error}");
        assert!(
            error.contains("night/pi") && error.contains("night/bone"),
            "{error}"
        );
        assert!(FleetFolder::create(&path, &file(&["pi"])).is_err());
        assert!(RunFolder::create(&path).is_err());
        assert_eq!(id(&path.join("pi")), "night/pi");
        assert_eq!(id(&path), "night");
    }
}
