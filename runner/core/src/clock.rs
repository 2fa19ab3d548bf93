//! Resolution and cost of a clock, and of the harness itself, measured on the board.

use crate::board::Clock;
use crate::window;
use core::hint::black_box;
use scalebench_wire::message;

/// Readings of the clock in a round, and rounds: what interrupts a round does not belong to its cost.
const READS: u32 = 1_000;
const ROUNDS: u32 = 20;

/// Measures `clock` by reading it, and the harness by timing an engine that does nothing.
///
/// Costs are means over the quietest of several rounds. Takes a few milliseconds. `readings` is scratch.
#[must_use]
pub fn measured(clock: &impl Clock, readings: &mut [u32]) -> message::Clock {
    let mut resolution = u64::MAX;
    let read = quietest(|| {
        let begin = clock.now();
        let mut last = begin;
        for _ in 0..READS {
            let now = clock.now();
            let step = now.saturating_sub(last);
            if step > 0 {
                resolution = resolution.min(step);
            }
            last = now;
        }
        last.saturating_sub(begin)
    });
    let repeats = READS.min(u32::try_from(readings.len()).unwrap_or(u32::MAX));
    let pace = window::Pace {
        inferences: repeats,
        stride: 1,
        unit_log2: 0,
    };
    let harness = quietest(|| {
        let idle = window::measure(clock, pace, readings, || {
            black_box(());
            Ok::<_, ()>(())
        });
        idle.map_or(0, |marks| marks.end.saturating_sub(marks.begin))
    });
    message::Clock {
        ticks_per_second: clock.ticks_per_second(),
        resolution_ticks: u32::try_from(resolution).unwrap_or(u32::MAX),
        read_ps: picos_each(clock, read, READS),
        harness_ps: picos_each(clock, harness, repeats),
    }
}

fn quietest(mut round: impl FnMut() -> u64) -> u64 {
    (0..ROUNDS).map(|_| round()).min().unwrap_or(0)
}

fn picos_each(clock: &impl Clock, ticks: u64, count: u32) -> u32 {
    let picos = u128::from(ticks) * 1_000_000_000_000 / u128::from(clock.ticks_per_second().max(1));
    u32::try_from(picos / u128::from(count.max(1))).unwrap_or(u32::MAX)
}
