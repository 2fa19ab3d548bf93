//! Commands of the host: characters up to a `%`, words between spaces.

use core::fmt;
use heapless::Vec;

/// Most characters of a command, without its end (`EE_CMD_SIZE` of the reference firmware).
pub const MAX_COMMAND: usize = 80;
const END: u8 = b'%';

/// The characters of a command.
pub type Text = Vec<u8, MAX_COMMAND>;

/// Puts commands together out of the characters of the line.
#[derive(Debug, Default)]
pub struct Assembler {
    text: Text,
    overlong: bool,
}

impl Assembler {
    /// The next character; gives the command that it ends. Of one that is too long only that is known.
    pub fn push(&mut self, byte: u8) -> Option<Result<Text, Fault<'static>>> {
        if byte != END {
            self.overlong |= self.text.push(byte).is_err();
            return None;
        }
        let Self { text, overlong } = core::mem::take(self);
        Some(if overlong {
            Err(Fault::TooLong)
        } else {
            Ok(text)
        })
    }
}

/// What a host can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `name`
    Name,
    /// `profile`
    Profile,
    /// `timestamp`
    Timestamp,
    /// `help`
    Help,
    /// `db load N`: an input of so many bytes begins.
    Load(u32),
    /// `db HEX`: its next bytes.
    Bytes(Hex<'a>),
    /// `db print`: the input as it is now.
    Print,
    /// `infer N [W]`
    Infer {
        /// Timed inferences, at least one.
        inferences: u32,
        /// Inferences before them.
        warm_up: u32,
    },
    /// `results`: the scores again.
    Results,
}

/// What the reference firmware does where `infer` names no numbers.
const INFERENCES: u32 = 1;
const WARM_UP: u32 = 10;

impl<'a> Command<'a> {
    /// Reads a command. Line ends before it are put up with, and words after those that it needs.
    ///
    /// # Errors
    /// [`Fault`]; the reference firmware's words where it has some.
    pub fn parse(text: &'a [u8]) -> Result<Self, Fault<'a>> {
        let text = text.trim_ascii();
        let mut words = text
            .split(|&byte| byte == b' ')
            .filter(|word| !word.is_empty());
        let first = words.next().ok_or(Fault::Empty)?;
        Ok(match first {
            b"name" => Self::Name,
            b"profile" => Self::Profile,
            b"timestamp" => Self::Timestamp,
            b"help" => Self::Help,
            b"results" => Self::Results,
            b"db" => match words.next().ok_or(Fault::NoSubcommand)? {
                b"load" => {
                    let bytes = number(words.next().ok_or(Fault::NoSize)?);
                    Self::Load(bytes.filter(|&bytes| bytes > 0).ok_or(Fault::Size)?)
                }
                b"print" => Self::Print,
                digits => Self::Bytes(Hex::new(digits)?),
            },
            b"infer" => Self::Infer {
                inferences: match words.next() {
                    Some(word) => number(word).filter(|&n| n > 0).ok_or(Fault::Inferences)?,
                    None => INFERENCES,
                },
                warm_up: match words.next() {
                    Some(word) => number(word).ok_or(Fault::WarmUp)?,
                    None => WARM_UP,
                },
            },
            _ => return Err(Fault::Unknown(Shown(text))),
        })
    }
}

/// A plain decimal number; `None` when there is anything else in the word or it is too large.
fn number(word: &[u8]) -> Option<u32> {
    word.iter().try_fold(0_u32, |sum, &digit| {
        let digit = (digit as char).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Bytes as pairs of hexadecimal digits, of either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<'a>(&'a [[u8; 2]]);

impl<'a> Hex<'a> {
    fn new(digits: &'a [u8]) -> Result<Self, Fault<'a>> {
        let (pairs, rest) = digits.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Fault::OddDigits);
        }
        match pairs.iter().find(|pair| byte(pair).is_none()) {
            Some(pair) => Err(Fault::Digits(Shown(pair))),
            None => Ok(Self(pairs)),
        }
    }

    /// The bytes.
    pub fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        self.0.iter().filter_map(byte)
    }
}

fn byte(pair: &[u8; 2]) -> Option<u8> {
    let [high, low] = pair.map(|digit| (digit as char).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

/// Characters out of a command, fit to be printed in one line: what is none is shown as `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| {
            let printable = byte.is_ascii_graphic() || byte == b' ';
            fmt::Write::write_char(f, if printable { byte as char } else { '?' })
        })
    }
}

