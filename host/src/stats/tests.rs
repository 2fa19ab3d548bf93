use super::bootstrap::{bca, bca_interval};
use super::comparison::{benjamini_hochberg, mann_whitney, permutation, welch};
use super::regression::{breaking, power_law, saturation};
use super::*;
use serde_json::Value;

/// What SciPy and NumPy say; made by `fixtures/make.py`.
struct Reference(Value);

impl Reference {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("fixtures/reference.json")).unwrap())
    }

    fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap()
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        let values = self.0[key].as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).collect()
    }
}

#[track_caller]
fn near(ours: f64, reference: f64, relative: f64) {
    let bound = relative * reference.abs().max(1e-12);
    assert!(
        (ours - reference).abs() <= bound,
        "{ours}, reference {reference}"
    );
}

fn ramp(n: usize) -> Vec<f64> {
    (1..=n).map(|i| i as f64).collect()
}

#[test]
fn robust_figures_are_numpys() {
    let reference = Reference::read();
    let mut sample = reference.numbers("sample");
    near(
        variance(&sample).unwrap(),
        reference.number("variance"),
        1e-12,
    );
    sort(&mut sample);
    near(median(&sample).unwrap(), reference.number("median"), 1e-12);
    near(mad(&sample).unwrap(), reference.number("mad"), 1e-12);
    near(
        quantile(&sample, 0.3).unwrap(),
        reference.number("quantile_30"),
        1e-12,
    );
}

#[test]
fn medians_of_odd_even_and_nothing() {
    assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
    assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    assert_eq!(median(&[]), None);
    assert_eq!(quantile(&[], 0.5), None);
    assert_eq!(variance(&[1.0]), None);
    assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.0));
}

#[test]
fn the_bootstrap_interval_is_scipys() {
    let reference = Reference::read();
    let sample = reference.numbers("sample");
    let interval = bca_interval(
        &reference.numbers("distribution"),
        mean(&sample).unwrap(),
        &reference.numbers("jackknife"),
    )
    .unwrap();
    let expected = reference.numbers("bca");
    near(interval.low, expected[0], 1e-9);
    near(interval.high, expected[1], 1e-9);
    // Drawn by ourselves it is another draw of the same.
    let drawn = bca(&sample, |values| mean(values).unwrap(), 9_999, 1).unwrap();
    near(drawn.low, expected[0], 0.03);
    near(drawn.high, expected[1], 0.03);
    assert_eq!(bca(&[1.0, 2.0], |v| v[0], 99, 1), None);
    assert_eq!(bca(&[3.0; 9], |v| v[0], 99, 1), None);
}

#[test]
fn comparisons_are_scipys() {
    let reference = Reference::read();
    let (a, b) = (reference.numbers("a"), reference.numbers("b"));
    let expected = reference.numbers("welch");
    let difference = welch(&a, &b).unwrap();
    near(difference.value, expected[0], 1e-9);
    near(difference.interval.low, expected[1], 1e-6);
    near(difference.interval.high, expected[2], 1e-6);
    near(difference.p, expected[3], 1e-6);
    near(
        permutation(&a, &b).unwrap(),
        reference.number("permutation"),
        1e-9,
    );
    let (a, b) = (reference.numbers("tied_a"), reference.numbers("tied_b"));
    near(
        mann_whitney(&a, &b).unwrap(),
        reference.number("mann_whitney"),
        1e-6,
    );
    let adjusted = benjamini_hochberg(&reference.numbers("p"));
    for (ours, reference) in adjusted.iter().zip(reference.numbers("benjamini_hochberg")) {
        near(*ours, reference, 1e-9);
    }
}

#[test]
fn comparisons_of_too_little_say_nothing() {
    assert_eq!(welch(&[1.0], &[2.0, 3.0]), None);
    assert_eq!(welch(&[1.0, 1.0], &[1.0, 1.0]).unwrap().p, 1.0);
    assert_eq!(permutation(&[], &[1.0]), None);
    assert_eq!(permutation(&ramp(40), &ramp(40)), None);
    assert_eq!(permutation(&[1.0, 2.0], &[1.0, 2.0]), Some(1.0));
    assert_eq!(mann_whitney(&[1.0; 4], &[1.0; 4]), None);
    assert_eq!(mann_whitney(&[], &[1.0]), None);
    assert!(benjamini_hochberg(&[]).is_empty());
}

