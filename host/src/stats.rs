//! The statistics of a run: robust, and silent where there is too little to speak of.

use serde::{Deserialize, Serialize};

/// Two-sided 95 % of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;
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

/// How many values lie beyond a modified z-score of 3.5: `0.6745 (x - median) / MAD`.
///
/// Where more than half of the values are equal the MAD is zero; then the mean absolute deviation
/// takes its place, `(x - median) / (1.2533 meanAD)`. All equal: none.
#[must_use]
pub fn outliers(sorted: &[f64]) -> usize {
    let (Some(centre), Some(mad)) = (median(sorted), mad(sorted)) else {
        return 0;
    };
    let scale = if mad > 0.0 {
        mad / 0.6745
    } else {
        let sum: f64 = sorted.iter().map(|value| (value - centre).abs()).sum();
        1.253_314 * sum / sorted.len() as f64
    };
    if scale == 0.0 {
        return 0;
    }
    let beyond = |value: &&f64| (*value - centre).abs() / scale > OUTLIER;
    sorted.iter().filter(beyond).count()
}

/// A percentile, and the value it does not exceed with 99 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// The smallest value that at least this share of the readings does not exceed (nearest rank).
    pub value: f64,
    /// The true percentile is below this with 99 % confidence.
    pub bound: f64,
}

/// The `p` quantile (`0 < p < 1`), if there are samples enough to speak of it with 99 % confidence.
///
/// The rule is MLPerf LoadGen's early stopping (MLCommons, *Inference rules*, appendix "Early
/// stopping"): with `t` readings above the estimate, the chance of so few, were the true percentile
/// higher, is at most 1 %, and `t` is at least one. That takes 64 samples for 0.9, 130 for 0.95 and
/// 662 for 0.99.
#[must_use]
pub fn percentile(sorted: &[f64], p: f64) -> Option<Percentile> {
    let above = allowed_above(sorted.len(), p)?;
    let rank = ((sorted.len() as f64 * p).ceil() as usize).clamp(1, sorted.len());
    Some(Percentile {
        value: *sorted.get(rank - 1)?,
        bound: *sorted.get(sorted.len() - 1 - above)?,
    })
}

/// The largest `t >= 1` with `P(X <= t) <= 0.01`, `X` binomial of `n` and `1 - p`.
fn allowed_above(n: usize, p: f64) -> Option<usize> {
    let q = 1.0 - p;
    let mut log_term = n as f64 * p.ln(); // of P(X = 0)
    let mut sum = log_term.exp();
    let mut allowed = None;
    for t in 1..n {
        log_term += ((n - t + 1) as f64 / t as f64).ln() + (q / p).ln();
        sum += log_term.exp();
        if sum > 0.01 {
            break;
        }
        allowed = Some(t);
    }
    allowed
}

/// A value with the interval that holds the true one with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Wilson's score interval for a share `share` seen in `n` samples (E. B. Wilson, JASA 22:209, 1927).
#[must_use]
pub fn wilson(share: f64, n: u32) -> Option<Interval> {
    if n == 0 || !(0.0..=1.0).contains(&share) {
        return None;
    }
    let n = f64::from(n);
    let z2 = Z95 * Z95;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    Some(Interval {
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
    })
}

/// Normal interval for a coefficient of determination of `n` samples, from its large-sample variance
/// `4 R² (1 - R²)² (n - k - 1)² / ((n² - 1)(n + 3))` with `k = 1` (I. Olkin and J. D. Finn,
/// *Psychological Bulletin* 118:155, 1995; as in Cohen et al., *Applied multiple regression*, 2003).
#[must_use]
pub fn r2_interval(r2: f64, n: u32) -> Option<Interval> {
    if n < 10 || !(0.0..=1.0).contains(&r2) {
        return None;
    }
    let n = f64::from(n);
    let variance = 4.0 * r2 * (1.0 - r2).powi(2) * (n - 2.0).powi(2) / ((n * n - 1.0) * (n + 3.0));
    let half = Z95 * variance.sqrt();
    Some(Interval {
        low: r2 - half,
        high: (r2 + half).min(1.0),
    })
}

/// Which of `points` are not beaten: no other costs at most as much and is at least as good, and
/// better in one of the two. A point is `(cost, quality)`, more quality being better.
#[must_use]
pub fn pareto(points: &[(f64, f64)]) -> Vec<bool> {
    let beats =
        |a: &(f64, f64), b: &(f64, f64)| a.0 <= b.0 && a.1 >= b.1 && (a.0 < b.0 || a.1 > b.1);
    points
        .iter()
        .map(|point| !points.iter().any(|other| beats(other, point)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(n: usize) -> Vec<f64> {
        (1..=n).map(|i| i as f64).collect()
    }

    #[test]
    fn medians_of_odd_even_and_nothing() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
        assert_eq!(median(&[]), None);
        assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.0));
    }

    #[test]
    fn percentiles_need_the_samples_of_the_rule() {
        for (p, least) in [(0.9, 64), (0.95, 130), (0.99, 662)] {
            assert_eq!(percentile(&ramp(least - 1), p), None, "{p}");
            assert!(percentile(&ramp(least), p).is_some(), "{p}");
        }
        let p90 = percentile(&ramp(1_000), 0.9).unwrap();
        assert_eq!(p90.value, 900.0);
        // 99 % confidence: z = 2.33 times sqrt(1000 * 0.9 * 0.1) = 9.5 readings above the 900th.
        assert!((915.0..930.0).contains(&p90.bound), "{}", p90.bound);
        assert!(percentile(&ramp(2_000_000), 0.99).is_some());
    }

    #[test]
    fn outliers_are_counted_also_where_most_values_are_equal() {
        assert_eq!(outliers(&[5.0; 40]), 0);
        let mut values = vec![5.0; 40];
        values.push(50.0);
        assert_eq!(outliers(&values), 1);
        let mut values = ramp(21);
        values.push(100.0);
        assert_eq!(outliers(&values), 1);
        assert_eq!(outliers(&[]), 0);
    }

    #[test]
    fn intervals_match_published_examples() {
        // Wilson 95 % for 8 of 10, as in Newcombe, Statistics in Medicine 17:857, 1998, formula 3.
        let interval = wilson(0.8, 10).unwrap();
        assert!((interval.low - 0.4902).abs() < 1e-4 && (interval.high - 0.9433).abs() < 1e-4);
        assert_eq!(wilson(0.5, 0), None);
        let interval = r2_interval(0.9, 5_000).unwrap();
        // se = 2 sqrt(0.9) * 0.1 / sqrt(5000), nearly
        assert!(
            (interval.high - 0.9 - 1.96 * 0.002683).abs() < 1e-5,
            "{interval:?}"
        );
        assert_eq!(r2_interval(-0.2, 5_000), None);
    }

    #[test]
    fn the_pareto_set_keeps_what_is_not_beaten() {
        let points = [(1.0, 0.5), (2.0, 0.4), (2.0, 0.8), (3.0, 0.8), (4.0, 0.9)];
        assert_eq!(pareto(&points), [true, false, true, false, true]);
    }
}
