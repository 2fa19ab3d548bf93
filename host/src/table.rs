//! Tables in the terminal.

use crate::fleet::Part;
use crate::meter::Meter;
use crate::plan::PlannedTrial;
use crate::published::Source;
use crate::results::{GovernorResult, Latency, Status, TrialResult};
use crate::store::RunFile;
use crate::{stats, text, units};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use scalebench_models::Precision;
use std::collections::BTreeMap;

/// A plain table that fits its terminal.
#[must_use]
pub fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(
            header
                .iter()
                .map(|word| Cell::new(word).add_attribute(Attribute::Bold)),
        );
    if !table.is_tty() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table
}

/// A cell at the right edge of its column.
#[must_use]
pub fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Trials of a run as they are shown: by family, then size, then precision.
#[must_use]
pub fn ordered(file: &RunFile) -> Vec<(&PlannedTrial, &TrialResult)> {
    let mut rows: Vec<_> = file.plan.trials.iter().zip(&file.results.trials).collect();
    rows.sort_by_key(|(planned, _)| order(planned));
    rows
}

/// What trials are sorted by where they are shown.
pub(crate) fn order(planned: &PlannedTrial) -> (String, u64, u64, String, Precision) {
    (
        planned.family.clone(),
        planned.macs,
        planned.parameters,
        planned.variant.clone(),
        planned.precision,
    )
}

/// What must be said beside every latency of a run that no board was measured in.
#[must_use]
pub fn caveat(file: &RunFile) -> Option<&'static str> {
    match file.kind() {
        "emulated" => {
            Some("this board was emulated: its latencies are an emulator's, not a board's")
        }
        "virtual" => Some(
            "this was the local virtual board: the latencies are this machine's, not a board's",
        ),
        "published" => {
            Some("these are published figures, not measured by scalebench, and without spread")
        }
        _ => None,
    }
}

const HEADER: [&str; 13] = [
    "family",
    "variant",
    "precision",
    "parameters",
    "MACs",
    "model",
    "quality",
    "cold",
    "median",
    "p90",
    "p99",
    "peak memory",
    "energy",
];

/// The table of a run.
#[must_use]
pub fn trials(file: &RunFile, refusals: &BTreeMap<u32, String>) -> Table {
    let mut table = plain(&HEADER);
    for (planned, result) in ordered(file) {
        table.add_row(row(planned, result, refusals));
    }
    table
}

