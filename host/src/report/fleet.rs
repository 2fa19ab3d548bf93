//! Several boards beside one another.

use crate::fleet::{Part, crowd};
use crate::plan::PlannedTrial;
use crate::results::TrialResult;
use crate::table;
use maud::{Markup, html};
use std::collections::BTreeMap;

pub(super) fn header(parts: &[Part<'_>]) -> Markup {
    let Some(first) = parts.first() else {
        return html! {};
    };
    let schedule = &first.file.plan.schedule;
    html! {
        header {
            p.brand { "scalebench" }
            h1 { "What each step up in size buys on " (crate::text::counted(parts.len(), "board")) }
            ul.chips {
                li { (first.file.started.replace('T', " ").trim_end_matches('Z')) " UTC" }
                li { "plan " (first.file.plan.plan.word()) ": " (schedule.windows) " × " (schedule.window_ms) " ms" }
                li { "seed " (first.file.plan.seed) }
            }
        }
        @if let Some(crowd) = crowd(parts) {
            p.notice { (crowd) "." }
        }
    }
}

/// The boards, and their latencies variant by variant.
pub(super) fn beside(parts: &[Part<'_>]) -> Markup {
    html! {
        section {
            h2 { "Boards" }
            div.scroll tabindex="0" role="region" aria-label="Boards" {
                table {
                    thead { tr {
                        th { "board" } th { "machine" } th { "kind" } th.n { "with latency" } th { "state" } th { "by itself" }
                    } }
                    tbody { @for part in parts { (board(part)) } }
                }
            }
        }
        section {
            h2 { "Median latency, board by board" }
            div.scroll tabindex="0" role="region" aria-label="Median latency, board by board" {
                table {
                    thead { tr {
                        th { "variant" } th { "precision" }
                        @for part in parts { th.n data-board=(part.name) { (part.name) @if part.file.kind() != "real" { " (" (part.file.kind()) ")" } } }
                    } }
                    tbody { @for (_, row) in variants(parts) { (variant(&row, parts)) } }
                }
            }
        }
    }
}

fn board(part: &Part<'_>) -> Markup {
    let file = part.file;
    let machine = file
        .results
        .board
        .as_ref()
        .map_or("never answered", |board| &board.machine);
    let measured = file.results.trials.iter().filter(|t| t.latency.is_some());
    let state = match part.trouble {
        Some(trouble) => trouble,
        None if file.complete => "complete",
        None => "cut short",
    };
    html! {
        tr data-board=(part.name) {
            th scope="row" { a href=(format!("#{}", part.name)) { (part.name) } }
            td { (machine) }
            td { (file.kind()) }
            td.n { (measured.count()) " of " (file.plan.trials.len()) }
            td { (state) }
            td { a href=(format!("{}/report.html", part.name)) { "report" } }
        }
    }
}

/// Of one variant each board's trial, where it has one.
struct Variant<'a> {
    planned: &'a PlannedTrial,
    results: BTreeMap<usize, &'a TrialResult>,
}

type Key = (String, u64, u64, String, scalebench_models::Precision);

fn variants<'a>(parts: &[Part<'a>]) -> BTreeMap<Key, Variant<'a>> {
    let mut variants = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        let file = part.file;
        for (planned, result) in file.plan.trials.iter().zip(&file.results.trials) {
            let variant = variants
                .entry(table::order(planned))
                .or_insert_with(|| Variant {
                    planned,
                    results: BTreeMap::new(),
                });
            variant.results.insert(at, result);
        }
    }
    variants
}

fn variant(variant: &Variant<'_>, parts: &[Part<'_>]) -> Markup {
    let planned = variant.planned;
    html! {
        tr data-family=(planned.family) data-precision=(planned.precision) {
            th scope="row" { (planned.family) "/" (planned.variant) }
            td { (planned.precision) }
            @for (at, part) in parts.iter().enumerate() {
                @match variant.results.get(&at).and_then(|result| result.latency.as_ref()) {
                    Some(latency) => td.n data-board=(part.name) title=(planned.unstated.shown_time(latency.median_ns)) { (table::median(planned, latency)) },
                    None => td.n.muted data-board=(part.name) { "–" },
                }
            }
        }
    }
}
