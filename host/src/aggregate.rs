//! From deliveries to results. Pure: a live run and a replay are the same computation.

use crate::outcomes::Labels;
use crate::plan::{Plan, PlannedTrial, Total};
use crate::power::PowerLog;
use crate::profile::{OperatorTime, Profile};
use crate::receiver::Delivery;
use crate::results::{
    Board, CoreCounts, GoldenResult, GovernorResult, Marked, QualityResult, Received, RunResults,
    Status, TrialResult, WindowResult,
};
use crate::session::event;
use crate::stats;
use crate::text::escaped;
use crate::windows::{Timed, counts, latency, observer_cost, window_result};
use scalebench_models::Metric;
use scalebench_wire::batch::{Predictor, Rows};
use scalebench_wire::frame::Kind;
use scalebench_wire::link::LinkStats;
use scalebench_wire::message::{BoardInfo, Counter, Event, Failure, Found, Metrics, Quality};
use std::collections::BTreeMap;

const MOST_PRINTED: usize = 100;
/// No evaluation set of ours has more outcomes than this.
const MOST_OUTCOMES: usize = 16 << 20;
/// No evaluation set whose labels a plan carries has more pictures.
const MOST_PICTURES: usize = 1 << 16;
/// No window of ours has more readings than this.
const MOST_READINGS: usize = 16 << 20;

/// The state of a run, as told by its board.
#[derive(Debug)]
pub struct Aggregate {
    plan: Plan,
    results: RunResults,
    ticks_per_second: u64,
    under_way: Option<UnderWay>,
    /// Readings of the windows of trials that ended, if they are kept.
    kept: Option<Vec<WindowReadings>>,
}

/// The readings of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowReadings {
    /// Number of the trial.
    pub trial: u32,
    /// Number of the window.
    pub window: u8,
    /// Nanoseconds of a reading's unit.
    pub unit_ns: f64,
    /// The readings, in their order.
    pub readings: Vec<u32>,
}

#[derive(Debug, Default)]
struct UnderWay {
    trial: usize,
    result: TrialResult,
    windows: Vec<Timed>,
    unit_log2: u8,
    activation_bytes: u64,
    outcomes: Vec<i64>,
    outcomes_crc: u32,
    /// What was found in each picture, in their order.
    found: Vec<Found>,
    quality: Option<Quality>,
    power: PowerLog,
}

impl UnderWay {
    /// Nanoseconds of a reading's unit, where a tick has `ns`.
    fn unit(&self, ns: f64) -> f64 {
        ns * f64::from(self.unit_log2.min(62)).exp2()
    }

    fn readings(&self, ns: f64) -> impl Iterator<Item = WindowReadings> {
        self.windows.iter().map(move |timed| WindowReadings {
            trial: self.trial as u32,
            window: timed.window.window,
            unit_ns: self.unit(ns),
            readings: timed.readings.clone(),
        })
    }
}

