//! Intervals for single figures.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Two-sided 95 % of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

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

impl Interval {
    /// Whether `value` lies in it.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Half its width.
    #[must_use]
    pub fn half(self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// The value that Student's t with `freedom` degrees does not exceed in magnitude with 95 %
/// probability. `None` without a degree of freedom.
#[must_use]
pub fn t95(freedom: f64) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(t.inverse_cdf(0.975))
}

/// Interval for the difference of two independent shares: Newcombe's hybrid of two Wilson intervals
/// (R. G. Newcombe, *Statistics in Medicine* 17:873, 1998, method 10). `b - a`, each with its number
/// of samples.
#[must_use]
pub fn share_difference(a: (f64, u32), b: (f64, u32)) -> Option<Interval> {
    let (of_a, of_b) = (wilson(a.0, a.1)?, wilson(b.0, b.1)?);
    let difference = b.0 - a.0;
    let below = ((b.0 - of_b.low).powi(2) + (of_a.high - a.0).powi(2)).sqrt();
    let above = ((of_b.high - b.0).powi(2) + (a.0 - of_a.low).powi(2)).sqrt();
    Some(Interval {
        low: difference - below,
        high: difference + above,
    })
}
