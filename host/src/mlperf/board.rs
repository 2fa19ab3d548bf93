//! A board with the benchmark's firmware: found at whatever speed it speaks, loaded, timed; and again, when the
//! line spoilt something. Every command may be repeated: none changes more than the board's input buffer.

use super::answer::Answer;
use super::line::{Line, LineError};
use super::task::Task;
use super::trouble::{BoardError, Trouble};
use crate::port::PortError;
use crate::progress::{Progress, Watch};
use crate::text::escaped;
use std::time::{Duration, Instant};

/// Speeds at which firmware of the benchmark was seen, the likeliest first.
const SPEEDS: [u32; 13] = [
    115_200, 9_600, 921_600, 76_800, 460_800, 230_400, 57_600, 38_400, 19_200, 1_000_000,
    1_500_000, 2_000_000, 3_000_000,
];
/// A board that is there says its name within this; the reference runner gives it two seconds.
const GREETING: Duration = Duration::from_millis(1_000);
/// One that starts when its port is opened needs longer, once.
const FIRST_GREETING: Duration = Duration::from_millis(2_500);
/// Rounds through all speeds.
const ROUNDS: usize = 2;
/// How long the reference runner waits for the answer to a command.
const PATIENCE: Duration = Duration::from_secs(5);
/// And to `infer`, beside the inferences themselves.
const INFER_PATIENCE: Duration = Duration::from_secs(30);
/// How often something is tried that the line spoils, and how often in silence.
const ATTEMPTS: u32 = 10;
const SILENT_ATTEMPTS: u32 = 4;
/// Characters of a command that are shown.
const SHOWN: usize = 24;
/// Nothing is on its way any more when nothing came for so long.
const QUIET: Duration = Duration::from_millis(200);
/// Bytes of an input in one command, as the reference runner sends them: to a board at the line, and through the
/// IO manager of energy mode.
const CHUNK: usize = 31;
const ENERGY_CHUNK: usize = 26;
/// What two clocks may differ by: this share, and what a line and two programs take.
const CLOCK_SHARE: f64 = 0.1;
const CLOCK_SLACK: f64 = 0.25;

/// The answer to a command: its lines but for `m-ready`, and when each came after the command.
#[derive(Debug, Default)]
struct Reply {
    lines: Vec<(Duration, String)>,
    took: Duration,
}

impl Reply {
    fn answers(&self) -> impl Iterator<Item = (Duration, Answer<'_>)> {
        self.lines.iter().map(|(at, line)| (*at, Answer::of(line)))
    }

    fn has(&self, wanted: &Answer<'_>) -> bool {
        self.answers().any(|(_, answer)| answer == *wanted)
    }
}

/// Timed inferences.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// How many.
    pub inferences: u32,
    /// Both timestamps, microseconds of the board's clock; `None` in energy mode.
    pub laps: Option<(u64, u64)>,
    /// From the line before the inferences to the line after them, on this machine's clock.
    pub host: Duration,
    /// Scores of the last one.
    pub scores: Vec<f64>,
}

impl Inferred {
    /// How long the inferences took: on the board's clock where it tells, else on this machine's.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.laps.map_or(self.host, |(begin, end)| {
            Duration::from_micros(end.saturating_sub(begin))
        })
    }
}

/// A board that has said what it is.
#[derive(Debug)]
pub struct Board {
    /// The line to it.
    pub line: Line,
    /// The speed at which it was found.
    pub baud: u32,
    /// What it calls itself, escaped.
    pub name: String,
    /// Its firmware, escaped.
    pub firmware: String,
    /// What its model does.
    pub task: Task,
    /// How often something was tried again.
    pub repeats: u32,
    /// How often it restarted.
    pub restarts: u32,
    /// Whether it marks windows on a pin instead of the line.
    pub energy: bool,
    /// Whether inputs are read back: asked for, or because the line was seen to do damage.
    verify: bool,
    watch: Watch,
}