impl Aggregate {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let pending = |trial: &PlannedTrial| TrialResult {
            trial: trial.trial,
            ..TrialResult::default()
        };
        let results = RunResults {
            trials: plan.trials.iter().map(pending).collect(),
            ..RunResults::default()
        };
        Self {
            plan,
            results,
            ticks_per_second: 1_000_000_000,
            under_way: None,
            kept: None,
        }
    }

    /// The same, and keeps every reading: four bytes each.
    #[must_use]
    pub fn keeping_readings(plan: Plan) -> Self {
        Self {
            kept: Some(Vec::new()),
            ..Self::new(plan)
        }
    }

    /// The readings that were kept, by trial in the order they ended.
    #[must_use]
    pub fn into_readings(self) -> Vec<WindowReadings> {
        self.kept.unwrap_or_default()
    }

    /// What is measured.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is known now; `link` are the receiver's counts. A trial under way counts as lost.
    #[must_use]
    pub fn results(&self, link: LinkStats) -> RunResults {
        let mut results = self.results.clone();
        results.link = Received {
            accepted: link.received,
            repeated: link.repeated,
            rejected: link.rejected,
        };
        results
    }

    /// How one trial stands.
    #[must_use]
    pub fn status(&self, trial: u32) -> Option<&Status> {
        let result = self.results.trials.get(trial as usize)?;
        Some(&result.status)
    }

    /// Results of one trial.
    #[must_use]
    pub fn trial(&self, trial: u32) -> Option<&TrialResult> {
        self.results.trials.get(trial as usize)
    }

    /// The board that results belong to.
    #[must_use]
    pub fn board(&self) -> Option<&Board> {
        self.results.board.as_ref()
    }

    /// Takes in the next delivery.
    pub fn deliver(&mut self, delivery: &Delivery<'_>) {
        match delivery {
            Delivery::Opened(welcome) => {
                self.abandon();
                self.ticks_per_second = welcome.board.clock.ticks_per_second.max(1);
                let board = board(&welcome.board);
                let measured = self
                    .results
                    .trials
                    .iter()
                    .any(|trial| trial.status.is_final());
                let first = self.results.board.as_ref();
                if first.is_none_or(|first| !measured || first.identity() == board.identity()) {
                    self.results.board = Some(board);
                } else {
                    self.results.odd_messages += 1; // another board: a host does not go on with it
                }
            }
            Delivery::Restarted => {
                self.under_way = None;
                // What they were marked by may have begun anew.
                self.results.discarded.clear();
                self.results.restarts += 1;
            }
            Delivery::Left => self.abandon(),
            Delivery::Printed(text) => {
                if self.results.printed.len() < MOST_PRINTED {
                    self.results.printed.push(text.clone());
                }
            }
            Delivery::Message(kind, body) => self.message(*kind, body),
            Delivery::Waiting(_) | Delivery::Version(_) => {}
        }
    }

    /// Gives up the trial under way; a meter knows its windows all the same.
    fn abandon(&mut self) {
        let windows = self.under_way.take().map(|now| now.windows);
        let marked = windows.into_iter().flatten().map(|timed| Marked {
            begin: timed.window.begin,
            end: timed.window.end,
        });
        self.results.discarded.extend(marked);
    }

    fn message(&mut self, kind: Kind, body: &[u8]) {
        let taken = match kind {
            Kind::Event => match event(kind, body) {
                Some(event) => self.event(event),
                None => None,
            },
            Kind::Timings => self.timings(body),
            Kind::Outcomes => self.outcomes(body),
            Kind::Log => {
                self.results.log_bytes += body.len() as u64;
                Some(())
            }
            Kind::Power => {
                self.results.power_frames += 1;
                match &mut self.under_way {
                    Some(now) => now.power.batch(body),
                    None => None,
                }
            }
            _ => Some(()),
        };
        if taken.is_none() {
            self.results.odd_messages += 1;
        }
    }

    /// `None`: the event does not belong here.
    fn event(&mut self, event: Event) -> Option<()> {
        let ns = self.ns();
        match event {
            Event::TrialBegun { trial } => {
                self.abandon();
                let result = self.results.trials.get_mut(trial as usize)?;
                let attempts = result.attempts.saturating_add(1);
                let before = std::mem::take(&mut result.windows);
                *result = TrialResult {
                    trial,
                    status: Status::Lost, // until it ends
                    attempts,
                    ..TrialResult::default()
                };
                self.under_way = Some(UnderWay {
                    trial: trial as usize,
                    result: result.clone(),
                    ..UnderWay::default()
                });
                let marked = before.iter().map(WindowResult::marked);
                self.results.discarded.extend(marked);
            }
            Event::Loaded(loaded) => {
                let now = self.under_way.as_mut()?;
                now.result.load_ns = Some(loaded.ticks as f64 * ns);
                now.activation_bytes = loaded.activation_bytes;
            }
            Event::Checked(checked) => {
                self.under_way.as_mut()?.result.golden = Some(GoldenResult {
                    vectors: checked.vectors,
                    values: checked.values,
                    beyond: checked.beyond,
                    worst: shown(checked.worst.into()),
                });
            }
            Event::Cold { ticks } => {
                self.under_way.as_mut()?.result.cold_ns = Some(ticks as f64 * ns);
            }
            Event::Calibrated(calibrated) => {
                let now = self.under_way.as_mut()?;
                now.unit_log2 = calibrated.unit_log2;
                now.result.stride = Some(calibrated.stride);
            }
            Event::Window(window) => {
                let now = self.under_way.as_mut()?;
                now.windows
                    .retain(|timed| timed.window.window != window.window);
                now.windows.push(Timed::new(window));
            }
            Event::WindowSent { window, readings } => {
                let now = self.under_way.as_mut()?;
                let timed = now.windows.last_mut()?;
                if timed.window.window != window {
                    return None;
                }
                timed.sent = Some(readings);
            }
            Event::Discarded { begin, end } => {
                self.under_way.as_ref()?;
                self.results.discarded.push(Marked { begin, end });
            }
            Event::Uncounted { what, reason } => {
                let name = counter(what)?.to_owned();
                self.results.uncounted.insert(name, escaped(&reason));
            }
            Event::Counted(counted) => {
                let timed = self.under_way.as_mut()?.windows.last_mut()?;
                if timed.window.window != counted.window {
                    return None;
                }
                timed.counts = Some(CoreCounts {
                    cycles: counted.cycles,
                    instructions: counted.instructions,
                    cache_misses: counted.cache_misses,
                });
            }
            Event::Governor { before, refused } => {
                self.results.governor = Some(GovernorResult {
                    before: before.map(|name| escaped(&name)),
                    refused: refused.map(|reason| escaped(&reason)),
                });
            }
            Event::Rail(rail) => self.under_way.as_mut()?.power.rail(rail),
            Event::Accuracy(accuracy) => self.under_way.as_mut()?.power.accuracy(accuracy)?,
            Event::Power(power) => self.under_way.as_mut()?.power.end(power),
            Event::Found(found) => {
                let now = self.under_way.as_mut()?;
                if found.sample as usize != now.found.len() || now.found.len() >= MOST_PICTURES {
                    return None;
                }
                now.found.push(found);
            }
            Event::Quality(quality) => self.under_way.as_mut()?.quality = Some(quality),
            Event::Profiled { inferences } => {
                self.under_way.as_mut()?.result.profile = Some(Profile {
                    inferences,
                    operators: Vec::new(),
                });
            }
            Event::Operator { operator, ticks } => {
                let now = self.under_way.as_mut()?;
                let planned = self.plan.trials.get(now.trial)?;
                let profile = now.result.profile.as_mut()?;
                profile.operators.push(OperatorTime {
                    index: operator,
                    operator: planned.operators.get(operator as usize)?.clone(),
                    mean_ns: ticks as f64 * ns / f64::from(profile.inferences.max(1)),
                });
            }
            Event::TrialEnded {
                trial,
                failure,
                peak_bytes,
                before_bytes,
                ..
            } => {
                let now = self.under_way.take()?;
                if now.trial != trial as usize {
                    return None;
                }
                let planned = self.plan.trials.get(now.trial)?;
                if let Some(kept) = &mut self.kept {
                    kept.retain(|window| window.trial != trial);
                    kept.extend(now.readings(ns));
                }
                let memory = (peak_bytes > 0).then(|| peak_bytes.saturating_sub(before_bytes));
                let rails = now.power.described(ns);
                if !rails.is_empty() {
                    self.results.rails = rails;
                }
                let total = self.plan.power.total;
                let set = planned.dataset.as_ref();
                let labels = set.and_then(|set| self.plan.labels.get(&set.sha256));
                let result = finished(planned, now, failure, memory, total, labels, ns);
                *self.results.trials.get_mut(trial as usize)? = result;
            }
            _ => {}
        }
        Some(())
    }

    fn timings(&mut self, body: &[u8]) -> Option<()> {
        let now = self.under_way.as_mut()?;
        let timed = now.windows.last_mut()?;
        let rows = Rows::<1>::new(body, [Predictor::Level]).ok()?;
        if rows.first as usize != timed.readings.len() {
            timed.broken = true;
        }
        for row in rows {
            let Ok([value]) = row else {
                timed.broken = true;
                break;
            };
            match u32::try_from(value) {
                Ok(value) if timed.readings.len() < MOST_READINGS => timed.readings.push(value),
                _ => timed.broken = true,
            }
        }
        Some(())
    }

    fn outcomes(&mut self, body: &[u8]) -> Option<()> {
        let now = self.under_way.as_mut()?;
        let rows = Rows::<1>::new(body, [Predictor::Previous]).ok()?;
        for row in rows {
            let [value] = row.ok()?;
            if now.outcomes.len() >= MOST_OUTCOMES {
                return None;
            }
            now.outcomes.push(value);
            let mut chained = [0; 12];
            chained[..4].copy_from_slice(&now.outcomes_crc.to_le_bytes());
            chained[4..].copy_from_slice(&value.to_le_bytes());
            now.outcomes_crc = scalebench_wire::frame::crc32(&chained);
        }
        Some(())
    }

    fn ns(&self) -> f64 {
        1e9 / self.ticks_per_second as f64
    }
}

