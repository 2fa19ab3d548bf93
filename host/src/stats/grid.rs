//! Durations counted on a fixed logarithmic grid: histograms of different windows, boards and days can be added up,
//! and a million readings become some dozen numbers.

use std::collections::BTreeMap;

/// Cells to a doubling: each is 1.1 % wide, as HdrHistogram's are at two digits.
const CELLS: f64 = 64.0;

/// Readings in each cell that has some; cell 0 begins at one nanosecond.
pub type Counts = BTreeMap<i32, u32>;

/// Counts durations in nanoseconds; what is below one nanosecond is counted as one.
#[must_use]
pub fn counts(values_ns: impl IntoIterator<Item = f64>) -> Counts {
    let mut counts = Counts::new();
    let mut add = |(cell, more): (i32, u32)| {
        let count = counts.entry(cell).or_insert(0_u32);
        *count = count.saturating_add(more);
    };
    // Values that come in order fall into the same cell one after the other.
    let mut last: Option<(i32, u32)> = None;
    for value in values_ns {
        let cell = (value.max(1.0).log2() * CELLS).floor() as i32;
        last = match last {
            Some((same, count)) if same == cell => Some((cell, count.saturating_add(1))),
            other => {
                other.into_iter().for_each(&mut add);
                Some((cell, 1))
            }
        };
    }
    last.into_iter().for_each(add);
    counts
}

/// Where a cell begins, in nanoseconds; fractions are places within one.
#[must_use]
pub fn edge_ns(cell: f64) -> f64 {
    (cell / CELLS).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_is_in_the_cell_that_holds_it() {
        let values: Vec<f64> = (0..2_000).map(|i| 1.0 + f64::from(i) * 7.3).collect();
        let counted = counts(values.iter().copied());
        // In whatever order they come.
        let shuffled = values
            .iter()
            .step_by(2)
            .chain(values.iter().skip(1).step_by(2));
        assert_eq!(counts(shuffled.copied()), counted);
        assert_eq!(counted.values().sum::<u32>(), 2_000);
        for (&cell, &count) in &counted {
            let (from, to) = (edge_ns(cell.into()), edge_ns(f64::from(cell) + 1.0));
            let inside = values
                .iter()
                .filter(|value| (from..to).contains(*value))
                .count();
            // A value on an edge may be rounded to either side.
            assert!(
                inside.abs_diff(count as usize) <= 1,
                "{cell}: {inside} {count}"
            );
            assert!(to / from < 1.011);
        }
        assert_eq!(counts([0.0, 0.5, 1.0]), Counts::from([(0, 3)]));
    }
}
