//! What a measurement leaves: the result file in the reference runner's form, and a run of our store, so that
//! reports and comparisons work on it like on any other.

use super::board::{Board, Inferred};
use super::dataset::Dataset;
use super::measure::WINDOW;
use super::score::{self, Outcome};
use super::task::Task;
use crate::plan::{self, File, Plan, PlannedTrial, Schedule, Thoroughness, Tolerance};
use crate::results::{
    Board as BoardResult, Latency, QualityResult, RunResults, Status, TrialResult, WindowResult,
};
use crate::stats;
use scalebench_models::{Metric, Precision};
use scalebench_wire::frame::crc32;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const RULE: &str = "---------------------------------------------------------";

/// What only a run over this protocol has; it stands in `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MlperfTiny {
    /// The task.
    pub task: Task,
    /// What the board calls itself.
    pub name: String,
    /// Its firmware.
    pub firmware: String,
    /// What a window had to last, in seconds.
    pub window_s: f64,
    /// Median of the windows' throughputs, in inferences a second.
    pub throughput: Option<f64>,
    /// How often something was asked again, because the line or the board spoilt the answer.
    pub repeats: u32,
}

/// The energy of a window by an external meter.
#[derive(Clone, Copy, Debug, PartialEq)]
struct WindowEnergy {
    seconds: f64,
    joules: f64,
    inferences: u32,
}

impl WindowEnergy {
    /// Of all windows whose recording was read.
    fn of(windows: &[WindowResult]) -> Vec<Self> {
        let metered = |window: &WindowResult| {
            let energy = window.rails.first()?;
            Some(Self {
                seconds: energy.gross_j.value / energy.mean_w,
                joules: energy.gross_j.value,
                inferences: window.inferences,
            })
        };
        windows.iter().filter_map(metered).collect()
    }

    fn energy_uj(&self) -> f64 {
        self.joules * 1e6 / f64::from(self.inferences.max(1))
    }

    /// Median of the microjoules of an inference, as the benchmark's rules want it.
    fn median_uj(windows: &[Self]) -> Option<f64> {
        let mut all: Vec<f64> = windows.iter().map(Self::energy_uj).collect();
        stats::sort(&mut all);
        stats::median(&all)
    }
}

impl MlperfTiny {
    /// What a person must know beside the figures of `windows`.
    #[must_use]
    pub fn remark(&self, windows: &[WindowResult]) -> String {
        let Self { task, .. } = self;
        let throughput = self.throughput.map_or(String::new(), |throughput| {
            format!(": median throughput {throughput:.3} inferences a second")
        });
        let conforming = if self.window_s < WINDOW.as_secs_f64() {
            format!(
                "; not conforming, its windows last {} s instead of ten",
                self.window_s
            )
        } else {
            String::new()
        };
        let energy = WindowEnergy::median_uj(&WindowEnergy::of(windows));
        let energy = energy.map_or(String::new(), |energy| {
            format!("; median {energy:.3} µJ an inference (external meter, idle power included)")
        });
        format!(
            "measured over MLPerf Tiny's protocol as {task}, without golden vectors{throughput}{energy}{conforming}"
        )
    }
}

/// What is known of the model on the board, from its file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFile {
    /// Its name without ending.
    pub name: String,
    /// Hash and length.
    pub file: Option<File>,
    /// Weights and biases.
    pub parameters: u64,
    /// Multiply-accumulates.
    pub macs: u64,
}

