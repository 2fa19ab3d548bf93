//! `scalebench run`

use super::part::{self, Measured};
use super::place::{each, reach};
use super::{energy, fleet, out, show};
use crate::cli::RunArgs;
use crate::failure::Wrong;
use anyhow::{Context, Result};
use scalebench::fleet::FleetFolder;
use scalebench::meter::live::{Meter, Recorder};
use scalebench::plan;
use scalebench::store::{json, now_utc};
use scalebench::table;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let families = plan::families(args.models.as_deref())?;
    if let Some(folder) = args.resume.as_deref().and_then(FleetFolder::at) {
        return fleet::resume(args, &folder, &families);
    }
    let mut places = each(&args.places)?;
    if places.len() > 1 && args.meter.is_some() {
        return Err(Wrong(
            "a meter measures one board: run the others without --meter, each or all together"
                .to_owned(),
        )
        .into());
    }
    if places.len() > 1 {
        return fleet::run(args, &places, &families);
    }
    let mut place = places.remove(0);
    let mut meter = None;
    let (reached, begun) = match &args.resume {
        Some(dir) => {
            let begun = part::go_on(dir, &mut place)?;
            (reach(&place)?, begun)
        }
        None => {
            // What can be refused without a board is refused before one is started.
            let plan = part::plan(args, &place, seed(args)?, &families)?;
            // It may be what feeds the board.
            meter = args
                .meter
                .as_ref()
                .zip(args.facts.supply_voltage)
                .map(|(place, volts)| Meter::open(place, volts))
                .transpose()?;
            let reached = reach(&place)?;
            let dir = folder(args, &plan.board);
            let begun = part::begin(&dir, plan, part::connection(&reached))?;
            (reached, begun)
        }
    };
    let recording = begun.folder.dir().join(RECORDING);
    let recorder = meter.map(|meter| meter.record(&recording)).transpose()?;
    let sources = begun.file.plan.sources(&families);
    let ui = show::Ui::new(&args.showing);
    let elf = args.elf.first().map(PathBuf::as_path);
    let measured = part::measure(begun, reached, &sources, args, elf, &ui.watch());
    ui.finish();
    let stopped = recorder.map(Recorder::finish);
    let mut measured = measured?;
    let mut unmetered = false;
    if let Some(stopped) = stopped {
        let Measured { folder, file, .. } = &mut measured;
        // Whatever became of the meter, what it told before may be enough.
        if let Err(error) = stopped {
            eprintln!("{error}");
        }
        if let Err(error) = energy::add(folder, file, &recording, &args.facts) {
            eprintln!(
                "no energy by the meter: {error}; its recording is kept in {}",
                recording.display()
            );
            unmetered = true;
        }
    }
    let code = told(args, measured)?;
    Ok(if unmetered { ExitCode::from(1) } else { code })
}

/// What a meter records, in the run's folder.
const RECORDING: &str = "meter.csv";

/// Says what came out of a run on one board.
fn told(args: &RunArgs, measured: Measured) -> Result<ExitCode> {
    let failed = measured.failed();
    let Measured {
        folder,
        file,
        refusals,
        trouble,
        complaints,
    } = measured;
    if args.json {
        out::bytes(&json(&file.results))?;
    } else {
        out::line(table::trials(&file, &refusals))?;
        if let Some(shares) = table::profiles(&file) {
            out::line(shares)?;
        }
        out::line(show::closing(&file, &refusals, folder.dir(), args))?;
    }
    if let Some(error) = trouble {
        let resume = format!(
            "`scalebench run --resume {}` goes on",
            folder.dir().display()
        );
        let said = if complaints.is_empty() {
            complaints
        } else {
            format!("; the runner said: {complaints}")
        };
        eprintln!("{resume}{said}");
        return Err(error);
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// What the order of trials is drawn from.
pub(super) fn seed(args: &RunArgs) -> Result<u64> {
    Ok(match args.seed {
        Some(seed) => seed,
        // Short enough to be typed again.
        None => u64::from(
            getrandom::u32().context("the system gives no random number: name one with --seed")?,
        ),
    })
}

/// Where a new run goes.
pub(super) fn folder(args: &RunArgs, board: &str) -> PathBuf {
    let default = || default_dir(&now_utc(), board);
    args.output.clone().unwrap_or_else(default)
}

/// `runs/<time>-<board>`, and with a number behind it when there is one already.
pub(crate) fn default_dir(started: &str, board: &str) -> PathBuf {
    let time: String = started.chars().filter(|c| *c != ':').collect();
    let base = format!("{time}-{board}");
    (1..)
        .map(|n| match n {
            1 => base.clone(),
            n => format!("{base}-{n}"),
        })
        .map(|name| Path::new("runs").join(name))
        .find(|dir| !dir.exists())
        .unwrap_or_else(|| Path::new("runs").join(base))
}
