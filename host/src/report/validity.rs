//! What the figures are worth: which windows count, how fine the clock is, what watching costs, what failed.

use super::strip;
use crate::results::Status;
use crate::store::RunFile;
use crate::{table, text, units};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Of the shortest latency, what a step of the clock may be before the reader is warned.
const COARSE: f64 = 0.02;

pub(crate) fn validity(file: &RunFile) -> Markup {
    let strips = strip::over_the_run(file);
    let remarks = remarks(file);
    let voids = voids(file);
    html! {
        section {
            h2 { "Validity" }
            dl { @for (name, value) in facts(file) { dt { (name) } dd { (value) } } }
            @if !voids.is_empty() {
                h3 { "Windows that do not count" }
                ul.remarks { @for (reason, labels) in &voids {
                    li { (reason) ": " (text::counted(labels.values().sum(), "window")) " of "
                        (labels.iter().map(|(label, count)| format!("{label} ({count})")).collect::<Vec<_>>().join(", ")) }
                } }
            }
            @if !remarks.is_empty() {
                h3 { "Remarks" }
                ul.remarks { @for remark in &remarks { li { (remark) } } }
            }
            @if strips.is_empty() {
                p.muted { "This board tells neither its clock nor its temperature." }
            } @else {
                div.charts { @for (_, title, svg) in &strips {
                    figure { figcaption { (title) } (svg) }
                } }
            }
        }
    }
}

fn facts(file: &RunFile) -> Vec<(&'static str, String)> {
    let trials = &file.results.trials;
    let count =
        |of: &dyn Fn(&Status) -> bool| trials.iter().filter(|trial| of(&trial.status)).count();
    let windows = || trials.iter().flat_map(|trial| &trial.windows);
    let void = windows().filter(|window| window.void.is_some()).count();
    let golden: u64 = trials
        .iter()
        .filter_map(|trial| trial.golden)
        .map(|golden| u64::from(golden.vectors))
        .sum();
    let beyond = trials
        .iter()
        .filter(|trial| trial.golden.is_some_and(|golden| golden.beyond > 0))
        .count();
    let (outliers, samples) =
        trials
            .iter()
            .filter_map(|trial| trial.latency)
            .fold((0_u64, 0_u64), |(o, s), latency| {
                (
                    o + u64::from(latency.outliers),
                    s + u64::from(latency.samples),
                )
            });
    let mut facts = vec![
        (
            "trials",
            format!(
                "{} measured, {} not executable on this engine, {} failed or lost, {} not begun",
                count(&|status| *status == Status::Done),
                count(&|status| matches!(status, Status::NotExecutable(_))),
                count(&|status| status.is_failure() && *status != Status::Pending),
                count(&|status| *status == Status::Pending),
            ),
        ),
        ("windows", format!("{} of {} void", void, windows().count())),
        (
            "outliers",
            format!(
                "{outliers} of {} readings, counted and kept",
                units::count(samples)
            ),
        ),
        (
            "golden vectors",
            format!(
                "{golden} compared; {} with outputs beyond the tolerance",
                text::counted(beyond, "variant")
            ),
        ),
    ];
    facts.extend(clock(file).map(|clock| ("clock", clock)));
    let observer = table::observer(file).unwrap_or_else(|| match file.results.rails.is_empty() {
        true => "no power was sampled".to_owned(),
        false => "not measured: `scalebench run --observer-cost` does".to_owned(),
    });
    facts.push(("observer's cost", observer));
    let mut tiers: BTreeMap<&str, usize> = BTreeMap::new();
    for trial in trials {
        *tiers
            .entry(trial.energy.as_ref().map_or("none", |energy| &energy.tier))
            .or_default() += 1;
    }
    let tiers: Vec<String> = tiers
        .iter()
        .map(|(tier, count)| format!("{tier}: {}", text::counted(*count, "trial")))
        .collect();
    facts.push(("energy's tier", tiers.join(", ")));
    facts
}

/// A step of the clock beside the shortest latency that it measured.
fn clock(file: &RunFile) -> Option<String> {
    let step = file.results.board.as_ref()?.resolution_ns;
    let latencies = file.results.trials.iter().filter_map(|trial| trial.latency);
    let shortest = latencies
        .map(|latency| latency.median_ns)
        .reduce(f64::min)?;
    let share = step / shortest.max(f64::MIN_POSITIVE);
    let worth = if share > COARSE {
        "single readings of it are coarse, medians move in such steps"
    } else {
        "fine enough"
    };
    Some(format!(
        "a step is {}, {} of the shortest median latency: {worth}",
        units::time(step),
        units::share(share)
    ))
}

/// Void windows by reason, and how many of which variant.
fn voids(file: &RunFile) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut voids: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for (planned, result) in table::ordered(file) {
        for reason in result
            .windows
            .iter()
            .filter_map(|window| window.void.clone())
        {
            *voids
                .entry(reason)
                .or_default()
                .entry(planned.label())
                .or_default() += 1;
        }
    }
    voids
}

/// Reasons of everything that has no figure, and what the board printed.
fn remarks(file: &RunFile) -> Vec<String> {
    let mut remarks = table::remarks(file, &BTreeMap::new());
    if file.results.restarts > 0 {
        let restarts = text::counted(file.results.restarts as usize, "time");
        remarks.push(format!("the board restarted {restarts} during the run"));
    }
    let printed = file.results.printed.iter();
    remarks.extend(printed.map(|text| format!("the board printed: {text}")));
    remarks
}
