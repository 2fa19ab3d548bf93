//! Where the figures come from, and how the line did.

use super::Row;
use crate::published::Source;
use crate::store::RunFile;
use crate::units;
use maud::{Markup, html};
use std::collections::BTreeSet;

/// Where the figures come from.
pub(crate) fn provenance(file: &RunFile, rows: &[Row<'_>]) -> Markup {
    html! {
        section {
            h2 { "Where this comes from" }
            @if let Some(source) = &file.published {
                div.columns { (facts("Publication", &publication(file, source))) }
            } @else {
                div.columns {
                    (facts("Board", &board(file)))
                    (facts("Clock and harness", &clock(file)))
                    (facts("Line", &line(file)))
                    (facts("Power", &power(file)))
                    (facts("Processor", &crate::table::processor(file)))
                    (facts("Run", &run(file)))
                }
                (hashes(rows))
            }
            details {
                summary { "How to read the figures" }
                ul.remarks {
                    li { "Median: the median over the windows of each window's median; ± is half the distance between the extreme windows." }
                    li { "Percentiles are of all readings of the windows that count, and given only with the samples that MLPerf's early stopping rule asks for at 99 % confidence: 64, 130 and 662 for p90, p95 and p99." }
                    li { "Quality: measured on the board, with a 95 % interval (Wilson's for shares; the bootstrap's over the samples, bias-corrected and accelerated, for macro F1, R², RMSE, MAE, MSE and mean average precision, the last over pictures with the matches that the board found)." }
                    li { "Outliers have a modified z-score above 3.5; they are counted, not dropped." }
                    li { "No latency is published for a variant whose outputs differ from its golden vectors. Those hold the answers of the TFLite reference kernels, except where it says “own answers met”: there they are the engine's, from the machine that added the family." }
                    li { "Energy: the integral of rail power between a window's marks, mean over the windows; ± is two standard uncertainties from shunt, offset, steps, sampling and edges (GUM). Behind it stands its tier: external meter, board rail, estimated, simulated or none." }
                    li { "Instructions are the processor's own count in user mode around each window by the inferences in it, the harness's few included; what is not counted stands under Processor." }
                    li { "Peak memory is what the runner's heap held at its largest above what it held before the model was loaded; the model's file, dataset and golden vectors were at hand by then and are not in it. Unplanned is what of it is neither the model's bytes nor planned activations: tract's graph, weights while they are packed and where that makes them longer." }
                }
            }
        }
    }
}

/// What was measured, by hash.
fn hashes(rows: &[Row<'_>]) -> Markup {
    html! {
        details {
            summary { "Files and their SHA-256" }
            div.scroll tabindex="0" role="region" aria-label="Files and their SHA-256" { table { tbody { @for (name, sha256, bytes) in files(rows) {
                tr { th scope="row" { (name) } td.n { (units::bytes(bytes)) } td { code { (sha256) } } }
            } } } }
        }
    }
}

/// Of published figures: who published them, and where. The machine that took them in says nothing of them.
fn publication(file: &RunFile, source: &Source) -> Facts {
    vec![
        ("by", source.citation.clone()),
        ("read at", source.source.clone()),
        ("read on", source.read.clone()),
        ("measured on", source.on().to_owned()),
        ("taken in by", format!("scalebench {}", file.scalebench)),
    ]
}

type Facts = Vec<(&'static str, String)>;

fn facts(title: &str, facts: &Facts) -> Markup {
    html! {
        @if !facts.is_empty() {
            div {
                h3 { (title) }
                dl { @for (name, value) in facts { dt { (name) } dd { (value) } } }
            }
        }
    }
}

fn board(file: &RunFile) -> Facts {
    let Some(board) = &file.results.board else {
        return vec![("board", "never answered".to_owned())];
    };
    let build = if board.build_id.is_empty() {
        "–".to_owned()
    } else {
        board.build_id.clone()
    };
    vec![
        ("machine", board.machine.clone()),
        ("system", board.system.clone()),
        ("memory", units::bytes(board.memory_bytes)),
        ("engine", board.engine.clone()),
        ("runner", format!("{} for {}", board.runner, board.target)),
        ("build", build),
    ]
}

fn clock(file: &RunFile) -> Facts {
    let Some(board) = &file.results.board else {
        return Vec::new();
    };
    if file.mlperf_tiny.is_some() {
        return vec![("unit of timestamps", units::time(board.resolution_ns))];
    }
    vec![
        ("resolution", units::time(board.resolution_ns)),
        ("cost of a reading", units::time(board.clock_read_ns)),
        (
            "harness per inference",
            format!("{}, two readings included", units::time(board.harness_ns)),
        ),
    ]
}

fn line(file: &RunFile) -> Facts {
    let (connection, received) = (&file.connection, &file.results.link);
    vec![
        (
            "port",
            format!("{} at {} baud", connection.port, connection.baud),
        ),
        (
            "received",
            format!(
                "{} in {} frames",
                units::bytes(connection.bytes_received),
                received.accepted
            ),
        ),
        (
            "damaged",
            format!("{} frames, all sent again", received.rejected),
        ),
        (
            "sent again by the host",
            format!("{} of {}", connection.link.resent, connection.link.sent),
        ),
        ("restarts", file.results.restarts.to_string()),
    ]
}

fn power(file: &RunFile) -> Facts {
    let mut facts: Facts = file
        .results
        .rails
        .iter()
        .map(|rail| {
            let every = units::time(rail.interval_ns);
            let limit = rail.tolerance * 100.0;
            (
                "rail",
                format!(
                    "{}: {}, a reading every {every}, within {limit:.2} %",
                    rail.name, rail.tier
                ),
            )
        })
        .collect();
    if facts.is_empty() {
        facts.push(("rails", "none".to_owned()));
    }
    if let Some(meter) = &file.results.meter {
        facts.push(("meter", meter.remark()));
        facts.push((
            "recording",
            format!(
                "{} readings of {}, SHA-256 {}",
                meter.readings, meter.columns, meter.sha256
            ),
        ));
    }
    facts
}

fn run(file: &RunFile) -> Facts {
    let capture = file
        .capture_sha256
        .clone()
        .unwrap_or_else(|| "the run was cut short".to_owned());
    let held = crate::table::timed(file).map(|held| ("timed", held));
    let facts = [
        (
            "host",
            format!("scalebench {} on {}", file.scalebench, file.host.system),
        ),
        (
            "host CPU",
            format!("{}, {} cores", file.host.cpu, file.host.cores),
        ),
        ("began", file.started.clone()),
        (
            "plan",
            format!(
                "{}: {} windows of {} ms, {} ms warm-up",
                file.plan.plan.word(),
                file.plan.schedule.windows,
                file.plan.schedule.window_ms,
                file.plan.schedule.warm_up_ms
            ),
        ),
        ("seed of the order", file.plan.seed.to_string()),
        ("again from the capture", "scalebench replay".to_owned()),
        ("capture SHA-256", capture),
    ];
    held.into_iter().chain(facts).collect()
}

fn files(rows: &[Row<'_>]) -> BTreeSet<(String, String, u64)> {
    let mut files = BTreeSet::new();
    for (planned, _) in rows {
        let label = planned.label();
        files.insert((
            label.clone(),
            planned.model.sha256.clone(),
            planned.model.bytes,
        ));
        files.insert((
            format!("{label}, golden vectors"),
            planned.golden.sha256.clone(),
            planned.golden.bytes,
        ));
        if let Some(dataset) = &planned.dataset {
            files.insert((
                format!("{}, evaluation set", planned.family),
                dataset.sha256.clone(),
                dataset.bytes,
            ));
        }
    }
    files
}
