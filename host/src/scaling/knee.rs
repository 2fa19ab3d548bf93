//! Where more cost stops paying.

use super::{Cost, Measured, front};

/// How far the curve must fall below a peak before that counts as the knee, in mean steps of x.
const SENSITIVITY: f64 = 1.0;

/// The knee of a rising, flattening curve: the place of the point that lies farthest above the chord
/// (V. Satopää et al., *Finding a "kneedle" in a haystack*, ICDCS workshops 2011, section III, offline).
///
/// `points` by rising `x`. `None` of less than four, or of a curve that never bends down.
#[must_use]
pub fn kneedle(points: &[(f64, f64)]) -> Option<usize> {
    let n = points.len();
    let (first, last) = (points.first()?, points.last()?);
    let (width, height) = (last.0 - first.0, last.1 - first.1);
    if n < 4 || width <= 0.0 || height <= 0.0 {
        return None;
    }
    let above: Vec<f64> = points
        .iter()
        .map(|p| (p.1 - first.1) / height - (p.0 - first.0) / width)
        .collect();
    let drop = SENSITIVITY / (n - 1) as f64; // the mean step of x, normalised
    let peaks = (1..n - 1).filter(|&at| above[at] >= above[at - 1] && above[at] > above[at + 1]);
    peaks.filter(|&at| above[at] > 0.0).find(|&at| {
        let next_rise = (at + 1..n - 1).find(|&later| above[later + 1] > above[later]);
        above[at + 1..=next_rise.unwrap_or(n - 1)]
            .iter()
            .any(|value| *value < above[at] - drop)
    })
}

/// The variant at the knee of quality over the logarithm of a cost.
#[must_use]
pub fn knee<'a>(variants: &[&'a Measured], cost: Cost) -> Option<&'a Measured> {
    let front = front(variants, &[cost]);
    let points: Option<Vec<(f64, f64)>> = front
        .iter()
        .map(|one| Some((one.cost(cost)?.ln(), one.good())))
        .collect();
    Some(front[kneedle(&points?)?])
}
