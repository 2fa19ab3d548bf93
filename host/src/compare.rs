//! Two runs of the same variants: did a change make them better or worse?
//!
//! A latency is judged by the medians of its windows, not by its readings: readings of one window
//! depend on each other, and millions of them make any difference of two processes "significant".

use crate::scaling::pairs::{boards, same};
use crate::scaling::{Cost, Figure, Measured, measured};
use crate::stats::comparison::{benjamini_hochberg, permutation, welch};
use crate::stats::{Interval, share_difference};
use crate::store::RunFile;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// Share of false discoveries that is put up with among all figures of a comparison.
const Q: f64 = 0.05;
/// Peak memory is read once a trial, in pages: less than this share is no change.
const MEMORY: f64 = 0.1;
/// Nor does one run tell of less than this many bytes: between two runs of the same, an allocator was
/// seen to keep, or to give back, 8 MiB that a trial before had used.
const MEMORY_FLOOR: f64 = 16_777_216.0;

/// The processor counts the same instructions for the same work, whatever else goes on: a change of this share is one.
const INSTRUCTIONS: f64 = 0.01;

/// What is said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Improved, beyond threshold and doubt.
    Better,
    /// Got worse, beyond threshold and doubt.
    Worse,
    /// Any change is within the threshold.
    Same,
    /// The figures scatter too much to say.
    CannotTell,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// Which figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Median latency.
    Latency,
    /// The family's metric.
    Quality,
    /// Peak memory.
    Memory,
    /// Energy of an inference.
    Energy,
    /// Instructions of an inference.
    Instructions,
}

/// One figure of one variant, before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// `family/variant precision`.
    pub name: String,
    /// Which figure.
    pub of: Of,
    /// What ranks the family.
    pub metric: scalebench_models::Metric,
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
    /// The change: relative for latency, memory, energy and instructions, absolute for quality.
    pub change: Figure,
    /// What a change must exceed, in the same terms.
    pub threshold: f64,
    /// Probability of such a change by chance, adjusted for all figures compared.
    pub p: Option<f64>,
    /// What is said.
    pub verdict: Verdict,
}

/// All figures of two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The figures both have.
    pub judged: Vec<Judged>,
    /// Variants that have figures only before.
    pub lost: Vec<String>,
    /// Variants that have figures only after.
    pub added: Vec<String>,
    /// Geometric mean of latencies after by before.
    pub latency: Option<Figure>,
}

impl Comparison {
    /// Whether something got worse, or lost its figures.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        !self.lost.is_empty() || self.count(Verdict::Worse) > 0
    }

    /// How many figures have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.judged
            .iter()
            .filter(|one| one.verdict == verdict)
            .count()
    }
}

/// Why two runs are not compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unlike {
    /// Different boards.
    #[error(
        "the first run is of {first}, the second of {second}: their latencies say nothing of a change; --across-boards compares them all the same"
    )]
    Boards {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// One real, one not.
    #[error(
        "the first run is of {first}, the second of {second}: an emulator's latencies are no board's; --across-boards compares them all the same"
    )]
    Kinds {
        /// The first.
        first: &'static str,
        /// The second.
        second: &'static str,
    },
    /// Latencies of different things.
    #[error(
        "one run's latencies of detection hold the decoding into boxes, the other's do not: measure both with --time-decoding, or neither"
    )]
    Decoding,
    /// No board.
    #[error("one of the runs never reached a board: run it again, or name another")]
    NoBoard,
}

/// Whether two runs may be compared.
///
/// # Errors
/// [`Unlike`] says what differs.
pub fn alike(a: &RunFile, b: &RunFile) -> Result<(), Unlike> {
    let (Some(first), Some(second)) = (&a.results.board, &b.results.board) else {
        return Err(Unlike::NoBoard);
    };
    let kind = |file: &RunFile, emulated: bool| match (file.connection.is_virtual, emulated) {
        (_, true) => "an emulated board",
        (true, false) => "a virtual board",
        (false, false) => "a real board",
    };
    let (of_a, of_b) = (kind(a, first.emulated), kind(b, second.emulated));
    if of_a != of_b {
        return Err(Unlike::Kinds {
            first: of_a,
            second: of_b,
        });
    }
    if first.identity() != second.identity() {
        return Err(Unlike::Boards {
            first: first.identity(),
            second: second.identity(),
        });
    }
    let detects = |file: &RunFile| {
        let mut trials = file.plan.trials.iter();
        trials.any(|trial| file.plan.timed(trial).is_some())
    };
    if detects(a) && detects(b) && a.plan.time_decoding != b.plan.time_decoding {
        return Err(Unlike::Decoding);
    }
    Ok(())
}