/// How to meet a board.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// The speed to try first.
    pub baud: Option<u32>,
    /// The board marks windows on a pin.
    pub energy: bool,
    /// Read every input back.
    pub verify: bool,
    /// Who watches.
    pub watch: Watch,
}

impl Board {
    /// Finds out at which speed a board answers, and what it is.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn meet(mut line: Line, port: &str, meeting: Meeting) -> Result<Self, BoardError> {
        let first = meeting
            .baud
            .unwrap_or(if meeting.energy { 9_600 } else { 115_200 });
        let others = SPEEDS.into_iter().filter(|&baud| baud != first);
        let speeds: Vec<u32> = std::iter::once(first).chain(others).collect();
        let mut found = None;
        for at in 0..ROUNDS * speeds.len() {
            let baud = speeds[at % speeds.len()];
            let patience = if at == 0 { FIRST_GREETING } else { GREETING };
            match line.set_baud(baud) {
                Err(PortError::Speed { .. }) => continue,
                other => other?,
            }
            if let Some(name) = greeted(&mut line, patience)? {
                found = Some((baud, name));
                break;
            }
        }
        let Some((baud, name)) = found else {
            return Err(BoardError::Nobody {
                port: port.to_owned(),
                tried: speeds.len(),
                heard: if line.received > 0 {
                    ", though something is heard"
                } else {
                    ""
                },
            });
        };
        if meeting.baud.is_some_and(|asked| asked != baud) {
            let asked = meeting.baud.unwrap_or_default();
            meeting.watch.tell(Progress::Note(format!(
                "the board speaks at {baud} baud, not at {asked}"
            )));
        }
        line.drain(QUIET)?;
        let mut board = Self {
            line,
            baud,
            name: escaped(&name),
            firmware: String::new(),
            task: Task::Ad01,
            repeats: 0,
            restarts: 0,
            energy: meeting.energy,
            verify: meeting.verify,
            watch: meeting.watch,
        };
        board.introduce()?;
        Ok(board)
    }

    fn introduce(&mut self) -> Result<(), BoardError> {
        let (firmware, model) = self.again("asking for the profile", |board| {
            let reply = board.ask("profile", PATIENCE)?;
            let (mut firmware, mut model) = (None, None);
            for (_, answer) in reply.answers() {
                match answer {
                    Answer::Profile(text) => firmware = Some(escaped(text)),
                    Answer::Model(text) => model = Some(escaped(text)),
                    _ => {}
                }
            }
            let odd =
                || Trouble::Odd("the board did not say `m-profile-[…]` and `m-model-[…]`".into());
            firmware.zip(model).ok_or_else(odd)
        })?;
        self.firmware = firmware;
        self.task = Task::named(&model).ok_or(BoardError::Model { model })?;
        Ok(())
    }

    /// Loads an input and infers it `inferences` times, after `warm_up` times; all of it again where anything was
    /// damaged. `expected` is how long the inferences may take.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn infer(
        &mut self,
        input: &[u8],
        inferences: u32,
        warm_up: u32,
        expected: Duration,
    ) -> Result<Inferred, BoardError> {
        self.again("loading and inferring an input", |board| {
            board.load(input)?;
            board.timed(inferences, warm_up, expected)
        })
    }

    fn again<T>(
        &mut self,
        what: &'static str,
        mut attempt: impl FnMut(&mut Self) -> Result<T, Trouble>,
    ) -> Result<T, BoardError> {
        let (mut tried, mut silent) = (0, 0);
        loop {
            let trouble = match attempt(self) {
                Ok(done) => return Ok(done),
                Err(Trouble::Line(error)) => return Err(error.into()),
                Err(trouble) => trouble,
            };
            tried += 1;
            match trouble {
                Trouble::Restarted => self.restarts += 1,
                Trouble::NotReady { .. } => silent += 1,
                _ => self.verify = true,
            }
            if tried == ATTEMPTS || silent == SILENT_ATTEMPTS {
                return Err(BoardError::Failed {
                    what,
                    tried,
                    remedy: trouble.remedy(),
                    why: trouble.to_string(),
                });
            }
            self.repeats += 1;
            self.watch
                .tell(Progress::Note(format!("{trouble} (trying again)")));
            // Ends a command that arrived in part, and lets every answer to it pass.
            self.line.send("")?;
            self.line.drain(QUIET)?;
        }
    }

    fn ask(&mut self, command: &str, patience: Duration) -> Result<Reply, Trouble> {
        let begun = Instant::now();
        self.line.send(command)?;
        let mut reply = Reply::default();
        let mut restarted = false;
        while let Some((at, text)) = self.line.next(begun + patience)? {
            let at = at.duration_since(begun);
            match Answer::of(&text) {
                Answer::Ready if restarted => return Err(Trouble::Restarted),
                Answer::Ready => {
                    reply.took = at;
                    return Ok(reply);
                }
                Answer::Started => restarted = true,
                Answer::Refused(why) => {
                    let why = escaped(why);
                    // Its `m-ready` is on its way.
                    self.line.next(begun + patience)?;
                    return Err(Trouble::Refused(why));
                }
                Answer::Stray => self.line.stray(&text),
                _ => reply.lines.push((at, text)),
            }
        }
        let shown: String = command.chars().take(SHOWN).collect();
        let more = if shown == command { "%" } else { "…" };
        Err(Trouble::NotReady {
            command: shown + more,
            waited: patience,
        })
    }

    fn load(&mut self, input: &[u8]) -> Result<(), Trouble> {
        let reply = self.ask(&format!("db load {}", input.len()), PATIENCE)?;
        let expects = |(_, answer)| match answer {
            Answer::Expecting(bytes) => Some(bytes),
            _ => None,
        };
        if let Some(bytes) = reply.answers().find_map(expects)
            && bytes != input.len() as u64
        {
            let sent = input.len();
            return Err(Trouble::Odd(format!(
                "the board expects {bytes} bytes of an input of {sent}"
            )));
        }
        let chunk = if self.energy { ENERGY_CHUNK } else { CHUNK };
        let mut left = input.len();
        for bytes in input.chunks(chunk) {
            left -= bytes.len();
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let reply = self.ask(&format!("db {digits}"), PATIENCE)?;
            if reply.has(&Answer::Loaded) != (left == 0) {
                return Err(Trouble::Odd(
                    "bytes of the input were lost on the way to the board".to_owned(),
                ));
            }
        }
        if self.verify {
            self.read_back(input)?;
        }
        Ok(())
    }

    /// What the board says that it has must be what was sent. Firmware that does not print is trusted.
    fn read_back(&mut self, input: &[u8]) -> Result<(), Trouble> {
        let reply = match self.ask("db print", PATIENCE + INFER_PATIENCE) {
            Err(Trouble::Refused(_)) => return Ok(()),
            other => other?,
        };
        let held: Vec<u8> = reply
            .answers()
            .filter_map(|(_, answer)| match answer {
                Answer::Bytes(bytes) => Some(bytes),
                _ => None,
            })
            .flatten()
            .collect();
        if held.is_empty() || held == input {
            return Ok(());
        }
        Err(Trouble::Odd(
            "the input that the board has is not the one that was sent".to_owned(),
        ))
    }

    fn timed(
        &mut self,
        inferences: u32,
        warm_up: u32,
        expected: Duration,
    ) -> Result<Inferred, Trouble> {
        let command = format!("infer {inferences} {warm_up}");
        let reply = self.ask(&command, INFER_PATIENCE + expected.saturating_mul(3))?;
        let (mut begun, mut warmed, mut done) = (None, None, None);
        let (mut laps, mut scores) = (Vec::new(), None);
        for (at, answer) in reply.answers() {
            match answer {
                Answer::WarmUp(count) => warmed = Some(count),
                Answer::Inferring(count) => begun = Some((count, at)),
                Answer::Lap(micros) => laps.push(micros),
                Answer::Inferred => done = Some(at),
                Answer::Results(values) => scores = Some(values),
                _ => {}
            }
        }
        let missing = |what: &str| Trouble::Odd(format!("the board did not say {what}"));
        let (count, from) = begun.ok_or_else(|| missing("`m-infer-start-…`"))?;
        let until = done.ok_or_else(|| missing("`m-infer-done`"))?;
        if count != u64::from(inferences) || warmed.is_some_and(|count| count != u64::from(warm_up))
        {
            return Err(Trouble::Odd(format!(
                "the board inferred {count} times, not {inferences}"
            )));
        }
        let laps = match (self.energy, laps.as_slice()) {
            (false, &[begin, end]) => Some(unwrapped(begin, end)),
            (true, _) => None,
            (false, []) => {
                return Err(Trouble::Odd(
                    "the board gave no timestamps on the line: it may be built for --mode energy"
                        .to_owned(),
                ));
            }
            (false, _) => return Err(missing("`m-lap-us-…` twice")),
        };
        let inferred = Inferred {
            inferences,
            laps,
            host: until.saturating_sub(from),
            scores: scores.ok_or_else(|| missing("`m-results-[…]`"))?,
        };
        plausible(&inferred, reply.took)?;
        Ok(inferred)
    }
}

