//! `scalebench report`

use super::out;
use super::place::{named_or_newest, several};
use crate::cli::ReportArgs;
use anyhow::{Result, bail};
use scalebench::report;
use scalebench::store::StoreError;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode> {
    let name = args.run.as_deref();
    if let Some(name) = name.filter(|name| several(name, &args.runs.runs).is_some()) {
        bail!(
            "{} holds a run on several boards: name one of the folders in it",
            scalebench::text::escaped(name)
        );
    }
    let folder = named_or_newest(name, &args.runs.runs)?;
    let file = folder.load()?;
    folder.write(&folder.report(), report::page(&file).as_bytes())?;
    if let Some(dir) = &args.svg {
        std::fs::create_dir_all(dir).map_err(trouble(dir))?;
        for drawing in report::drawings(&file) {
            let path = dir.join(&drawing.name);
            std::fs::write(&path, &drawing.svg).map_err(trouble(&path))?;
        }
    }
    for (path, text) in [
        (&args.latex, report::latex as fn(&_) -> String),
        (&args.markdown, report::markdown),
    ] {
        match path {
            Some(path) if path.as_os_str() == "-" => out::bytes(text(&file).as_bytes())?,
            Some(path) => std::fs::write(path, text(&file)).map_err(trouble(path))?,
            None => {}
        }
    }
    eprintln!("report: {}", folder.report().display());
    Ok(ExitCode::SUCCESS)
}

fn trouble(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    |source| StoreError::Io { path, source }
}