fn finished(
    planned: &PlannedTrial,
    now: UnderWay,
    failure: Option<Failure>,
    peak_bytes: Option<u64>,
    total: Total,
    labels: Option<&Labels>,
    ns: f64,
) -> TrialResult {
    let unit = now.unit(ns);
    let mut result = now.result;
    result.peak_bytes = peak_bytes;
    result.activation_bytes = (now.activation_bytes > 0).then_some(now.activation_bytes);
    result.status = failure.map_or(Status::Done, |failure| status(&failure, &result));
    result.windows = now
        .windows
        .iter()
        .map(|timed| {
            let mut window = window_result(timed, unit, ns);
            let (rails, reason) = now.power.window(&window, ns);
            window.rails = rails;
            window.void = window.void.or(reason);
            window
        })
        .collect();
    let (quality, samples) = (
        now.quality,
        now.quality.map_or(0, |quality| quality.samples),
    );
    result.quality = quality.map(|quality| QualityResult {
        value: metrics(&quality.metrics)
            .get(planned.metric.word())
            .copied(),
        interval: interval(planned.metric, &quality, labels, &now.outcomes, &now.found),
        samples,
        outcomes: now.outcomes.len() as u32,
        outcomes_crc: now.outcomes_crc,
        outputs_match: quality.outputs_match,
        metrics: metrics(&quality.metrics),
    });
    let beyond = result.golden.map_or(0, |golden| golden.beyond);
    let withheld = if beyond > 0 || matches!(result.status, Status::Unfaithful(_)) {
        Some("outputs differ from the golden vectors".to_owned())
    } else if result.status != Status::Done {
        Some("the trial did not end well".to_owned())
    } else if result.golden.is_none() {
        Some("outputs were not compared with golden vectors".to_owned())
    } else if quality.is_some_and(|quality| !quality.outputs_match) {
        Some("timed outputs differ from those of the accuracy pass".to_owned())
    } else {
        result.latency = latency(&now.windows, &result.windows, unit);
        result.latency.is_none().then(|| {
            let reason = result
                .windows
                .iter()
                .find_map(|window| window.void.as_ref());
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            format!("every window is void{reason}")
        })
    };
    match (&withheld, now.power.trial(&result.windows, total)) {
        (None, Ok(energy)) => result.energy = Some(energy),
        (Some(reason), Ok(_)) => result.energy_withheld = Some(reason.clone()),
        (_, Err(reason)) => result.energy_withheld = Some(reason),
    }
    result.power_trace = now.power.trace(&result.windows, total, ns);
    result.observer_cost = observer_cost(&result.windows);
    result.counts = counts(&result.windows);
    result.latency_withheld = withheld;
    result
}

