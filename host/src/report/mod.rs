//! The report: one page that needs nothing else and no network. Its one script adds hovering and filters: the
//! page is whole without it.
//!
//! Every string passes `maud`'s escaping; strings from a board were escaped once more on arrival.

mod chart;
mod choice;
mod details;
mod figures;
mod filters;
mod fleet;
mod policy;
mod profile;
mod scaling;
mod spread;
mod strip;
mod validity;

use crate::analysis::{Analysis, FamilyAnalysis};
use crate::fleet::Part;
use crate::plan::PlannedTrial;
use crate::results::TrialResult;
use crate::store::RunFile;
use chart::{Axis, Chart, Point};
use choice::Choice;
use figures::figures;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use scalebench_models::Direction;
use std::collections::BTreeSet;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// One trial as the report sees it.
pub(crate) type Row<'a> = (&'a PlannedTrial, &'a TrialResult);

/// The page of a run on one board.
#[must_use]
pub fn page(file: &RunFile) -> String {
    let rows = crate::table::ordered(file);
    let title = format!(
        "scalebench: {} on {}",
        family_names(&rows).join(", "),
        machine(file)
    );
    document(
        &title,
        &file.scalebench,
        &html! {
            (header(file))
            (filters::filters(&[file], &[]))
            (body(file))
        },
    )
}

/// The page of a run on several boards: what they do beside one another, then each as on its own page.
#[must_use]
pub fn fleet(parts: &[Part<'_>]) -> String {
    let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
    let files: Vec<&RunFile> = parts.iter().map(|part| part.file).collect();
    let version = parts
        .first()
        .map_or(env!("CARGO_PKG_VERSION"), |part| &part.file.scalebench);
    document(
        &format!("scalebench: {}", names.join(", ")),
        version,
        &html! {
            (fleet::header(parts))
            (filters::filters(&files, &names))
            (fleet::beside(parts))
            @for part in parts {
                div data-board=(part.name) {
                    h2.board id=(part.name) { (part.name) }
                    @if let Some(trouble) = part.trouble {
                        p.notice { strong { "Not measured to the end. " } (trouble) }
                    }
                    (body(part.file))
                }
            }
        },
    )
}

fn document(title: &str, version: &str, content: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy::policy(STYLE, SCRIPT));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(format!("scalebench {version}"));
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (content) }
                div id="tip" role="status" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// Everything below the header.
fn body(file: &RunFile) -> Markup {
    let rows = crate::table::ordered(file);
    let analysis = Analysis::of(file);
    html! {
        (notice(file))
        (overview(&rows, &analysis))
        @for family in family_names(&rows) {
            (section(&family, &rows, &analysis))
        }
        (validity::validity(file))
        (details::provenance(file, &rows))
    }
}

fn family_names(rows: &[Row<'_>]) -> Vec<String> {
    let mut names: Vec<String> = rows
        .iter()
        .map(|(planned, _)| planned.family.clone())
        .collect();
    names.dedup();
    names
}

fn machine(file: &RunFile) -> String {
    match &file.results.board {
        Some(board) if board.emulated => format!("{} (emulated)", board.machine),
        Some(_) if file.connection.is_virtual => "the local virtual board".to_owned(),
        Some(board) => board.machine.clone(),
        None => match &file.published {
            Some(source) => source.on().to_owned(),
            None => file.plan.board.clone(),
        },
    }
}

fn header(file: &RunFile) -> Markup {
    let done = file
        .results
        .trials
        .iter()
        .filter(|t| t.latency.is_some())
        .count();
    let schedule = &file.plan.schedule;
    html! {
        header {
            p.brand { "scalebench" }
            h1 { "What each step up in size buys on " (machine(file)) }
            ul.chips {
                li { (file.started.replace('T', " ").trim_end_matches('Z')) " UTC" }
                @if file.published.is_none() {
                    li { "plan " (file.plan.plan.word()) ": " (schedule.windows) " × " (schedule.window_ms) " ms" }
                }
                li { (done) " of " (file.plan.trials.len()) " trials with latency" }
                @if file.published.is_none() { li { "seed " (file.plan.seed) } }
                @if !file.complete { li.warn { "incomplete" } }
            }
        }
    }
}

fn notice(file: &RunFile) -> Markup {
    let simulated = file
        .results
        .rails
        .iter()
        .any(|rail| rail.tier == "simulated");
    html! {
        @if let Some(source) = &file.published {
            p.notice { strong { "Published figures. " } (source.remark()) }
        }
        @match file.kind() {
            "emulated" => p.notice {
                strong { "Emulated board. " }
                "These latencies are an emulator's: they are no board's latencies."
            },
            "virtual" => p.notice {
                strong { "Virtual board. " }
                "The runner was a process on " (file.host.cpu) ": these latencies are that machine's, not a board's."
            },
            _ => {}
        }
        @if simulated {
            p.notice {
                strong { "Simulated energy. " }
                "The power sensor is a model over a made-up load: no board draws this."
            }
        }
    }
}

fn of_family<'a>(family: &str, all: &[Row<'a>]) -> Vec<Row<'a>> {
    all.iter()
        .copied()
        .filter(|(planned, _)| planned.family == family)
        .collect()
}

