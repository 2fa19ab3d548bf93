use super::fits::fits;
use super::knee::{knee, kneedle};
use super::pairs::{boards, precisions};
use super::pick::{Limits, pick};
use super::ranks::{Ranks, ranks};
use super::steps::steps;
use super::*;
use crate::example;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Normal deviates by Box and Muller's method.
pub(crate) struct Noise(ChaCha8Rng);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A variant with a latency of `ms`, each window off by `noise`, and a quality over 2000 samples.
pub(crate) fn variant(name: &str, ms: f64, top1: f64, noise: f64, random: &mut Noise) -> Measured {
    let window_medians: Vec<f64> = (0..5)
        .map(|_| ms * 1e6 * (noise * random.normal()).exp())
        .collect();
    let mut sorted = window_medians.clone();
    crate::stats::sort(&mut sorted);
    let latency = Figure {
        value: crate::stats::median(&sorted).unwrap(),
        interval: latency_interval(&window_medians),
    };
    Measured {
        trial: 0,
        family: "f".to_owned(),
        variant: name.to_owned(),
        precision: Precision::Float32,
        complexity: 1.0,
        metric: Metric::Top1,
        direction: Direction::Higher,
        quality: Figure {
            value: top1,
            interval: crate::stats::wilson(top1, 2_000),
        },
        samples: 2_000,
        costs: [
            (Cost::Latency, latency),
            (Cost::Macs, Figure::exact(ms * 1e6)),
            (Cost::Bytes, Figure::exact(ms * 4e5)),
        ]
        .into(),
        energy_tier: None,
        instructions: None,
        window_medians,
        clock_step_ns: 0.0,
        unstated: Default::default(),
    }
}

/// The same, drawing so many millijoules an inference, give or take a share.
pub(crate) fn drawing(mut one: Measured, mj: f64, share: f64, tier: &str) -> Measured {
    let joules = mj / 1e3;
    let figure = Figure {
        value: joules,
        interval: Some(Interval {
            low: joules * (1.0 - share),
            high: joules * (1.0 + share),
        }),
    };
    one.costs.insert(Cost::Energy, figure);
    one.energy_tier = Some(tier.to_owned());
    one
}

fn ladder() -> Vec<Measured> {
    let mut random = Noise::new(1);
    [
        ("a", 1.0, 0.60),
        ("b", 2.0, 0.75),
        ("c", 3.0, 0.70),
        ("d", 4.0, 0.83),
        ("e", 8.0, 0.86),
        ("f", 16.0, 0.87),
    ]
    .map(|(name, ms, top1)| variant(name, ms, top1, 0.005, &mut random))
    .to_vec()
}

fn names(variants: &[&Measured]) -> Vec<String> {
    variants.iter().map(|one| one.variant.clone()).collect()
}

#[test]
fn a_run_gives_the_variants_that_have_both_figures() {
    let measured = measured(&example::run_file());
    // The third is unfaithful, the fourth not executable, the fifth lost.
    assert_eq!(
        measured.iter().map(Measured::name).collect::<Vec<_>>(),
        ["w8 float32", "w16 float32"]
    );
    let first = &measured[0];
    assert_eq!(first.complexity, 10_000.0 / 160_000.0);
    assert_eq!(first.cost(Cost::Memory), Some(f64::from(2 << 20)));
    assert!(
        first.costs[&Cost::Latency]
            .interval
            .unwrap()
            .holds(12_000.0),
        "{first:?}"
    );
    assert_eq!(families(&measured), ["digits"]);
}

#[test]
fn fronts_are_of_any_costs() {
    let mut all = ladder();
    // Slow, but the smallest file of all.
    all[2].costs.insert(Cost::Bytes, Figure::exact(1.0));
    all[5].costs.remove(&Cost::Bytes);
    let variants = family(&all, "f");
    assert_eq!(
        names(&front(&variants, &[Cost::Latency])),
        ["a", "b", "d", "e", "f"]
    );
    assert_eq!(
        names(&front(&variants, &[Cost::Latency, Cost::Bytes])),
        ["a", "b", "c", "d", "e"]
    );
}

#[test]
fn steps_are_priced_with_their_uncertainty() {
    let all = ladder();
    let steps = steps(&family(&all, "f"), Cost::Latency);
    assert_eq!(steps.len(), 4);
    let first = &steps[0];
    assert_eq!(
        (first.from.as_str(), first.to.as_str()),
        ("a float32", "b float32")
    );
    assert!((first.rate.value - 0.15).abs() < 0.01, "{first:?}");
    assert!(first.rate.interval.unwrap().holds(0.15) && !first.rate.interval.unwrap().holds(0.0));
    // One point more on 2000 samples is within the noise.
    assert!(steps[3].rate.interval.unwrap().holds(0.0), "{:?}", steps[3]);
}