/// Compares two runs; a latency that changed by less than `threshold` (a share) has not.
#[must_use]
pub fn compare(before: &RunFile, after: &RunFile, threshold: f64) -> Comparison {
    compare_measured(&measured(before), &measured(after), threshold)
}

/// The same for variants that are measured already.
#[must_use]
pub fn compare_measured(before: &[Measured], after: &[Measured], threshold: f64) -> Comparison {
    let mut judged = Vec::new();
    for a in before {
        if let Some(b) = same(a, after) {
            judged.extend(
                [
                    latency(a, b, threshold),
                    quality(a, b),
                    memory(a, b),
                    energy(a, b, threshold),
                    instructions(a, b),
                ]
                .into_iter()
                .flatten(),
            );
        }
    }
    let known: Vec<f64> = judged.iter().filter_map(|one| one.p).collect();
    let mut adjusted = benjamini_hochberg(&known).into_iter();
    for one in judged.iter_mut().filter(|one| one.p.is_some()) {
        one.p = adjusted.next();
        if matches!(one.verdict, Verdict::Better | Verdict::Worse) && one.p.is_some_and(|p| p > Q) {
            one.verdict = Verdict::CannotTell;
        }
    }
    let only = |these: &[Measured], those: &[Measured]| -> Vec<String> {
        these
            .iter()
            .filter(|one| same(one, those).is_none())
            .map(label)
            .collect()
    };
    Comparison {
        judged,
        lost: only(before, after),
        added: only(after, before),
        latency: boards(before, after).latency,
    }
}

fn label(one: &Measured) -> String {
    format!("{}/{}", one.family, one.name())
}

/// The logarithms of the windows' medians are compared. Better or worse only if Welch's whole interval
/// lies beyond the threshold and the exact permutation test sees a difference too, so that no single
/// odd window makes a verdict. Same if the whole interval lies within it. So the noise of the windows
/// widens what cannot be told, never what is called a change. So does a step of the clock: medians move in
/// such steps, all windows at once, so that their scatter does not tell.
fn latency(a: &Measured, b: &Measured, threshold: f64) -> Option<Judged> {
    if a.unstated.time || b.unstated.time {
        return None; // numbers without a unit, and without windows
    }
    let logs = |one: &Measured| -> Vec<f64> { one.window_medians.iter().map(|v| v.ln()).collect() };
    let (before, after) = (logs(a), logs(b));
    let (from, to) = (a.cost(Cost::Latency)?, b.cost(Cost::Latency)?);
    let step = a.clock_step_ns.max(b.clock_step_ns) / from.min(to);
    let mut difference = welch(&before, &after);
    if let Some(d) = difference.as_mut().filter(|d| d.value != 0.0) {
        d.interval.low -= step.ln_1p();
        d.interval.high += step.ln_1p();
    }
    let asked = (1.0 + threshold).ln();
    let agreed = permutation(&before, &after).is_some_and(|p| p <= Q);
    let verdict = match difference {
        None => Verdict::CannotTell,
        Some(d) if agreed && (d.interval.low > asked || d.interval.high < -asked) => {
            direction(-d.value)
        }
        Some(d) if d.interval.low > -asked && d.interval.high < asked => Verdict::Same,
        Some(_) => Verdict::CannotTell,
    };
    Some(Judged {
        name: label(a),
        of: Of::Latency,
        metric: a.metric,
        before: from,
        after: to,
        change: Figure {
            value: difference.map_or(to / from, |d| d.value.exp()) - 1.0,
            interval: difference.map(|d| Interval {
                low: d.interval.low.exp() - 1.0,
                high: d.interval.high.exp() - 1.0,
            }),
        },
        threshold,
        p: difference.map(|d| d.p),
        verdict,
    })
}

