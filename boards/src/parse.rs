//! From text to a board, or to a sentence.

use crate::board::{Board, RailSource, Sensor};

/// The longest board file.
pub(crate) const MAX_BOARD: usize = 64 * 1024;

/// Why a board file is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Too long to be one.
    #[error("{bytes} bytes are too many for a board file: at most {MAX_BOARD}")]
    Long {
        /// How long.
        bytes: usize,
    },
    /// Not TOML, or a key or value of the wrong kind.
    #[error("line {line}: {problem}")]
    Toml {
        /// Where.
        line: usize,
        /// What, and the remedy where there is one.
        problem: String,
    },
    /// A value out of range.
    #[error("field `{field}`: {problem}")]
    Value {
        /// The key.
        field: &'static str,
        /// What is wrong, and the remedy.
        problem: String,
    },
}

/// Reads a board file.
///
/// # Errors
/// [`ParseError`], one sentence.
pub fn parse_board(text: &str) -> Result<Board, ParseError> {
    if text.len() > MAX_BOARD {
        return Err(ParseError::Long { bytes: text.len() });
    }
    let board: Board = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..at]
            .iter()
            .filter(|&&b| b == b'\n')
            .count()
            + 1;
        ParseError::Toml {
            line,
            problem: problem(error.message()),
        }
    })?;
    check(&board)?;
    Ok(board)
}

/// serde's message as a sentence: of an unknown key, the nearest known one instead of all.
fn problem(message: &str) -> String {
    let message: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some(unknown), true) = (quoted.first(), message.starts_with("unknown ")) else {
        return message;
    };
    let what = if message.starts_with("unknown field") {
        "key"
    } else {
        "word"
    };
    let nearest = quoted
        .iter()
        .skip(1)
        .max_by(|a, b| strsim::jaro(unknown, a).total_cmp(&strsim::jaro(unknown, b)));
    match nearest {
        Some(nearest) => format!("unknown {what} `{unknown}`: did you mean `{nearest}`?"),
        None => message,
    }
}