fn analysed<'a>(family: &str, analysis: &'a Analysis) -> Option<&'a FamilyAnalysis> {
    analysis.families.iter().find(|one| one.name == family)
}

/// What to ship of each family; nothing where there is only one, whose section begins with just that.
fn overview(all: &[Row<'_>], analysis: &Analysis) -> Markup {
    let families = family_names(all);
    html! {
        @if families.len() > 1 {
            section {
                h2 { "What to ship, and what the next size costs" }
                ul.overview { @for family in &families {
                    @let rows = of_family(family, all);
                    (Choice::of(&rows).line(&rows, analysed(family, analysis)))
                } }
            }
        }
    }
}

fn section(family: &str, all: &[Row<'_>], analysis: &Analysis) -> Markup {
    let rows = of_family(family, all);
    let analysis = analysed(family, analysis);
    let Some((first, _)) = rows.first().copied() else {
        return html! {};
    };
    let choice = Choice::of(&rows);
    let metric = crate::units::metric_name(first.metric);
    let latency = |row: &Row<'_>| {
        row.1
            .latency
            .map(|latency| [latency.low_ns, latency.median_ns, latency.high_ns])
    };
    let macs = |row: &Row<'_>| {
        let known = row.1.latency.filter(|_| row.0.macs > 0);
        known.map(|_| [row.0.macs as f64; 3])
    };
    // Without an end above zero there is no place on a logarithmic axis.
    let energy = |row: &Row<'_>| {
        let known = row.1.energy.as_ref()?.gross_j;
        let low = (known.value - known.uncertainty).max(known.value / 10.0);
        (known.value > 0.0).then_some([low, known.value, known.value + known.uncertainty])
    };
    let tiers: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| Some(row.1.energy.as_ref()?.tier.as_str()))
        .collect();
    let tiers: Vec<&str> = tiers.into_iter().collect();
    html! {
        section data-family=(family) {
            h2 { (first.title) " " span.muted { (family) } }
            (choice.cards(&rows, analysis))
            div.charts {
                (scatter(&rows, &choice, &format!("{metric} against latency"), Axis::Time, &latency))
                (scatter(&rows, &choice, &format!("{metric} against multiply-accumulates"), Axis::Count, &macs))
                @if !tiers.is_empty() {
                    (scatter(&rows, &choice, &format!("{metric} against energy ({})", tiers.join(", ")), Axis::Energy, &energy))
                }
            }
            (figures(&rows, &choice))
            (windows(&rows, &choice))
            (profile::profile(&rows))
            @if let Some(analysis) = analysis {
                (scaling::scaling(analysis))
            }
        }
    }
}

/// Latencies and power within windows: of the variant to ship at once, of the others on demand.
fn windows(rows: &[Row<'_>], choice: &Choice) -> Markup {
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate() {
        let figures = [spread::spread(row), strip::power(row)]
            .into_iter()
            .flatten();
        if choice.sensible == Some(at) {
            first.extend(figures);
        } else {
            others.extend(figures);
        }
    }
    html! {
        @if !first.is_empty() {
            h3 { "Inside the windows" }
            div.charts { @for figure in &first { (figure) } }
        }
        @if !others.is_empty() {
            details {
                summary { "Inside the windows of the other variants" }
                div.charts { @for figure in &others { (figure) } }
            }
        }
    }
}

/// A row's position on the x axis: low end, value, high end.
type Position<'a> = dyn Fn(&Row<'_>) -> Option<[f64; 3]> + 'a;

fn scatter(rows: &[Row<'_>], choice: &Choice, title: &str, axis: Axis, x: &Position<'_>) -> Markup {
    let points: Vec<Point> = rows
        .iter()
        .enumerate()
        .filter_map(|(at, row)| {
            let quality = row.1.quality.as_ref()?;
            let value = quality.value?;
            Some(Point {
                trial: row.0.trial,
                label: row.0.variant.clone(),
                series: row.0.precision.word(),
                x: x(row)?,
                y: quality
                    .interval
                    .map_or([value; 3], |interval| [interval.low, value, interval.high]),
                tip: choice::tip(row),
                chosen: choice.sensible == Some(at),
            })
        })
        .collect();
    let direction = rows
        .first()
        .map_or(Direction::Higher, |(planned, _)| planned.direction);
    let metric = rows.first().map(|(planned, _)| planned.metric);
    let chart = Chart {
        family: rows.first().map_or("", |(planned, _)| &planned.family),
        title,
        axis,
        points: &points,
        lower_is_better: direction == Direction::Lower,
        metric,
    };
    chart.draw()
}

#[cfg(test)]
mod tests;