/// The table of a run on several boards: a variant's boards below one another.
#[must_use]
pub fn fleet(parts: &[Part<'_>]) -> Table {
    let mut table = plain(&[&["board"], HEADER.as_slice()].concat());
    let mut rows: Vec<_> = parts
        .iter()
        .flat_map(|part| ordered(part.file).into_iter().map(move |row| (part, row)))
        .collect();
    rows.sort_by_key(|(_, (planned, _))| order(planned));
    for (part, (planned, result)) in rows {
        let mut cells = vec![Cell::new(part.name)];
        cells.extend(row(planned, result, part.refusals));
        table.add_row(cells);
    }
    table
}

fn row(
    planned: &PlannedTrial,
    result: &TrialResult,
    refusals: &BTreeMap<u32, String>,
) -> Vec<Cell> {
    let mut row = vec![
        Cell::new(&planned.family),
        Cell::new(&planned.variant),
        Cell::new(planned.precision),
        right(known(planned.parameters, units::count)),
        right(planned.unstated.shown_operations(planned.macs)),
        right(known(planned.model.bytes, units::bytes)),
    ];
    match trouble(result, refusals) {
        Some((text, color)) => row.push(Cell::new(text).fg(color)),
        None => row.extend(measured(planned, result)),
    }
    row
}

/// Which types of operators take the time, where they were timed one by one.
#[must_use]
pub fn profiles(file: &RunFile) -> Option<Table> {
    let mut table = plain(&["family", "variant", "precision", "time by operator type"]);
    for (planned, result) in ordered(file) {
        let Some(profile) = &result.profile else {
            continue;
        };
        let shares = profile
            .shares()
            .into_iter()
            .map(|(kind, share)| format!("{kind} {}", units::share(share)));
        table.add_row(vec![
            Cell::new(&planned.family),
            Cell::new(&planned.variant),
            Cell::new(planned.precision),
            Cell::new(shares.take(4).collect::<Vec<_>>().join(", ")),
        ]);
    }
    (table.row_count() > 0).then_some(table)
}

/// Why there are no figures, short.
fn trouble(result: &TrialResult, refusals: &BTreeMap<u32, String>) -> Option<(String, Color)> {
    match &result.status {
        Status::Done => None,
        Status::NotExecutable(_) => Some(("not yet executable".to_owned(), Color::DarkGrey)),
        Status::Unfaithful(_) => Some(("unfaithful outputs".to_owned(), Color::Red)),
        Status::Failed(_) => Some(("failed".to_owned(), Color::Red)),
        Status::Lost => Some(("lost".to_owned(), Color::Red)),
        Status::Pending if refusals.contains_key(&result.trial) => {
            Some(("not begun".to_owned(), Color::Red))
        }
        Status::Pending => Some(("not begun".to_owned(), Color::Yellow)),
    }
}

fn measured(planned: &PlannedTrial, result: &TrialResult) -> Vec<Cell> {
    let none = || "–".to_owned();
    let mut cells = vec![
        right(quality(planned, result).unwrap_or_else(none)),
        right(result.cold_ns.map_or_else(none, units::time)),
    ];
    match &result.latency {
        Some(latency) => {
            let percentile = |p: Option<crate::stats::Percentile>| {
                p.map_or_else(|| "not enough samples".to_owned(), |p| units::time(p.value))
            };
            cells.push(right(median(planned, latency)));
            cells.push(right(percentile(latency.p90)));
            cells.push(right(percentile(latency.p99)));
        }
        None => cells.extend([right("withheld"), right(none()), right(none())]),
    }
    cells.push(right(result.peak_bytes.map_or_else(none, units::bytes)));
    cells.push(right(energy(result)));
    cells
}

/// A count as `show` has it, or a dash for what nobody stated.
#[must_use]
pub(crate) fn known(count: u64, show: fn(u64) -> String) -> String {
    match count {
        0 => "–".to_owned(),
        count => show(count),
    }
}

/// Energy of an inference with its uncertainty and its tier, which is `none` where there is none.
#[must_use]
pub fn energy(result: &TrialResult) -> String {
    result.energy.as_ref().map_or_else(
        || "none".to_owned(),
        |energy| {
            let share =
                energy.gross_j.uncertainty / energy.gross_j.value.abs().max(f64::MIN_POSITIVE);
            format!(
                "{} ±{:.1} % {}",
                units::energy(energy.gross_j.value),
                share * 100.0,
                energy.tier
            )
        },
    )
}

/// Instructions of an inference, those of the harness included.
#[must_use]
pub fn instructions(result: &TrialResult) -> Option<String> {
    let instructions = result.counts?.instructions?;
    Some(units::count(instructions.round() as u64))
}

/// What is to be said of the processor's counters and of its governor.
#[must_use]
pub fn processor(file: &RunFile) -> Vec<(&'static str, String)> {
    let results = &file.results;
    let mut facts = Vec::new();
    if !results.uncounted.is_empty() {
        // One reason for all of them is the rule.
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, reason) in &results.uncounted {
            let names = reasons.entry(reason).or_default();
            names.push(name.replace('_', " "));
        }
        let said = reasons
            .iter()
            .map(|(reason, names)| format!("{}: {reason}", names.join(", ")));
        facts.push(("not counted", said.collect::<Vec<_>>().join("; ")));
    }
    if let Some(asked) = &file.plan.governor {
        let became = match &results.governor {
            None => "asked for; the runner did not answer".to_owned(),
            Some(GovernorResult {
                refused: Some(reason),
                ..
            }) => format!("asked for, not set: {reason}"),
            Some(GovernorResult {
                before: Some(before),
                ..
            }) => format!("during the run; before and after {before}"),
            Some(_) => "during the run".to_owned(),
        };
        facts.push(("governor", format!("{asked}, {became}")));
    }
    facts
}

/// Median over windows with half the distance between the extremes of the windows, where there are several.
#[must_use]
pub fn median(planned: &PlannedTrial, latency: &Latency) -> String {
    if latency.windows < 2 {
        return planned.unstated.shown_time(latency.median_ns);
    }
    let spread =
        (latency.high_ns - latency.low_ns) / 2.0 / latency.median_ns.max(f64::MIN_POSITIVE);
    format!(
        "{} ±{:.1} %",
        units::time(latency.median_ns),
        spread * 100.0
    )
}

