//! Whether two sets of figures differ.

use super::{Interval, mean, variance};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Up to this many ways to split the values a permutation test counts them all.
const EXACT: f64 = 200_000.0;

/// A difference of two means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Mean of the second less mean of the first.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// Probability of so large a difference, were there none; two-sided.
    pub p: f64,
}

/// The difference of two means of unequal variance (B. L. Welch, *Biometrika* 34:28, 1947), degrees
/// of freedom by Welch and Satterthwaite.
///
/// `None` of less than two values on a side. Where neither side varies at all the interval has no
/// width and `p` is 1 or 0.
#[must_use]
pub fn welch(a: &[f64], b: &[f64]) -> Option<Difference> {
    let (na, nb) = (a.len() as f64, b.len() as f64);
    let (va, vb) = (variance(a)? / na, variance(b)? / nb);
    let value = mean(b)? - mean(a)?;
    let error = (va + vb).sqrt();
    if error == 0.0 {
        return Some(Difference {
            value,
            interval: Interval {
                low: value,
                high: value,
            },
            p: if value == 0.0 { 1.0 } else { 0.0 },
        });
    }
    let freedom = (va + vb).powi(2) / (va * va / (na - 1.0) + vb * vb / (nb - 1.0));
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    let half = t.inverse_cdf(0.975) * error;
    Some(Difference {
        value,
        interval: Interval {
            low: value - half,
            high: value + half,
        },
        p: 2.0 * t.cdf(-(value / error).abs()),
    })
}

/// Two-sided exact permutation test of a difference of means: the share of all ways to split the
/// pooled values that differ at least as much (R. A. Fisher, *The design of experiments*, 1935,
/// section 21).
///
/// `None` of nothing on a side, and where there are too many ways to count them all.
#[must_use]
pub fn permutation(a: &[f64], b: &[f64]) -> Option<f64> {
    let pooled: Vec<f64> = a.iter().chain(b).copied().collect();
    let (k, n) = (a.len(), pooled.len());
    if k == 0 || k == n || ways(n, k) > EXACT {
        return None;
    }
    let total: f64 = pooled.iter().sum();
    let difference = |sum: f64| ((total - sum) / (n - k) as f64 - sum / k as f64).abs();
    let seen = difference(a.iter().sum());
    let slack = 1e-12 * pooled.iter().map(|value| value.abs()).sum::<f64>();
    let (mut all, mut as_large) = (0_u32, 0_u32);
    let mut chosen: Vec<usize> = (0..k).collect();
    loop {
        all += 1;
        let sum: f64 = chosen.iter().map(|&at| pooled[at]).sum();
        as_large += u32::from(difference(sum) >= seen - slack);
        if !next_choice(&mut chosen, n) {
            return Some(f64::from(as_large) / f64::from(all));
        }
    }
}

fn ways(n: usize, k: usize) -> f64 {
    (1..=k).map(|i| (n - k + i) as f64 / i as f64).product()
}

/// The next `k` of `n` places in lexicographic order; whether there was one.
fn next_choice(chosen: &mut [usize], n: usize) -> bool {
    let k = chosen.len();
    let Some(at) = (0..k).rev().find(|&at| chosen[at] < n - k + at) else {
        return false;
    };
    chosen[at] += 1;
    for later in at + 1..k {
        chosen[later] = chosen[later - 1] + 1;
    }
    true
}

/// Two-sided Mann-Whitney test by the normal approximation with tie and continuity corrections
/// (H. B. Mann and D. R. Whitney, *Annals of Mathematical Statistics* 18:50, 1947).
///
/// The probability that two samples of one population differ so; `None` of nothing on a side, and
/// where all values are equal.
#[must_use]
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<f64> {
    let (na, nb) = (a.len() as f64, b.len() as f64);
    let n = na + nb;
    let mut pooled: Vec<(f64, bool)> = a.iter().map(|&value| (value, true)).collect();
    pooled.extend(b.iter().map(|&value| (value, false)));
    pooled.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for tied in pooled.chunk_by(|x, y| x.0 == y.0) {
        let t = tied.len() as f64;
        let of_a = tied.iter().filter(|(_, first)| *first).count() as f64;
        ranks += of_a * (before + (t + 1.0) / 2.0);
        ties += t * t * t - t;
        before += t;
    }
    let u = ranks - na * (na + 1.0) / 2.0;
    let spread = (na * nb / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)))).sqrt();
    if a.is_empty() || b.is_empty() || !spread.is_normal() {
        return None;
    }
    let z = ((u - na * nb / 2.0).abs() - 0.5).max(0.0) / spread;
    Some((2.0 * Normal::standard().sf(z)).min(1.0))
}

/// Adjusted probabilities of many tests, in their order: reject those up to `q` and the expected
/// share of false rejections is at most `q` (Y. Benjamini and Y. Hochberg, *Journal of the Royal
/// Statistical Society B* 57:289, 1995).
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_unstable_by(|&x, &y| p[y].total_cmp(&p[x]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 1.0_f64;
    for (at, &place) in order.iter().enumerate() {
        let rank = p.len() - at;
        least = least.min(p[place] * p.len() as f64 / rank as f64);
        adjusted[place] = least;
    }
    adjusted
}
