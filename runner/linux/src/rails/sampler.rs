//! The thread that reads one source, and the rings it fills.
//!
//! The rings are of fixed size and made at the start. While a window is measured only this thread touches
//! them: the measuring thread looks before and after.

use super::phase::Phase;
use super::{Described, Rhythm, Source};
use crate::clock::Monotonic;
use crate::{knobs, realtime};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use scalebench_boards::sensor::Conversion;
use scalebench_core::board::{Clock as _, PowerReading, Tally};
use scalebench_wire::message::{RailFault, Tier};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Readings of one rail: eighteen seconds of the fastest sensor, minutes of a usual one.
const CAPACITY: usize = 1 << 16;
/// A sensor that has nothing new for so many intervals has stopped.
const FROZEN_INTERVALS: u64 = 20;
/// And not before this, in nanoseconds: a busy machine may look late.
const FROZEN_AT_LEAST: u64 = 50_000_000;
/// Longest wait of the measuring thread, in seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Nanoseconds of the board's clock.
#[must_use]
pub fn now() -> u64 {
    Monotonic.now()
}

/// What the sampling thread and the measuring thread share.
#[derive(Debug)]
struct State {
    running: bool,
    ending: bool,
    conversion: Option<Conversion>,
    rhythm: Rhythm,
    rings: Vec<VecDeque<PowerReading>>,
    tally: Tally,
}

impl State {
    /// The moment that the newest readings tell about.
    fn newest(&self) -> Option<u64> {
        let back = self.rings.first()?.back()?;
        Some(back.ticks.saturating_sub(self.rhythm.age))
    }

    fn push(&mut self, at: u64, values: &[(i32, i32)]) {
        for (ring, &(voltage, current)) in self.rings.iter_mut().zip(values) {
            if ring.len() == CAPACITY {
                self.tally.fault = Some(RailFault::Overrun);
                return;
            }
            ring.push_back(PowerReading {
                ticks: at,
                voltage,
                current,
            });
        }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells the other side.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `reached`, or until patience ends.
    fn wait(&self, reached: impl Fn(&State) -> bool) {
        drop(
            self.changed
                .wait_timeout_while(self.lock(), PATIENCE, |state| !reached(state)),
        );
    }
}

/// One source, read by a thread of its own.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    rails: Vec<Described>,
    tier: Tier,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts the thread, on core `spare` if there is one; it waits for [`Sampler::set`] and [`Sampler::run`].
    #[must_use]
    pub fn start(source: Box<dyn Source>, spare: Option<usize>) -> Self {
        let rails = source.rails();
        let tier = source.tier();
        let ring = || VecDeque::with_capacity(CAPACITY);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                running: false,
                ending: false,
                conversion: None,
                rhythm: Rhythm {
                    interval: 1,
                    age: 0,
                    coverage: 0.0,
                },
                rings: rails.iter().map(|_| ring()).collect(),
                tally: Tally::default(),
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sampler".into())
            .spawn(move || serve(source, spare, &theirs));
        if thread.is_err() {
            shared.lock().tally.fault = Some(RailFault::Unreadable);
        }
        Self {
            shared,
            rails,
            tier,
            thread: thread.ok(),
        }
    }

    /// Its rails.
    #[must_use]
    pub fn rails(&self) -> &[Described] {
        &self.rails
    }

    /// What its figures are worth.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// How it goes from reading to reading.
    #[must_use]
    pub fn rhythm(&self) -> Rhythm {
        self.shared.lock().rhythm
    }

    /// Configures the source anew, and waits until that is done.
    pub fn set(&mut self, conversion: Conversion) {
        self.shared
            .change(|state| state.conversion = Some(conversion));
        self.shared.wait(|state| state.conversion.is_none());
    }

    /// Forgets what there is, and samples.
    pub fn run(&self) {
        self.shared.change(|state| {
            state.rings.iter_mut().for_each(VecDeque::clear);
            state.tally = Tally::default();
            state.running = true;
        });
    }

    /// Samples no more.
    pub fn pause(&self) {
        self.shared.change(|state| state.running = false);
    }

    /// Waits for the first reading since [`Sampler::run`], or a fault.
    pub fn wait_for_first(&self) {
        self.shared
            .wait(|state| state.newest().is_some() || state.tally.fault.is_some());
    }