#[test]
fn ranks_tell_noise_from_more() {
    let mut random = Noise::new(4);
    let mut sizes = |ladder: &[(f64, f64)]| -> Vec<Measured> {
        let one = |&(ms, top1): &(f64, f64)| variant("v", ms, top1, 0.0, &mut random);
        ladder.iter().map(one).collect()
    };
    let all = sizes(&[
        (1.0, 0.70),
        (2.0, 0.80),
        (3.0, 0.79),
        (4.0, 0.90),
        (5.0, 0.6),
    ]);
    let expected = Ranks {
        precision: Precision::Float32,
        pairs: 10,
        better: 5,
        surely_better: 5,
        // A point fewer is within the noise of 2,000 samples; ten are not.
        worse: 5,
        surely_worse: 4,
    };
    assert_eq!(ranks(&family(&all, "f")), [expected]);
    // The same cost is no step, the same quality neither better nor worse; two sizes have no order to speak of.
    let flat = sizes(&[(1.0, 0.7), (1.0, 0.8), (2.0, 0.7)]);
    let found = ranks(&family(&flat, "f"))[0];
    assert_eq!((found.pairs, found.better, found.worse), (2, 0, 1));
    assert!(ranks(&family(&flat[..2], "f")).is_empty());
}

#[test]
fn the_knee_is_where_the_published_example_has_it() {
    // y = -1 / x + 5 at ten x: Satopää et al., figure 2; the authors' offline knee is x = 0.22.
    let points: Vec<(f64, f64)> = (0..10)
        .map(|i| f64::from(i) / 9.0)
        .map(|x| (x, -1.0 / (x + 0.1) + 5.0))
        .collect();
    assert_eq!(kneedle(&points), Some(2));
    let line: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), f64::from(i))).collect();
    assert_eq!(kneedle(&line), None);
    assert_eq!(kneedle(&points[..3]), None);
    let all = ladder();
    assert_eq!(
        knee(&family(&all, "f"), Cost::Latency).unwrap().variant,
        "d"
    );
}

#[test]
fn fits_find_the_exponents_that_were_put_in() {
    let mut random = Noise::new(3);
    let sizes = [1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7];
    let all: Vec<Measured> = sizes
        .iter()
        .enumerate()
        .map(|(at, macs)| {
            let error = 0.1 + 0.3 * (macs / 1e4_f64).powf(-0.5);
            let mut one = variant(
                &format!("v{at}"),
                macs.powf(0.9) / 1e4,
                1.0 - error,
                1e-3,
                &mut random,
            );
            one.costs.insert(Cost::Macs, Figure::exact(*macs));
            one
        })
        .collect();
    let fits = fits(&family(&all, "f"));
    assert_eq!(fits.len(), 1);
    let latency = fits[0].latency.as_ref().unwrap();
    assert!(latency.exponent.interval.holds(0.9), "{latency:?}");
    let error = fits[0].error.as_ref().unwrap();
    assert!(
        (error.limit.value - 0.1).abs() < 1e-6 && (error.rate.value - 0.5).abs() < 1e-6,
        "{error:?}"
    );
}

#[test]
fn pairs_say_how_much_faster_int8_is() {
    let mut random = Noise::new(4);
    let mut all = ladder();
    for name in ["a", "b", "c", "d", "e"] {
        let float = all.iter().find(|one| one.variant == name).unwrap().clone();
        let ms = float.cost(Cost::Latency).unwrap() / 2e6;
        let mut int8 = variant(name, ms, float.quality.value - 0.01, 0.005, &mut random);
        int8.precision = Precision::Int8;
        all.push(int8);
    }
    let pairs = precisions(&family(&all, "f"));
    assert_eq!(pairs.pairs.len(), 5);
    assert!((pairs.pairs[0].quality + 0.01).abs() < 1e-12);
    assert!(pairs.pairs[0].p.unwrap() < 0.02);
    let together = pairs.latency.unwrap();
    assert!(
        (together.value - 0.5).abs() < 0.01 && !together.interval.unwrap().holds(1.0),
        "{together:?}"
    );
    let same = boards(&all, &all);
    assert_eq!((same.pairs.len(), same.latency.unwrap().value), (11, 1.0));
}

#[test]
fn picks_the_best_that_keeps_every_limit_and_says_how_sure_it_is() {
    let all = ladder();
    let variants = family(&all, "f");
    let limits = |ms: f64, quality: Option<f64>| Limits {
        most: [(Cost::Latency, ms * 1e6)].into(),
        quality,
    };
    let picked = pick(&variants, &limits(5.0, Some(0.8))).unwrap().unwrap();
    assert_eq!(picked.chosen.variant.variant, "d");
    assert_eq!(picked.smaller.as_ref().unwrap().variant.variant, "b");
    assert_eq!(picked.as_good, None, "b is worse beyond d's uncertainty");
    assert_eq!(picked.larger.unwrap().variant.variant, "e");
    assert!(
        picked.chosen.confidence() > 0.99,
        "{:?}",
        picked.chosen.limits
    );
    let open = pick(&variants, &limits(100.0, None)).unwrap().unwrap();
    assert_eq!(open.chosen.variant.variant, "f");
    let as_good = open.as_good.expect("e is within f's uncertainty");
    assert_eq!(as_good.variant.variant, "e");
    // The same variant at its very limit is a coin toss.
    let at_limit = all[3].cost(Cost::Latency).unwrap() / 1e6;
    let picked = pick(&variants, &limits(at_limit, None)).unwrap().unwrap();
    assert!(
        (0.4..=0.6).contains(&picked.chosen.confidence()),
        "{:?}",
        picked.chosen.limits
    );
    let nearest = pick(&variants, &limits(3.9, Some(0.8)))
        .unwrap()
        .unwrap_err();
    assert_eq!(nearest.variant.variant, "d");
    assert!(
        nearest
            .limits
            .iter()
            .any(|limit| limit.of == "latency" && !limit.kept)
    );
    let nothing = pick(
        &variants,
        &Limits {
            most: [(Cost::Memory, 1.0)].into(),
            quality: None,
        },
    );
    assert!(nothing.unwrap().is_err());
    assert!(pick(&[], &limits(1.0, None)).is_none());
}