/// Equal figures are the same; others differ if the interval of their difference excludes none:
/// Newcombe's for shares, else from the intervals of both.
fn quality(a: &Measured, b: &Measured) -> Option<Judged> {
    let gained = b.good() - a.good();
    let error = a
        .quality
        .error()
        .zip(b.quality.error())
        .map(|(a, b)| a.hypot(b));
    let interval = if crate::units::is_share(a.metric) {
        share_difference((a.quality.value, a.samples), (b.quality.value, b.samples))
    } else {
        let by = b.quality.value - a.quality.value;
        error.map(|error| Interval {
            low: by - 1.96 * error,
            high: by + 1.96 * error,
        })
    };
    let verdict = match interval {
        _ if gained == 0.0 => Verdict::Same,
        Some(interval) if !interval.holds(0.0) => direction(gained),
        _ => Verdict::CannotTell,
    };
    let p = error
        .filter(|error| *error > 0.0)
        .map(|error| 2.0 * Normal::standard().cdf(-(gained / error).abs()));
    Some(Judged {
        name: label(a),
        of: Of::Quality,
        metric: a.metric,
        before: a.quality.value,
        after: b.quality.value,
        change: Figure {
            value: b.quality.value - a.quality.value,
            interval,
        },
        threshold: 0.0,
        p,
        verdict,
    })
}

fn memory(a: &Measured, b: &Measured) -> Option<Judged> {
    let (before, after) = (a.cost(Cost::Memory)?, b.cost(Cost::Memory)?);
    let change = after / before.max(1.0) - 1.0;
    Some(Judged {
        name: label(a),
        of: Of::Memory,
        metric: a.metric,
        before,
        after,
        change: Figure {
            value: change,
            interval: None,
        },
        threshold: MEMORY,
        p: None,
        verdict: match change.abs() {
            share if share <= MEMORY => Verdict::Same,
            _ if (after - before).abs() <= MEMORY_FLOOR => Verdict::CannotTell,
            _ => direction(-change),
        },
    })
}

/// Only where both figures are worth the same. The uncertainties count as independent: what a rail's shunt is
/// off by is the same in two runs of one board, so this tells too little rather than too much.
fn energy(a: &Measured, b: &Measured, threshold: f64) -> Option<Judged> {
    let (from, to) = (a.costs.get(&Cost::Energy)?, b.costs.get(&Cost::Energy)?);
    if a.energy_tier != b.energy_tier || from.value <= 0.0 {
        return None;
    }
    let ratio = to.value / from.value;
    let change = ratio - 1.0;
    let error = (from.error()? / from.value).hypot(to.error()? / to.value) * ratio.abs();
    let interval = Interval {
        low: change - 1.96 * error,
        high: change + 1.96 * error,
    };
    let verdict = match interval {
        Interval { low, high } if low > threshold || high < -threshold => direction(-change),
        Interval { low, high } if low > -threshold && high < threshold => Verdict::Same,
        _ => Verdict::CannotTell,
    };
    Some(Judged {
        name: label(a),
        of: Of::Energy,
        metric: a.metric,
        before: from.value,
        after: to.value,
        change: Figure {
            value: change,
            interval: Some(interval),
        },
        threshold,
        p: (error > 0.0).then(|| 2.0 * Normal::standard().cdf(-(change / error).abs())),
        verdict,
    })
}

/// Where both were counted. Windows do not scatter in it, so there is no doubt to widen.
fn instructions(a: &Measured, b: &Measured) -> Option<Judged> {
    let (before, after) = (a.instructions?, b.instructions?);
    let change = after / before.max(1.0) - 1.0;
    Some(Judged {
        name: label(a),
        of: Of::Instructions,
        metric: a.metric,
        before,
        after,
        change: Figure {
            value: change,
            interval: None,
        },
        threshold: INSTRUCTIONS,
        p: None,
        verdict: if change.abs() <= INSTRUCTIONS {
            Verdict::Same
        } else {
            direction(-change)
        },
    })
}

