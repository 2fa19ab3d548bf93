//! Windows: from raw readings to medians, and what makes a window void.

use crate::results::{CoreCounts, Latency, WindowResult};
use crate::stats;
use scalebench_wire::message::Window;

/// A relative change of the CPU clock that voids a window: less is a governor's reading of the same step.
const CLOCK_CHANGE: f64 = 0.05;

/// A window and the readings received for it, in the board's units.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) window: Window,
    pub(crate) readings: Vec<u32>,
    /// How many the board says it sent.
    pub(crate) sent: Option<u32>,
    /// A batch was missing or unreadable.
    pub(crate) broken: bool,
    /// What the processor did, if it was told.
    pub(crate) counts: Option<CoreCounts<u64>>,
}

impl Timed {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            // The board's word for how many come is no reason to reserve that much.
            readings: Vec::with_capacity(window.readings.min(65_536) as usize),
            sent: None,
            broken: false,
            counts: None,
        }
    }

    fn sorted_ns(&self, unit: f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.readings.iter().map(|&r| f64::from(r) * unit).collect();
        stats::sort(&mut values);
        values
    }

    fn void(&self) -> Option<String> {
        let window = &self.window;
        let received = self.readings.len() as u32;
        if self.broken || self.sent != Some(received) || window.readings != received {
            let said = window.readings;
            return Some(format!("readings were lost ({received} of {said} arrived)"));
        }
        if window.end <= window.begin || window.inferences == 0 {
            return Some("its marks are out of order: the board's clock jumped".to_owned());
        }
        let (before, after) = (window.before, window.after);
        if let (Some(first), Some(second)) = (before.clock_khz, after.clock_khz)
            && f64::from(first.abs_diff(second)) > CLOCK_CHANGE * f64::from(first)
        {
            let (first, second) = (first / 1000, second / 1000);
            return Some(format!(
                "the CPU clock changed from {first} to {second} MHz"
            ));
        }
        if before.throttled == Some(true) || after.throttled == Some(true) {
            return Some("the board throttled".to_owned());
        }
        None
    }
}

/// Summary of a window; `unit` and `ns` are nanoseconds of a reading's unit and of a tick.
pub(crate) fn window_result(timed: &Timed, unit: f64, ns: f64) -> WindowResult {
    let sorted = timed.sorted_ns(unit);
    let window = &timed.window;
    let duration = window.end.saturating_sub(window.begin) as f64 * ns;
    WindowResult {
        window: window.window,
        begin: window.begin,
        end: window.end,
        inferences: window.inferences,
        readings: timed.readings.len() as u32,
        mean_ns: duration / f64::from(window.inferences.max(1)),
        median_ns: stats::median(&sorted),
        outliers: stats::outliers(&sorted) as u32,
        distribution: stats::grid::counts(sorted),
        output_crc: window.output_crc,
        clock_khz: [window.before.clock_khz, window.after.clock_khz],
        millicelsius: [window.before.millicelsius, window.after.millicelsius],
        void: timed.void(),
        rails: Vec::new(),
        counts: timed.counts,
    }
}

/// What the processor does for one inference: medians over the windows that count. `None` where nothing was
/// counted.
pub(crate) fn counts(results: &[WindowResult]) -> Option<CoreCounts<f64>> {
    let each = |of: fn(&CoreCounts<u64>) -> Option<u64>| {
        let mut values: Vec<f64> = results
            .iter()
            .filter(|window| window.void.is_none() && window.inferences > 0)
            .filter_map(|window| {
                Some(of(window.counts.as_ref()?)? as f64 / f64::from(window.inferences))
            })
            .collect();
        stats::sort(&mut values);
        stats::median(&values)
    };
    let counts = CoreCounts {
        cycles: each(|counts| counts.cycles),
        instructions: each(|counts| counts.instructions),
        cache_misses: each(|counts| counts.cache_misses),
    };
    let any = counts
        .cycles
        .or(counts.instructions)
        .or(counts.cache_misses);
    any.map(|_| counts)
}

/// Steady state over all windows that count; `None` when none does.
pub(crate) fn latency(timed: &[Timed], results: &[WindowResult], unit: f64) -> Option<Latency> {
    let counted = || {
        timed
            .iter()
            .zip(results)
            .filter(|(_, result)| result.void.is_none())
    };
    let mut medians: Vec<f64> = counted()
        .filter_map(|(_, result)| result.median_ns)
        .collect();
    stats::sort(&mut medians);
    let mut all: Vec<f64> = counted()
        .flat_map(|(timed, _)| timed.readings.iter().map(|&r| f64::from(r) * unit))
        .collect();
    stats::sort(&mut all);
    Some(Latency {
        median_ns: stats::median(&medians)?,
        low_ns: *medians.first()?,
        high_ns: *medians.last()?,
        mad_ns: stats::mad(&all)?,
        p90: stats::percentile(&all, 0.90),
        p95: stats::percentile(&all, 0.95),
        p99: stats::percentile(&all, 0.99),
        samples: all.len() as u32,
        outliers: counted().map(|(_, result)| result.outliers).sum(),
        windows: medians.len() as u32,
    })
}

/// Median latency of sampled windows over that of the others, less one; `None` unless there are both.
pub(crate) fn observer_cost(results: &[WindowResult]) -> Option<f64> {
    let median = |sampled: bool| {
        let mut medians: Vec<f64> = results
            .iter()
            .filter(|window| window.void.is_none() && window.rails.is_empty() != sampled)
            .filter_map(|window| window.median_ns)
            .collect();
        stats::sort(&mut medians);
        stats::median(&medians)
    };
    Some(median(true)? / median(false)? - 1.0)
}
