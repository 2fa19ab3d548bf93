//! Top-1 and the area under the receiver operating characteristic, as the reference runner computes them.

/// A sample that was inferred.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The right class. Of anomaly detection: 1 for an anomaly.
    pub class: usize,
    /// Scores; of anomaly detection one, the mean over the windows of the file.
    pub scores: Vec<f64>,
}

/// The class of the highest score; of equal ones the first.
#[must_use]
pub fn predicted(scores: &[f64]) -> Option<usize> {
    let better = |best: Option<(usize, f64)>, (at, &score): (usize, &f64)| match best {
        Some((_, most)) if score.partial_cmp(&most) != Some(std::cmp::Ordering::Greater) => best,
        _ => Some((at, score)),
    };
    scores
        .iter()
        .enumerate()
        .fold(None, better)
        .map(|(at, _)| at)
}

/// Share of samples whose highest score is that of the right class; `None` without samples.
#[must_use]
pub fn top1(outcomes: &[Outcome]) -> Option<f64> {
    let right = outcomes
        .iter()
        .filter(|outcome| predicted(&outcome.scores) == Some(outcome.class))
        .count();
    (!outcomes.is_empty()).then(|| right as f64 / outcomes.len() as f64)
}

/// Area under the curve: of one score or two classes that of class 1; of more the mean over all classes, each
/// against the rest, with scores that add up to one. `None` where a class, or the rest, has no sample.
#[must_use]
pub fn auc(outcomes: &[Outcome]) -> Option<f64> {
    let classes = outcomes.first()?.scores.len();
    if outcomes.iter().any(|one| one.scores.len() != classes) {
        return None;
    }
    let share = |outcome: &Outcome, class: usize| {
        let sum: f64 = outcome.scores.iter().sum();
        outcome
            .scores
            .get(class)
            .map_or(f64::NAN, |score| score / sum)
    };
    let of = |class: usize, score: &dyn Fn(&Outcome) -> f64| {
        let ranked = outcomes.iter().map(|one| (score(one), one.class == class));
        area(ranked.collect())
    };
    match classes {
        0 => None,
        1 => of(1, &|one| one.scores[0]),
        2 => of(1, &|one| share(one, 1)),
        _ => {
            let areas = (0..classes).map(|class| of(class, &|one| share(one, class)));
            let areas = areas.collect::<Option<Vec<f64>>>()?;
            crate::stats::mean(&areas)
        }
    }
}

/// Probability that a positive scores higher than a negative, ties counted half (Mann and Whitney's U, from ranks).
fn area(mut ranked: Vec<(f64, bool)>) -> Option<f64> {
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ranked.iter().filter(|one| one.1).count() as f64;
    let negatives = ranked.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut below, mut rank_sum) = (0, 0.0);
    for ties in ranked.chunk_by(|a, b| a.0 == b.0) {
        let mean_rank = below as f64 + (ties.len() as f64 + 1.0) / 2.0;
        rank_sum += mean_rank * ties.iter().filter(|one| one.1).count() as f64;
        below += ties.len();
    }
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// What the reference runner prints as "Top 1%" of anomaly detection: the highest mean of precision and recall, in
/// percent, over a hundred thresholds between the lowest and the highest score (`calculate_accuracy` of its
/// `main.py`).
#[must_use]
pub fn best_threshold_percent(outcomes: &[Outcome]) -> Option<f64> {
    let scores: Vec<f64> = outcomes
        .iter()
        .map(|one| one.scores.first().copied())
        .collect::<Option<_>>()?;
    let low = scores.iter().copied().reduce(f64::min)?;
    let high = scores.iter().copied().reduce(f64::max)?;
    let at = |step: u32| {
        let threshold = low + f64::from(step) / 100.0 * (high - low);
        let count = |positive: bool, flagged: bool| {
            let is = |(one, score): &(&Outcome, &f64)| {
                (one.class == 1) == positive && (**score > threshold) == flagged
            };
            outcomes.iter().zip(&scores).filter(is).count() as f64
        };
        let hits = count(true, true);
        let share = |of: f64| hits / (hits + of + 1e-8);
        50.0 * (share(count(false, true)) + share(count(true, false)))
    };
    (0..100).map(at).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(of: &[(usize, &[f64])]) -> Vec<Outcome> {
        let one = |&(class, scores): &(usize, &[f64])| Outcome {
            class,
            scores: scores.to_vec(),
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn the_first_of_equal_scores_counts() {
        assert_eq!(predicted(&[0.1, 0.5, 0.5]), Some(1));
        assert_eq!(predicted(&[]), None);
        let set = outcomes(&[(0, &[0.5, 0.5]), (1, &[0.5, 0.5]), (1, &[0.2, 0.8])]);
        assert_eq!(top1(&set), Some(2.0 / 3.0));
        assert_eq!(top1(&[]), None);
    }

    /// Values of `sklearn.metrics.roc_auc_score` 1.7.2 for the same scores.
    #[test]
    fn areas_are_those_of_scikit_learn() {
        let set = outcomes(&[(0, &[0.1]), (0, &[0.4]), (1, &[0.35]), (1, &[0.8])]);
        assert_eq!(auc(&set), Some(0.75));
        let tied = outcomes(&[(0, &[0.5]), (1, &[0.5]), (1, &[0.9])]);
        assert_eq!(auc(&tied), Some(0.75));
        let three = outcomes(&[
            (0, &[0.6, 0.3, 0.1]),
            (1, &[0.5, 0.4, 0.1]),
            (2, &[0.2, 0.2, 0.6]),
            (1, &[0.1, 0.8, 0.1]),
            (0, &[0.3, 0.5, 0.2]),
        ]);
        let area = auc(&three).unwrap();
        assert!(
            (area - (5.0 / 6.0 + 5.0 / 6.0 + 1.0) / 3.0).abs() < 1e-12,
            "{area}"
        );
        assert_eq!(auc(&outcomes(&[(0, &[0.1]), (0, &[0.2])])), None);
    }

    #[test]
    fn the_best_threshold_tells_all_apart_where_that_is_possible() {
        let apart = outcomes(&[(0, &[1.0]), (0, &[2.0]), (1, &[5.0]), (1, &[9.0])]);
        let percent = best_threshold_percent(&apart).unwrap();
        assert!((percent - 100.0).abs() < 1e-6, "{percent}");
    }
}
