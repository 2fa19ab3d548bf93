//! Calibration, and the timed window itself.
//!
//! A window is a run of back-to-back inferences between two marks. What is timed is one inference and
//! two readings of the clock; nothing between the marks allocates, calls the system or sends.

use crate::board::Clock;
use scalebench_wire::message::Schedule;

/// How many inferences a window has and which times of them are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Inferences between the marks.
    pub inferences: u32,
    /// Every so many inferences one time is kept: the last of each group.
    pub stride: u32,
    /// Times are kept in units of 2^this ticks, rounded down.
    pub unit_log2: u8,
}

impl Pace {
    /// The pace at which windows of inferences of about `ticks` each last at least as `schedule` asks,
    /// with a tenth to spare.
    ///
    /// The unit of a reading is the largest power of two ticks that exceeds neither the clock's
    /// resolution nor 1/65536 of an inference, whichever is more: finer would be noise on the wire.
    #[must_use]
    pub fn calibrated(
        clock: &impl Clock,
        resolution_ticks: u32,
        ticks: u64,
        schedule: &Schedule,
        capacity: usize,
    ) -> Self {
        let ticks = ticks.max(1);
        let wanted = clock.ticks_of_millis(schedule.window_ms.into());
        let inferences = (wanted + wanted / 10)
            .div_ceil(ticks)
            .clamp(1, u32::MAX.into()) as u32;
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX).max(1);
        let kept = if schedule.readings == 0 {
            capacity
        } else {
            schedule.readings.min(capacity)
        };
        let unit = u64::from(resolution_ticks).max(ticks >> 16).max(1);
        Self {
            inferences,
            stride: inferences.div_ceil(kept),
            unit_log2: unit.ilog2() as u8,
        }
    }
}

/// The marks of a measured window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The clock before the first inference.
    pub begin: u64,
    /// The clock after the last.
    pub end: u64,
    /// Readings written.
    pub readings: usize,
}

/// Measures one window: `pace.inferences` calls of `infer`, times into `readings`.
///
/// # Errors
/// The first error of `infer` ends the window.
#[inline(never)]
pub fn measure<C: Clock, E>(
    clock: &C,
    pace: Pace,
    readings: &mut [u32],
    mut infer: impl FnMut() -> Result<(), E>,
) -> Result<Marks, E> {
    let mut slots = readings.iter_mut();
    let mut kept = 0;
    let mut until_kept = pace.stride;
    let begin = clock.now();
    for _ in 0..pace.inferences {
        let start = clock.now();
        infer()?;
        let end = clock.now();
        until_kept -= 1;
        if until_kept == 0 {
            until_kept = pace.stride;
            if let Some(slot) = slots.next() {
                // A clock that jumps back must not end the window.
                let ticks = end.wrapping_sub(start);
                *slot = u32::try_from(ticks >> pace.unit_log2).unwrap_or(u32::MAX);
                kept += 1;
            }
        }
    }
    let end = clock.now();
    Ok(Marks {
        begin,
        end,
        readings: kept,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::cell::Cell;

    /// A clock that moves only when told, and by one tick at every reading.
    struct Scripted(Cell<u64>);

    impl Clock for Scripted {
        fn now(&self) -> u64 {
            self.0.set(self.0.get() + 1);
            self.0.get()
        }
        fn ticks_per_second(&self) -> u64 {
            1_000_000_000
        }
    }

    fn schedule(window_ms: u32, readings: u32) -> Schedule {
        Schedule {
            warm_up_ms: 0,
            windows: 5,
            window_ms,
            readings,
        }
    }

    #[test]
    fn a_window_holds_the_inferences_and_two_clock_readings_each() {
        let clock = Scripted(Cell::new(0));
        let mut readings = [0; 10];
        let mut count = 0;
        let pace = Pace {
            inferences: 7,
            stride: 1,
            unit_log2: 0,
        };
        let marks = measure(&clock, pace, &mut readings, || {
            count += 1;
            clock.0.set(clock.0.get() + count * 100);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(readings[..7], [101, 201, 301, 401, 501, 601, 701]);
        assert_eq!(marks.readings, 7);
        assert_eq!(marks.end - marks.begin, 2800 + 2 * 7 + 1);
    }

    #[test]
    fn a_stride_keeps_every_nth_and_a_unit_shortens() {
        let clock = Scripted(Cell::new(0));
        let mut readings = [0; 10];
        let mut count = 0;
        let pace = Pace {
            inferences: 10,
            stride: 3,
            unit_log2: 2,
        };
        let marks = measure(&clock, pace, &mut readings, || {
            count += 1;
            clock.0.set(clock.0.get() + count * 40);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(readings[..marks.readings], [121 >> 2, 241 >> 2, 361 >> 2]);
    }

    #[test]
    fn an_error_ends_the_window() {
        let clock = Scripted(Cell::new(0));
        let pace = Pace {
            inferences: 10,
            stride: 1,
            unit_log2: 0,
        };
        assert_eq!(
            measure(&clock, pace, &mut [0; 10], || Err("broken")),
            Err("broken")
        );
    }

    #[test]
    fn the_pace_fills_the_window_and_the_ring() {
        let clock = Scripted(Cell::new(0));
        let pace = Pace::calibrated(&clock, 20, 5_000, &schedule(1_000, 0), 1 << 20);
        assert_eq!(
            pace,
            Pace {
                inferences: 220_000,
                stride: 1,
                unit_log2: 4
            }
        );
        let pace = Pace::calibrated(&clock, 20, 5_000, &schedule(1_000, 1_000), 1 << 20);
        assert_eq!(pace.stride, 220);
        let slow = Pace::calibrated(&clock, 20, 3_000_000_000, &schedule(1_000, 0), 1 << 20);
        assert_eq!(
            slow,
            Pace {
                inferences: 1,
                stride: 1,
                unit_log2: 15
            }
        );
        let absurd = Pace::calibrated(&clock, 0, 0, &schedule(u32::MAX, 1), 0);
        assert!(absurd.inferences > 0 && absurd.stride > 0);
    }
}
