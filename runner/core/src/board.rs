//! What a platform gives the harness.

use core::convert::Infallible;
use core::fmt::Display;
use embedded_hal::digital::{ErrorType, OutputPin};
use scalebench_wire::Digest;
use scalebench_wire::container::Dtype;
use scalebench_wire::message::{
    Accuracy, ArtefactState, Condition, Counted, Counter, Name, Rail, RailFault, Sampling, Text,
    clipped,
};

/// All of a platform's parts in one place.
pub trait Board {
    /// The clock every mark is read from.
    type Clock: Clock;
    /// The line to the host.
    type Line: Line;
    /// What runs models.
    type Engine: Engine;
    /// Where artefacts are kept.
    type Store: Store;
    /// Power rails, or [`NoRails`].
    type Rails: Rails;
    /// Encoded log, or [`NoLog`].
    type Log: Log;
    /// Temperature, frequency, memory.
    type Vitals: Vitals;
    /// The pin that an external meter looks at, or [`NoTrigger`].
    type Trigger: OutputPin;
    /// Counters of the processor, or [`NoCounters`].
    type Counters: Counters;
}

/// The parts themselves.
pub struct Parts<B: Board> {
    /// See [`Board::Clock`].
    pub clock: B::Clock,
    /// See [`Board::Line`].
    pub line: B::Line,
    /// See [`Board::Engine`].
    pub engine: B::Engine,
    /// See [`Board::Store`].
    pub store: B::Store,
    /// See [`Board::Rails`].
    pub rails: B::Rails,
    /// See [`Board::Log`].
    pub log: B::Log,
    /// See [`Board::Vitals`].
    pub vitals: B::Vitals,
    /// See [`Board::Trigger`].
    pub trigger: B::Trigger,
    /// See [`Board::Counters`].
    pub counters: B::Counters,
}

/// A steady clock that is cheap to read and never a system call.
pub trait Clock {
    /// Ticks since some fixed moment. Never goes back.
    fn now(&self) -> u64;

    /// Ticks to a second. Does not change.
    fn ticks_per_second(&self) -> u64;

    /// Microseconds of so many ticks.
    fn micros(&self, ticks: u64) -> u64 {
        (u128::from(ticks) * 1_000_000 / u128::from(self.ticks_per_second().max(1))) as u64
    }

    /// Ticks of so many milliseconds.
    fn ticks_of_millis(&self, millis: u64) -> u64 {
        (u128::from(millis) * u128::from(self.ticks_per_second()) / 1_000) as u64
    }
}

/// A serial line.
///
/// `read` and `write` are only called after `read_ready` and `write_ready` said they will not block.
pub trait Line:
    embedded_io::Read + embedded_io::ReadReady + embedded_io::Write + embedded_io::WriteReady
{
    /// Changes the speed, after everything written has left. `false` when the line cannot.
    fn set_baud(&mut self, baud: u32) -> bool;

    /// Waits until there is something to read, or for `micros`, whatever comes first.
    fn wait(&mut self, micros: u64);
}

/// Element type and scaling of a model's input or output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// Element type.
    pub dtype: Dtype,
    /// Scale and zero point: `real = (stored - zero_point) * scale`. `None` for floats and plain integers.
    pub quantisation: Option<(f32, i32)>,
    /// Bytes of the whole tensor.
    pub bytes: usize,
}

/// Runs one model at a time.
///
/// Tensors are raw little-endian elements in the model's own order (NHWC for images).
pub trait Engine {
    /// A sentence for a person.
    type Error: Display;

    /// Tries an artefact of the store where it can do no harm, before it is loaded. Not timed. A platform that
    /// has no such place accepts everything.
    ///
    /// # Errors
    /// In the engine's words, when the model cannot be trusted.
    fn vet(&mut self, digest: Digest, memory_bytes: u64) -> Result<(), Self::Error> {
        let _ = (digest, memory_bytes);
        Ok(())
    }

    /// Makes `model` ready, replacing the one before. It may use `memory_bytes` of memory; zero for what the board has.
    ///
    /// # Errors
    /// In the engine's words, when the model cannot be run. Nothing is loaded then.
    fn load(&mut self, model: &[u8], memory_bytes: u64) -> Result<(), Self::Error>;

    /// Frees the model.
    fn unload(&mut self);

    /// Planned bytes of activations; zero if the engine does not plan them.
    fn activation_bytes(&self) -> u64;

    /// Input number `index`, `None` beyond the last.
    fn input(&self, index: usize) -> Option<Tensor>;

    /// Output number `index`, `None` beyond the last.
    fn output(&self, index: usize) -> Option<Tensor>;

    /// Bytes of an input, to be filled.
    fn input_mut(&mut self, index: usize) -> &mut [u8];

    /// One inference. Timed: does nothing else.
    ///
    /// # Errors
    /// In the engine's words.
    fn infer(&mut self) -> Result<(), Self::Error>;

    /// Bytes of an output after [`Engine::infer`].
    fn output_bytes(&self, index: usize) -> &[u8];

    /// One inference in which `now` is read around every operator. An engine that knows no operators just infers.
    ///
    /// # Errors
    /// As [`Engine::infer`].
    fn profile(&mut self, now: &mut dyn FnMut() -> u64) -> Result<(), Self::Error> {
        let _ = now;
        self.infer()
    }

