//! A histogram of constant relative precision, for millions of readings.

use serde::{Deserialize, Serialize};

/// Significant decimal digits that survive.
const DIGITS: u8 = 2;

/// Counts of durations in nanoseconds, each kept to two significant digits (G. Tene's HdrHistogram).
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

/// Readings between two durations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Lowest duration, nanoseconds.
    pub from_ns: f64,
    /// Highest duration, nanoseconds.
    pub to_ns: f64,
    /// Readings.
    pub count: u64,
}

impl Histogram {
    /// Of these durations.
    #[must_use]
    pub fn of(values_ns: impl IntoIterator<Item = f64>) -> Self {
        let mut counts = empty();
        for value in values_ns {
            let grown = counts.record(value.max(1.0) as u64);
            debug_assert!(grown.is_ok(), "it grows by itself");
        }
        Self(counts)
    }

    /// Readings counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value that `share` of the readings do not exceed, to two digits.
    #[must_use]
    pub fn quantile_ns(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64
    }

    /// At most `most` buckets of equal logarithmic width that hold everything, none empty at the ends.
    #[must_use]
    pub fn buckets(&self, most: usize) -> Vec<Bucket> {
        if self.0.is_empty() || most == 0 {
            return Vec::new();
        }
        let low = (self.0.min().max(1) as f64).ln();
        let high = ((self.0.max() + 1) as f64).ln();
        let width = (high - low) / most as f64;
        let edge = |at: usize| (low + width * at as f64).exp();
        let mut buckets: Vec<Bucket> = (0..most)
            .map(|at| Bucket {
                from_ns: edge(at),
                to_ns: edge(at + 1),
                count: 0,
            })
            .collect();
        for value in self.0.iter_recorded() {
            let place = ((value.value_iterated_to() as f64).max(1.0).ln() - low) / width;
            buckets[(place.max(0.0) as usize).min(most - 1)].count +=
                value.count_since_last_iteration();
        }
        buckets
    }
}

fn empty() -> hdrhistogram::Histogram<u64> {
    let mut counts = hdrhistogram::Histogram::new(DIGITS).expect("up to five digits are allowed");
    counts.auto(true);
    counts
}
