//! Curves through points, with intervals for what they say.

use super::{Interval, mean, sort, t95};
use serde::{Deserialize, Serialize};

/// A figure estimated by a fit, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Interval,
}

impl Estimate {
    fn new(value: f64, half: f64) -> Self {
        Self {
            value,
            interval: Interval {
                low: value - half,
                high: value + half,
            },
        }
    }
}

/// `y = factor · x^exponent`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PowerLaw {
    /// The exponent.
    pub exponent: Estimate,
    /// `y` at `x = 1`.
    pub factor: f64,
    /// Share of the variance of `ln y` that the law explains.
    pub r2: f64,
    /// `ln y` less the law's, in the order of the points.
    pub residuals: Vec<f64>,
}

impl PowerLaw {
    /// What the law says of `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.factor * x.powf(self.exponent.value)
    }
}

/// Least squares of `ln y` on `ln x`, Student's interval for the slope (N. R. Draper and H. Smith,
/// *Applied regression analysis*, 1998, section 1.4).
///
/// `None` of less than three points, of values that are not positive, or where all `x` are equal.
#[must_use]
pub fn power_law(points: &[(f64, f64)]) -> Option<PowerLaw> {
    let n = points.len();
    if n < 3 || points.iter().any(|&(x, y)| x <= 0.0 || y <= 0.0) {
        return None;
    }
    let logs: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (x.ln(), y.ln())).collect();
    let mx = logs.iter().map(|p| p.0).sum::<f64>() / n as f64;
    let my = logs.iter().map(|p| p.1).sum::<f64>() / n as f64;
    let sxx: f64 = logs.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let syy: f64 = logs.iter().map(|p| (p.1 - my).powi(2)).sum();
    let sxy: f64 = logs.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    if sxx == 0.0 {
        return None;
    }
    let slope = sxy / sxx;
    let residuals: Vec<f64> = logs.iter().map(|p| p.1 - my - slope * (p.0 - mx)).collect();
    let squares: f64 = residuals.iter().map(|r| r * r).sum();
    let freedom = (n - 2) as f64;
    let error = (squares / freedom / sxx).sqrt();
    Some(PowerLaw {
        exponent: Estimate::new(slope, t95(freedom)? * error),
        factor: (my - slope * mx).exp(),
        r2: if syy > 0.0 { 1.0 - squares / syy } else { 1.0 },
        residuals,
    })
}

/// `y = limit + gap · (x / centre)^-rate`: what remains falls as a power of the size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saturation {
    /// What no size gets below.
    pub limit: Estimate,
    /// How fast the rest falls.
    pub rate: Estimate,
    /// The rest at `centre`.
    pub gap: f64,
    /// Geometric mean of the sizes.
    pub centre: f64,
    /// `y` less the curve's, in the order of the points.
    pub residuals: Vec<f64>,
}

impl Saturation {
    /// What the curve says of `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.limit.value + self.gap * (x / self.centre).powf(-self.rate.value)
    }
}

/// Rates that are looked at: slower than the first is a logarithm, faster than the last a step.
const RATES: (f64, f64) = (0.02, 4.0);