/// The plan of a run that measures one board's one model.
#[must_use]
pub fn plan(
    place: &str,
    task: Task,
    precision: Precision,
    model: &ModelFile,
    dataset: &Dataset,
    window: Duration,
) -> Plan {
    let unknown = || File {
        sha256: String::new(),
        bytes: 0,
    };
    let metric = task.metric();
    Plan {
        schema: plan::SCHEMA,
        plan: if window < WINDOW {
            Thoroughness::Quick
        } else {
            Thoroughness::Full
        },
        board: place.to_owned(),
        seed: 0,
        schedule: Schedule {
            warm_up_ms: 0,
            windows: super::measure::WINDOWS as u8,
            window_ms: window.as_millis() as u32,
            readings: 0,
        },
        profile_ms: 0,
        time_decoding: false,
        power: Default::default(),
        labels: Default::default(),
        governor: None,
        trials: vec![PlannedTrial {
            trial: 0,
            family: format!("mlperf-tiny-{task}"),
            title: task.title().to_owned(),
            use_case: task.use_case(),
            variant: model.name.clone(),
            precision,
            coordinates: BTreeMap::new(),
            parameters: model.parameters,
            macs: model.macs,
            metric,
            direction: metric.direction(),
            reference_quality: None,
            model: model.file.clone().unwrap_or_else(unknown),
            golden: unknown(),
            answers: Default::default(),
            weights: Default::default(),
            tolerance: Tolerance {
                steps: 0,
                absolute: 0.0,
                relative: 0.0,
            },
            dataset: Some(File {
                sha256: dataset.sha256.clone(),
                bytes: dataset.bytes,
            }),
            samples: 0,
            operators: Vec::new(),
            unstated: Default::default(),
        }],
    }
}

/// What was measured; each part only if it was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// The windows.
    pub windows: Vec<Inferred>,
    /// The accuracy pass.
    pub outcomes: Vec<Outcome>,
}

impl Measured {
    /// Throughput of each window that the board has timed, in inferences a second, sorted.
    fn throughputs(&self) -> Vec<f64> {
        let told = self.windows.iter().filter(|window| window.laps.is_some());
        let of = |window: &Inferred| f64::from(window.inferences) / window.duration().as_secs_f64();
        let mut all: Vec<f64> = told.map(of).collect();
        stats::sort(&mut all);
        all
    }
}

/// What only this protocol's runs have.
#[must_use]
pub fn summary(board: &Board, measured: &Measured, window: Duration) -> MlperfTiny {
    MlperfTiny {
        task: board.task,
        name: board.name.clone(),
        firmware: board.firmware.clone(),
        window_s: window.as_secs_f64(),
        throughput: stats::median(&measured.throughputs()),
        repeats: board.repeats,
    }
}

/// The results as any run has them.
#[must_use]
pub fn results(board: &Board, measured: &Measured, status: Status) -> RunResults {
    let windows: Vec<WindowResult> = (0..).zip(&measured.windows).map(window).collect();
    let timed = measured.windows.iter().all(|window| window.laps.is_some());
    let latency = latency(&windows).filter(|_| timed);
    RunResults {
        board: Some(BoardResult {
            runner: board.firmware.clone(),
            target: String::new(),
            machine: board.name.clone(),
            system: String::new(),
            engine: "MLPerf Tiny firmware".to_owned(),
            build_id: String::new(),
            memory_bytes: 0,
            // Our own runner says so in its name.
            emulated: board.name.ends_with(", emulated"),
            ticks_per_second: 1_000_000,
            resolution_ns: 1_000.0,
            clock_read_ns: 0.0,
            harness_ns: 0.0,
        }),
        trials: vec![TrialResult {
            trial: 0,
            latency_withheld: match (&status, latency) {
                (Status::Done, None) if timed => Some("only accuracy was asked for".to_owned()),
                (Status::Done, None) => Some("in energy mode the board tells no times".to_owned()),
                _ => None,
            },
            status,
            attempts: 1,
            windows,
            latency,
            quality: quality(board.task, &measured.outcomes),
            ..TrialResult::default()
        }],
        restarts: board.restarts,
        printed: board.line.printed.clone(),
        ..RunResults::default()
    }
}

fn window((number, inferred): (u8, &Inferred)) -> WindowResult {
    let micros = inferred.duration().as_micros() as u64;
    let (begin, end) = inferred.laps.unwrap_or((0, micros));
    WindowResult {
        window: number,
        begin,
        end,
        inferences: inferred.inferences,
        mean_ns: inferred.duration().as_secs_f64() * 1e9 / f64::from(inferred.inferences.max(1)),
        ..WindowResult::default()
    }
}

