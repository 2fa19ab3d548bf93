//! Counters of energy: mean power between two looks at one. A reading is one volt and as many microamperes as there
//! are microwatts.

use super::{Described, Rhythm, Source};
use scalebench_boards::sensor::Conversion;
use scalebench_wire::message::{RailFault, Tier};

/// Something that counts energy.
pub trait Count: Send {
    /// Begins to count; nanoseconds from look to look.
    ///
    /// # Errors
    /// [`RailFault`].
    fn begin(&mut self, conversion: Conversion) -> Result<u64, RailFault>;

    /// The counter.
    ///
    /// # Errors
    /// [`RailFault`].
    fn count(&mut self) -> Result<u64, RailFault>;
}

/// What is known of a counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The rail's name.
    pub name: String,
    /// What its figures are worth.
    pub tier: Tier,
    /// Microjoules of a step.
    pub microjoules: f64,
    /// Its largest value; after it comes zero.
    pub range: u64,
    /// Relative tolerance.
    pub tolerance: f32,
}

/// A counter as a rail.
pub struct Counter<C> {
    facts: Facts,
    counts: C,
    interval: u64,
    /// Nanoseconds and steps at the last look.
    last: Option<(u64, u64)>,
}

impl<C: Count> Counter<C> {
    /// A rail that `counts`.
    pub fn new(facts: Facts, counts: C) -> Self {
        Self {
            facts,
            counts,
            interval: 1,
            last: None,
        }
    }

    /// Microwatts since the last look, at `now`.
    fn power(&mut self, now: u64) -> Result<i32, RailFault> {
        let after = self.counts.count()?;
        let (then, before) = self.last.replace((now, after)).unwrap_or((now, after));
        let steps = unwrapped(before, after, self.facts.range);
        let seconds = now.saturating_sub(then).max(1) as f64 / 1e9;
        let microwatts = steps as f64 * self.facts.microjoules / seconds;
        if microwatts > f64::from(i32::MAX) {
            return Err(RailFault::Saturated);
        }
        Ok(microwatts as i32)
    }
}

/// What was counted from `before` to `after` by a counter that goes back to zero after `range`.
fn unwrapped(before: u64, after: u64, range: u64) -> u64 {
    if after >= before {
        after - before
    } else {
        (range - before.min(range)) + after + 1
    }
}

impl<C: Count> Source for Counter<C> {
    fn tier(&self) -> Tier {
        self.facts.tier
    }

    fn rails(&self) -> Vec<Described> {
        vec![Described::power(&self.facts.name, self.facts.tolerance)]
    }

    fn configure(&mut self, conversion: Conversion) -> Result<Rhythm, RailFault> {
        self.interval = self.counts.begin(conversion)?;
        self.last = None;
        Ok(Rhythm {
            interval: self.interval,
            age: self.interval / 2,
            coverage: 1.0,
        })
    }

    fn is_ready(&mut self) -> Result<bool, RailFault> {
        let first = self.last.is_none();
        if first {
            let count = self.counts.count()?;
            self.last = Some((super::sampler::now(), count));
        }
        Ok(!first)
    }

    fn read(&mut self, _: usize) -> Result<(i32, i32), RailFault> {
        Ok((1, self.power(super::sampler::now())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_wraps_is_unwrapped() {
        assert_eq!(unwrapped(10, 15, 99), 5);
        assert_eq!(unwrapped(98, 3, 99), 5);
        assert_eq!(unwrapped(200, 3, 99), 4);
    }

    struct Script(Vec<u64>);

    impl Count for Script {
        fn begin(&mut self, _: Conversion) -> Result<u64, RailFault> {
            Ok(1_000_000)
        }

        fn count(&mut self) -> Result<u64, RailFault> {
            self.0.pop().ok_or(RailFault::Unreadable)
        }
    }

    #[test]
    fn power_is_what_was_counted_by_the_time_between_looks() {
        let facts = Facts {
            name: "5V".to_owned(),
            tier: Tier::BoardRail,
            microjoules: 1_600.0,
            range: 999,
            tolerance: 0.01,
        };
        let mut counter = Counter::new(facts, Script(vec![10_000_000, 5, 990, 980]));
        assert_eq!(counter.power(0), Ok(0));
        // Ten steps of 1.6 mJ in 10 ms, and then fifteen beyond the end of the counter.
        assert_eq!(counter.power(10_000_000), Ok(1_600_000));
        assert_eq!(counter.power(20_000_000), Ok(2_400_000));
        assert_eq!(counter.power(30_000_000), Err(RailFault::Saturated));
        assert_eq!(counter.power(40_000_000), Err(RailFault::Unreadable));
    }
}
