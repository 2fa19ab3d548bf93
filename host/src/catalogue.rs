//! The catalogue of runs: an embedded database beside the run folders.
//!
//! The folders hold the truth: a run that was killed before it could be entered is found by its
//! folder, and a lost catalogue is built again from them. Only tags live here alone.

use crate::fleet::{self, FleetFolder};
use crate::store::{RunFile, RunFolder, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The schema of this version.
const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// What leads from an empty database to this version's, a step a released version.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE run (
        id       TEXT PRIMARY KEY,      -- name of its folder
        started  TEXT NOT NULL,         -- UTC
        board    TEXT NOT NULL,
        machine  TEXT NOT NULL,
        kind     TEXT NOT NULL,         -- real, virtual, emulated
        plan     TEXT NOT NULL,
        trials   INTEGER NOT NULL,
        measured INTEGER NOT NULL,      -- trials with a latency
        complete INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE tag (
        name TEXT PRIMARY KEY,
        run  TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE
    ) STRICT;
",
    // A tag may name a run on several boards as a whole, of which there is no row.
    "
    CREATE TABLE label (
        name TEXT PRIMARY KEY,
        run  TEXT NOT NULL              -- id of a run, or what several have before the stroke
    ) STRICT;
    INSERT INTO label SELECT name, run FROM tag;
    DROP TABLE tag;
    ALTER TABLE label RENAME TO tag;
",
];

/// Whether the tag at hand is of the run at hand, or of the run on several boards that it is part of.
const TAGGED: &str =
    "(tag.run = run.id OR substr(run.id, 1, length(tag.run) + 1) = tag.run || '/')";

/// Why the catalogue does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The database.
    #[error("{}: {source}: close other programs that use it, or delete it (tags are lost, runs are found again)", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Its words.
        source: rusqlite::Error,
    },
    /// Written by a newer version.
    #[error("{}: its schema is {found}, this scalebench knows {known}: update scalebench", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Nothing of this name.
    #[error("there is no run `{name}` in {}: `scalebench list` names them all", runs.display())]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where.
        runs: PathBuf,
    },
    /// A tag that would hide something.
    #[error(
        "`{name}` cannot be a tag: use letters, digits, dots, dashes and underscores, and not a run's own name"
    )]
    Tag {
        /// The tag.
        name: String,
    },
    /// One board of several.
    #[error("`{name}` is one board of the run `{whole}`, whose report needs it: delete `{whole}`")]
    Part {
        /// What was to be deleted.
        name: String,
        /// The run it is part of.
        whole: String,
    },
    /// A run folder.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run, as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Name of its folder; of one board of several behind the whole run's, `RUN/BOARD`.
    pub id: String,
    /// When it began, UTC.
    pub started: String,
    /// The board file's name.
    pub board: String,
    /// The machine, as the board says.
    pub machine: String,
    /// `real`, `virtual` or `emulated`.
    pub kind: String,
    /// How thorough.
    pub plan: String,
    /// Trials planned.
    pub trials: u32,
    /// Trials with a latency.
    pub measured: u32,
    /// Whether all trials came to an end.
    pub complete: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its folder.
    pub dir: PathBuf,
}

/// The catalogue of a folder of runs.
#[derive(Debug)]
pub struct Catalogue {
    database: Connection,
    runs: PathBuf,
}

