//! `scalebench replay`

use super::out;
use crate::cli::ReplayArgs;
use anyhow::Result;
use scalebench::store::{RunFolder, json};
use scalebench::{report, table};
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(crate) fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    let folder = RunFolder::open(&args.run)?;
    let replayed = folder.replay()?;
    let results = replayed.results();
    if replayed.torn {
        eprintln!("note: the end of the capture was torn and is left out");
    }
    if args.json {
        out::bytes(&json(&results))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut file = folder.load()?;
    let same = file.results == results;
    file.results = results;
    file.plan = replayed.aggregate.plan().clone();
    out::line(table::trials(&file, &BTreeMap::new()))?;
    if let Some(caveat) = table::caveat(&file) {
        out::line(caveat)?;
    }
    folder.write(&folder.report(), report::page(&file).as_bytes())?;
    if same {
        out::line("the capture gives the results of run.json, to the last bit")?;
    } else {
        out::line(
            "run.json was behind its capture (the host was killed, perhaps) and is brought up to date",
        )?;
        folder.save(&file)?;
    }
    out::line(format!("report: {}", folder.report().display()))?;
    Ok(ExitCode::SUCCESS)
}