fn check(board: &Board) -> Result<(), ParseError> {
    let wrong = |field, problem: &str| {
        Err(ParseError::Value {
            field,
            problem: problem.to_owned(),
        })
    };
    if board.schema != 1 {
        return wrong(
            "schema",
            "only version 1 is known: update scalebench, or write 1",
        );
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if board.name.is_empty() || board.name.len() > 48 || !board.name.chars().all(plain) {
        return wrong("name", "write 1 to 48 of a-z, 0-9 and -");
    }
    if board.title.is_empty() || board.title.chars().any(char::is_control) {
        return wrong("title", "write what people call the board");
    }
    if !(1_200..=12_000_000).contains(&board.serial.baud) {
        return wrong("serial.baud", "choose a speed from 1200 to 12000000");
    }
    if board.sources.is_empty() {
        return wrong(
            "source",
            "say where the facts come from in at least one [[source]]",
        );
    }
    if let Some(part) = board.parts().find(|part| {
        !board
            .sources
            .iter()
            .any(|source| source.what.contains(part))
    }) {
        return wrong(
            "source",
            &format!(
                "nothing vouches for `{}`: name the document in a [[source]] that has it in `what`, or leave it out",
                part.word()
            ),
        );
    }
    if let Some(part) = board
        .unconfirmed
        .iter()
        .find(|&&part| board.notes.is_empty() || board.parts().all(|stated| stated != part))
    {
        return wrong(
            "unconfirmed",
            &format!(
                "leave `{}` out, or state it and say in `notes` what no document tells",
                part.word()
            ),
        );
    }
    if board
        .serial
        .board
        .as_deref()
        .is_some_and(|path| !is_device(path))
    {
        return wrong("serial.board", "name a device such as /dev/ttyS0");
    }
    if let Some(trigger) = &board.trigger
        && !is_device(&trigger.chip)
    {
        return wrong("trigger.chip", "name a device such as /dev/gpiochip0");
    }
    if let Some(deploy) = &board.deploy {
        if deploy.command_line.chars().any(char::is_control) {
            return wrong("deploy.command_line", "write it in one line");
        }
        for file in &deploy.boot {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if file.name.is_empty() || file.name.starts_with('.') || !file.name.chars().all(plain) {
                return wrong("deploy.boot.name", "write a file's name without a folder");
            }
        }
    }
    board
        .rails
        .iter()
        .find_map(|rail| rail_problem(&rail.source))
        .map_or(Ok(()), |(field, problem)| wrong(field, problem))
}

/// The first thing wrong with a rail: which key, and what to write instead.
fn rail_problem(source: &RailSource) -> Option<(&'static str, &'static str)> {
    let (shunt, tolerance) = match source {
        RailSource::Bus(bus) => {
            if !(0x08..=0x77).contains(&bus.address) {
                return Some(("rail.source.bus.address", "I²C addresses are 0x08 to 0x77"));
            }
            if bus.accumulator && bus.sensor != Sensor::Ina228 {
                return Some((
                    "rail.source.bus.accumulator",
                    "only an INA228 counts energy: leave it out",
                ));
            }
            if bus.channel > 2 {
                return Some(("rail.source.bus.channel", "channels are 0 to 2"));
            }
            (bus.shunt_milliohm, bus.tolerance)
        }
        RailSource::Simulated(simulated) => {
            let sound = |value: f64| (0.0..1e3).contains(&value);
            if ![simulated.volts, simulated.idle_watts, simulated.busy_watts]
                .into_iter()
                .all(sound)
            {
                return Some((
                    "rail.source.simulated",
                    "write volts and watts from 0 to 1000",
                ));
            }
            (simulated.shunt_milliohm, simulated.tolerance)
        }
        RailSource::Battery { supply } => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let sound = !supply.starts_with('.') && supply.chars().all(plain);
            return (supply.is_empty() || !sound).then_some((
                "rail.source.battery.supply",
                "name a folder of /sys/class/power_supply, such as BAT0",
            ));
        }
        RailSource::Hwmon { .. } | RailSource::Powercap { .. } | RailSource::Pmic { .. } => {
            return None;
        }
    };
    if !(shunt > 0.0 && shunt < 1e6) {
        return Some((
            "rail.source.*.shunt_milliohm",
            "write a resistance above zero",
        ));
    }
    if !(0.0..1.0).contains(&tolerance) {
        return Some(("rail.source.*.tolerance", "write a share such as 0.01"));
    }
    None
}

