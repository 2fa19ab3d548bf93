//! `scalebench list`, `show`, `tag` and `rm`

use super::kept::Kept;
use super::{fleet, out};
use crate::cli::{ListArgs, RmArgs, ShowArgs, TagArgs};
use anyhow::Result;
use comfy_table::Cell;
use scalebench::analysis::Analysis;
use scalebench::catalogue::{Catalogue, CatalogueError};
use scalebench::fleet::{FleetFolder, part};
use scalebench::store::json;
use scalebench::table::{self, plain, right};
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(crate) fn list(args: &ListArgs) -> Result<ExitCode> {
    let entries = Catalogue::open(&args.runs.runs)?.list()?;
    if args.json {
        out::bytes(&json(&entries))?;
        return Ok(ExitCode::SUCCESS);
    }
    if entries.is_empty() {
        out::line("no runs are kept here yet: `scalebench run` makes one")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = plain(&["run", "tags", "board", "kind", "plan", "measured", "state"]);
    for entry in &entries {
        table.add_row([
            Cell::new(&entry.id),
            Cell::new(entry.tags.join(" ")),
            Cell::new(&entry.board),
            Cell::new(&entry.kind),
            Cell::new(&entry.plan),
            right(format!("{} of {}", entry.measured, entry.trials)),
            Cell::new(if entry.complete {
                "complete"
            } else {
                "cut short"
            }),
        ]);
    }
    out::line(&table)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn show(args: &ShowArgs) -> Result<ExitCode> {
    let folder = match Kept::named_or_newest(args.run.as_deref(), &args.runs.runs)? {
        Kept::One(folder) => folder,
        Kept::Several(fleet) => return show_several(args, &fleet),
    };
    let file = folder.load()?;
    let analysis = Analysis::of(&file);
    if args.json {
        out::bytes(&json(&analysis))?;
        return Ok(ExitCode::SUCCESS);
    }
    out::line(table::trials(&file, &BTreeMap::new()))?;
    for line in table::remarks(&file, &BTreeMap::new()) {
        out::line(line)?;
    }
    for family in &analysis.families {
        out::line(format!("\n{}", family.name))?;
        for sentence in family.sentences() {
            out::line(format!("  {sentence}"))?;
        }
    }
    out::line(format!("\nreport: {}", folder.report().display()))?;
    Ok(ExitCode::SUCCESS)
}

/// All boards of a run beside one another; their analyses are each board's own.
fn show_several(args: &ShowArgs, folder: &FleetFolder) -> Result<ExitCode> {
    let runs = folder.runs()?;
    if args.json {
        let analyses: BTreeMap<_, _> = runs
            .iter()
            .map(|(member, file)| (&member.name, Analysis::of(file)))
            .collect();
        out::bytes(&json(&analyses))?;
        return Ok(ExitCode::SUCCESS);
    }
    fleet::table_of(&runs.iter().map(part).collect::<Vec<_>>())?;
    for (member, _) in &runs {
        out::line(format!(
            "analysis of {0}: `scalebench show {1}`",
            member.name,
            folder.member(&member.name).display()
        ))?;
    }
    out::line(format!("report: {}", folder.report().display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn tag(args: &TagArgs) -> Result<ExitCode> {
    let catalogue = Catalogue::open(&args.runs.runs)?;
    match (&args.run, &args.tag, &args.delete) {
        (Some(run), Some(tag), _) => catalogue.tag(run, tag)?,
        (_, _, Some(tag)) if !catalogue.untag(tag)? => {
            return Err(CatalogueError::Unknown {
                name: scalebench::text::escaped(tag),
                runs: args.runs.runs.clone(),
            }
            .into());
        }
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn rm(args: &RmArgs) -> Result<ExitCode> {
    let catalogue = Catalogue::open(&args.runs.runs)?;
    for name in &args.names {
        let gone = catalogue.remove(name)?;
        out::line(format!("deleted {}", gone.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