fn status(failure: &Failure, result: &TrialResult) -> Status {
    match failure {
        Failure::ArtefactMissing(digest) => Status::Failed(format!(
            "the board misses artefact {digest}: run again, it will be uploaded"
        )),
        Failure::Engine(text) => {
            let text = escaped(text);
            if text.contains("not yet executable on this engine") {
                Status::NotExecutable(text)
            } else {
                Status::Failed(text)
            }
        }
        Failure::Data(text) => Status::Failed(escaped(text)),
        Failure::Fidelity => {
            let counts = result.golden.map_or(String::new(), |golden| {
                format!(" in {} of {} values", golden.beyond, golden.values)
            });
            Status::Unfaithful(format!("outputs differ from the golden vectors{counts}"))
        }
        Failure::Aborted => Status::Lost,
        Failure::Schedule => Status::Failed("the board refuses the plan's windows".to_owned()),
        _ => Status::Failed("a reason this host does not know: update the host".to_owned()),
    }
}

/// A float as JSON can hold it: no infinity, no NaN.
fn shown(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::MAX }
}

fn metrics(metrics: &Metrics) -> BTreeMap<String, f64> {
    let named: Vec<(Metric, Option<f64>)> = match *metrics {
        Metrics::Classification {
            top1,
            top5,
            log_loss,
            auc,
        } => vec![
            (Metric::Top1, Some(top1)),
            (Metric::Top5, Some(top5)),
            (Metric::LogLoss, log_loss),
            (Metric::Auc, auc),
        ],
        Metrics::Classes {
            top1,
            top5,
            log_loss,
            auc,
            macro_f1,
        } => vec![
            (Metric::Top1, Some(top1)),
            (Metric::Top5, Some(top5)),
            (Metric::MacroF1, macro_f1),
            (Metric::LogLoss, log_loss),
            (Metric::Auc, auc),
        ],
        Metrics::Detection {
            map50,
            map50_95,
            precision,
            recall,
        } => vec![
            (Metric::Map50, Some(map50)),
            (Metric::Map50To95, Some(map50_95)),
            (Metric::DetectionPrecision, Some(precision)),
            (Metric::DetectionRecall, Some(recall)),
        ],
        Metrics::Regression { mae, mse, r2 } => vec![
            (Metric::Mae, Some(mae)),
            (Metric::Mse, Some(mse)),
            (Metric::Rmse, Some(mse.sqrt())),
            (Metric::R2, Some(r2)),
        ],
        _ => Vec::new(),
    };
    named
        .into_iter()
        .filter_map(|(metric, value)| {
            Some((metric.word().to_owned(), value.filter(|v| v.is_finite())?))
        })
        .collect()
}

