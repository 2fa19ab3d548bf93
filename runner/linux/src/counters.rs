//! What the processor counts: cycles, instructions, cache misses, from the kernel's performance events.
//!
//! Only what this thread does in user mode is counted, which the kernel allows everybody as long as
//! `kernel.perf_event_paranoid` is at most 2. Counters are switched on and off by system calls outside of a
//! window's marks; what of those runs in user mode is counted too, some tens of instructions a window.

mod event;

use event::{Ask, Event};
use scalebench_core::board::Counters;
use scalebench_wire::message::{Counted, Counter, Text, clipped};
use std::io;

/// Where the kernel says who may count.
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

/// Generic hardware events, by their numbers in linux/perf_event.h.
const EVENTS: [(Counter, u64); 3] = [
    (Counter::Cycles, 0),
    (Counter::Instructions, 1),
    (Counter::CacheMisses, 3),
];

/// The counters that this kernel has for this thread: one, or why it is not there, for each of `EVENTS`. The first
/// that is there leads the others, so that all are switched as one.
#[derive(Debug)]
pub struct Processor([Result<Event, String>; EVENTS.len()]);

impl Processor {
    /// Counters of the thread that calls this.
    #[must_use]
    pub fn here() -> Self {
        let mut events: [Result<Event, String>; EVENTS.len()] = EVENTS.map(|_| Err(String::new()));
        for (at, (_, config)) in EVENTS.iter().enumerate() {
            let first = events.iter().find_map(|event| event.as_ref().ok());
            let opened = Event::open(*config, first);
            events[at] = opened.map_err(|error| why(&error));
        }
        Self(events)
    }

    fn of(&self, what: Counter) -> Option<&Result<Event, String>> {
        let at = EVENTS.iter().position(|(known, _)| *known == what)?;
        self.0.get(at)
    }

    fn ask(&self, what: Ask) -> io::Result<()> {
        let first = self.0.iter().find_map(|event| event.as_ref().ok());
        first.map_or(Ok(()), |first| first.ask(what))
    }
}

/// The kernel's answer in a person's words.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::Unsupported => {
            "the kernel has no such counter of this processor".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            let level = std::fs::read_to_string(PARANOID).unwrap_or_default();
            format!(
                "the kernel does not allow it (kernel.perf_event_paranoid is {}, 2 would do)",
                level.trim()
            )
        }
        _ => format!("the kernel does not count: {error}"),
    }
}

impl Counters for Processor {
    fn missing(&self, what: Counter) -> Option<Text> {
        match self.of(what) {
            Some(Ok(_)) => None,
            Some(Err(reason)) => Some(clipped(reason)),
            None => Some(clipped("this runner does not know it")),
        }
    }

    fn start(&mut self) {
        // Counters that cannot be switched have not run, and give no counts.
        let _ = self.ask(Ask::Reset).and_then(|()| self.ask(Ask::Enable));
    }

    fn stop(&mut self, window: u8) -> Counted {
        let _ = self.ask(Ask::Disable);
        let count = |what| self.of(what)?.as_ref().ok()?.count().ok()?;
        Counted {
            window,
            cycles: count(Counter::Cycles),
            instructions: count(Counter::Instructions),
            cache_misses: count(Counter::CacheMisses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(rounds: u64) {
        for round in 0..rounds {
            std::hint::black_box(round);
        }
    }

    #[test]
    fn every_counter_counts_or_says_why_not() {
        let mut processor = Processor::here();
        let mut counted = |rounds| {
            processor.start();
            spin(rounds);
            processor.stop(3)
        };
        let (few, many) = (counted(1_000), counted(1_000_000));
        assert_eq!(many.window, 3);
        for (what, few, many) in [
            (Counter::Cycles, few.cycles, many.cycles),
            (Counter::Instructions, few.instructions, many.instructions),
            (Counter::CacheMisses, few.cache_misses, many.cache_misses),
        ] {
            match processor.missing(what) {
                Some(reason) => {
                    assert_eq!((few, many), (None, None), "{what:?}");
                    assert!(!reason.is_empty());
                }
                // Cache misses may be as many in the shorter loop.
                None if what != Counter::CacheMisses => {
                    assert!(few.is_none() || many > few, "{what:?}: {few:?}, {many:?}");
                }
                None => {}
            }
        }
    }

    #[test]
    fn what_keeps_the_kernel_from_counting_is_told() {
        let words = |code| why(&io::Error::from_raw_os_error(code));
        assert_eq!(words(2), "the kernel has no such counter of this processor");
        assert!(words(13).contains("perf_event_paranoid"), "{}", words(13));
        assert!(words(38).starts_with("the kernel"), "{}", words(38));
    }
}
