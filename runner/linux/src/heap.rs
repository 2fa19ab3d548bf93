//! The heap, counted to the byte: resident pages depend on what earlier trials left behind.
//!
//! Crates that count take `realloc` and zeroed memory apart into new memory that is copied or cleared, so that loading a
//! model would cost what it does not without them.

#![expect(unsafe_code, reason = "an allocator can be counted only by being one")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count of what it gave and was not given back. A program that carries the runner makes it
/// its `#[global_allocator]`; without, nothing is counted.
#[derive(Clone, Copy, Debug)]
pub struct Heap;

impl Heap {
    /// Bytes held now.
    #[must_use]
    pub fn held(self) -> usize {
        HELD.load(Relaxed)
    }

    /// Most bytes held at a time since [`Heap::watch`]. Zero where nothing is counted.
    #[must_use]
    pub fn most(self) -> usize {
        MOST.load(Relaxed)
    }

    /// Forgets the most that was held before.
    pub fn watch(self) {
        MOST.store(self.held(), Relaxed);
    }
}

fn took(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(held, Relaxed);
}

fn gave(bytes: usize) {
    HELD.fetch_sub(bytes, Relaxed);
}

// SAFETY: every call is the system allocator's own, with the caller's own arguments; counting does not touch memory.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract of this very function.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            took(layout.size());
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            took(layout.size());
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; `memory` came from the system's allocator.
        unsafe { System.dealloc(memory, layout) };
        gave(layout.size());
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; `memory` came from the system's allocator.
        let moved = unsafe { System.realloc(memory, layout, size) };
        if !moved.is_null() {
            match size.checked_sub(layout.size()) {
                Some(more) => took(more),
                None => gave(layout.size() - size),
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_given_back_is_counted() {
        let layout = |bytes| Layout::from_size_align(bytes, 8).unwrap();
        Heap.watch();
        // SAFETY: sizes are not zero, every piece of memory is given back once, with the layout it has by then.
        unsafe {
            let first = Heap.alloc(layout(1_000));
            assert_eq!((Heap.held(), Heap.most()), (1_000, 1_000));
            let zeroed = Heap.alloc_zeroed(layout(500));
            assert!((0..500).all(|at| zeroed.add(at).read() == 0));
            first.write(7);
            let grown = Heap.realloc(first, layout(1_000), 3_000);
            assert_eq!((Heap.held(), grown.read()), (3_500, 7));
            let shrunk = Heap.realloc(grown, layout(3_000), 100);
            assert_eq!((Heap.held(), Heap.most()), (600, 3_500));
            Heap.watch();
            Heap.dealloc(zeroed, layout(500));
            assert_eq!((Heap.held(), Heap.most()), (100, 600));
            Heap.dealloc(shrunk, layout(100));
        }
        assert_eq!(Heap.held(), 0);
    }
}