impl Catalogue {
    /// Opens the catalogue of the folder `runs`, brought up to this version's schema and to what the
    /// folder holds. The folder is made if there is none.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub fn open(runs: &Path) -> Result<Self, CatalogueError> {
        std::fs::create_dir_all(runs).map_err(|source| StoreError::Io {
            path: runs.to_owned(),
            source,
        })?;
        let path = runs.join("catalogue.sqlite");
        let database = |source| CatalogueError::Database {
            path: path.clone(),
            source,
        };
        let mut connection = Connection::open(&path).map_err(database)?;
        connection
            .busy_timeout(std::time::Duration::from_secs(10))
            .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
            .map_err(database)?;
        let found: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(database)?;
        if found > SCHEMA {
            return Err(CatalogueError::Newer {
                path,
                found,
                known: SCHEMA,
            });
        }
        migrate(&mut connection, found).map_err(database)?;
        let mut catalogue = Self {
            database: connection,
            runs: runs.to_owned(),
        };
        catalogue.refresh()?;
        Ok(catalogue)
    }

    /// All runs, the newest first.
    ///
    /// # Errors
    /// [`CatalogueError::Database`].
    pub fn list(&self) -> Result<Vec<Entry>, CatalogueError> {
        let list = || -> rusqlite::Result<Vec<Entry>> {
            let mut query = self.database.prepare(&format!(
                "SELECT id, started, board, machine, kind, plan, trials, measured, complete,
                        (SELECT group_concat(name, ' ') FROM tag WHERE {TAGGED})
                 FROM run ORDER BY started DESC, id DESC",
            ))?;
            let rows = query.query_map([], |row| {
                let id: String = row.get(0)?;
                let tags: Option<String> = row.get(9)?;
                Ok(Entry {
                    dir: self.runs.join(&id),
                    id,
                    started: row.get(1)?,
                    board: row.get(2)?,
                    machine: row.get(3)?,
                    kind: row.get(4)?,
                    plan: row.get(5)?,
                    trials: row.get(6)?,
                    measured: row.get(7)?,
                    complete: row.get(8)?,
                    tags: tags
                        .unwrap_or_default()
                        .split_whitespace()
                        .map(Into::into)
                        .collect(),
                })
            })?;
            rows.collect()
        };
        list().map_err(|source| self.error(source))
    }

    /// The run of this id or tag.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`].
    pub fn find(&self, name: &str) -> Result<Entry, CatalogueError> {
        let id = self.meant(name)?;
        self.list()?
            .into_iter()
            .find(|entry| entry.id == id)
            .ok_or_else(|| CatalogueError::Unknown {
                name: crate::text::escaped(name),
                runs: self.runs.clone(),
            })
    }

    /// The folder that an id or a tag names, of a run on several boards as a whole too.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`].
    pub fn dir(&self, name: &str) -> Result<PathBuf, CatalogueError> {
        let id = self.meant(name)?;
        if self.is_whole(&id)? {
            return Ok(self.runs.join(id));
        }
        Ok(self.find(&id)?.dir)
    }

    /// The id that a name is a tag of, or else the name.
    fn meant(&self, name: &str) -> Result<String, CatalogueError> {
        let tagged = self
            .database
            .query_row("SELECT run FROM tag WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(tagged.unwrap_or_else(|| name.to_owned()))
    }

    /// Whether an id is that of a run on several boards.
    fn is_whole(&self, id: &str) -> Result<bool, CatalogueError> {
        let whole = format!("{id}/");
        Ok(self
            .list()?
            .iter()
            .any(|entry| entry.id.starts_with(&whole)))
    }

    /// Gives a run, also one on several boards as a whole, a tag; a tag that another run has moves.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub fn tag(&self, run: &str, tag: &str) -> Result<(), CatalogueError> {
        let id = self.meant(run)?;
        let id = if self.is_whole(&id)? {
            id
        } else {
            self.find(&id)?.id
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if tag.is_empty() || !tag.chars().all(plain) || self.has(tag)? || self.is_whole(tag)? {
            return Err(CatalogueError::Tag {
                name: crate::text::escaped(tag),
            });
        }
        self.database
            .execute(
                "INSERT OR REPLACE INTO tag VALUES (?1, ?2)",
                params![tag, id],
            )
            .map(|_| ())
            .map_err(|source| self.error(source))
    }

    /// Takes a tag away; whether there was one.
    ///
    /// # Errors
    /// [`CatalogueError::Database`].
    pub fn untag(&self, tag: &str) -> Result<bool, CatalogueError> {
        self.database
            .execute("DELETE FROM tag WHERE name = ?1", [tag])
            .map(|gone| gone > 0)
            .map_err(|source| self.error(source))
    }

    /// Deletes a run's folder, with all boards it has, and what the catalogue knows of it. Gives the folder.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub fn remove(&self, name: &str) -> Result<PathBuf, CatalogueError> {
        let name = &self.meant(name)?;
        let whole = format!("{name}/");
        let of_several = |entry: &&Entry| entry.id.starts_with(&whole);
        let mut gone: Vec<Entry> = self.list()?;
        gone.retain(|entry| of_several(&entry));
        let dir = if gone.is_empty() {
            let entry = self.find(name)?;
            if let Some((whole, _)) = entry.id.split_once('/') {
                return Err(CatalogueError::Part {
                    name: crate::text::escaped(name),
                    whole: whole.to_owned(),
                });
            }
            let dir = entry.dir.clone();
            gone.push(entry);
            dir
        } else {
            self.runs.join(name)
        };
        std::fs::remove_dir_all(&dir).map_err(|source| StoreError::Io {
            path: dir.clone(),
            source,
        })?;
        for entry in &gone {
            self.forget(&entry.id)?;
        }
        self.prune()?;
        Ok(dir)
    }

    /// Enters a run, or brings its entry up to date.
    ///
    /// # Errors
    /// [`CatalogueError::Database`].
    pub fn enter(&self, id: &str, file: &RunFile) -> Result<(), CatalogueError> {
        let board = file.results.board.as_ref();
        let measured = file
            .results
            .trials
            .iter()
            .filter(|trial| trial.latency.is_some())
            .count() as u32;
        self.database
            .execute(
                "INSERT INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (id) DO UPDATE SET started = ?2, board = ?3, machine = ?4, kind = ?5,
                     plan = ?6, trials = ?7, measured = ?8, complete = ?9",
                params![
                    id,
                    file.started,
                    file.plan.board,
                    board.map_or("", |board| board.machine.as_str()),
                    file.kind(),
                    file.plan.plan.word(),
                    file.plan.trials.len() as u32,
                    measured,
                    file.complete
                ],
            )
            .map(|_| ())
            .map_err(|source| self.error(source))
    }

    /// Enters what the folder has and the catalogue lacks or knows as unfinished, and forgets what is
    /// gone. A folder whose `run.json` cannot be read is left out: `scalebench show` says why.
    fn refresh(&mut self) -> Result<(), CatalogueError> {
        let known = self.list()?;
        for entry in known.iter().filter(|entry| !entry.dir.is_dir()) {
            self.forget(&entry.id)?;
        }
        let settled = |id: &str| known.iter().any(|entry| entry.id == id && entry.complete);
        let entries = std::fs::read_dir(&self.runs).map_err(|source| StoreError::Io {
            path: self.runs.clone(),
            source,
        })?;
        for dir in entries.flatten().map(|entry| entry.path()) {
            for dir in runs_in(&dir) {
                let id = fleet::id(&dir);
                if settled(&id) {
                    continue;
                }
                if let Some(file) = RunFolder::open(&dir)
                    .ok()
                    .and_then(|folder| folder.load().ok())
                {
                    self.enter(&id, &file)?;
                }
            }
        }
        self.prune()
    }

    /// Takes away tags of what is gone.
    fn prune(&self) -> Result<(), CatalogueError> {
        let gone = format!("DELETE FROM tag WHERE NOT EXISTS (SELECT 1 FROM run WHERE {TAGGED})");
        self.database
            .execute(&gone, [])
            .map(|_| ())
            .map_err(|source| self.error(source))
    }

    fn has(&self, id: &str) -> Result<bool, CatalogueError> {
        self.database
            .query_row("SELECT 1 FROM run WHERE id = ?1", [id], |_| Ok(()))
            .optional()
            .map(|found| found.is_some())
            .map_err(|source| self.error(source))
    }

    fn forget(&self, id: &str) -> Result<(), CatalogueError> {
        self.database
            .execute("DELETE FROM run WHERE id = ?1", [id])
            .map(|_| ())
            .map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> CatalogueError {
        CatalogueError::Database {
            path: self.runs.join("catalogue.sqlite"),
            source,
        }
    }
}