fn is_device(path: &str) -> bool {
    path.strip_prefix("/dev/").is_some_and(|name| {
        !name.is_empty() && !name.contains("..") && !name.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Kind, Measure};
    use proptest::prelude::*;

    const FULL: &str = r#"
schema = 1
name = "imaginary-4"
title = "Imaginary Board 4"
kind = "real"
target = "aarch64-unknown-linux-gnu"
cpu_features = ["neon", "dotprod"]
total = "input"

[serial]
baud = 921600
host = "/dev/ttyUSB0"
board = "/dev/ttyAMA0"

[deploy]
methods = ["image", "ssh"]
command_line = "console=none"

[[deploy.boot]]
name = "config.txt"
lines = ["enable_uart=1"]

[clock]
governor = "performance"
max_khz = 1800000
core = 3

[thermal]
zones = ["cpu-thermal"]
throttle = "/sys/devices/platform/soc/soc:firmware/get_throttled"

[trigger]
chip = "/dev/gpiochip0"
line = 17
pin = "header pin 11"

[[rail]]
name = "5V"
source.bus = { sensor = "ina226", bus = "/dev/i2c-1", address = 0x40, shunt_milliohm = 10.0, tolerance = 0.01 }

[[rail]]
name = "VDD_CPU"
source.hwmon = { device = "ina3221", channel = 2 }

[[source]]
what = ["target", "cpu_features", "serial", "deploy", "clock", "thermal", "trigger", "total", "rail"]
title = "made up for a test"
"#;

    #[test]
    fn everything_a_board_file_can_say_is_read() {
        let board = parse_board(FULL).unwrap();
        assert_eq!(board.kind, Kind::Real);
        assert_eq!(board.rails.len(), 2);
        assert!(matches!(&board.rails[0].source, RailSource::Bus(bus) if bus.address == 0x40));
        assert_eq!(board.trigger.unwrap().line, 17);
    }

    #[test]
    fn every_kind_of_rail_is_read_or_refused_with_a_reason() {
        let with = |source: &str| {
            let hwmon = "hwmon = { device = \"ina3221\", channel = 2 }";
            parse_board(&FULL.replace(hwmon, source)).map(|board| board.rails[1].source.clone())
        };
        let power = with("hwmon = { device = \"x\", channel = 1, measure = \"power\" }").unwrap();
        assert!(matches!(
            power,
            RailSource::Hwmon {
                measure: Measure::Power,
                ..
            }
        ));
        let pmic = with("pmic = {}").unwrap();
        assert!(matches!(pmic, RailSource::Pmic { program } if program == "vcgencmd"));
        assert!(with("battery = { supply = \"BAT0\" }").is_ok());
        let error = with("battery = { supply = \"../BAT0\" }").unwrap_err();
        assert!(error.to_string().contains("such as BAT0"), "{error}");
        let counting = FULL.replace(
            "tolerance = 0.01 }",
            "tolerance = 0.01, accumulator = true }",
        );
        let error = parse_board(&counting).unwrap_err().to_string();
        assert!(error.contains("only an INA228 counts energy"), "{error}");
        assert!(parse_board(&counting.replace("ina226", "ina228")).is_ok());
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_known_one() {
        let error = parse_board(&FULL.replace("governor", "govenor")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 24: unknown key `govenor`: did you mean `governor`?"
        );
        let error = parse_board(&FULL.replace("\"ina226\"", "\"ina227\"")).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `ina226`?")
                || error.to_string().contains("did you mean `ina22"),
            "{error}"
        );
    }

    #[test]
    fn values_out_of_range_are_named() {
        let error = parse_board(&FULL.replace("baud = 921600", "baud = 7")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "field `serial.baud`: choose a speed from 1200 to 12000000"
        );
        let error = parse_board(&FULL.replace("imaginary-4", "../x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "field `name`: write 1 to 48 of a-z, 0-9 and -"
        );
    }

    #[test]
    fn a_fact_without_a_source_is_refused() {
        let error = parse_board(&FULL.replace(", \"trigger\"", "")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "field `source`: nothing vouches for `trigger`: name the document in a [[source]] that has it in \
             `what`, or leave it out"
        );
    }

    #[test]
    fn what_is_unconfirmed_is_stated_and_noted() {
        let with =
            |lines: &str| parse_board(&FULL.replace("\n[serial]", &format!("{lines}\n[serial]")));
        let board = with("notes = \"which pin?\"\nunconfirmed = [\"trigger\"]\n").unwrap();
        assert_eq!(board.unconfirmed, [crate::Part::Trigger]);
        let error = with("unconfirmed = [\"trigger\"]\n")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "field `unconfirmed`: leave `trigger` out, or state it and say in `notes` what no document tells"
        );
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for (from, to) in [
            ("name = \"config.txt\"", "name = \"../config.txt\""),
            ("/dev/gpiochip0", "/etc/passwd"),
            ("/dev/ttyAMA0", "/dev/../etc/passwd"),
        ] {
            let error = parse_board(&FULL.replace(from, to)).unwrap_err();
            assert!(matches!(error, ParseError::Value { .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, cut in 0..FULL.len(), insert in ".{0,8}") {
            let _ = parse_board(&text);
            let mut full = FULL.to_owned();
            full.insert_str(cut, &insert);
            let _ = parse_board(&full);
        }
    }
}