    /// Index in the model's file of the operator that was profiled as number `index`, and the sum of what it took since
    /// the model was loaded, in the steps of [`Engine::profile`]'s clock. `None` beyond the last.
    fn profiled(&self, index: usize) -> Option<(u32, u64)> {
        let _ = index;
        None
    }
}

/// Keeps artefacts by their hash.
pub trait Store {
    /// How many bytes of the artefact are there, and their state.
    fn status(&mut self, digest: Digest) -> (u64, ArtefactState);

    /// From now on, [`Store::append`] extends this artefact, of `bytes` in all, from `offset`. `false` when it cannot.
    fn begin(&mut self, digest: Digest, bytes: u64, offset: u64) -> bool;

    /// The next bytes of the artefact begun. `false` when they cannot be kept.
    fn append(&mut self, bytes: &[u8]) -> bool;

    /// Checks the hash of the artefact begun. The digest is `None` when none was.
    fn commit(&mut self) -> (Option<Digest>, u64, ArtefactState);

    /// Makes a complete artefact readable through [`Store::bytes`]. `false` when it is not there.
    fn open(&mut self, digest: Digest) -> bool;

    /// The bytes of an opened artefact.
    fn bytes(&self, digest: Digest) -> Option<&[u8]>;

    /// Lets go of all opened artefacts.
    fn close(&mut self);
}

/// One power reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerReading {
    /// The board's clock in the middle of the conversation with the sensor.
    pub ticks: u64,
    /// Voltage in the rail's steps.
    pub voltage: i32,
    /// Current in the rail's steps.
    pub current: i32,
}

/// What became of a rail's sampling since [`Rails::start`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Readings that the sensor had, but that nobody fetched in time.
    pub missed: u32,
    /// Why there are no more readings.
    pub fault: Option<RailFault>,
}

/// Power sensors.
pub trait Rails {
    /// Description of rail `index`, `None` beyond the last.
    fn rail(&self, index: u8) -> Option<(Rail, Accuracy)>;

    /// How to sample from the next [`Rails::start`] on. Changes descriptions.
    fn set(&mut self, sampling: &Sampling);

    /// Forgets what is in the rings and samples from now on, until [`Rails::stop`]. Returns when every rail has
    /// a reading, or a fault.
    fn start(&mut self);

    /// Samples no more. Returns when every rail has a reading that tells about a moment after the call, or a
    /// fault.
    fn stop(&mut self);

    /// Readings waiting in the ring of rail `index`.
    fn waiting(&self, index: u8) -> usize;

    /// Reading number `at` of those waiting, oldest first.
    fn peek(&self, index: u8, at: usize) -> Option<PowerReading>;

    /// Forgets the oldest `count` readings of the ring.
    fn consume(&mut self, index: u8, count: usize);

    /// What became of rail `index` since [`Rails::start`].
    fn tally(&self, index: u8) -> Tally;
}

/// A board without power sensors.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRails;

impl Rails for NoRails {
    fn rail(&self, _: u8) -> Option<(Rail, Accuracy)> {
        None
    }
    fn set(&mut self, _: &Sampling) {}
    fn start(&mut self) {}
    fn stop(&mut self) {}
    fn waiting(&self, _: u8) -> usize {
        0
    }
    fn peek(&self, _: u8, _: usize) -> Option<PowerReading> {
        None
    }
    fn consume(&mut self, _: u8, _: usize) {}
    fn tally(&self, _: u8) -> Tally {
        Tally::default()
    }
}

/// Log bytes that wait to be sent.
pub trait Log {
    /// Moves the oldest bytes into `into` and says how many.
    fn take(&mut self, into: &mut [u8]) -> usize;
}

/// No log.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLog;

impl Log for NoLog {
    fn take(&mut self, _: &mut [u8]) -> usize {
        0
    }
}

/// A board without a pin for a meter.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrigger;

impl ErrorType for NoTrigger {
    type Error = Infallible;
}

impl OutputPin for NoTrigger {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Counts events of the processor, for this program alone.
pub trait Counters {
    /// Why an event is not counted; `None` where it is.
    fn missing(&self, what: Counter) -> Option<Text>;

    /// Counts from zero from now on.
    fn start(&mut self);

    /// Counts no more, and gives the counts since [`Counters::start`] as those of `window`.
    fn stop(&mut self, window: u8) -> Counted;
}

/// A platform that counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCounters;

impl Counters for NoCounters {
    fn missing(&self, _: Counter) -> Option<Text> {
        Some(clipped("this runner does not count"))
    }
    fn start(&mut self) {}
    fn stop(&mut self, window: u8) -> Counted {
        Counted {
            window,
            ..Counted::default()
        }
    }
}

/// The state of the machine.
pub trait Vitals {
    /// Clock frequency, temperature, throttling: now.
    fn condition(&mut self) -> Condition;

    /// Begins to look for the peak of allocated memory anew; returns what is allocated now, in bytes.
    fn watch_memory(&mut self) -> u64;

    /// The peak since [`Vitals::watch_memory`], in bytes; zero if unknown.
    fn peak_memory(&mut self) -> u64;

    /// Lets the governor of this name set the clock, until [`Vitals::restore_governor`]. Gives the name of the one
    /// that did before, if there was any, and why it still does, if so.
    fn set_governor(&mut self, name: &str) -> (Option<Name>, Option<Text>) {
        let _ = name;
        (None, Some(clipped("this board's clock has no governor")))
    }

    /// Lets the governor from before the first [`Vitals::set_governor`] set the clock again.
    fn restore_governor(&mut self) {}
}