/// A trial's quality with its interval.
#[must_use]
pub fn quality(planned: &PlannedTrial, result: &TrialResult) -> Option<String> {
    let quality = result.quality.as_ref()?;
    let value = units::quality(planned.metric, quality.value?);
    let spread = quality.interval.map_or(String::new(), |interval| {
        let half = (interval.high - interval.low) / 2.0;
        format!(" ±{}", units::quality_spread(planned.metric, half))
    });
    Some(format!(
        "{} {value}{spread}",
        units::metric_name(planned.metric)
    ))
}

/// What is to be said of single trials below the table, each reason once.
#[must_use]
pub fn remarks(file: &RunFile, refusals: &BTreeMap<u32, String>) -> Vec<String> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (planned, result) in ordered(file) {
        let reason = match (&result.status, &result.latency_withheld) {
            (
                Status::NotExecutable(reason) | Status::Unfaithful(reason) | Status::Failed(reason),
                _,
            ) => reason.clone(),
            (Status::Done, Some(reason)) => format!("no latency is published: {reason}"),
            (Status::Lost, _) => "lost when the board restarted".to_owned(),
            (Status::Pending, _) => match refusals.get(&result.trial) {
                Some(reason) => reason.clone(),
                None => continue,
            },
            (Status::Done, None) => continue,
        };
        reasons.entry(reason).or_default().push(planned.label());
    }
    let windows = file.results.trials.first();
    let windows = windows.map_or(&[][..], |trial| &trial.windows);
    let said = file.mlperf_tiny.as_ref().map(|run| run.remark(windows));
    let said = said.or_else(|| file.published.as_ref().map(Source::remark));
    let reasons = reasons
        .into_iter()
        .map(|(reason, labels)| format!("{}: {reason}", labels.join(", ")));
    said.into_iter()
        .chain(reasons)
        .chain(governor_remark(file))
        .chain(power_remarks(file))
        .chain(own_answers(file))
        .chain(partial(file))
        .chain(agreement(file))
        .chain(shared(file))
        .chain(seeded(file))
        .chain(timed(file))
        .collect()
}

/// Which variants were held against the engine's own answers only.
fn own_answers(file: &RunFile) -> Option<String> {
    let own = ordered(file)
        .into_iter()
        .filter(|(planned, result)| result.golden.is_some() && !planned.answers.are_references());
    let labels: Vec<String> = own.map(|(planned, _)| planned.label()).collect();
    (!labels.is_empty()).then(|| {
        format!(
            "{}: the golden vectors are the engine's own answers on the machine that added them, no reference's",
            labels.join(", ")
        )
    })
}

/// Which variants were scored on a part of their evaluation set, as the quick plan does with costly ones.
fn partial(file: &RunFile) -> Option<String> {
    let parts: Vec<String> = ordered(file)
        .into_iter()
        .filter(|(planned, _)| planned.samples > 0)
        .filter_map(|(planned, result)| {
            let samples = result.quality.as_ref()?.samples;
            Some(format!("{} ({samples})", planned.label()))
        })
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "scored on the first samples of the evaluation set only: {}; the plans default and full take all",
            parts.join(", ")
        )
    })
}

/// How much longer a window takes, for each inference, than their median, before other work must have shared the processor.
const SHARED: f64 = 1.5;

/// Whether other work had the processor for a large part of most windows.
fn shared(file: &RunFile) -> Option<String> {
    let trials = file.results.trials.iter();
    let mut ratios: Vec<f64> = trials
        .flat_map(|trial| &trial.windows)
        .filter(|window| window.void.is_none())
        .filter_map(|window| Some(window.mean_ns / window.median_ns?))
        .collect();
    stats::sort(&mut ratios);
    let typical = stats::median(&ratios)?;
    (typical > SHARED).then(|| {
        format!(
            "other work shared the processor: half of the windows took {}× their median inference or more, so that medians, and \
             percentiles all the more, are those of a busy machine",
            units::three(typical)
        )
    })
}

