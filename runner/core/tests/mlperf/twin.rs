//! A board in memory, and a naive twin of the firmware to check it against. Also used by the fuzz target.

use scalebench_core::board::{Clock, Engine, Line, Tensor};
use scalebench_core::mlperf::kind::Kind;
use scalebench_core::mlperf::stamp::Timestamps;
use scalebench_core::mlperf::{Monitor, Parts};
use scalebench_wire::container::Dtype;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;

/// Elements of the model's input, and of its output.
pub(crate) const ELEMENTS: usize = 3;
/// Bytes of the buffer: more than an input has.
pub(crate) const BUFFER: usize = 16;

/// Nanoseconds; a microsecond passes at every reading.
#[derive(Clone, Default)]
pub(crate) struct Ticking(pub Rc<Cell<u64>>);

impl Clock for Ticking {
    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 1_000);
        self.0.get()
    }
    fn ticks_per_second(&self) -> u64 {
        1_000_000_000
    }
}

/// Keeps what is written, in pieces of at most seven bytes.
#[derive(Clone, Default)]
pub(crate) struct Paper(pub Rc<RefCell<Vec<u8>>>);

impl embedded_io::ErrorType for Paper {
    type Error = Infallible;
}
impl embedded_io::Read for Paper {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        Ok(0)
    }
}
impl embedded_io::ReadReady for Paper {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }
}
impl embedded_io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let count = bytes.len().min(7);
        self.0.borrow_mut().extend_from_slice(&bytes[..count]);
        Ok(count)
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
impl embedded_io::WriteReady for Paper {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}
impl Line for Paper {
    fn set_baud(&mut self, _: u32) -> bool {
        false
    }
    fn wait(&mut self, _: u64) {}
}

impl Paper {
    /// The lines since the last call.
    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.borrow_mut());
        let text = String::from_utf8(bytes).expect("only ASCII is sent");
        assert!(text.is_ascii() && text.ends_with("\r\n"), "{text:?}");
        let text = text.strip_suffix("\r\n").unwrap_or(&text);
        text.split("\r\n").map(str::to_owned).collect()
    }
}

/// A pin that counts its falling edges.
#[derive(Clone, Default)]
pub(crate) struct Pin {
    /// Falling edges so far.
    pub(crate) falls: Rc<Cell<u32>>,
    low: Rc<Cell<bool>>,
}

impl embedded_hal::digital::ErrorType for Pin {
    type Error = Infallible;
}
impl embedded_hal::digital::OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        assert!(!self.low.replace(true), "low already");
        self.falls.set(self.falls.get() + 1);
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        assert!(self.low.replace(false), "high already");
        Ok(())
    }
}

/// Copies its input, adds one to each element, and counts. Thousands of inferences are as good as none: it
/// would take a fuzzer too long to wait for four thousand million.
#[derive(Default)]
pub(crate) struct Adding {
    input: [u8; ELEMENTS],
    output: [u8; ELEMENTS],
    /// Inferences so far.
    pub(crate) inferences: Rc<Cell<u32>>,
}

impl Engine for Adding {
    type Error = &'static str;

    fn load(&mut self, _: &[u8], _: u64) -> Result<(), &'static str> {
        Ok(())
    }
    fn unload(&mut self) {}
    fn activation_bytes(&self) -> u64 {
        0
    }
    fn input(&self, index: usize) -> Option<Tensor> {
        (index == 0).then_some(Tensor {
            dtype: Dtype::I8,
            quantisation: Some((0.5, 0)),
            bytes: ELEMENTS,
        })
    }
    fn output(&self, index: usize) -> Option<Tensor> {
        self.input(index)
    }
    fn input_mut(&mut self, _: usize) -> &mut [u8] {
        &mut self.input
    }
    fn infer(&mut self) -> Result<(), &'static str> {
        if self.inferences.get() > 10_000 {
            return Err("[tired]");
        }
        self.inferences.set(self.inferences.get() + 1);
        self.output = self.input.map(|byte| byte.wrapping_add(1));
        Ok(())
    }
    fn output_bytes(&self, _: usize) -> &[u8] {
        &self.output
    }
}

/// The firmware on a board in memory.
pub(crate) struct Board<'a> {
    /// The firmware.
    pub(crate) monitor: Monitor<'a, Ticking, Adding, Paper, Pin>,
    /// What it writes.
    pub(crate) paper: Paper,
    /// Its pin.
    pub(crate) pin: Pin,
    /// How often its engine was asked.
    pub(crate) inferences: Rc<Cell<u32>>,
}

