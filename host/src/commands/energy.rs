//! `scalebench energy`

use super::kept::one_or_newest;
use super::mlperf_tiny::result;
use super::out;
use crate::cli::{EnergyArgs, MeterFacts};
use anyhow::Result;
use scalebench::meter::recording::{Hints, Recording};
use scalebench::meter::{self, Marks};
use scalebench::mlperf::record;
use scalebench::store::{RunFile, RunFolder, json};
use scalebench::{report, table};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Adds the energy by the recording at `path` to a run, its file and its report.
pub(super) fn add(
    folder: &RunFolder,
    file: &mut RunFile,
    path: &Path,
    facts: &MeterFacts,
) -> Result<()> {
    let hints = Hints {
        trigger: facts.trigger.as_deref(),
        supply_volts: facts.supply_voltage,
    };
    let recording = Recording::open(path, hints)?;
    let is_mlperf = file.mlperf_tiny.is_some();
    let marks = if is_mlperf { Marks::Host } else { Marks::Board };
    meter::add(&mut file.results, &recording, marks, facts.meter_accuracy)?;
    if let Some(trial) = file.results.trials.first().filter(|_| is_mlperf) {
        result(folder, "energy", &record::energy_text(&trial.windows))?;
    }
    folder.save(file)?;
    folder.write(&folder.report(), report::page(file).as_bytes())?;
    Ok(())
}

pub(crate) fn energy(args: &EnergyArgs) -> Result<ExitCode> {
    let folder = one_or_newest(args.run.as_deref(), &args.runs.runs)?;
    let mut file = folder.load()?;
    add(&folder, &mut file, &args.meter, &args.facts)?;
    if args.json {
        out::bytes(&json(&file.results))?;
        return Ok(ExitCode::SUCCESS);
    }
    out::line(table::trials(&file, &BTreeMap::new()))?;
    for line in table::remarks(&file, &BTreeMap::new()) {
        out::line(line)?;
    }
    out::line(format!("report: {}", folder.report().display()))?;
    Ok(ExitCode::SUCCESS)
}
