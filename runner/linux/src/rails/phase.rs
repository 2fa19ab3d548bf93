//! When a sensor that converts on its own has finished: what looks at it tell, and how many conversions nobody fetched.
//!
//! A look that finds something new tells that a conversion has finished before it, one that finds nothing tells that
//! none has. Between the two the moment is taken from the interval, which a sensor keeps to a tenth or so
//! ([`Phase::next_look`] is early enough for an eighth). So a look that comes late by half an interval is not taken for
//! a missed conversion, and makes none late after it.

/// The first look comes when this much of an interval has passed since a conversion has finished, in sixteenths: early
/// enough to notice a sensor that is fast.
const EARLY: u64 = 14;
/// The second one, when it should have finished.
const DUE: u64 = 17;
/// From then on so much passes from look to look.
const AGAIN: u64 = 2;

/// The moments of a sensor's conversions, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    interval: u64,
    /// When the last conversion that was fetched had finished, as far as is known.
    finished: Option<u64>,
    /// The last look since then that found nothing.
    unfinished: Option<u64>,
}

impl Phase {
    /// Of a sensor that needs so long, which has just been asked for what was there before.
    #[must_use]
    pub fn new(interval: u64) -> Self {
        Self {
            interval: interval.max(1),
            finished: None,
            unfinished: None,
        }
    }

    /// When to look next. What lies in the past is due at once.
    #[must_use]
    pub fn next_look(&self, now: u64) -> u64 {
        let part = |sixteenths: u64| self.interval * sixteenths / 16;
        match (self.finished, self.unfinished) {
            (None, _) => now + part(AGAIN),
            (Some(finished), None) => finished + part(EARLY),
            (Some(finished), Some(looked)) => (finished + part(DUE)).max(looked + part(AGAIN)),
        }
    }

    /// A look at `at` found nothing new.
    pub fn unfinished(&mut self, at: u64) {
        self.unfinished = Some(at);
    }

    /// A look at `at` found a conversion. Returns how many finished before it that nobody has fetched.
    pub fn finished(&mut self, at: u64) -> u64 {
        let looked = self.unfinished.take();
        let Some(before) = self.finished else {
            self.finished = Some(at);
            return 0;
        };
        // Since a look that found nothing there is one at least, and since the one before too.
        let passed = at.saturating_sub(before) / self.interval;
        let count = passed.max(1);
        let expected = before + count * self.interval;
        self.finished = Some(expected.clamp(looked.unwrap_or(0), at));
        count - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a sampler that is late by `delay` of the look's number read a sensor of this interval; returns how many
    /// conversions it fetched, how many it says it has missed, and how often it has looked.
    fn sampled(nominal: u64, real: u64, delay: impl Fn(u64) -> u64) -> (u64, u64, u64) {
        let (mut phase, mut now, mut fetched) = (Phase::new(nominal), 1_000_000, 0);
        let (mut read, mut missed, mut looks) = (0, 0, 0);
        while now < 1_000_000 + 1_000 * real {
            now = phase.next_look(now).max(now) + delay(looks);
            looks += 1;
            let conversions = (now - 1_000_000) / real;
            if conversions > fetched {
                fetched = conversions;
                read += 1;
                missed += phase.finished(now);
            } else {
                phase.unfinished(now);
            }
        }
        (read, missed, looks)
    }

    #[test]
    fn a_sensor_that_is_a_tenth_fast_or_slow_is_followed() {
        for real in [252_000, 280_000, 308_000] {
            let (read, missed, looks) = sampled(280_000, real, |_| 1_000);
            assert!(read >= 998 && missed == 0, "{real}: {read} {missed}");
            assert!(2 * looks <= 7 * read, "{real}: {looks}");
        }
    }

    #[test]
    fn looks_that_come_half_an_interval_late_miss_nothing() {
        let (read, missed, _) = sampled(280_000, 280_000, |look| (look % 7) * 20_000);
        assert!(read >= 997 && missed == 0, "{read} {missed}");
    }

    #[test]
    fn what_is_missed_is_counted() {
        // Every hundredth look comes three and a half intervals late.
        let late = |look: u64| if look % 100 == 99 { 980_000 } else { 1_000 };
        let (read, missed, _) = sampled(280_000, 280_000, late);
        assert!(missed > 10, "{missed}");
        assert!((990..=1_000).contains(&(read + missed)), "{read} {missed}");
    }
}
