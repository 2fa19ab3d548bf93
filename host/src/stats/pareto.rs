//! Sets of points that nothing beats.

/// Which of `points` are not beaten: no other is at least as good in every coordinate and better in
/// one (V. Pareto, *Manuale di economia politica*, 1906). A point has one value a criterion, less being
/// better, in the same order as the others.
#[must_use]
pub fn pareto_set<P: AsRef<[f64]>>(points: &[P]) -> Vec<bool> {
    let beats = |a: &P, b: &P| {
        let pairs = || a.as_ref().iter().zip(b.as_ref());
        pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
    };
    points
        .iter()
        .map(|point| !points.iter().any(|other| beats(other, point)))
        .collect()
}

/// Which of `points` are not beaten: no other costs at most as much and is at least as good, and
/// better in one of the two. A point is `(cost, quality)`, more quality being better.
#[must_use]
pub fn pareto(points: &[(f64, f64)]) -> Vec<bool> {
    let costs: Vec<[f64; 2]> = points
        .iter()
        .map(|&(cost, quality)| [cost, -quality])
        .collect();
    pareto_set(&costs)
}
