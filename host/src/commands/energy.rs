//! `scalebench energy`

use super::kept::one_or_newest;
use super::mlperf_tiny::result;
use super::out;
use crate::cli::EnergyArgs;
use anyhow::Result;
use scalebench::meter::recording::{Hints, Recording};
use scalebench::meter::{self, Marks};
use scalebench::mlperf::record;
use scalebench::store::json;
use scalebench::{report, table};
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(crate) fn energy(args: &EnergyArgs) -> Result<ExitCode> {
    let folder = one_or_newest(args.run.as_deref(), &args.runs.runs)?;
    let mut file = folder.load()?;
    let hints = Hints {
        trigger: args.trigger.as_deref(),
        supply_volts: args.supply_voltage,
    };
    let recording = Recording::open(&args.meter, hints)?;
    let is_mlperf = file.mlperf_tiny.is_some();
    let marks = if is_mlperf { Marks::Host } else { Marks::Board };
    meter::add(&mut file.results, &recording, marks, args.meter_accuracy)?;
    if let Some(trial) = file.results.trials.first().filter(|_| is_mlperf) {
        result(&folder, "energy", &record::energy_text(&trial.windows))?;
    }
    folder.save(&file)?;
    folder.write(&folder.report(), report::page(&file).as_bytes())?;
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