/// The windows' means are all that the protocol tells of an inference's time.
fn latency(windows: &[WindowResult]) -> Option<Latency> {
    let mut means: Vec<f64> = windows.iter().map(|window| window.mean_ns).collect();
    stats::sort(&mut means);
    Some(Latency {
        median_ns: stats::median(&means)?,
        low_ns: *means.first()?,
        high_ns: *means.last()?,
        mad_ns: stats::mad(&means)?,
        p90: None,
        p95: None,
        p99: None,
        samples: 0,
        outliers: 0,
        windows: means.len() as u32,
    })
}

fn quality(task: Task, outcomes: &[Outcome]) -> Option<QualityResult> {
    let samples = u32::try_from(outcomes.len()).ok().filter(|&n| n > 0)?;
    let (top1, auc) = match task {
        Task::Ad01 => (None, score::auc(outcomes)),
        _ => (score::top1(outcomes), score::auc(outcomes)),
    };
    let named = [(Metric::Top1, top1), (Metric::Auc, auc)];
    let bytes: Vec<u8> = outcomes
        .iter()
        .flat_map(|one| &one.scores)
        .flat_map(|score| score.to_le_bytes())
        .collect();
    Some(QualityResult {
        value: if task.metric() == Metric::Auc {
            auc
        } else {
            top1
        },
        interval: top1.and_then(|share| stats::wilson(share, samples)),
        samples,
        outcomes: samples,
        outcomes_crc: crc32(&bytes),
        outputs_match: false,
        metrics: named
            .into_iter()
            .filter_map(|(metric, value)| Some((metric.word().to_owned(), value?)))
            .collect(),
    })
}

/// What `performance/results.txt` of the reference runner holds; `time` is its stamp, `%m%d.%H%M%S`. Windows that
/// are too short by the rules have no median there either.
#[must_use]
pub fn performance_text(measured: &Measured, time: &str) -> String {
    let mut lines = Vec::new();
    for (number, window) in (1..).zip(&measured.windows) {
        let (count, seconds) = (window.inferences, window.duration().as_secs_f64());
        let throughput = f64::from(count) / seconds;
        lines.extend([
            format!("Performance results for window {number}:"),
            format!("  # Inferences : {count:>13}"),
            format!("  Runtime      : {seconds:>10.3} sec."),
            format!("  Throughput   : {throughput:>10.3} inf./sec."),
        ]);
    }
    let short = measured
        .windows
        .iter()
        .any(|window| window.duration() < WINDOW);
    match stats::median(&measured.throughputs()) {
        _ if short => lines.push("ERROR 2 - loop exited before 10 seconds elapsed.".to_owned()),
        Some(median) => lines.extend([
            RULE.to_owned(),
            format!("Median throughput is {median:>10.3} inf./sec."),
            RULE.to_owned(),
        ]),
        None => {}
    }
    stamped(&lines, time)
}

/// What its `accuracy/results.txt` holds.
#[must_use]
pub fn accuracy_text(task: Task, outcomes: &[Outcome], time: &str) -> String {
    let percent = match task {
        Task::Ad01 => score::best_threshold_percent(outcomes),
        _ => score::top1(outcomes).map(|share| 100.0 * share),
    };
    let percent = percent.map(|percent| format!("Top 1% = {percent:.1}"));
    let auc = score::auc(outcomes).map(|auc| format!("AUC = {auc:.3}"));
    let lines: Vec<String> = percent.into_iter().chain(auc).collect();
    stamped(&lines, time)
}

/// What its `energy/results.txt` holds.
#[must_use]
pub fn energy_text(windows: &[WindowResult]) -> String {
    let windows = WindowEnergy::of(windows);
    let mut lines = vec!["Power Edition Output".to_owned()];
    for (number, window) in windows.iter().enumerate() {
        let WindowEnergy {
            seconds, joules, ..
        } = *window;
        let short = seconds < WINDOW.as_secs_f64();
        let warning = if short {
            "  <<<< below minimum duration"
        } else {
            ""
        };
        lines.extend([
            format!("Energy data for trial {number}"),
            format!("  Elapsed time  : {seconds:.6}{warning}"),
            format!("  Inferences    : {}", window.inferences),
            format!("  Power         : {:.4} mW.", 1e3 * joules / seconds),
            format!("  Total Energy  : {:.3} uJ", 1e6 * joules),
            format!("  Energy/Inf    : {:.3} uJ/inf", window.energy_uj()),
        ]);
    }
    if let Some(median) = WindowEnergy::median_uj(&windows) {
        lines.extend([
            RULE.to_owned(),
            format!("Median energy cost is {median:.4} uJ/inf."),
            RULE.to_owned(),
        ]);
    }
    lines.join("\n") + "\n"
}

