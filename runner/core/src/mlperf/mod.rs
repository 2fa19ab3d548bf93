//! The runner as MLPerf Tiny firmware: what the benchmark's own runner, EEMBC's or ours drives over a line.
//!
//! Lines of ASCII; commands of the host end in `%`, answers of the board in CR LF, and every command is
//! answered by a last line `m-ready`. Written after the reference's behaviour: `benchmark/api` and
//! `benchmark/reference_submissions/*/submitter_implemented.cpp` of github.com/mlcommons/tiny, and
//! github.com/eembc/energyrunner. It differs where the reference is frail: commands and inputs of any length
//! are answered by `e-[…]` instead of running over a buffer, an input that is not complete is not inferred,
//! and both timestamps of a window are sent after it, so that the line is quiet while it lasts.
//!
//! | module | what it holds |
//! |---|---|
//! | [`command`] | characters into commands |
//! | [`kind`] | the four tasks: inputs and scores |
//! | [`stamp`] | timestamps, as lines or as edges of a pin |

pub mod command;
pub mod kind;
pub mod stamp;
mod text;

use crate::board::{Clock, Engine, Line};
use crate::tensor;
use command::{Assembler, Command, Hex};
use core::fmt;
use embedded_hal::digital::OutputPin;
use kind::{Kind, Unfit};
use scalebench_wire::container::Dtype;
use stamp::Timestamps;
use text::{Dashed, Scores, say};

/// What `profile` answers: the name of this protocol, by which runners know it.
pub const FIRMWARE: &str = "ULPMark for tinyML Firmware V0.0.1";
/// Bytes of the largest input of the benchmark, 96×96 pixels of three colours: a buffer of no less is needed
/// for all four tasks.
pub const MAX_INPUT: usize = 96 * 96 * 3;
/// Bytes that `db print` shows in a line.
const PRINTED: usize = 8;
/// Without a command, `stop` is asked again after so long.
const IDLE_US: u64 = 100_000;
const HELP: &str = "\
help         : Print this information\r
name         : Print the name of the device\r
profile      : Print the firmware and the model\r
timestamp    : Generate a timestamp\r
db SUBCMD    : Manipulate the input buffer\r
  load N     : Expect an input of N bytes\r
  HH[HH]*    : Load hex bytes until there are N\r
  print      : Print the input as hex\r
infer N [W=10]: Load the input, infer N times after W warm-up inferences\r
results      : Print the scores of the last inference\r
";

/// What a platform gives.
#[derive(Debug)]
pub struct Parts<C, E, L, P> {
    /// The clock of the timestamps.
    pub clock: C,
    /// Runs the model; it is loaded already.
    pub engine: E,
    /// The line to the host.
    pub line: L,
    /// How moments are told.
    pub timestamps: Timestamps<P>,
}

/// The firmware.
pub struct Monitor<'a, C, E, L, P> {
    parts: Parts<C, E, L, P>,
    name: &'a str,
    kind: Kind,
    input: Input<'a>,
    assembler: Assembler,
    /// Whether the model's output is that of the input in the buffer.
    inferred: bool,
    stop: &'a dyn Fn() -> bool,
}

impl<'a, C: Clock, E: Engine, L: Line, P: OutputPin> Monitor<'a, C, E, L, P> {
    /// `name` is what the board calls itself; `buffer` holds one input; `stop` says whether to end.
    ///
    /// # Errors
    /// [`Unfit`] when the model cannot do this task, or its input does not fit into the buffer.
    pub fn new(
        parts: Parts<C, E, L, P>,
        name: &'a str,
        kind: Kind,
        buffer: &'a mut [u8],
        stop: &'a dyn Fn() -> bool,
    ) -> Result<Self, Unfit> {
        let input = kind.input_bytes(&parts.engine)?;
        if input > buffer.len() {
            return Err(Unfit::Buffer {
                input,
                buffer: buffer.len(),
            });
        }
        Ok(Self {
            parts,
            name,
            kind,
            input: Input {
                buffer,
                expected: 0,
                loaded: 0,
            },
            assembler: Assembler::default(),
            inferred: false,
            stop,
        })
    }

