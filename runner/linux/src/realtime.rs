//! Real-time priority for one thread. None of the crates at hand has the call, so the system's own is made.

#![expect(unsafe_code, reason = "the system's call takes a pointer")]

use nix::libc::{SCHED_FIFO, sched_param, sched_setscheduler};

/// The lowest of the real-time priorities: above every ordinary thread, below whatever the board needs to live.
const PRIORITY: i32 = 1;

/// Lets the calling thread run before all ordinary ones as soon as it is awake; `false` where that is not permitted.
///
/// A thread that never sleeps starves the others: this is for one that mostly does.
#[must_use]
pub(crate) fn raise() -> bool {
    let parameter = sched_param {
        sched_priority: PRIORITY,
    };
    // SAFETY: zero is the calling thread, and the parameter lives until the call returns; the system only reads it.
    unsafe { sched_setscheduler(0, SCHED_FIFO, &raw const parameter) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc::sched_getscheduler;

    #[test]
    fn a_thread_is_raised_alone_or_not_at_all() {
        // SAFETY: takes and returns numbers.
        let policy = || unsafe { sched_getscheduler(0) };
        let before = policy();
        let (raised, after) = std::thread::spawn(move || (raise(), policy()))
            .join()
            .unwrap();
        assert_eq!(after, if raised { SCHED_FIFO } else { before });
        assert_eq!(policy(), before);
    }
}