#[test]
fn energy_is_a_cost_only_where_it_was_measured() {
    let drawn = |(at, one): (usize, Measured)| drawing(one, (at + 1) as f64, 0.02, "board rail");
    let mut all: Vec<Measured> = ladder().into_iter().enumerate().map(drawn).collect();
    all[1].costs.remove(&Cost::Energy);
    let variants = family(&all, "f");
    let limits = Limits {
        most: [(Cost::Energy, 3.5e-3)].into(),
        quality: None,
    };
    let picked = pick(&variants, &limits).unwrap().unwrap();
    assert_eq!(picked.chosen.variant.variant, "c");
    assert!(picked.chosen.confidence() > 0.99);
    let unmeasured = pick(&[&all[1]], &limits).unwrap().unwrap_err();
    assert!(!unmeasured.limits[0].kept);
    assert_eq!(
        all[2].shown(Cost::Energy).as_deref(),
        Some("3.00 mJ energy (board rail)")
    );
    assert!(
        front(&variants, &[Cost::Energy])
            .iter()
            .all(|one| one.variant != "b")
    );
}

/// Of 1000 seeded trials, in how many the interval held the truth.
#[track_caller]
fn covers(what: &str, mut trial: impl FnMut(&mut Noise) -> (Interval, f64)) {
    let mut random = Noise::new(468);
    let held = (0..1_000)
        .filter(|_| {
            let (interval, truth) = trial(&mut random);
            interval.holds(truth)
        })
        .count();
    println!("coverage of {what}: {held} of 1000");
    assert!((930..=970).contains(&held), "{what}: {held} of 1000");
}

#[test]
fn intervals_hold_the_truth_in_93_to_97_of_100_trials() {
    use crate::stats::bootstrap::bca;
    use crate::stats::comparison::welch;
    use crate::stats::regression::{power_law, saturation};
    let sizes: Vec<f64> = (0..12).map(|at| 1e4 * 2_f64.powi(at)).collect();
    covers("a power law's exponent", |random| {
        let point = |x: &f64| (*x, 2e-3 * x.powf(0.9) * (0.08 * random.normal()).exp());
        let points: Vec<_> = sizes.iter().map(point).collect();
        (power_law(&points).unwrap().exponent.interval, 0.9)
    });
    covers("a saturating curve's limit", |random| {
        loop {
            let point = |x: &f64| {
                (
                    *x,
                    0.1 + 0.3 * (x / 1e4).powf(-0.5) + 0.002 * random.normal(),
                )
            };
            let points: Vec<_> = sizes.iter().map(point).collect();
            if let Some(curve) = saturation(&points) {
                break (curve.limit.interval, 0.1);
            }
        }
    });
    covers("a latency over five windows", |random| {
        let medians: Vec<f64> = (0..5)
            .map(|_| 1e6 * (0.02 * random.normal()).exp())
            .collect();
        (latency_interval(&medians).unwrap(), 1e6)
    });
    covers("a difference of two latencies", |random| {
        let mut logs =
            |spread: f64| -> Vec<f64> { (0..5).map(|_| spread * random.normal()).collect() };
        let (a, b) = (logs(0.01), logs(0.02));
        (welch(&a, &b).unwrap().interval, 0.0)
    });
    covers("a bootstrapped mean of forty", |random| {
        let sample: Vec<f64> = (0..40).map(|_| random.normal()).collect();
        let mean = |values: &[f64]| crate::stats::mean(values).unwrap();
        (bca(&sample, mean, 999, 1).unwrap(), 0.0)
    });
    covers("a share", |random| {
        let right = (0..500).filter(|_| random.uniform() < 0.85).count();
        (
            crate::stats::wilson(right as f64 / 500.0, 500).unwrap(),
            0.85,
        )
    });
    covers("a step's price", |random| {
        let mut top1 =
            |share: f64| (0..500).filter(|_| random.uniform() < share).count() as f64 / 500.0;
        let (small, large) = (top1(0.70), top1(0.85));
        let mut all = [
            variant("a", 1.0, small, 0.02, random),
            variant("b", 3.0, large, 0.02, random),
        ];
        for one in &mut all {
            one.quality.interval = crate::stats::wilson(one.quality.value, 500);
        }
        let steps = steps(&all.iter().collect::<Vec<_>>(), Cost::Latency);
        (steps[0].rate.interval.unwrap(), 0.075)
    });
}