/// The run folders that a folder is or, of a run on several boards, holds.
fn runs_in(dir: &Path) -> Vec<PathBuf> {
    let Some(fleet) = FleetFolder::at(dir) else {
        return vec![dir.to_owned()];
    };
    let members = fleet.load().map(|file| file.boards).unwrap_or_default();
    members
        .iter()
        .map(|member| fleet.member(&member.name))
        .collect()
}

/// Each step in a transaction of its own: a host that is killed leaves a sound older version.
fn migrate(database: &mut Connection, found: u32) -> rusqlite::Result<()> {
    for (version, step) in (1_u32..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = database.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    /// A folder of runs with two in it.
    fn runs() -> tempfile::TempDir {
        let runs = tempfile::tempdir().unwrap();
        for (id, started) in [
            ("one", "2026-01-31T10:15:00Z"),
            ("two", "2026-02-01T10:15:00Z"),
        ] {
            let folder = example::folder(&runs.path().join(id));
            let mut file = example::run_file();
            file.started = started.to_owned();
            folder.save(&file).unwrap();
        }
        runs
    }

    fn ids(catalogue: &Catalogue) -> Vec<String> {
        catalogue
            .list()
            .unwrap()
            .into_iter()
            .map(|entry| entry.id)
            .collect()
    }

    #[test]
    fn runs_are_found_tagged_and_removed() {
        let dir = runs();
        let catalogue = Catalogue::open(dir.path()).unwrap();
        assert_eq!(ids(&catalogue), ["two", "one"]);
        catalogue.tag("one", "baseline").unwrap();
        assert_eq!(catalogue.find("baseline").unwrap().id, "one");
        catalogue.tag("two", "baseline").unwrap();
        let entry = catalogue.find("baseline").unwrap();
        assert_eq!((entry.id.as_str(), entry.kind.as_str()), ("two", "virtual"));
        assert_eq!(
            (entry.trials, entry.measured, entry.complete),
            (5, 2, false)
        );
        assert!(catalogue.untag("baseline").unwrap() && !catalogue.untag("baseline").unwrap());
        catalogue.remove("one").unwrap();
        assert!(!dir.path().join("one").exists());
        assert_eq!(ids(&catalogue), ["two"]);
        let error = catalogue.find("one").unwrap_err().to_string();
        assert!(
            error.contains("no run `one`") && error.contains("scalebench list"),
            "{error}"
        );
    }

    #[test]
    fn a_tag_neither_hides_a_run_nor_names_a_path() {
        let dir = runs();
        let catalogue = Catalogue::open(dir.path()).unwrap();
        for tag in ["two", "", "../x", "a b", "\u{1b}[2J"] {
            let error = catalogue.tag("one", tag).unwrap_err().to_string();
            assert!(error.contains("cannot be a tag"), "{error}");
        }
    }

    #[test]
    fn a_lost_catalogue_is_built_again_and_gone_folders_are_forgotten() {
        let dir = runs();
        Catalogue::open(dir.path())
            .unwrap()
            .tag("one", "kept")
            .unwrap();
        std::fs::remove_dir_all(dir.path().join("two")).unwrap();
        let catalogue = Catalogue::open(dir.path()).unwrap();
        assert_eq!(ids(&catalogue), ["one"]);
        assert_eq!(catalogue.find("kept").unwrap().id, "one");
        drop(catalogue);
        std::fs::remove_file(dir.path().join("catalogue.sqlite")).unwrap();
        assert_eq!(ids(&Catalogue::open(dir.path()).unwrap()), ["one"]);
    }

    #[test]
    fn every_older_schema_is_brought_up_to_date_and_a_newer_one_refused() {
        for version in 0..SCHEMA {
            let dir = runs();
            let path = dir.path().join("catalogue.sqlite");
            let old = Connection::open(&path).unwrap();
            for step in &MIGRATIONS[..version as usize] {
                old.execute_batch(step).unwrap();
            }
            if version > 0 {
                old.execute_batch(
                    "INSERT INTO run VALUES ('one', '2026', 'b', '', 'real', 'quick', 1, 1, 1);
                     INSERT INTO tag VALUES ('kept', 'one');",
                )
                .unwrap();
            }
            old.pragma_update(None, "user_version", version).unwrap();
            drop(old);
            let catalogue = Catalogue::open(dir.path()).unwrap();
            assert_eq!(ids(&catalogue), ["two", "one"], "{version}");
            let kept = catalogue.find("kept").map(|entry| entry.id).ok();
            assert_eq!(kept.as_deref(), (version > 0).then_some("one"));
        }
        let dir = runs();
        let newer = Connection::open(dir.path().join("catalogue.sqlite")).unwrap();
        newer
            .pragma_update(None, "user_version", SCHEMA + 1)
            .unwrap();
        drop(newer);
        let error = Catalogue::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("update scalebench"), "{error}");
    }
}
