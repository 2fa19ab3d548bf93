//! Statistics: pure functions, robust, and silent where there is too little to speak of.
//!
//! Every formula names its source. The values they are tested against come from SciPy and NumPy:
//! `fixtures/make.py` writes `fixtures/reference.json`.
//!
//! | module | what it has |
//! |---|---|
//! | here | medians, deviations, outliers |
//! | [`percentile`](fn@percentile) | percentiles with early-stopping confidence |
//! | [`Interval`] | Wilson, Newcombe, Olkin and Finn, Student |
//! | [`bootstrap`] | bias-corrected and accelerated bootstrap |
//! | [`comparison`] | Welch, permutation, Mann-Whitney, Benjamini-Hochberg |
//! | [`regression`] | straight lines and saturating curves, with intervals |
//! | [`pareto`](fn@pareto) | what nothing beats |
//! | [`grid`] | counts on a fixed logarithmic grid, which can be added up |
//! | [`Histogram`] | millions of readings in a few kilobytes |

pub mod bootstrap;
pub mod comparison;
pub mod grid;
mod histogram;
mod interval;
mod pareto;
mod percentile;
pub mod regression;
#[cfg(test)]
mod tests;

pub use histogram::{Bucket, Histogram};
pub use interval::{Interval, r2_interval, share_difference, t95, wilson};
pub use pareto::{pareto, pareto_set};
pub use percentile::{Percentile, percentile};

/// Beyond this modified z-score a reading is flagged (Iglewicz and Hoaglin, *How to detect and handle
/// outliers*, ASQC 1993).
const OUTLIER: f64 = 3.5;

/// The middle value; of an even number the mean of the middle two. `None` of nothing.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        Some(upper)
    } else {
        Some((sorted.get(middle - 1)? + upper) / 2.0)
    }
}

/// Sorts for the functions here. Infinities and NaN do not occur in measured times.
pub fn sort(values: &mut [f64]) {
    values.sort_unstable_by(f64::total_cmp);
}

/// Median absolute deviation from the median, unscaled.
#[must_use]
pub fn mad(sorted: &[f64]) -> Option<f64> {
    let centre = median(sorted)?;
    let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - centre).abs()).collect();
    sort(&mut deviations);
    median(&deviations)
}

/// What a modified z-score is measured by: `MAD / 0.6745` or, where more than half of the values are
/// equal and the MAD is zero, `1.2533` times the mean absolute deviation. Zero where all are equal.
fn scale(sorted: &[f64], centre: f64) -> f64 {
    match mad(sorted) {
        Some(mad) if mad > 0.0 => mad / 0.6745,
        _ => {
            let sum: f64 = sorted.iter().map(|value| (value - centre).abs()).sum();
            1.253_314 * sum / sorted.len().max(1) as f64
        }
    }
}

/// How many values lie beyond a modified z-score of 3.5: `0.6745 (x - median) / MAD`.
#[must_use]
pub fn outliers(sorted: &[f64]) -> usize {
    let Some(centre) = median(sorted) else {
        return 0;
    };
    let scale = scale(sorted, centre);
    let beyond = |value: &&f64| scale > 0.0 && (*value - centre).abs() / scale > OUTLIER;
    sorted.iter().filter(beyond).count()
}

/// The `p` quantile between order statistics, `0 <= p <= 1`: linear interpolation at `(n - 1) p`
/// (R. J. Hyndman and Y. Fan, *The American Statistician* 50:361, 1996, definition 7).
#[must_use]
pub fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let at = (sorted.len().checked_sub(1)? as f64) * p.clamp(0.0, 1.0);
    let below = *sorted.get(at.floor() as usize)?;
    let above = *sorted.get(at.ceil() as usize)?;
    Some(below + (above - below) * at.fract())
}

/// Arithmetic mean. `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Unbiased variance. `None` of less than two.
#[must_use]
pub fn variance(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let sum: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| sum / (values.len() - 1) as f64)
}
