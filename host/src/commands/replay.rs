//! `scalebench replay`

use super::{fleet, out};
use crate::cli::ReplayArgs;
use anyhow::Result;
use scalebench::fleet::{FleetFolder, Member, part};
use scalebench::store::{Replayed, RunFile, RunFolder, json};
use scalebench::{report, table};
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(crate) fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    if let Some(fleet) = FleetFolder::at(&args.run) {
        return several(args, &fleet);
    }
    let folder = RunFolder::open(&args.run)?;
    if args.json {
        let replayed = replayed(&folder)?;
        out::bytes(&json(&replayed.results()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (file, words) = brought_up_to_date(&folder)?;
    out::line(table::trials(&file, &BTreeMap::new()))?;
    if let Some(caveat) = table::caveat(&file) {
        out::line(caveat)?;
    }
    out::line(words)?;
    out::line(format!("report: {}", folder.report().display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The same for every board of several.
fn several(args: &ReplayArgs, folder: &FleetFolder) -> Result<ExitCode> {
    let members = folder.load()?.boards;
    let own = |member: &Member| RunFolder::open(&folder.member(&member.name));
    if args.json {
        let mut results = BTreeMap::new();
        for member in &members {
            results.insert(&member.name, replayed(&own(member)?)?.results());
        }
        out::bytes(&json(&results))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut said = Vec::new();
    for member in &members {
        let (_, words) = brought_up_to_date(&own(member)?)?;
        said.push(format!("{}: {words}", member.name));
    }
    folder.write_report()?;
    let runs = folder.runs()?;
    fleet::table_of(&runs.iter().map(part).collect::<Vec<_>>())?;
    for words in said {
        out::line(words)?;
    }
    out::line(format!("report: {}", folder.report().display()))?;
    Ok(ExitCode::SUCCESS)
}

fn replayed(folder: &RunFolder) -> Result<Replayed> {
    let replayed = folder.replay()?;
    if replayed.torn {
        eprintln!("note: the end of the capture was torn and is left out");
    }
    Ok(replayed)
}

/// Works a run's results out again, and writes `run.json` and report where they say otherwise; in words which.
fn brought_up_to_date(folder: &RunFolder) -> Result<(RunFile, &'static str)> {
    let replayed = replayed(folder)?;
    let results = replayed.results();
    let mut file = folder.load()?;
    let same = file.results == results;
    file.results = results;
    file.plan = replayed.aggregate.plan().clone();
    folder.write(&folder.report(), report::page(&file).as_bytes())?;
    if same {
        return Ok((
            file,
            "the capture gives the results of run.json, to the last bit",
        ));
    }
    folder.save(&file)?;
    Ok((
        file,
        "run.json was behind its capture (the host was killed, perhaps) and is brought up to date",
    ))
}
