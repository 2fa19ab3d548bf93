//! Percentiles that come with their confidence, or not at all.

use serde::{Deserialize, Serialize};

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