/// Now, as the reference runner stamps its lines; in UTC.
#[must_use]
pub fn stamp() -> String {
    jiff::Timestamp::now().strftime("%m%d.%H%M%S").to_string()
}

fn stamped(lines: &[String], time: &str) -> String {
    lines
        .iter()
        .map(|line| format!("{time} ulp-mlperf: {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::Budget;
    use crate::results::{RailEnergy, Value};

    fn windows(seconds: [u64; 5]) -> Measured {
        let one = |seconds: u64| Inferred {
            inferences: 70,
            laps: Some((5, 5 + seconds * 1_000_000)),
            host: Duration::from_secs(seconds),
            scores: vec![1.0],
        };
        Measured {
            windows: seconds.map(one).to_vec(),
            outcomes: Vec::new(),
        }
    }

    #[test]
    fn the_result_file_is_that_of_the_reference() {
        let text = performance_text(&windows([10, 14, 10, 20, 10]), "0726.005207");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[4..8],
            [
                "0726.005207 ulp-mlperf: Performance results for window 2:",
                "0726.005207 ulp-mlperf:   # Inferences :            70",
                "0726.005207 ulp-mlperf:   Runtime      :     14.000 sec.",
                "0726.005207 ulp-mlperf:   Throughput   :      5.000 inf./sec.",
            ]
        );
        assert_eq!(
            lines[21],
            "0726.005207 ulp-mlperf: Median throughput is      7.000 inf./sec."
        );
        let outcomes = [(0, 0.2), (1, 0.9)].map(|(class, score)| Outcome {
            class,
            scores: vec![1.0 - score, score],
        });
        assert_eq!(
            accuracy_text(Task::Vww01, &outcomes, "0725.211938"),
            "0725.211938 ulp-mlperf: Top 1% = 100.0\n0725.211938 ulp-mlperf: AUC = 1.000\n"
        );
    }

    #[test]
    fn energy_is_told_as_the_reference_tells_it() {
        let inferred = Inferred {
            inferences: 100,
            laps: None,
            host: Duration::from_secs(10),
            scores: Vec::new(),
        };
        let windows = [2.0, 3.0, 4.0].map(|joules| {
            let mut window = window((0, &inferred));
            window.rails.push(RailEnergy {
                rail: 0,
                readings: 1_000,
                missed: 0,
                gross_j: Value {
                    value: joules,
                    uncertainty: 0.1,
                },
                net_j: None,
                budget_j: Budget::default(),
                net_budget_j: None,
                idle_w: None,
                mean_w: joules / 10.5,
                peak_w: 1.0,
            });
            window
        });
        let text = energy_text(&windows);
        assert!(text.starts_with(
            "Power Edition Output\nEnergy data for trial 0\n  Elapsed time  : 10.500000\n"
        ));
        assert!(
            text.contains("  Power         : 190.4762 mW.\n  Total Energy  : 2000000.000 uJ\n")
        );
        assert!(
            text.contains("\nMedian energy cost is 30000.0000 uJ/inf.\n"),
            "{text}"
        );
    }

    #[test]
    fn windows_that_are_too_short_have_no_median_and_say_so() {
        let text = performance_text(&windows([10, 10, 9, 10, 10]), "0726.005207");
        assert!(!text.contains("Median"), "{text}");
        assert!(text.contains("ERROR 2 - loop exited before 10 seconds"));
        let run = MlperfTiny {
            task: Task::Ic01,
            name: "board".to_owned(),
            firmware: "firmware".to_owned(),
            window_s: 0.2,
            throughput: Some(7.0),
            repeats: 0,
        };
        let remark = run.remark(&[]);
        assert!(
            remark.contains("not conforming, its windows last 0.2 s"),
            "{remark}"
        );
    }
}
