//! What of the machine is set before anything is measured: core, priority, governor.
//!
//! Each knob may be out of reach (one core only, no permission, no cpufreq). That is no failure: what was
//! not set is logged, and the conditions around each window tell the rest.

use crate::governor::Governor;
use defmt::{info, warn};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use scalebench_boards::Clock;

/// The highest priority that still lets the kernel's own real-time threads run.
const NICENESS: i32 = -20;

/// Sets what can be set; the governor for as long as `governor` lives. Returns a core beside the one that is measured on, for threads that must not disturb it.
pub fn set(clock: &Clock, governor: &mut Governor) -> Option<usize> {
    // Before the pin: afterwards this thread, and all it starts, may use one core only.
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok();
    let core = pin(clock.core);
    match core {
        Some(core) => info!("measures on core {}", core),
        None => warn!("the scheduler may move the runner from core to core"),
    }
    if rustix::process::setpriority_process(None, NICENESS).is_err() {
        warn!("no permission to raise the priority");
    }
    if let Some(name) = &clock.governor
        && governor.stand(name).is_err()
    {
        warn!("the governor of the clock is not to be set");
    }
    spare(&allowed?, core?)
}

/// The last of `allowed` that is not `taken`: the first one takes most interrupts.
fn spare(allowed: &CpuSet, taken: usize) -> Option<usize> {
    (0..CpuSet::count())
        .rev()
        .find(|&core| core != taken && allowed.is_set(core).unwrap_or(false))
}

/// Keeps the calling thread on `core`.
pub fn keep_on(core: usize) -> bool {
    let mut only = CpuSet::new();
    only.set(core).is_ok() && sched_setaffinity(Pid::from_raw(0), &only).is_ok()
}

/// Keeps this process on one core: the one named, else the last it may use, since the first one takes
/// most interrupts.
fn pin(core: Option<u32>) -> Option<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let is_allowed = |core: &usize| allowed.is_set(*core).unwrap_or(false);
    let core = match core {
        Some(core) => Some(core as usize).filter(is_allowed),
        None => (0..CpuSet::count()).rev().find(is_allowed),
    }?;
    keep_on(core).then_some(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_not_pinned_to() {
        assert_eq!(pin(Some(100_000)), None);
    }

    #[test]
    fn the_spare_core_is_another_one() {
        let mut allowed = CpuSet::new();
        allowed.set(1).unwrap();
        assert_eq!(spare(&allowed, 1), None);
        allowed.set(3).unwrap();
        assert_eq!(spare(&allowed, 3), Some(1));
        assert_eq!(spare(&allowed, 1), Some(3));
    }

    #[test]
    fn a_thread_is_pinned_to_the_last_core_it_may_use() {
        // Affinity is a thread's: the others of the test are left alone.
        std::thread::spawn(|| {
            let core = pin(None).expect("a core");
            let now = sched_getaffinity(Pid::from_raw(0)).unwrap();
            let set = (0..CpuSet::count()).filter(|&c| now.is_set(c).unwrap_or(false));
            assert_eq!(set.collect::<Vec<_>>(), [core]);
        })
        .join()
        .unwrap();
    }
}
