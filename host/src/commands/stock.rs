//! `scalebench models stock`, and what else takes files to a board otherwise than over its serial line.

use super::out;
use crate::cli::{Choice, StockArgs};
use anyhow::{Context, Result};
use scalebench::plan::{self, Plan, Thoroughness, Wishes};
use scalebench::provision::Sources;
use scalebench::{text, units, virtual_board};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

/// Everything that a run of the choice needs on a board.
pub(super) fn sources(choice: &Choice, models: Option<&Path>) -> Result<Sources> {
    let families = plan::families(models)?;
    let wishes = Wishes {
        // No file depends on what follows.
        board: String::new(),
        thoroughness: Thoroughness::Quick,
        choice: choice.into(),
        seed: 0,
        windows: None,
        window_ms: None,
        time_decoding: false,
        power: plan::PowerPlan::default(),
    };
    Ok(Plan::new(&wishes, &families)?.sources(&families))
}

pub(super) fn stock(args: &StockArgs, models: Option<&Path>) -> Result<ExitCode> {
    let store = args.store.clone();
    let store = store.unwrap_or_else(virtual_board::default_store);
    let remedy = |path: &Path| {
        format!(
            "{}: make room, or choose another folder with --store",
            path.display()
        )
    };
    fs::create_dir_all(&store).with_context(|| remedy(&store))?;
    let (mut put, mut bytes) = (0, 0);
    for (sha256, source) in sources(&args.choice, models)? {
        let path = store.join(&sha256);
        if path.exists() {
            continue;
        }
        let content = source.read()?;
        // Never half a file under a whole one's name. Not `.part`: that is an upload's.
        let coming = tempfile::Builder::new()
            // For the runner's user to read, who need not be this one.
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(&store)
            .with_context(|| remedy(&store))?;
        fs::write(coming.path(), &content).with_context(|| remedy(&path))?;
        coming.persist(&path).with_context(|| remedy(&path))?;
        put += 1;
        bytes += content.len() as u64;
    }
    out::line(format!(
        "{}: {} put in ({}), the others were there",
        text::escaped(&store.display().to_string()),
        text::counted(put, "file"),
        units::bytes(bytes),
    ))?;
    Ok(ExitCode::SUCCESS)
}