    /// Greets, and obeys until `stop` says so.
    ///
    /// # Errors
    /// The line's.
    pub fn run(&mut self) -> Result<(), L::Error> {
        self.greet()?;
        let mut bytes = [0; 128];
        while !(self.stop)() {
            if !self.parts.line.read_ready()? {
                self.parts.line.wait(IDLE_US);
                continue;
            }
            let count = self.parts.line.read(&mut bytes)?;
            for &byte in bytes.iter().take(count) {
                self.push(byte)?;
            }
        }
        Ok(())
    }

    /// What the board says when it has started. In energy mode the pin shows an edge, and is high then.
    ///
    /// # Errors
    /// The line's.
    pub fn greet(&mut self) -> Result<(), L::Error> {
        let mode = self.parts.timestamps.mode();
        self.say(format_args!("m-timestamp-mode-{mode}"))?;
        self.timestamp()?;
        self.say(format_args!("m-init-done"))?;
        self.say(format_args!("m-ready"))
    }

    /// Takes a character from the line, and obeys the command that it ends.
    ///
    /// # Errors
    /// The line's.
    pub fn push(&mut self, byte: u8) -> Result<(), L::Error> {
        match self.assembler.push(byte) {
            None => return Ok(()),
            Some(Err(fault)) => self.refuse(&fault)?,
            Some(Ok(text)) => match Command::parse(&text) {
                Ok(command) => self.obey(command)?,
                Err(fault) => self.refuse(&fault)?,
            },
        }
        self.say(format_args!("m-ready"))
    }

    /// The bytes of the input that have been loaded.
    #[must_use]
    pub fn loaded(&self) -> &[u8] {
        self.input.loaded()
    }

    fn obey(&mut self, command: Command<'_>) -> Result<(), L::Error> {
        match command {
            Command::Name => {
                let name = self.name;
                self.say(format_args!("m-name-dut-[{name}]"))
            }
            Command::Profile => {
                let model = self.kind.word();
                self.say(format_args!("m-profile-[{FIRMWARE}]"))?;
                self.say(format_args!("m-model-[{model}]"))
            }
            Command::Timestamp => self.timestamp(),
            Command::Help => self.say(format_args!("{FIRMWARE}\r\n\r\n{}", HELP.trim_end())),
            Command::Load(bytes) => self.expect(bytes),
            Command::Bytes(hex) => self.load(hex),
            Command::Print => self.print(),
            Command::Infer {
                inferences,
                warm_up,
            } => self.infer(inferences, warm_up),
            Command::Results if self.inferred => self.results(),
            Command::Results => self.refuse(&"This input has not been inferred"),
        }
    }

    fn expect(&mut self, bytes: u32) -> Result<(), L::Error> {
        self.inferred = false;
        match self.input.begin(bytes) {
            Ok(()) => self.say(format_args!("m-[Expecting {bytes} bytes]")),
            Err(TooLarge { most }) => self.refuse(&format_args!(
                "Supplied buffer size {bytes} exceeds maximum of {most}"
            )),
        }
    }

    fn load(&mut self, hex: Hex<'_>) -> Result<(), L::Error> {
        if self.input.is_complete() {
            return self.refuse(&"No bytes are expected: begin with 'db load'");
        }
        self.input.extend(hex.bytes());
        if self.input.is_complete() {
            self.say(format_args!("m-load-done"))
        } else {
            Ok(())
        }
    }

    fn print(&mut self) -> Result<(), L::Error> {
        let (line, stop) = (&mut self.parts.line, self.stop);
        for row in self.input.loaded().chunks(PRINTED) {
            say(line, stop, format_args!("m-buffer-{}", Dashed(row)))?;
        }
        Ok(())
    }

