//! `scalebench report`

use super::kept::one_or_newest;
use super::out;
use crate::cli::ReportArgs;
use anyhow::Result;
use scalebench::report::{self, Painter};
use scalebench::store::StoreError;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode> {
    let folder = one_or_newest(args.run.as_deref(), &args.runs.runs)?;
    let file = folder.load()?;
    folder.write(&folder.report(), report::page(&file).as_bytes())?;
    let drawings = match (&args.svg, &args.png) {
        (None, None) => Vec::new(),
        _ => report::drawings(&file),
    };
    let written = |dir: &Path, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(dir).map_err(trouble(dir))?;
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(trouble(&path))
    };
    if let Some(dir) = &args.svg {
        for drawing in &drawings {
            written(dir, &drawing.name, drawing.svg.as_bytes())?;
        }
    }
    if let Some(dir) = &args.png {
        let painter = Painter::new()?;
        for drawing in &drawings {
            let name = Path::new(&drawing.name).with_extension("png");
            written(
                dir,
                &name.to_string_lossy(),
                &painter.paint(drawing, args.dpi)?,
            )?;
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
