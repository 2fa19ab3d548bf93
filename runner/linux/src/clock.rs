//! `CLOCK_MONOTONIC`, read through the vDSO: no system call on the architectures we support.

use nix::time::{ClockId, clock_gettime};
use scalebench_core::board::Clock;

/// Nanoseconds since boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

impl Clock for Monotonic {
    fn now(&self) -> u64 {
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
            time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
        })
    }

    fn ticks_per_second(&self) -> u64 {
        1_000_000_000
    }
}
