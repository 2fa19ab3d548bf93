//! The harness does not allocate between the marks of a window.

use scalebench_core::board::Clock;
use scalebench_core::window::{Pace, measure};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts what the thread asks of it.
struct Counting;

#[expect(unsafe_code, reason = "an allocator can be counted only by being one")]
mod counting {
    use super::*;

    // SAFETY: every call goes to the system's allocator with the arguments as they came; counting
    // touches a constant-initialised cell of the thread and allocates nothing.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            ALLOCATIONS.with(|count| count.set(count.get() + 1));
            // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            ALLOCATIONS.with(|count| count.set(count.get() + 1));
            // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

struct Steady(Instant);

impl Clock for Steady {
    fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
    fn ticks_per_second(&self) -> u64 {
        1_000_000_000
    }
}

fn during_a_window(mut infer: impl FnMut()) -> u64 {
    let clock = Steady(Instant::now());
    let pace = Pace {
        inferences: 10_000,
        stride: 3,
        unit_log2: 2,
    };
    let mut readings = vec![0; 5_000];
    let before = allocations();
    let marks = measure(&clock, pace, &mut readings, || {
        infer();
        Ok::<_, ()>(())
    });
    let during = allocations() - before;
    assert_eq!(marks.unwrap().readings, 3_333);
    during
}

#[test]
fn the_harness_allocates_nothing_within_a_window() {
    assert_eq!(during_a_window(|| {}), 0);
}

#[test]
fn an_allocation_within_a_window_would_be_seen() {
    // Once to get it and once to give it back.
    let seen = during_a_window(|| drop(std::hint::black_box(Box::new(7_u64))));
    assert_eq!(seen, 20_000);
}
