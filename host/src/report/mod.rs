//! The report: one page that needs nothing else and no network. Its one script adds hovering and filters: the
//! page is whole without it.
//!
//! Every string passes `maud`'s escaping; strings from a board were escaped once more on arrival.

mod chart;
mod choice;
mod details;
mod drawing;
mod figures;
mod filters;
mod fleet;
mod palette;
mod papers;
mod plots;
mod png;
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
use choice::Choice;
use figures::figures;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use drawing::{Drawing, drawings};
pub use papers::{latex, markdown};
pub use png::{Painter, PngError};

const STYLE: &str = concat!(include_str!("style.css"), include_str!("drawing.css"));
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
        @if file.published.is_none() { (validity::validity(file)) }
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
                @if let Some(source) = &file.published {
                    li { "read " (source.read) }
                } @else {
                    li { (file.started.replace('T', " ").trim_end_matches('Z')) " UTC" }
                    li { "plan " (file.plan.plan.word()) ": " (schedule.windows) " × " (schedule.window_ms) " ms" }
                }
                li { (done) " of " (file.plan.trials.len()) @if file.published.is_some() { " variants with a time" } @else { " trials with latency" } }
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
    html! {
        section data-family=(family) {
            h2 { (first.title) " " span.muted { (family) } }
            (choice.cards(&rows, analysis))
            div.charts {
                @for (_, chart) in plots::plots(&rows, &choice) { (chart.draw()) }
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

#[cfg(test)]
mod tests;
