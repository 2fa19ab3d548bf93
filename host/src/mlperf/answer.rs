//! What a line of the board says.

/// A line, understood. Names and reasons are the board's own characters, to be escaped before they are shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<'a> {
    /// The board has started.
    Started,
    /// It waits for a command.
    Ready,
    /// What it calls itself.
    Name(&'a str),
    /// The firmware.
    Profile(&'a str),
    /// The task.
    Model(&'a str),
    /// An input of so many bytes may come.
    Expecting(u64),
    /// The input is there.
    Loaded,
    /// Bytes of the input.
    Bytes(Vec<u8>),
    /// So many inferences to warm up begin.
    WarmUp(u64),
    /// So many timed inferences begin.
    Inferring(u64),
    /// Microseconds of the board's clock.
    Lap(u64),
    /// The timed inferences are over.
    Inferred,
    /// Scores.
    Results(Vec<f64>),
    /// A refusal, and why.
    Refused(&'a str),
    /// Something the board says that needs no answer.
    Said,
    /// Nothing of the protocol.
    Stray,
}

impl<'a> Answer<'a> {
    /// Reads a line. What is printed in front of an answer, in the same line, is overlooked.
    #[must_use]
    pub fn of(line: &'a str) -> Self {
        let starts = line.match_indices("m-").chain(line.match_indices("e-["));
        starts
            .map(|(at, _)| Self::exactly(&line[at..]))
            .find(|answer| *answer != Self::Stray)
            .unwrap_or(Self::Stray)
    }

    fn exactly(line: &'a str) -> Self {
        let bracketed = |prefix: &str| line.strip_prefix(prefix)?.strip_suffix(']');
        let number = |prefix: &str| line.strip_prefix(prefix).and_then(number);
        match line {
            "m-ready" => return Self::Ready,
            "m-init-done" => return Self::Started,
            "m-load-done" => return Self::Loaded,
            "m-infer-done" => return Self::Inferred,
            "m-warmup-done" | "m-timestamp-mode-performance" | "m-timestamp-mode-energy" => {
                return Self::Said;
            }
            _ => {}
        }
        let understood = None
            .or_else(|| bracketed("m-name-dut-[").map(Self::Name))
            .or_else(|| bracketed("m-profile-[").map(Self::Profile))
            .or_else(|| bracketed("m-model-[").map(Self::Model))
            .or_else(|| bracketed("e-[").map(Self::Refused))
            .or_else(|| bracketed("m-results-[").and_then(scores).map(Self::Results))
            .or_else(|| number("m-warmup-start-").map(Self::WarmUp))
            .or_else(|| number("m-infer-start-").map(Self::Inferring))
            .or_else(|| number("m-lap-us-").map(Self::Lap))
            .or_else(|| {
                let expected = bracketed("m-[Expecting ")?.strip_suffix(" bytes")?;
                expected.parse().ok().map(Self::Expecting)
            })
            .or_else(|| bytes(line.strip_prefix("m-buffer-")?).map(Self::Bytes));
        understood.unwrap_or(Self::Stray)
    }
}

/// Digits and nothing else: a sign or a space is damage.
fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// Numbers with commas between; the reference's person detection has one behind the last, too.
fn scores(text: &str) -> Option<Vec<f64>> {
    let numbers = text.strip_suffix(',').unwrap_or(text).split(',');
    numbers.map(|number| number.trim().parse().ok()).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let pairs = text.strip_suffix('-').unwrap_or(text).split('-');
    pairs
        .map(|pair| {
            u8::from_str_radix(pair, 16)
                .ok()
                .filter(|_| pair.len() == 2)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_understood() {
        for (line, answer) in [
            ("m-ready", Answer::Ready),
            ("m-init-done", Answer::Started),
            ("m-name-dut-[a [b] c]", Answer::Name("a [b] c")),
            ("m-profile-[ULPMark 1]", Answer::Profile("ULPMark 1")),
            ("m-model-[kws01]", Answer::Model("kws01")),
            ("m-[Expecting 490 bytes]", Answer::Expecting(490)),
            ("m-load-done", Answer::Loaded),
            ("m-buffer-00-ff", Answer::Bytes(vec![0, 255])),
            ("m-warmup-start-0", Answer::WarmUp(0)),
            ("m-warmup-done", Answer::Said),
            ("m-infer-start-12", Answer::Inferring(12)),
            ("m-lap-us-4294967296", Answer::Lap(1 << 32)),
            ("m-infer-done", Answer::Inferred),
            ("m-results-[0.5,0.25,]", Answer::Results(vec![0.5, 0.25])),
            ("e-[No]", Answer::Refused("No")),
        ] {
            assert_eq!(Answer::of(line), answer, "{line}");
        }
    }

    #[test]
    fn prints_in_front_are_overlooked_and_damage_is_not_taken_for_an_answer() {
        assert_eq!(Answer::of("boot m-1 ok m-ready"), Answer::Ready);
        for line in [
            "",
            "m-",
            "m-read",
            "m-readym",
            "m-lap-us-",
            "m-lap-us-1x",
            "m-lap-us-+1",
            "m-results-[0.5",
            "m-results-[]",
            "m-results-[0.5,,1]",
            "m-buffer-0-1",
            "e-[",
            "m-infer-start-99999999999999999999",
            "ready",
        ] {
            assert_eq!(Answer::of(line), Answer::Stray, "{line}");
        }
    }
}
