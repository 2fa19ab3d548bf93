//! `scalebench export` and `scalebench import`

use super::out;
use super::place::{named, several};
use crate::cli::{ExportArgs, ExportFormat, ImportArgs};
use crate::failure::Wrong;
use anyhow::Result;
use scalebench::capture::Writer;
use scalebench::catalogue::Catalogue;
use scalebench::export::{Exported, csv, document, partitions};
use scalebench::store::{RunFolder, StoreError, json};
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
        let kept = args.runs.runs.join(name);
        match several(name, &args.runs.runs) {
            Some(fleet) => {
                for member in fleet.load()?.boards {
                    folders.push(RunFolder::open(&fleet.member(&member.name))?);
                }
            }
            None if kept.is_dir() => folders.push(RunFolder::open(&kept)?),
            None => folders.push(named(name, &args.runs.runs)?),
        }
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
        let folder = RunFolder::open(from)?;
        let mut file = folder.load()?;
        if let Some(expected) = &file.capture_sha256
            && *expected != folder.capture_sha256()?
        {
            return Err(Wrong(format!(
                "{}: its capture is not the one that run.json was written with: copy the folder again",
                from.display()
            ))
            .into());
        }
        file.results = folder.replay()?.results();
        let id = from
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let id =
            id.ok_or_else(|| Wrong(format!("{} has no name to keep it by", from.display())))?;
        let to = RunFolder::create(&args.runs.runs.join(&id))?;
        for name in ["capture.bin", "log.txt"] {
            copy(&from.join(name), &to.dir().join(name))?;
        }
        to.save(&file)?;
        to.write(&to.report(), report::page(&file).as_bytes())?;
        catalogue.enter(&id, &file)?;
        out::line(format!("{} is kept as {id}", from.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The published tables that are meant: a file, or those that ship under a name; `None` of a folder.
fn tables(from: &Path) -> Result<Option<Vec<PathBuf>>> {
    if from
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        return Ok(Some(vec![from.to_owned()]));
    }
    if from.is_dir() && RunFolder::open(from).is_ok() {
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