    /// Waits for a reading that tells about a moment after `ticks`, or a fault.
    pub fn wait_beyond(&self, ticks: u64) {
        self.shared.wait(|state| {
            state.newest().is_some_and(|newest| newest > ticks) || state.tally.fault.is_some()
        });
    }

    /// Readings in the ring of a rail.
    #[must_use]
    pub fn waiting(&self, rail: usize) -> usize {
        self.shared.lock().rings.get(rail).map_or(0, VecDeque::len)
    }

    /// One of them.
    #[must_use]
    pub fn peek(&self, rail: usize, at: usize) -> Option<PowerReading> {
        self.shared.lock().rings.get(rail)?.get(at).copied()
    }

    /// Forgets the oldest.
    pub fn consume(&self, rail: usize, count: usize) {
        if let Some(ring) = self.shared.lock().rings.get_mut(rail) {
            ring.drain(..count.min(ring.len()));
        }
    }

    /// What became of the sampling since [`Sampler::run`].
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.lock().tally
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.ending = true;
            state.running = false;
        });
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread: configures, samples, until the sampler is dropped.
fn serve(mut source: Box<dyn Source>, spare: Option<usize>, shared: &Shared) {
    keep_out_of_the_way(spare);
    let mut broken = None;
    loop {
        let mut state = shared
            .changed
            .wait_while(shared.lock(), |state| {
                !state.ending && !state.running && state.conversion.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.ending {
            return;
        }
        if let Some(conversion) = state.conversion {
            drop(state);
            let rhythm = source.configure(conversion);
            broken = rhythm.err();
            shared.change(|state| {
                state.conversion = None;
                state.rhythm = rhythm.unwrap_or(state.rhythm);
            });
            continue;
        }
        let rhythm = state.rhythm;
        state.tally.fault = broken;
        drop(state);
        shared.changed.notify_all();
        if broken.is_none()
            && let Err(fault) = sample(&mut *source, rhythm, shared)
        {
            shared.change(|state| state.tally.fault = Some(fault));
        }
        // After a fault nothing comes until the next start.
        drop(
            shared
                .changed
                .wait_while(shared.lock(), |state| state.running && !state.ending),
        );
    }
}

/// Reads until paused.
fn sample(source: &mut dyn Source, rhythm: Rhythm, shared: &Shared) -> Result<(), RailFault> {
    let count = shared.lock().rings.len();
    let mut values = Vec::with_capacity(count);
    // What was converted before the start is old.
    source.is_ready()?;
    let mut last = now();
    let mut phase = Phase::new(rhythm.interval);
    loop {
        sleep_until(phase.next_look(now()));
        if !shared.lock().running {
            return Ok(());
        }
        let begin = now();
        if !source.is_ready()? {
            if begin - last > FROZEN_AT_LEAST.max(FROZEN_INTERVALS * rhythm.interval) {
                return Err(RailFault::Frozen);
            }
            phase.unfinished(begin);
            continue;
        }
        values.clear();
        for index in 0..count {
            values.push(source.read(index)?);
        }
        let middle = begin + (now() - begin) / 2;
        last = begin;
        let missed = phase.finished(begin);
        shared.change(|state| {
            state.push(middle, &values);
            state.tally.missed = state.tally.missed.saturating_add(missed as u32);
        });
    }
}

/// Sleeps until a moment of the clock, and not for a while: what happens before the call makes nothing late.
fn sleep_until(moment: u64) {
    let moment = TimeSpec::new((moment / 1_000_000_000) as _, (moment % 1_000_000_000) as _);
    // Woken up early, it looks once too often.
    let _ = clock_nanosleep(
        ClockId::CLOCK_MONOTONIC,
        ClockNanosleepFlags::TIMER_ABSTIME,
        &moment,
    );
}

/// Away from the core that is measured on, and awake on time whatever else runs: wishes that the system may refuse.
fn keep_out_of_the_way(spare: Option<usize>) {
    let _ = nix::sys::prctl::set_timerslack(1);
    // On the only core, one that reads a slow bus without pause would starve what is measured.
    if spare.is_some_and(knobs::keep_on) {
        let _ = realtime::raise();
    }
}