    fn infer(&mut self, inferences: u32, warm_up: u32) -> Result<(), L::Error> {
        self.inferred = false;
        let filled = self.fill();
        if let Err(unfilled) = filled {
            return self.refuse(&unfilled);
        }
        self.say(format_args!("m-warmup-start-{warm_up}"))?;
        if let Err(error) = repeat(&mut self.parts.engine, warm_up) {
            return self.refuse(&format_args!("Inference failed: {error}"));
        }
        self.say(format_args!("m-warmup-done"))?;
        self.say(format_args!("m-infer-start-{inferences}"))?;
        self.parts.line.flush()?;
        let begin = self.parts.timestamps.mark(&self.parts.clock);
        let done = repeat(&mut self.parts.engine, inferences);
        let end = self.parts.timestamps.mark(&self.parts.clock);
        if let Err(error) = done {
            return self.refuse(&format_args!("Inference failed: {error}"));
        }
        for mark in [begin, end] {
            self.lap(mark)?;
        }
        self.say(format_args!("m-infer-done"))?;
        self.inferred = true;
        self.results()
    }

    fn fill(&mut self) -> Result<(), Unfilled> {
        let (Some(tensor), true) = (self.parts.engine.input(0), self.input.is_complete()) else {
            return Err(Unfilled);
        };
        let into = self.parts.engine.input_mut(0);
        self.kind
            .fill(&tensor, self.input.loaded(), into)
            .map_err(|_| Unfilled)
    }

    /// Scores with as many digits as the reference prints, three: an int8 model's steps are wider. Those of float
    /// models have six, for two that are near each other.
    fn results(&mut self) -> Result<(), L::Error> {
        let Some(output) = self.parts.engine.output(0) else {
            return self.refuse(&"The model has no output");
        };
        let bytes = self.parts.engine.output_bytes(0);
        let (line, stop) = (&mut self.parts.line, self.stop);
        let digits = if output.dtype == Dtype::F32 { 6 } else { 3 };
        if self.kind == Kind::Ad01 {
            let score = kind::anomaly(self.input.loaded(), &output, bytes);
            return say(line, stop, format_args!("m-results-[{score:.digits$}]"));
        }
        let scores = Scores {
            digits,
            reals: tensor::reals(&output, bytes),
        };
        say(line, stop, format_args!("m-results-[{scores}]"))
    }

    fn timestamp(&mut self) -> Result<(), L::Error> {
        let mark = self.parts.timestamps.mark(&self.parts.clock);
        self.lap(mark)
    }

    fn lap(&mut self, mark: Result<Option<u64>, P::Error>) -> Result<(), L::Error> {
        match mark {
            Ok(Some(ticks)) => {
                let micros = self.parts.clock.micros(ticks);
                self.say(format_args!("m-lap-us-{micros}"))
            }
            Ok(None) => Ok(()),
            Err(_) => self.refuse(&"The timestamp pin cannot be driven"),
        }
    }

    fn refuse(&mut self, why: &dyn fmt::Display) -> Result<(), L::Error> {
        self.say(format_args!("e-[{why}]"))
    }

    fn say(&mut self, text: fmt::Arguments<'_>) -> Result<(), L::Error> {
        say(&mut self.parts.line, self.stop, text)
    }
}

fn repeat<E: Engine>(engine: &mut E, times: u32) -> Result<(), E::Error> {
    (0..times).try_for_each(|_| engine.infer())
}

/// The input buffer.
struct Input<'a> {
    buffer: &'a mut [u8],
    expected: usize,
    loaded: usize,
}

struct TooLarge {
    most: usize,
}

impl Input<'_> {
    fn begin(&mut self, bytes: u32) -> Result<(), TooLarge> {
        (self.expected, self.loaded) = (0, 0);
        let most = self.buffer.len();
        self.expected = usize::try_from(bytes)
            .ok()
            .filter(|&bytes| bytes <= most)
            .ok_or(TooLarge { most })?;
        Ok(())
    }

    /// What is more than expected is disregarded, as the reference does.
    fn extend(&mut self, bytes: impl Iterator<Item = u8>) {
        let room = self.buffer.get_mut(self.loaded..self.expected);
        for (slot, byte) in room.into_iter().flatten().zip(bytes) {
            *slot = byte;
            self.loaded += 1;
        }
    }

    fn is_complete(&self) -> bool {
        self.loaded == self.expected
    }

    fn loaded(&self) -> &[u8] {
        self.buffer.get(..self.loaded).unwrap_or(&[])
    }
}

/// There is no input of the model's size.
struct Unfilled;

impl fmt::Display for Unfilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The input is not of the model's size: load it with 'db load' and 'db HH'")
    }
}
