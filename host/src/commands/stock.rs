//! `scalebench models stock`, and what else takes files to a board otherwise than over its serial line.

use super::out;
use crate::cli::{Choice, StockArgs};
use anyhow::{Context, Result, anyhow};
use scalebench::plan::{self, Plan, Thoroughness, Wishes};
use scalebench::provision::Sources;
use scalebench::{text, units, virtual_board};
use scalebench_core::board::Store as _;
use scalebench_runner::store::Folder;
use scalebench_wire::Digest;
use scalebench_wire::message::ArtefactState;
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

/// Fills a store as the runner itself does: resumed, locked, checked by hash, and under a file's name only when whole.
pub(super) fn stock(args: &StockArgs, models: Option<&Path>) -> Result<ExitCode> {
    let sources = sources(&args.choice, models)?;
    let root = args.store.clone();
    let root = root.unwrap_or_else(virtual_board::default_store);
    let shown = text::escaped(&root.display().to_string());
    let mut store = Folder::new(root).map_err(|source| {
        anyhow!("{shown} cannot be a store: {source}: choose another folder with --store")
    })?;
    let (mut put, mut bytes) = (0, 0);
    for (sha256, source) in sources {
        // Compared with it already.
        let content = source.read()?;
        let digest = Digest::from_hex(&sha256).context("a manifest's hash is no SHA-256")?;
        // What is there is taken only as what it should be; a damaged file is removed.
        if store.open(digest) {
            store.close();
            continue;
        }
        let length = content.len() as u64;
        let taken = store.begin(digest, length, 0) && store.append(&content);
        if !taken || store.commit().2 != ArtefactState::Complete {
            return Err(anyhow!(
                "{shown} does not take {} ({}): make room in it, see that it can be written and that no runner is at it, or \
                 choose another folder with --store",
                text::escaped(&source.path.display().to_string()),
                units::bytes(length)
            ));
        }
        put += 1;
        bytes += length;
    }
    out::line(format!(
        "{shown}: {} put in ({}), the others were there",
        text::counted(put, "file"),
        units::bytes(bytes),
    ))?;
    Ok(ExitCode::SUCCESS)
}