/// Least squares by variable projection (G. H. Golub and V. Pereyra, *SIAM Journal on Numerical
/// Analysis* 10:413, 1973): for each rate `limit` and `gap` are linear, so only the rate is searched.
/// Intervals from the Jacobian at the optimum and Student's t with `n - 3` degrees of freedom.
///
/// The form is that of scaling laws (J. Hestness et al., *Deep learning scaling is predictable,
/// empirically*, 2017). `None` of less than five points, and where the best rate is at the end of what
/// is searched: then the points do not bend enough to tell where they end.
#[must_use]
pub fn saturation(points: &[(f64, f64)]) -> Option<Saturation> {
    let n = points.len();
    if n < 5 || points.iter().any(|&(x, y)| x <= 0.0 || !y.is_finite()) {
        return None;
    }
    let logs: Vec<f64> = points.iter().map(|p| p.0.ln()).collect();
    let centre = mean(&logs)?;
    let ys: Vec<f64> = points.iter().map(|p| p.1).collect();
    let basis = |rate: f64| -> Vec<f64> {
        logs.iter()
            .map(|log| (-rate * (log - centre)).exp())
            .collect()
    };
    let squares = |rate: f64| line(&basis(rate), &ys).map_or(f64::INFINITY, |fit| fit.2);
    let steps = 60;
    let (first, last) = (RATES.0.ln(), RATES.1.ln());
    let grid = |at: usize| (first + (last - first) * at as f64 / steps as f64).exp();
    let best = (0..=steps).min_by(|&a, &b| squares(grid(a)).total_cmp(&squares(grid(b))))?;
    if best == 0 || best == steps {
        return None;
    }
    let rate = golden(&squares, grid(best - 1), grid(best + 1));
    let basis = basis(rate);
    let (limit, gap, squares) = line(&basis, &ys)?;
    let rows: Vec<[f64; 3]> = basis
        .iter()
        .zip(&logs)
        .map(|(b, log)| [1.0, *b, -gap * b * (log - centre)])
        .collect();
    let mut normal = [[0.0; 3]; 3];
    for row in &rows {
        for (i, line) in normal.iter_mut().enumerate() {
            for (j, sum) in line.iter_mut().enumerate() {
                *sum += row[i] * row[j];
            }
        }
    }
    let inverse = inverse(normal)?;
    let freedom = (n - 3) as f64;
    let t = t95(freedom)?;
    let half = |at: usize| t * (squares / freedom * inverse[at][at].max(0.0)).sqrt();
    Some(Saturation {
        limit: Estimate::new(limit, half(0)),
        rate: Estimate::new(rate, half(2)),
        gap,
        centre: centre.exp(),
        residuals: basis
            .iter()
            .zip(&ys)
            .map(|(b, y)| y - limit - gap * b)
            .collect(),
    })
}

/// Which residuals break a fit: a modified z-score above 3.5 among them.
#[must_use]
pub fn breaking(residuals: &[f64]) -> Vec<bool> {
    let mut sorted = residuals.to_vec();
    sort(&mut sorted);
    let centre = super::median(&sorted).unwrap_or_default();
    let scale = super::scale(&sorted, centre);
    let beyond = |r: &f64| scale > 0.0 && (r - centre).abs() / scale > super::OUTLIER;
    residuals.iter().map(beyond).collect()
}

/// Intercept, slope and sum of squares of the straight line.
fn line(x: &[f64], y: &[f64]) -> Option<(f64, f64, f64)> {
    let (mx, my) = (mean(x)?, mean(y)?);
    let sxx: f64 = x.iter().map(|x| (x - mx).powi(2)).sum();
    let sxy: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let slope = (sxx > 0.0).then_some(sxy / sxx)?;
    let rest = |(x, y): (&f64, &f64)| (y - my - slope * (x - mx)).powi(2);
    Some((my - slope * mx, slope, x.iter().zip(y).map(rest).sum()))
}

/// The minimum between two ends by golden sections (J. Kiefer, *Proceedings of the AMS* 4:502, 1953).
fn golden(of: &impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let share = (5_f64.sqrt() - 1.0) / 2.0;
    for _ in 0..80 {
        let (a, b) = (high - share * (high - low), low + share * (high - low));
        if of(a) < of(b) { high = b } else { low = a }
    }
    (low + high) / 2.0
}

/// The inverse of a symmetric matrix by its cofactors.
fn inverse(m: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let minor = |i: usize, j: usize| {
        let (a, b) = ((i + 1) % 3, (i + 2) % 3);
        let (c, d) = ((j + 1) % 3, (j + 2) % 3);
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    determinant
        .is_normal()
        .then(|| std::array::from_fn(|i| std::array::from_fn(|j| minor(j, i) / determinant)))
}