fn direction(gain: f64) -> Verdict {
    if gain > 0.0 {
        Verdict::Better
    } else {
        Verdict::Worse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;
    use crate::scaling::tests::{Noise, drawing, variant};
    use std::slice;

    /// Ten variants whose latencies are `factor` times what they should be, each run with an offset.
    fn run(factor: f64, window_noise: f64, run_noise: f64, random: &mut Noise) -> Vec<Measured> {
        (0..10)
            .map(|at| {
                let ms = 0.1 * f64::from(1 << at) * factor * (run_noise * random.normal()).exp();
                variant(&format!("v{at}"), ms, 0.8, window_noise, random)
            })
            .collect()
    }

    fn latencies(comparison: &Comparison, verdict: Verdict) -> usize {
        let of = |one: &&Judged| one.of == Of::Latency && one.verdict == verdict;
        comparison.judged.iter().filter(of).count()
    }

    #[test]
    fn a_step_of_the_clock_is_no_change() {
        let mut random = Noise::new(6);
        let mut at = |ns: f64| Measured {
            clock_step_ns: 20.0,
            ..variant("v", ns / 1e6, 0.9, 0.0, &mut random)
        };
        let verdict = |from: &Measured, to: &Measured| {
            let compared = compare_measured(slice::from_ref(from), slice::from_ref(to), 0.05);
            compared.judged[0].verdict
        };
        let (before, next, far) = (at(144.0), at(160.0), at(240.0));
        assert_eq!(verdict(&before, &next), Verdict::CannotTell);
        assert_eq!(verdict(&before, &far), Verdict::Worse);
        assert_eq!(verdict(&before, &before), Verdict::Same);
    }

    #[test]
    fn the_same_board_twice_raises_a_false_alarm_at_most_once_in_twenty() {
        let mut random = Noise::new(77);
        // Windows scatter by 1 %, and two starts of the same runner by 1.2 %.
        let (runs, mut alarms, mut clear) = (1_000, 0, 0);
        for _ in 0..runs {
            let (a, b) = (
                run(1.0, 0.01, 0.012, &mut random),
                run(1.0, 0.01, 0.012, &mut random),
            );
            let comparison = compare_measured(&a, &b, 0.05);
            alarms += usize::from(
                comparison.count(Verdict::Worse) + comparison.count(Verdict::Better) > 0,
            );
            clear += latencies(&comparison, Verdict::Same);
        }
        println!(
            "{alarms} of {runs} comparisons of 10 equal variants with a false alarm; {clear} of {} same",
            10 * runs
        );
        assert!(alarms * 20 <= runs, "{alarms} of {runs}");
        assert!(clear > 7 * runs, "{clear}");
    }

    #[test]
    fn instructions_are_judged_without_noise_where_both_were_counted() {
        let mut random = Noise::new(5);
        let mut with = |instructions| Measured {
            instructions,
            ..variant("v", 1.0, 0.8, 0.2, &mut random)
        };
        let verdict = |a: &Measured, b: &Measured| {
            let judged =
                compare_measured(std::slice::from_ref(a), std::slice::from_ref(b), 0.05).judged;
            let one = judged.into_iter().find(|one| one.of == Of::Instructions);
            one.map(|one| one.verdict)
        };
        let (before, near) = (with(Some(1e6)), with(Some(1.009e6)));
        assert_eq!(verdict(&before, &near), Some(Verdict::Same));
        assert_eq!(verdict(&before, &with(Some(1.011e6))), Some(Verdict::Worse));
        assert_eq!(verdict(&before, &with(Some(9e5))), Some(Verdict::Better));
        assert_eq!(verdict(&before, &with(None)), None);
    }

    #[test]
    fn a_change_of_nine_percent_is_found_four_times_in_five() {
        let found = |change: f64, seed: u64| {
            let mut random = Noise::new(seed);
            let found: usize = (0..200)
                .map(|_| {
                    let a = run(1.0, 0.01, 0.012, &mut random);
                    let b = run(1.0 + change, 0.01, 0.012, &mut random);
                    latencies(&compare_measured(&a, &b, 0.05), Verdict::Worse)
                })
                .sum();
            found as f64 / 2_000.0
        };
        let powers: Vec<(f64, f64)> = [0.06, 0.07, 0.08, 0.085, 0.09]
            .map(|change| (change, found(change, 5)))
            .to_vec();
        println!("power: {powers:?}");
        assert!(powers[4].1 >= 0.8, "{powers:?}");
        assert!(powers.is_sorted_by(|a, b| a.1 <= b.1), "{powers:?}");
    }

    #[test]
    fn energies_are_compared_where_they_are_worth_the_same() {
        let mut random = Noise::new(3);
        let one = variant("v", 1.0, 0.8, 0.01, &mut random);
        let judged = |before: f64, after: f64, share: f64, tier: &str| {
            let a = [drawing(one.clone(), before, share, "board rail")];
            let b = [drawing(one.clone(), after, share, tier)];
            let comparison = compare_measured(&a, &b, 0.05);
            let energy = comparison.judged.iter().find(|one| one.of == Of::Energy);
            energy.map(|energy| energy.verdict)
        };
        assert_eq!(judged(1.0, 1.5, 0.02, "board rail"), Some(Verdict::Worse));
        assert_eq!(judged(1.0, 0.5, 0.02, "board rail"), Some(Verdict::Better));
        assert_eq!(judged(1.0, 1.01, 0.01, "board rail"), Some(Verdict::Same));
        assert_eq!(
            judged(1.0, 1.1, 0.2, "board rail"),
            Some(Verdict::CannotTell)
        );
        assert_eq!(judged(1.0, 1.5, 0.02, "simulated"), None);
    }

    #[test]
    fn each_figure_has_its_verdict() {
        let mut random = Noise::new(9);
        let before = run(1.0, 0.005, 0.0, &mut random);
        let mut after = run(1.0, 0.005, 0.0, &mut random);
        after[0] = variant("v0", 0.2, 0.8, 0.005, &mut random);
        after[1] = variant("v1", 0.2, 0.7, 0.005, &mut random);
        after[2] = variant("v2", 0.2, 0.8, 0.005, &mut random);
        after[3] = variant("v3", 0.8, 0.8, 0.3, &mut random);
        after[4].variant = "other".to_owned();
        let comparison = compare_measured(&before, &after, 0.05);
        let verdict = |name: &str, of| {
            let one = comparison
                .judged
                .iter()
                .find(|one| one.name == format!("f/{name} float32") && one.of == of);
            one.unwrap().verdict
        };
        assert_eq!(verdict("v0", Of::Latency), Verdict::Worse);
        assert_eq!(verdict("v0", Of::Quality), Verdict::Same);
        assert_eq!(verdict("v1", Of::Latency), Verdict::Same);
        assert_eq!(verdict("v1", Of::Quality), Verdict::Worse);
        assert_eq!(verdict("v2", Of::Latency), Verdict::Better);
        assert_eq!(
            verdict("v3", Of::Latency),
            Verdict::CannotTell,
            "it scatters by 30 %"
        );
        assert_eq!((comparison.lost.len(), comparison.added.len()), (1, 1));
        assert!(comparison.is_worse());
    }

    #[test]
    fn memory_is_judged_only_beyond_what_an_allocator_keeps() {
        let mut random = Noise::new(2);
        let with = |bytes: f64, random: &mut Noise| {
            let mut one = variant("v", 1.0, 0.8, 0.005, random);
            let figure = Figure {
                value: bytes,
                interval: None,
            };
            one.costs.insert(Cost::Memory, figure);
            one
        };
        let mut verdict = |before: f64, after: f64| {
            let (a, b) = (with(before, &mut random), with(after, &mut random));
            memory(&a, &b).unwrap().verdict
        };
        assert_eq!(verdict(100e6, 105e6), Verdict::Same);
        assert_eq!(verdict(0.0, 8e6), Verdict::CannotTell);
        assert_eq!(verdict(100e6, 120e6), Verdict::Worse);
        assert_eq!(verdict(120e6, 90e6), Verdict::Better);
    }

    #[test]
    fn unlike_boards_are_refused() {
        let a = example::run_file();
        assert_eq!(alike(&a, &a), Ok(()));
        let mut b = a.clone();
        b.results.board.as_mut().unwrap().machine = "Another".to_owned();
        let error = alike(&a, &b).unwrap_err().to_string();
        assert!(
            error.contains("Another") && error.contains("--across-boards"),
            "{error}"
        );
        b = a.clone();
        b.results.board.as_mut().unwrap().emulated = true;
        let error = alike(&a, &b).unwrap_err().to_string();
        assert!(error.contains("the second of an emulated board"), "{error}");
        b.results.board = None;
        assert_eq!(alike(&a, &b), Err(Unlike::NoBoard));
    }
}