/// Asks for the name, after the end of whatever arrived before.
fn greeted(line: &mut Line, patience: Duration) -> Result<Option<String>, LineError> {
    line.send("")?;
    line.send("name")?;
    let deadline = Instant::now() + patience;
    while let Some((_, text)) = line.next(deadline)? {
        if let Answer::Name(name) = Answer::of(&text) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// Timestamps of 32 bits begin anew after 71 minutes.
fn unwrapped(begin: u64, end: u64) -> (u64, u64) {
    if end < begin && begin <= u64::from(u32::MAX) {
        (begin, end + (1 << 32))
    } else {
        (begin, end)
    }
}

/// A digit of a timestamp may be damaged, or its unit another: the inferences took at least as long as lies between
/// the lines around them, and at most as long as the whole answer.
fn plausible(inferred: &Inferred, answer: Duration) -> Result<(), Trouble> {
    if inferred.laps.is_none() {
        return Ok(());
    }
    let board = inferred.duration().as_secs_f64();
    let (least, most) = (inferred.host.as_secs_f64(), answer.as_secs_f64());
    let slack = |seconds: f64| CLOCK_SHARE * seconds + CLOCK_SLACK;
    if board >= least - slack(least) && board <= most + slack(most) {
        return Ok(());
    }
    Err(Trouble::Odd(format!(
        "the board's timestamps are {board:.3} s apart, and this machine saw {least:.3} s pass"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_32_bits_may_begin_anew() {
        assert_eq!(unwrapped(5, 9), (5, 9));
        assert_eq!(
            unwrapped(u64::from(u32::MAX), 9),
            (u64::from(u32::MAX), (1 << 32) + 9)
        );
    }

    #[test]
    fn timestamps_that_cannot_be_are_not_believed() {
        let inferred = |micros, host| Inferred {
            inferences: 1,
            laps: Some((0, micros)),
            host: Duration::from_secs(host),
            scores: Vec::new(),
        };
        let answer = Duration::from_secs(11);
        assert!(plausible(&inferred(10_000_000, 10), answer).is_ok());
        // A board that sends all its lines at the end.
        assert!(plausible(&inferred(10_000_000, 0), answer).is_ok());
        for micros in [1_000_000, 100_000_000] {
            let odd = plausible(&inferred(micros, 10), answer)
                .unwrap_err()
                .to_string();
            assert!(odd.contains("10.000 s pass"), "{odd}");
        }
    }
}