impl<'a> Board<'a> {
    /// In energy mode or in performance mode.
    pub(crate) fn new(energy: bool, kind: Kind, buffer: &'a mut [u8]) -> Self {
        let (paper, pin, engine) = (Paper::default(), Pin::default(), Adding::default());
        let inferences = engine.inferences.clone();
        let parts = Parts {
            clock: Ticking::default(),
            engine,
            line: paper.clone(),
            timestamps: match energy {
                true => Timestamps::Edges(pin.clone()),
                false => Timestamps::Lines,
            },
        };
        Self {
            monitor: Monitor::new(parts, "twin", kind, buffer, &|| false).expect("it fits"),
            paper,
            pin,
            inferences,
        }
    }

    /// The answer to these characters.
    pub(crate) fn answer(&mut self, text: &[u8]) -> Vec<String> {
        for &byte in text {
            let Ok(()) = self.monitor.push(byte);
        }
        self.paper.lines()
    }
}

/// What the buffer must hold, told the plainest way.
#[derive(Default)]
struct Buffer {
    expected: usize,
    bytes: Vec<u8>,
}

impl Buffer {
    /// Obeys, and says whether the command is one that the board must obey too. `None`: it depends on more than
    /// the buffer.
    fn obeys(&mut self, command: &[u8]) -> Option<bool> {
        if command.len() > 80 {
            return Some(false);
        }
        let text: String = command.iter().map(|&byte| byte as char).collect();
        let text = text.trim_matches([' ', '\r', '\n', '\t', '\x0c']);
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["name" | "profile" | "timestamp" | "help", ..] | ["db", "print", ..] => Some(true),
            ["results" | "infer", ..] => None,
            ["db", "load", size, ..] => {
                let plain = size.bytes().all(|byte| byte.is_ascii_digit());
                let size = size.parse::<u32>().unwrap_or(0) as usize;
                if !plain || size == 0 {
                    return Some(false);
                }
                self.bytes.clear();
                self.expected = if size <= BUFFER { size } else { 0 };
                Some(size <= BUFFER)
            }
            ["db", digits, ..] if digits != "load" => {
                if digits.len() % 2 == 1 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                    return Some(false);
                }
                let room = self.expected - self.bytes.len();
                let bytes = (0..digits.len() / 2)
                    .map(|at| u8::from_str_radix(&digits[2 * at..][..2], 16).expect("digits"));
                self.bytes.extend(bytes.take(room));
                Some(room > 0)
            }
            _ => Some(false),
        }
    }
}

/// Any characters, to a board: every command has its answer, refusals say why, the buffer holds what was sent
/// and nothing else, and afterwards the board is as good as ever.
pub(crate) fn check(energy: bool, stream: &[u8]) {
    let mut bytes = [0xaa; BUFFER];
    let mut board = Board::new(energy, Kind::Kws01, &mut bytes);
    let mut twin = Buffer::default();
    let mut pieces = stream.split(|&byte| byte == b'%').peekable();
    while let Some(command) = pieces.next() {
        for &byte in command {
            let Ok(()) = board.monitor.push(byte);
        }
        assert!(
            board.paper.0.borrow().is_empty(),
            "an answer to half a command"
        );
        if pieces.peek().is_none() {
            break;
        }
        let answer = board.answer(b"%");
        assert_eq!(answer.last().map(String::as_str), Some("m-ready"));
        assert_eq!(answer.iter().filter(|line| *line == "m-ready").count(), 1);
        let refused = answer.iter().filter(|line| line.starts_with("e-[")).count();
        match twin.obeys(command) {
            Some(obeyed) => assert_eq!(refused, usize::from(!obeyed), "{command:?}: {answer:?}"),
            None => assert!(refused <= 1, "{answer:?}"),
        }
        assert_eq!(board.monitor.loaded(), twin.bytes, "{command:?}");
    }
    // Ends what the stream left unfinished.
    board.answer(b"%");
    assert_eq!(
        board.answer(b"db load 3%db 010203%"),
        ["m-[Expecting 3 bytes]", "m-ready", "m-load-done", "m-ready"]
    );
    board.inferences.set(0);
    let answer = board.answer(b"infer 2 1%");
    assert_eq!(board.inferences.get(), 3);
    assert_eq!(
        answer[answer.len() - 3..],
        ["m-infer-done", "m-results-[1.000,1.500,2.000]", "m-ready"]
    );
}