/// The name of an event of the processor.
fn counter(what: Counter) -> Option<&'static str> {
    match what {
        Counter::Cycles => Some("cycles"),
        Counter::Instructions => Some("instructions"),
        Counter::CacheMisses => Some("cache_misses"),
        _ => None,
    }
}

/// The interval of the figure that ranks variants: Wilson's of a share, the bootstrap's of what is worked out from
/// single outcomes, none of anything else.
fn interval(
    metric: Metric,
    quality: &Quality,
    labels: Option<&Labels>,
    outcomes: &[i64],
    found: &[Found],
) -> Option<stats::Interval> {
    let told = || metrics(&quality.metrics).get(metric.word()).copied();
    if let Some(labels) = labels.filter(|_| outcomes.len() == quality.samples as usize) {
        let drawn = told().and_then(|told| labels.interval(metric, told, outcomes, found));
        if drawn.is_some() {
            return drawn;
        }
    }
    match (metric, quality.metrics) {
        (Metric::Top1, Metrics::Classification { top1, .. } | Metrics::Classes { top1, .. }) => {
            stats::wilson(top1, quality.samples)
        }
        (Metric::Top5, Metrics::Classification { top5, .. } | Metrics::Classes { top5, .. }) => {
            stats::wilson(top5, quality.samples)
        }
        (Metric::R2, Metrics::Regression { r2, .. }) => stats::r2_interval(r2, quality.samples),
        _ => None,
    }
}

/// What a board says of itself, made safe to show.
#[must_use]
pub fn board(info: &BoardInfo) -> Board {
    let clock = info.clock;
    let ns = 1e9 / clock.ticks_per_second.max(1) as f64;
    Board {
        runner: escaped(&info.runner),
        target: escaped(&info.target),
        machine: escaped(&info.machine),
        system: escaped(&info.system),
        engine: escaped(&info.engine),
        build_id: info
            .build_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        memory_bytes: info.memory_bytes,
        emulated: info.emulated,
        ticks_per_second: clock.ticks_per_second,
        resolution_ns: f64::from(clock.resolution_ticks) * ns,
        clock_read_ns: f64::from(clock.read_ps) / 1e3,
        harness_ns: f64::from(clock.harness_ps) / 1e3,
    }
}