#[test]
fn curves_are_scipys() {
    let reference = Reference::read();
    let points = |x: &str, y: &str| -> Vec<(f64, f64)> {
        reference
            .numbers(x)
            .into_iter()
            .zip(reference.numbers(y))
            .collect()
    };
    let law = power_law(&points("macs", "latency")).unwrap();
    let expected = reference.numbers("power_law");
    near(law.exponent.value, expected[0], 1e-9);
    near(law.exponent.interval.half(), expected[1], 1e-6);
    near(law.factor, expected[2], 1e-9);
    near(law.r2, expected[3], 1e-9);
    near(
        law.at(1e5).ln() + law.residuals[2],
        reference.numbers("latency")[2].ln(),
        1e-9,
    );
    let curve = saturation(&points("sizes", "error")).unwrap();
    let (expected, half) = (
        reference.numbers("saturation"),
        reference.numbers("saturation_half"),
    );
    near(curve.limit.value, expected[0], 1e-5);
    near(curve.gap, expected[1], 1e-5);
    near(curve.rate.value, expected[2], 1e-5);
    near(curve.limit.interval.half(), half[0], 1e-3);
    near(curve.rate.interval.half(), half[2], 1e-3);
}

#[test]
fn curves_through_too_little_or_a_straight_line_are_none() {
    assert_eq!(power_law(&[(1.0, 1.0), (2.0, 2.0)]), None);
    assert_eq!(power_law(&[(1.0, 1.0), (2.0, 0.0), (3.0, 2.0)]), None);
    assert_eq!(power_law(&[(2.0, 1.0), (2.0, 2.0), (2.0, 3.0)]), None);
    let logarithm: Vec<_> = ramp(9).iter().map(|&x| (x, 1.0 - 0.1 * x.ln())).collect();
    assert_eq!(saturation(&logarithm), None);
    assert_eq!(saturation(&logarithm[..4]), None);
}

#[test]
fn the_point_that_breaks_a_fit_is_named() {
    let mut points: Vec<_> = ramp(12)
        .iter()
        .map(|&x| (x, 3.0 * x * (1.0 + 0.01 * x.sin())))
        .collect();
    points[7].1 *= 1.5;
    let law = power_law(&points).unwrap();
    let breaks = breaking(&law.residuals);
    assert_eq!(
        breaks.iter().position(|b| *b),
        Some(7),
        "{:?}",
        law.residuals
    );
    assert_eq!(breaking(&[0.0; 5]), [false; 5]);
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
fn early_stopping_counts_as_scipys_binomial_does() {
    for row in Reference::read().0["binomial"].as_array().unwrap() {
        let (n, q) = (row[0].as_u64().unwrap() as usize, row[1].as_f64().unwrap());
        let above = row[2].as_u64().unwrap() as usize;
        let bound = percentile(&ramp(n), 1.0 - q).unwrap().bound;
        assert_eq!(bound, (n - above) as f64, "{n} {q}");
    }
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
    // Newcombe, Statistics in Medicine 17:873, 1998, table II, example (a): 56/70 less 48/80.
    let interval = share_difference((0.6, 80), (0.8, 70)).unwrap();
    assert!(
        (interval.low - 0.0524).abs() < 1e-4 && (interval.high - 0.3339).abs() < 1e-4,
        "{interval:?}"
    );
}

#[test]
fn intervals_are_scipys() {
    let reference = Reference::read();
    let interval = wilson(37.0 / 120.0, 120).unwrap();
    let expected = reference.numbers("wilson");
    near(interval.low, expected[0], 1e-9);
    near(interval.high, expected[1], 1e-9);
    for row in reference.0["t95"].as_array().unwrap() {
        near(
            t95(row[0].as_f64().unwrap()).unwrap(),
            row[1].as_f64().unwrap(),
            1e-6,
        );
    }
    assert_eq!(t95(0.0), None);
}

#[test]
fn the_pareto_set_keeps_what_is_not_beaten() {
    let points = [(1.0, 0.5), (2.0, 0.4), (2.0, 0.8), (3.0, 0.8), (4.0, 0.9)];
    assert_eq!(pareto(&points), [true, false, true, false, true]);
    // The second is beaten in the first two criteria and kept by the third.
    let points = [
        [1.0, 1.0, 3.0],
        [2.0, 2.0, 1.0],
        [2.0, 2.0, 3.0],
        [1.0, 1.0, 3.0],
    ];
    assert_eq!(pareto_set(&points), [true, true, false, true]);
}

#[test]
fn a_histogram_keeps_two_digits_of_millions_of_readings() {
    let readings = (0..1_000_000).map(|i| 10_000.0 + f64::from(i % 1_000) * 10.0);
    let histogram = Histogram::of(readings);
    assert_eq!(histogram.count(), 1_000_000);
    near(histogram.quantile_ns(0.5), 15_000.0, 0.01);
    let buckets = histogram.buckets(20);
    assert_eq!(buckets.iter().map(|b| b.count).sum::<u64>(), 1_000_000);
    assert!(buckets[0].count > 0 && buckets[19].count > 0, "{buckets:?}");
    assert!(Histogram::of([]).buckets(20).is_empty());
}
