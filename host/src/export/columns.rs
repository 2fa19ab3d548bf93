//! The columns of a trial. CSV, JSON and Parquet have the same ones, so they cannot disagree.

use super::Row;
use crate::results::{Energy, Latency, QualityResult, Status};
use crate::stats::Percentile;
use crate::store::RunFile;
use crate::table;

/// What a column's cells hold, and how they are had; `None` where a trial has no such figure.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// Words.
    Text(fn(&Row<'_>) -> Option<String>),
    /// Whole numbers.
    Whole(fn(&Row<'_>) -> Option<i64>),
    /// Numbers.
    Real(fn(&Row<'_>) -> Option<f64>),
}

/// A column: units are part of its name.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its cells.
    pub of: Of,
}

const fn text(name: &'static str, of: fn(&Row<'_>) -> Option<String>) -> Column {
    let of = Of::Text(of);
    Column { name, of }
}

const fn whole(name: &'static str, of: fn(&Row<'_>) -> Option<i64>) -> Column {
    let of = Of::Whole(of);
    Column { name, of }
}

const fn real(name: &'static str, of: fn(&Row<'_>) -> Option<f64>) -> Column {
    let of = Of::Real(of);
    Column { name, of }
}

/// All columns of a trial, in their order.
pub const TRIAL: &[Column] = &[
    text("run", |row| Some(row.id.to_owned())),
    text("started", |row| Some(row.file.started.clone())),
    text("scalebench", |row| Some(row.file.scalebench.clone())),
    text("board", |row| Some(row.file.plan.board.clone())),
    text("machine", |row| {
        Some(row.file.results.board.as_ref()?.machine.clone())
    }),
    text("engine", |row| {
        Some(row.file.results.board.as_ref()?.engine.clone())
    }),
    text("kind", |row| Some(row.file.kind().to_owned())),
    text("plan", |row| Some(row.file.plan.plan.word().to_owned())),
    whole("seed", |row| i64::try_from(row.file.plan.seed).ok()),
    whole("trial", |row| Some(row.planned.trial.into())),
    text("family", |row| Some(row.planned.family.clone())),
    text("variant", |row| Some(row.planned.variant.clone())),
    text("precision", |row| {
        Some(row.planned.precision.word().to_owned())
    }),
    whole("parameters", |row| {
        i64::try_from(row.planned.parameters).ok()
    }),
    whole("macs", |row| operations(row, false)),
    whole("model_bytes", |row| {
        i64::try_from(row.planned.model.bytes).ok()
    }),
    text("model_sha256", |row| Some(row.planned.model.sha256.clone())),
    text("status", |row| Some(status(&row.result.status).to_owned())),
    text("metric", |row| Some(row.planned.metric.word().to_owned())),
    real("quality", |row| quality(row)?.value),
    real("quality_low", |row| Some(quality(row)?.interval?.low)),
    real("quality_high", |row| Some(quality(row)?.interval?.high)),
    whole("samples", |row| Some(quality(row)?.samples.into())),
    real("load_ns", |row| row.result.load_ns),
    real("cold_ns", |row| row.result.cold_ns),
    real("median_ns", |row| Some(latency(row)?.median_ns)),
    real("window_low_ns", |row| Some(latency(row)?.low_ns)),
    real("window_high_ns", |row| Some(latency(row)?.high_ns)),
    real("mad_ns", |row| Some(latency(row)?.mad_ns)),
    real("p90_ns", |row| value(latency(row)?.p90)),
    real("p95_ns", |row| value(latency(row)?.p95)),
    real("p99_ns", |row| value(latency(row)?.p99)),
    whole("readings", |row| Some(latency(row)?.samples.into())),
    whole("outliers", |row| Some(latency(row)?.outliers.into())),
    whole("windows", |row| Some(latency(row)?.windows.into())),
    whole("peak_bytes", |row| {
        i64::try_from(row.result.peak_bytes?).ok()
    }),
    text("energy_tier", |row| Some(energy(row)?.tier.clone())),
    real("energy_j", |row| Some(energy(row)?.gross_j.value)),
    real("energy_uncertainty_j", |row| {
        Some(energy(row)?.gross_j.uncertainty)
    }),
    real("energy_above_idle_j", |row| Some(energy(row)?.net_j?.value)),
    real("energy_above_idle_uncertainty_j", |row| {
        Some(energy(row)?.net_j?.uncertainty)
    }),
    real("mean_w", |row| Some(energy(row)?.mean_w)),
    real("peak_w", |row| Some(energy(row)?.peak_w)),
    real("idle_w", |row| energy(row)?.idle_w),
    real("energy_delay_js", |row| Some(energy(row)?.energy_delay_js)),
    real("observer_cost", |row| row.result.observer_cost),
    text("golden_answers", |row| {
        row.result.golden?;
        Some(row.planned.answers.word().to_owned())
    }),
    text("latency_of", |row| {
        row.result.latency?;
        table::timed(row.file)?;
        Some(row.file.plan.timed(row.planned)?.to_owned())
    }),
    real("cycles", |row| row.result.counts?.cycles),
    real("instructions", |row| row.result.counts?.instructions),
    real("cache_misses", |row| row.result.counts?.cache_misses),
    text("governor", |row| governor(row.file)),
    real("unstated_time", |row| {
        let latency = row.result.latency?;
        row.planned.unstated.time.then_some(latency.median_ns)
    }),
    whole("unstated_flops", |row| operations(row, true)),
    // `seeded` says why there is no quality.
    text("weights", |row| Some(row.planned.weights.word().to_owned())),
];

/// Operations that are, or are not, known to be multiply-accumulates.
fn operations(row: &Row<'_>, unstated: bool) -> Option<i64> {
    let asked = row.planned.unstated.operations == unstated;
    i64::try_from(row.planned.macs).ok().filter(|_| asked)
}

/// The governor that the plan asked for, where it was set.
fn governor(file: &RunFile) -> Option<String> {
    let set = file.results.governor.as_ref()?.refused.is_none();
    file.plan.governor.clone().filter(|_| set)
}

fn quality<'a>(row: &Row<'a>) -> Option<&'a QualityResult> {
    row.result.quality.as_ref()
}

fn latency(row: &Row<'_>) -> Option<Latency> {
    row.result.latency.filter(|_| !row.planned.unstated.time)
}

fn energy<'a>(row: &Row<'a>) -> Option<&'a Energy> {
    row.result.energy.as_ref()
}

fn value(percentile: Option<Percentile>) -> Option<f64> {
    Some(percentile?.value)
}

fn status(status: &Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Lost => "lost",
        Status::Done => "done",
        Status::NotExecutable(_) => "not_executable",
        Status::Unfaithful(_) => "unfaithful",
        Status::Failed(_) => "failed",
    }
}
