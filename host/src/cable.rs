//! Tests of a cable: goodput, damage, round trip, the best speed both ends can.

use crate::receiver::Delivery;
use crate::session::{Observer, Session, SessionError, event};
use scalebench_wire::frame::Kind;
use scalebench_wire::message::{Event, Request};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Speeds worth trying, bits per second.
pub const SPEEDS: [u32; 9] = [
    115_200, 230_400, 460_800, 921_600, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 4_000_000,
];
const ECHOES: u32 = 16;
/// A board goes back to the old speed when it hears nothing for a second at the new one.
const FALL_BACK: Duration = Duration::from_millis(1_300);

/// What a test found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineTest {
    /// Bits per second.
    pub baud: u32,
    /// Whether anything came through.
    pub works: bool,
    /// Bytes of content per second, from board to host.
    pub goodput: f64,
    /// Of what the line can carry with ten bits a byte.
    pub share: f64,
    /// Frames the content came in.
    pub frames: u32,
    /// Byte runs that were no sound frame.
    pub rejected: u32,
    /// Median round trip of a small message, in milliseconds.
    pub round_trip_ms: Option<f64>,
}

/// Tests the line at its present speed with `bytes` of filler, or three seconds' worth.
///
/// # Errors
/// The session's.
pub fn test<O: Observer>(
    session: &mut Session<O>,
    baud: u32,
    bytes: Option<u32>,
) -> Result<LineTest, SessionError> {
    let mut trips = Vec::new();
    for number in 0..ECHOES {
        trips.push(echo(session, number)?.as_secs_f64() * 1e3);
    }
    crate::stats::sort(&mut trips);
    let bytes = bytes.unwrap_or(baud / 10 * 3).max(1_024);
    let before = session.counts();
    session.request(&Request::LineTest { bytes })?;
    // The clock runs from the end of the first frame, whose bytes do not count.
    let (mut first, mut last, mut content, mut frames) = (None, None, 0_u64, 0);
    let claimed = session.wait(|delivery| {
        let Delivery::Message(kind, body) = delivery else {
            return None;
        };
        if *kind == Kind::Probe {
            frames += 1;
            last = Some(Instant::now());
            if first.is_none() {
                first = last;
            } else {
                content += body.len() as u64;
            }
        }
        match event(*kind, body) {
            Some(Event::LineTested { bytes }) => Some(bytes),
            _ => None,
        }
    })?;
    let took = match (first, last) {
        (Some(first), Some(last)) => last.duration_since(first).as_secs_f64(),
        _ => 0.0,
    };
    let after = session.counts();
    let goodput = if took > 0.0 {
        content as f64 / took
    } else {
        0.0
    };
    Ok(LineTest {
        baud,
        works: claimed > 0 && frames > 0,
        goodput,
        share: goodput * 10.0 / f64::from(baud),
        frames,
        rejected: after.rejected.saturating_sub(before.rejected),
        round_trip_ms: crate::stats::median(&trips),
    })
}

fn echo<O: Observer>(session: &mut Session<O>, number: u32) -> Result<Duration, SessionError> {
    let begun = Instant::now();
    session.request(&Request::Echo(number))?;
    session.wait(|delivery| match delivery {
        Delivery::Message(kind, body) => match event(*kind, body) {
            Some(Event::Echo(back)) if back == number => Some(begun.elapsed()),
            _ => None,
        },
        _ => None,
    })
}

/// Tries every faster speed until one does not work; leaves the line at the last that did.
///
/// # Errors
/// The session's, when the board is lost in between.
pub fn faster<O: Observer>(
    session: &mut Session<O>,
    from: u32,
    bytes: Option<u32>,
) -> Result<Vec<LineTest>, SessionError> {
    let mut tests = Vec::new();
    let mut works = from;
    for baud in SPEEDS.into_iter().filter(|&baud| baud > from) {
        session.request(&Request::Baud { baud })?;
        let accepted = session.wait(|delivery| match delivery {
            Delivery::Message(kind, body) => match event(*kind, body) {
                Some(Event::Baud { accepted, .. }) => Some(accepted),
                _ => None,
            },
            _ => None,
        })?;
        if !accepted {
            continue;
        }
        // Both ends let their last bytes leave before they change.
        pause(session, Duration::from_millis(50))?;
        if session.set_baud(baud).is_err() || !answers(session)? {
            session.set_baud(works)?;
            pause(session, FALL_BACK)?;
            tests.push(LineTest {
                baud,
                works: false,
                goodput: 0.0,
                share: 0.0,
                frames: 0,
                rejected: 0,
                round_trip_ms: None,
            });
            break;
        }
        works = baud;
        tests.push(test(session, baud, bytes)?);
    }
    Ok(tests)
}

/// Whether the board answers within 0.8 s at the new speed.
fn answers<O: Observer>(session: &mut Session<O>) -> Result<bool, SessionError> {
    const NUMBER: u32 = 0xba0d;
    session.request(&Request::Echo(NUMBER))?;
    let deadline = Instant::now() + Duration::from_millis(800);
    let mut answered = false;
    while !answered && Instant::now() < deadline {
        session.turn(Duration::from_millis(20), &mut |delivery| {
            if let Delivery::Message(kind, body) = delivery {
                answered |= event(*kind, body) == Some(Event::Echo(NUMBER));
            }
        })?;
    }
    Ok(answered)
}

fn pause<O: Observer>(session: &mut Session<O>, time: Duration) -> Result<(), SessionError> {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        session.turn(Duration::from_millis(10), &mut |_| {})?;
    }
    Ok(())
}

/// The fastest of the speeds at which hardly a frame was damaged; if there is none, the one with the
/// highest goodput.
#[must_use]
pub fn best(tests: &[LineTest]) -> Option<&LineTest> {
    let sound =
        |test: &&LineTest| test.works && u64::from(test.rejected) * 100 <= u64::from(test.frames);
    tests
        .iter()
        .filter(sound)
        .max_by_key(|test| test.baud)
        .or_else(|| {
            let working = tests.iter().filter(|test| test.works);
            working.max_by(|a, b| a.goodput.total_cmp(&b.goodput))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_speed_is_the_fastest_clean_one() {
        let at = |baud, rejected, works| LineTest {
            baud,
            works,
            goodput: f64::from(baud) / 11.0,
            share: 0.9,
            frames: 300,
            rejected,
            round_trip_ms: None,
        };
        let tests = [
            at(921_600, 0, true),
            at(1_500_000, 1, true),
            at(3_000_000, 90, true),
            at(4_000_000, 0, false),
        ];
        assert_eq!(best(&tests).unwrap().baud, 1_500_000);
        assert_eq!(best(&tests[2..]).unwrap().baud, 3_000_000);
        assert!(best(&tests[3..]).is_none());
    }
}
