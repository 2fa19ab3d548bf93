//! Bias-corrected and accelerated bootstrap intervals (B. Efron, *Journal of the American
//! Statistical Association* 82:171, 1987; Efron and Tibshirani, *An introduction to the bootstrap*,
//! 1993, chapter 14).

use super::{Interval, quantile, sort};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use statrs::distribution::{ContinuousCDF, Normal};

/// 95 % interval of `statistic` over the population that `sample` was drawn from, from `resamples`
/// resamples drawn by `seed`.
///
/// `None` of less than three values, and where all resamples agree.
pub fn bca(
    sample: &[f64],
    statistic: impl Fn(&[f64]) -> f64,
    resamples: usize,
    seed: u64,
) -> Option<Interval> {
    let n = sample.len();
    if n < 3 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut resample = vec![0.0; n];
    let mut distribution: Vec<f64> = (0..resamples)
        .map(|_| {
            for value in &mut resample {
                let at = (u128::from(rng.next_u64()) * n as u128) >> 64;
                *value = sample[at as usize];
            }
            statistic(&resample)
        })
        .collect();
    sort(&mut distribution);
    let without: Vec<f64> = (0..n)
        .map(|left_out| {
            let mut rest = sample.to_vec();
            rest.remove(left_out);
            statistic(&rest)
        })
        .collect();
    bca_interval(&distribution, statistic(sample), &without)
}

/// As [`bca`], of a statistic that is a function of sums over the sample: a resample costs a pass, and leaving a value
/// out one subtraction.
///
/// `total` holds the sums over all `n` values; `add` adds a value's terms to sums, times a weight. `None` of less than
/// three values, where all resamples agree, and where a resample has no such statistic.
pub fn bca_sums(
    n: usize,
    total: &[f64],
    add: impl Fn(&mut [f64], usize, f64),
    statistic: impl Fn(&[f64]) -> f64,
    resamples: usize,
    seed: u64,
) -> Option<Interval> {
    if n < 3 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut sums = vec![0.0; total.len()];
    let mut distribution = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        sums.fill(0.0);
        for _ in 0..n {
            let at = (u128::from(rng.next_u64()) * n as u128) >> 64;
            add(&mut sums, at as usize, 1.0);
        }
        distribution.push(statistic(&sums));
    }
    let without: Vec<f64> = (0..n)
        .map(|left_out| {
            sums.copy_from_slice(total);
            add(&mut sums, left_out, -1.0);
            statistic(&sums)
        })
        .collect();
    let sound = |values: &[f64]| values.iter().all(|value| value.is_finite());
    if !sound(&distribution) || !sound(&without) {
        return None;
    }
    sort(&mut distribution);
    bca_interval(&distribution, statistic(total), &without)
}

/// As [`bca`], of a `statistic` of how many times each of `n` values occurs: zero where it was not drawn.
///
/// `None` of less than three values, where all resamples agree, and where a resample has no such statistic.
pub fn bca_weights(
    n: usize,
    statistic: impl Fn(&[f64]) -> f64,
    resamples: usize,
    seed: u64,
) -> Option<Interval> {
    let add = |times: &mut [f64], at: usize, weight: f64| times[at] += weight;
    bca_sums(n, &vec![1.0; n], add, statistic, resamples, seed)
}

/// The interval from a sorted bootstrap `distribution`, the `estimate` and the `jackknife` values of
/// the statistic with each value left out.
///
/// With `z0` the normal quantile of the share of the distribution below the estimate and `a` the
/// acceleration, the ends are the quantiles `Φ(z0 + (z0 + z) / (1 - a (z0 + z)))` of it.
#[must_use]
pub fn bca_interval(distribution: &[f64], estimate: f64, jackknife: &[f64]) -> Option<Interval> {
    let normal = Normal::standard();
    let below = distribution.partition_point(|value| *value < estimate);
    let not_above = distribution.partition_point(|value| *value <= estimate);
    let share = (below + not_above) as f64 / (2 * distribution.len()) as f64;
    if share <= 0.0 || share >= 1.0 || distribution.first() == distribution.last() {
        return None;
    }
    let bias = normal.inverse_cdf(share);
    let centre = super::mean(jackknife)?;
    let sum = |power: i32| -> f64 {
        jackknife
            .iter()
            .map(|value| (centre - value).powi(power))
            .sum()
    };
    let acceleration = sum(3) / (6.0 * sum(2).powf(1.5));
    let end = |z: f64| {
        let shifted = bias + z;
        quantile(
            distribution,
            normal.cdf(bias + shifted / (1.0 - acceleration * shifted)),
        )
    };
    let z = normal.inverse_cdf(0.975);
    Some(Interval {
        low: end(-z)?,
        high: end(z)?,
    })
}