/// Why a command is not obeyed: what stands in `e-[…]`. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault<'a> {
    /// More than [`MAX_COMMAND`] characters.
    TooLong,
    /// Nothing before the `%`.
    Empty,
    /// No such command.
    Unknown(Shown<'a>),
    /// `db` alone.
    NoSubcommand,
    /// `db load` alone.
    NoSize,
    /// `db load` with something else than a number of bytes.
    Size,
    /// An odd number of digits: a byte is incomplete.
    OddDigits,
    /// Digits that are none.
    Digits(Shown<'a>),
    /// `infer` with something else than a number of inferences.
    Inferences,
    /// `infer` with something else than a number of inferences before them.
    WarmUp,
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "Command is longer than {MAX_COMMAND} characters"),
            Self::Empty => f.write_str("Command is empty"),
            Self::Unknown(text) => write!(f, "Unknown command: {text}"),
            Self::NoSubcommand => f.write_str("Command 'db' requires a subcommand"),
            Self::NoSize => f.write_str("Command 'db load' requires the # of bytes"),
            Self::Size => f.write_str("Command 'db load' must be >0 bytes"),
            Self::OddDigits => f.write_str("Insufficient number of hex digits"),
            Self::Digits(text) => write!(f, "Invalid hex digit '{text}'"),
            Self::Inferences => f.write_str("Inference iterations must be >0"),
            Self::WarmUp => f.write_str("Inference warmup must be >=0"),
        }
    }
}

impl core::error::Error for Fault<'_> {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec;

    #[test]
    fn every_command_is_understood() {
        let parse = |text: &'static str| Command::parse(text.as_bytes());
        assert_eq!(parse("name"), Ok(Command::Name));
        assert_eq!(parse("\r\nprofile"), Ok(Command::Profile));
        assert_eq!(parse("timestamp"), Ok(Command::Timestamp));
        assert_eq!(parse("help"), Ok(Command::Help));
        assert_eq!(parse("results"), Ok(Command::Results));
        assert_eq!(parse("db  load 490"), Ok(Command::Load(490)));
        assert_eq!(parse("db print"), Ok(Command::Print));
        let infer = |inferences, warm_up| Command::Infer {
            inferences,
            warm_up,
        };
        assert_eq!(parse("infer"), Ok(infer(1, 10)));
        assert_eq!(parse("infer 20"), Ok(infer(20, 10)));
        assert_eq!(parse("infer 4294967295 0"), Ok(infer(u32::MAX, 0)));
        let Ok(Command::Bytes(hex)) = parse("db 00fFa5") else {
            panic!("no bytes");
        };
        assert_eq!(hex.bytes().collect::<vec::Vec<_>>(), [0x00, 0xff, 0xa5]);
    }

    #[test]
    fn what_is_no_command_says_why() {
        let why = |text: &'static [u8]| Command::parse(text).unwrap_err().to_string();
        assert_eq!(why(b" \r\n"), "Command is empty");
        assert_eq!(why(b"re\x00boot \xff["), "Unknown command: re?boot ?[");
        assert_eq!(why(b"db"), "Command 'db' requires a subcommand");
        assert_eq!(why(b"db load"), "Command 'db load' requires the # of bytes");
        for size in [
            b"db load 0".as_slice(),
            b"db load -1",
            b"db load 4294967296",
        ] {
            assert_eq!(why(size), "Command 'db load' must be >0 bytes");
        }
        assert_eq!(why(b"db 123"), "Insufficient number of hex digits");
        assert_eq!(why(b"db 00+1"), "Invalid hex digit '+1'");
        assert_eq!(why(b"infer 0"), "Inference iterations must be >0");
        assert_eq!(why(b"infer 1 -1"), "Inference warmup must be >=0");
    }

    #[test]
    fn a_command_that_is_too_long_is_dropped_whole() {
        let mut assembler = Assembler::default();
        let mut feed = |text: &[u8]| {
            let ended = text.iter().filter_map(|&byte| assembler.push(byte));
            ended.collect::<vec::Vec<_>>()
        };
        assert_eq!(feed(&[b'a'; 81]), []);
        let ended = feed(b"%name%");
        assert_eq!(ended[0], Err(Fault::TooLong));
        assert_eq!(ended[1].as_deref(), Ok(b"name".as_slice()));
        assert_eq!(feed(&[b'b'; 80]), []);
        assert_eq!(feed(b"%")[0].as_deref(), Ok([b'b'; 80].as_slice()));
    }
}
