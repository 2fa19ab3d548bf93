//! `scalebench export` and `scalebench import`

use super::kept::Kept;
use super::out;
use crate::cli::{ExportArgs, ExportFormat, ImportArgs};
use crate::failure::Wrong;
use anyhow::Result;
use scalebench::capture::Writer;
use scalebench::catalogue::Catalogue;
use scalebench::export::{Exported, csv, document, partitions};
use scalebench::fleet::FleetFolder;
use scalebench::store::{RunFile, RunFolder, StoreError, json};
use scalebench::{published, report};
use scalebench_models::shipped_tables;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) fn export(args: &ExportArgs) -> Result<ExitCode> {
    if args.schema {
        out::bytes(document::PUBLISHED.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let names: Vec<String> = match args.names.as_slice() {
        [] => Catalogue::open(&args.runs.runs)?
            .list()?
            .into_iter()
            .map(|entry| entry.id)
            .collect(),
        names => names.to_vec(),
    };
    // All boards of a run on several.
    let mut folders = Vec::new();
    for name in &names {
        let dir = args.runs.runs.join(name);
        let kept = if dir.is_dir() {
            Kept::at(&dir)?
        } else {
            Kept::named(name, &args.runs.runs)?
        };
        folders.extend(kept.folders()?);
    }
    let read = |folder: &RunFolder| -> Result<Exported> {
        Ok(Exported::read(
            folder,
            args.format == ExportFormat::Parquet,
        )?)
    };
    let output = |text: &[u8]| -> Result<()> {
        match &args.output {
            Some(path) => Ok(fs::write(path, text).map_err(|source| StoreError::Io {
                path: path.clone(),
                source,
            })?),
            None => out::bytes(text),
        }
    };
    match args.format {
        ExportFormat::Parquet => {
            let dir = args.output.as_ref().ok_or_else(|| {
                Wrong("Parquet goes into a folder: name it with --output".to_owned())
            })?;
            // One run at a time: each may have millions of readings.
            for folder in &folders {
                for file in partitions::write(&[read(folder)?], dir)? {
                    out::line(file.display())?;
                }
            }
        }
        ExportFormat::Csv | ExportFormat::Json => {
            let runs: Vec<Exported> = folders.iter().map(read).collect::<Result<_>>()?;
            match args.format {
                ExportFormat::Csv => output(csv::csv(&runs).as_bytes())?,
                _ => output(&json(&document::document(&runs)))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes in run folders of another laptop. Each is told again from its capture first, so that what
/// cannot be replayed is not kept.
pub(crate) fn import(args: &ImportArgs) -> Result<ExitCode> {
    let catalogue = Catalogue::open(&args.runs.runs)?;
    for from in &args.folders {
        if let Some(tables) = tables(from)? {
            let id = import_published(&tables, from, &args.runs.runs, &catalogue)?;
            out::line(format!("{} is kept as {id}", from.display()))?;
            continue;
        }
        let id = from
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let id =
            id.ok_or_else(|| Wrong(format!("{} has no name to keep it by", from.display())))?;
        let to = args.runs.runs.join(&id);
        match Kept::at(from)? {
            Kept::One(folder) => {
                let file = sound(&folder)?;
                keep(&folder, &to, &file)?;
                catalogue.enter(&id, &file)?;
            }
            Kept::Several(fleet) => {
                let index = fleet.load()?;
                // All boards are sound before anything is kept.
                let mut boards = Vec::new();
                for member in &index.boards {
                    let folder = RunFolder::open(&fleet.member(&member.name))?;
                    boards.push((&member.name, sound(&folder)?, folder));
                }
                let to = FleetFolder::create(&to, &index)?;
                for (name, file, folder) in &boards {
                    keep(folder, &to.member(name), file)?;
                    catalogue.enter(&format!("{id}/{name}"), file)?;
                }
                to.write_report()?;
            }
        }
        out::line(format!("{} is kept as {id}", from.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A run as its capture tells it, if that is the one it was written with.
fn sound(folder: &RunFolder) -> Result<RunFile> {
    let mut file = folder.load()?;
    if let Some(expected) = &file.capture_sha256
        && *expected != folder.capture_sha256()?
    {
        return Err(Wrong(format!(
            "{}: its capture is not the one that run.json was written with: copy the folder again",
            folder.dir().display()
        ))
        .into());
    }
    file.results = folder.replay()?.results();
    Ok(file)
}

/// Copies what tells a run into a folder of its own.
fn keep(from: &RunFolder, to: &Path, file: &RunFile) -> Result<()> {
    let to = RunFolder::create(to)?;
    for name in ["capture.bin", "log.txt"] {
        copy(&from.dir().join(name), &to.dir().join(name))?;
    }
    to.save(file)?;
    to.write(&to.report(), report::page(file).as_bytes())?;
    Ok(())
}

/// The published tables that are meant: a file, or those that ship under a name; `None` of a folder.
fn tables(from: &Path) -> Result<Option<Vec<PathBuf>>> {
    if from
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        return Ok(Some(vec![from.to_owned()]));
    }
    if from.is_dir() && Kept::at(from).is_ok() {
        return Ok(None);
    }
    let root = scalebench_models::root(None);
    let found = from.to_str().map(|name| shipped_tables(&root, name));
    let found = found.transpose().map_err(|source| StoreError::Io {
        path: root.join("published"),
        source,
    })?;
    match found {
        Some(tables) if !tables.is_empty() => Ok(Some(tables)),
        _ if from.is_dir() => Ok(None),
        _ => Err(Wrong(format!(
            "{}: no such folder, and no table of that name ships (`study` and `efficientnet-lite` do, in {})",
            from.display(),
            root.join("published").display()
        ))
        .into()),
    }
}

/// Takes in published tables as one run. Its capture holds the plan and nothing else.
fn import_published(
    tables: &[PathBuf],
    from: &Path,
    runs: &Path,
    catalogue: &Catalogue,
) -> Result<String> {
    let file = published::read(tables)?;
    // Of a single table its family's name, of several the one they were asked for by.
    let name = match tables {
        [_] => file.plan.trials.first().map_or("", |trial| &trial.family),
        _ => from.to_str().unwrap_or_default(),
    };
    let id = format!("published-{name}");
    let to = RunFolder::create(&runs.join(&id))?;
    Writer::create(&to.capture(), &serde_json::to_vec(&file.plan)?).map_err(|source| {
        StoreError::Io {
            path: to.capture(),
            source,
        }
    })?;
    to.save(&file)?;
    to.write(&to.report(), report::page(&file).as_bytes())?;
    catalogue.enter(&id, &file)?;
    Ok(id)
}

/// Copies a file, if there is one.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    if from.exists() {
        fs::copy(from, to).map_err(|source| StoreError::Io {
            path: to.to_owned(),
            source,
        })?;
    }
    Ok(())
}
