//! Whether quality ranks the sizes as their cost does, and how much of that is more than noise.

use super::steps::difference;
use super::{Cost, Measured};
use scalebench_models::Precision;
use serde::{Deserialize, Serialize};

/// Fewest sizes whose order is worth a word.
const FEWEST: usize = 3;

/// Every two sizes of one precision held against each other: what becomes of quality as multiply-accumulates grow. Two
/// sizes that cost the same are no pair; two that are equally good count in `pairs` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks {
    /// Precision.
    pub precision: Precision,
    /// Pairs of sizes.
    pub pairs: usize,
    /// Those whose larger size is better.
    pub better: usize,
    /// Of these, those where the 95 % interval of the difference lies above zero.
    pub surely_better: usize,
    /// Those whose larger size is worse.
    pub worse: usize,
    /// Of these, those where the interval lies below zero.
    pub surely_worse: usize,
}

/// The ranks of each precision of which there are enough variants. The two of a pair are taken as scored on samples
/// of their own, as in [`super::steps`]: on the same samples more differences are sure.
#[must_use]
pub fn ranks(variants: &[&Measured]) -> Vec<Ranks> {
    let of = |&precision: &Precision| {
        let same = variants.iter().filter(|one| one.precision == precision);
        let sizes: Vec<(f64, &Measured)> = same
            .filter_map(|one| Some((one.cost(Cost::Macs)?, *one)))
            .collect();
        (sizes.len() >= FEWEST).then(|| rank(precision, &sizes))
    };
    Precision::ALL.iter().filter_map(of).collect()
}

fn rank(precision: Precision, sizes: &[(f64, &Measured)]) -> Ranks {
    let mut ranks = Ranks {
        precision,
        pairs: 0,
        better: 0,
        surely_better: 0,
        worse: 0,
        surely_worse: 0,
    };
    for (small_macs, small) in sizes {
        for (large_macs, large) in sizes {
            if small_macs >= large_macs {
                continue;
            }
            ranks.pairs += 1;
            let gained = difference(small.quality, large.quality, large.good() - small.good());
            if gained.value > 0.0 {
                ranks.better += 1;
                ranks.surely_better += usize::from(gained.interval.is_some_and(|i| i.low > 0.0));
            } else if gained.value < 0.0 {
                ranks.worse += 1;
                ranks.surely_worse += usize::from(gained.interval.is_some_and(|i| i.high < 0.0));
            }
        }
    }
    ranks
}