/// What a figure of quality may be off by for having been written down with six decimals: less than one sample of another
/// class is.
const ROUNDED: f64 = 1e-6;

/// Whether int8 variants are as good here as in the TFLite reference kernels, which their manifest states for the whole
/// evaluation set.
fn agreement(file: &RunFile) -> Option<String> {
    let mut equal = 0;
    let mut others = Vec::new();
    for (planned, result) in ordered(file) {
        let whole = planned.precision == Precision::Int8 && planned.samples == 0;
        let here = result.quality.as_ref().and_then(|quality| quality.value);
        let Some((here, there)) = here.zip(planned.reference_quality).filter(|_| whole) else {
            continue;
        };
        if (here - there).abs() <= ROUNDED {
            equal += 1;
        } else {
            others.push(format!("{} ({here:.6}, not {there:.6})", planned.label()));
        }
    }
    let total = equal + others.len();
    let others = match others.as_slice() {
        [] => String::new(),
        others => format!("; otherwise: {}", others.join(", ")),
    };
    (total > 0).then(|| {
        format!(
            "int8 quality is that of the TFLite reference kernels, to six decimals, in {equal} of {}{others}",
            text::counted(total, "variant")
        )
    })
}

/// Of which variants there is no quality, because their weights are drawn and not trained.
fn seeded(file: &RunFile) -> Option<String> {
    let drawn = ordered(file)
        .into_iter()
        .filter(|(planned, _)| !planned.weights.are_trained());
    let labels: Vec<String> = drawn.map(|(planned, _)| planned.label()).collect();
    (!labels.is_empty()).then(|| format!("{}: {UNMEASURED}", labels.join(", ")))
}

/// What stands for the quality of weights that were not trained.
pub const UNMEASURED: &str = "quality not measured: seeded weights";

/// What latencies of detection hold.
#[must_use]
pub fn timed(file: &RunFile) -> Option<String> {
    if file.published.is_some() {
        return None; // their tables do not tell
    }
    let mut trials = file.plan.trials.iter();
    let held = trials.find_map(|planned| file.plan.timed(planned))?;
    Some(format!("latencies of detection hold {held}"))
}

/// A governor that was asked for and not set: the latencies are not those that were wanted.
fn governor_remark(file: &RunFile) -> Option<String> {
    let reason = file.results.governor.as_ref()?.refused.as_ref()?;
    let asked = file.plan.governor.as_ref()?;
    Some(format!("governor {asked} was not set: {reason}"))
}

/// What is to be said of energy as a whole: simulated figures, and what sampling costs.
fn power_remarks(file: &RunFile) -> Vec<String> {
    let trials = &file.results.trials;
    let mut remarks = Vec::new();
    let simulated = file
        .results
        .rails
        .iter()
        .filter(|rail| rail.tier == "simulated");
    let names: Vec<&str> = simulated.map(|rail| rail.name.as_str()).collect();
    if !names.is_empty() {
        remarks.push(format!(
            "energy is simulated: rail {} is a made-up load, no board draws this",
            names.join(", ")
        ));
    }
    remarks.extend(file.results.meter.as_ref().map(Meter::remark));
    if !file.results.rails.is_empty() {
        let withheld: std::collections::BTreeSet<&String> = trials
            .iter()
            .filter(|trial| trial.status == Status::Done)
            .filter_map(|trial| trial.energy_withheld.as_ref())
            .collect();
        remarks.extend(
            withheld
                .into_iter()
                .map(|reason| format!("no energy: {reason}")),
        );
    }
    remarks.extend(observer(file));
    remarks
}

/// What sampling costs, over all trials in which that was measured.
#[must_use]
pub fn observer(file: &RunFile) -> Option<String> {
    let trials = &file.results.trials;
    let mut costs: Vec<f64> = trials
        .iter()
        .filter_map(|trial| trial.observer_cost)
        .collect();
    crate::stats::sort(&mut costs);
    let median = crate::stats::median(&costs)?;
    let (low, high) = (costs.first()?, costs.last()?);
    Some(format!(
        "power sampling changes latency by {:+.2} % (median of {}, from {:+.2} to {:+.2} %)",
        median * 100.0,
        crate::text::counted(costs.len(), "trial"),
        low * 100.0,
        high * 100.0
    ))
}
