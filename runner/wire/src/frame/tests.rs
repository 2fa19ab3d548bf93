extern crate std;
use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const SESSION: u32 = 0x5ca1_ab1e;

const GOLDEN_HELLO: [u8; 15] = [
    0x00, 0x02, 0x01, 0x01, 0x01, 0x01, 0x01, 0x07, 0x68, 0x69, 0xa4, 0xe7, 0xc2, 0x30, 0x00,
];
const GOLDEN_EVENT: [u8; 16] = [
    0x00, 0x07, 0x01, 0x02, 0x01, 0xfe, 0xff, 0x04, 0x02, 0x01, 0x05, 0xc9, 0xbe, 0x04, 0x3a, 0x00,
];

fn header(kind: Kind) -> Header {
    Header {
        sequence: 0x0102,
        acknowledgement: 0xfffe,
        kind,
    }
}

fn line_of(header: Header, session: u32, body: &[u8]) -> Vec<u8> {
    let mut line = [0x77; MAX_LINE];
    encode(header, session, body, &mut line).to_vec()
}

/// COBS between zeros around anything, sound or not.
fn stuffed(frame: &[u8]) -> Vec<u8> {
    let mut line = vec![0; cobs::max_encoding_length(frame.len())];
    let length = cobs::encode(frame, &mut line);
    line.truncate(length);
    line.insert(0, 0);
    line.push(0);
    line
}

/// A frame before COBS, with a version, kind byte and session of choice and a right checksum.
fn frame_of(version: u8, kind: u8, session: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![version, 2, 1, 0xfe, 0xff, kind];
    frame.extend(body);
    let trailer = crc32(&frame) ^ session;
    frame.extend(trailer.to_le_bytes());
    frame
}

/// Everything a deframer says about `bytes`.
fn heard(bytes: &[u8]) -> Vec<Result<(Header, Vec<u8>), FrameError>> {
    heard_by(&mut Deframer::new(), bytes)
}

fn heard_by(deframer: &mut Deframer, bytes: &[u8]) -> Vec<Result<(Header, Vec<u8>), FrameError>> {
    bytes
        .iter()
        .filter_map(|&byte| {
            let answer = deframer.push(byte, SESSION)?;
            Some(match answer {
                Ok(frame) => Ok((frame.header, frame.body.to_vec())),
                Err(rejected) => Err(rejected.error),
            })
        })
        .collect()
}

#[test]
fn golden_bytes() {
    // CRC-32 ISO-HDLC has this check value by definition.
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);

    // Checksums computed independently, with zlib.
    let header = Header {
        sequence: 0,
        acknowledgement: 0,
        kind: Kind::Hello,
    };
    assert_eq!(
        line_of(header, 0, b"hi"),
        GOLDEN_HELLO,
        "a frame looks other than before: raise PROTOCOL_VERSION"
    );
    let header = Header {
        sequence: 0x0102,
        acknowledgement: 0xfffe,
        kind: Kind::Event,
    };
    assert_eq!(
        line_of(header, SESSION, &[0, 1, 0]),
        GOLDEN_EVENT,
        "a frame looks other than before: raise PROTOCOL_VERSION"
    );
}

#[test]
fn every_kind_keeps_its_number() {
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        // Exhaustive: a new kind does not compile without its number here.
        let expected = match kind {
            Kind::Hello => 0,
            Kind::Welcome => 1,
            Kind::Ack => 2,
            Kind::Request => 3,
            Kind::Event => 4,
            Kind::Chunk => 5,
            Kind::Timings => 6,
            Kind::Power => 7,
            Kind::Outcomes => 8,
            Kind::Log => 9,
            Kind::Probe => 10,
        };
        assert_eq!((number, kind as u8), (usize::from(expected), expected));
        assert_eq!(Kind::from_byte(expected), Some(kind));
    }
    let first_unknown = Kind::ALL.len() as u8;
    assert!((first_unknown..=u8::MAX).all(|byte| Kind::from_byte(byte).is_none()));
}

#[test]
fn a_body_of_any_length_up_to_the_limit_travels() {
    for length in (0..=MAX_BODY).filter(|n| n % 97 < 2 || (253..258).contains(n) || *n > 1000) {
        for fill in [0, 1, 0xff] {
            let body = vec![fill; length];
            let line = line_of(header(Kind::Log), SESSION, &body);
            assert!(line.len() <= MAX_LINE);
            assert_eq!((line.first(), line.last()), (Some(&0), Some(&0)));
            assert!(line[1..line.len() - 1].iter().all(|&byte| byte != 0));
            assert_eq!(heard(&line), [Ok((header(Kind::Log), body))]);
        }
    }
    assert_eq!(
        line_of(header(Kind::Log), SESSION, &[0; MAX_BODY + 1]),
        Vec::<u8>::new()
    );
}

#[test]
fn checks_are_made_in_order() {
    let unknown_kind = 200;
    let wrong = SESSION ^ 1;

    // COBS comes first: a block that claims more bytes than follow, whatever it holds.
    assert_eq!(heard(&[0, 9, 1, 2, 0]), [Err(FrameError::Encoding)]);
    // Then the length, before the checksum of what is too short to have one ...
    assert_eq!(heard(&stuffed(&[9; 9])), [Err(FrameError::Length)]);
    assert_eq!(heard(&stuffed(&[])), [Err(FrameError::Length)]);
    // ... and of what is too long, though its checksum, version and kind are right.
    let long = frame_of(
        PROTOCOL_VERSION,
        Kind::Log as u8,
        SESSION,
        &[7; MAX_BODY + 1],
    );
    assert_eq!(heard(&stuffed(&long)), [Err(FrameError::Length)]);
    assert_eq!(parse(&long, SESSION), Err(FrameError::Length));
    // Then the checksum, before version and kind.
    let damaged = frame_of(PROTOCOL_VERSION + 1, unknown_kind, wrong, b"x");
    assert_eq!(heard(&stuffed(&damaged)), [Err(FrameError::Checksum)]);
    // Then the version, before the kind.
    let newer = frame_of(PROTOCOL_VERSION + 1, unknown_kind, SESSION, b"x");
    let theirs = PROTOCOL_VERSION + 1;
    assert_eq!(
        heard(&stuffed(&newer)),
        [Err(FrameError::Version { theirs })]
    );
    // Then the kind.
    let unknown = frame_of(PROTOCOL_VERSION, unknown_kind, SESSION, b"x");
    assert_eq!(heard(&stuffed(&unknown)), [Err(FrameError::Kind(200))]);
}

#[test]
fn the_other_sides_version_is_heard_outside_of_a_session() {
    let hello = frame_of(
        PROTOCOL_VERSION + 1,
        Kind::Hello as u8,
        0,
        b"whatever it is now",
    );
    let theirs = PROTOCOL_VERSION + 1;
    assert_eq!(
        heard(&stuffed(&hello)),
        [Err(FrameError::Version { theirs })]
    );
}

#[test]
fn a_kind_belongs_inside_or_outside_of_a_session() {
    for kind in Kind::ALL {
        let inside = frame_of(PROTOCOL_VERSION, kind as u8, SESSION, b"");
        let outside = frame_of(PROTOCOL_VERSION, kind as u8, 0, b"");
        let greets = matches!(kind, Kind::Hello | Kind::Welcome);
        assert_eq!(parse(&inside, SESSION).is_ok(), !greets, "{kind:?}");
        assert_eq!(parse(&outside, SESSION).is_ok(), greets, "{kind:?}");
        assert_eq!(kind.is_sequenced(), !greets && kind != Kind::Ack);
    }
}

#[test]
fn nothing_between_zeros_is_nothing() {
    assert_eq!(heard(&[0; 50]), []);
}

#[test]
fn rejected_bytes_are_handed_out() {
    let mut deframer = Deframer::new();
    let boot = b"U-Boot 2024.01";
    for &byte in boot {
        assert_eq!(deframer.push(byte, SESSION), None);
    }
    let rejected = deframer.push(0, SESSION).unwrap().unwrap_err();
    assert_eq!(rejected.bytes, boot);
    assert!(!rejected.overlong);

    for _ in 0..MAX_LINE + 1 {
        assert_eq!(deframer.push(b'x', SESSION), None);
    }
    let rejected = deframer.push(0, SESSION).unwrap().unwrap_err();
    assert_eq!(rejected.bytes.len(), MAX_LINE);
    assert_eq!(rejected.error, FrameError::Length);
    assert!(rejected.overlong);
}

#[test]
fn a_frame_after_garbage_is_heard() {
    let good = line_of(header(Kind::Event), SESSION, b"good");
    // The zero before a frame ends whatever noise came before it.
    let mut bytes = b"noise without an end".to_vec();
    bytes.extend(&good);
    let answers = heard(&bytes);
    assert_eq!(answers.len(), 2);
    assert!(answers[0].is_err());
    assert_eq!(answers[1], Ok((header(Kind::Event), b"good".to_vec())));
}

#[test]
fn the_tail_of_an_oversized_line_is_never_a_frame() {
    let good = line_of(header(Kind::Event), SESSION, b"tail");
    // The same bytes as a frame, at the end of a line that is too long: from every distance.
    for filler in [
        MAX_LINE - good.len() + 2,
        MAX_LINE,
        2 * MAX_LINE,
        2 * MAX_LINE - 3,
        70_000,
    ] {
        let mut bytes = vec![0x01; filler];
        bytes.extend(&good[1..]);
        assert_eq!(heard(&bytes), [Err(FrameError::Length)], "{filler}");
        // And the next one is heard again.
        bytes.extend(&good);
        assert_eq!(heard(&bytes).len(), 2, "{filler}");
        assert!(heard(&bytes)[1].is_ok(), "{filler}");
    }
}

/// What a line does to bytes.
#[derive(Clone, Debug)]
enum Damage {
    Flip { at: usize, bit: u8 },
    Drop { at: usize },
    Double { at: usize },
    Insert { at: usize, byte: u8 },
    Cut { at: usize, length: usize },
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let at = 0_usize..100_000;
        prop_oneof![
            (at.clone(), 0_u8..8).prop_map(|(at, bit)| Self::Flip { at, bit }),
            at.clone().prop_map(|at| Self::Drop { at }),
            at.clone().prop_map(|at| Self::Double { at }),
            (at.clone(), any::<u8>()).prop_map(|(at, byte)| Self::Insert { at, byte }),
            (at, 1_usize..40).prop_map(|(at, length)| Self::Cut { at, length }),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        match *self {
            Self::Flip { at, bit } => bytes[at % length] ^= 1 << bit,
            Self::Drop { at } => drop(bytes.remove(at % length)),
            Self::Double { at } => bytes.insert(at % length, bytes[at % length]),
            Self::Insert { at, byte } => bytes.insert(at % length, byte),
            Self::Cut { at, length: cut } => {
                let at = at % length;
                bytes.drain(at..(at + cut).min(length));
            }
        }
    }
}

proptest! {
    #[test]
    fn any_body_travels(
        body in proptest::collection::vec(any::<u8>(), 0..=MAX_BODY),
        sequence: u16,
        acknowledgement: u16,
        kind in proptest::sample::select(&Kind::ALL[2..]),
    ) {
        let header = Header { sequence, acknowledgement, kind };
        prop_assert_eq!(heard(&line_of(header, SESSION, &body)), [Ok((header, body))]);
    }

    #[test]
    fn a_damaged_line_yields_only_what_was_sent(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..12),
        damages in proptest::collection::vec(Damage::any(), 0..6),
    ) {
        let frame = |(number, body): (usize, &Vec<u8>)| {
            let sequence = number as u16;
            (Header { sequence, acknowledgement: 0, kind: Kind::Log }, body.clone())
        };
        let sent: Vec<_> = bodies.iter().enumerate().map(frame).collect();
        let mut bytes: Vec<u8> =
            sent.iter().flat_map(|(header, body)| line_of(*header, SESSION, body)).collect();
        for damage in &damages {
            damage.apply(&mut bytes);
        }
        // Whatever happened, a sound frame at the end is heard: the line always finds itself again.
        let last = (header(Kind::Event), b"the last".to_vec());
        bytes.extend(line_of(last.0, SESSION, &last.1));

        let heard: Vec<_> = heard(&bytes).into_iter().flatten().collect();
        prop_assert_eq!(heard.last(), Some(&last));
        // What is heard is a part of what was sent, in order: never a frame that nobody sent.
        let mut left = sent.iter();
        for frame in &heard[..heard.len() - 1] {
            prop_assert!(left.any(|sent| sent == frame), "{frame:?} was never sent, or not here");
        }
        // Each damage hits at most as many frames as its reach: two neighbours, or what a cut spans.
        let hit: usize = damages
            .iter()
            .map(|damage| match damage {
                Damage::Cut { length, .. } => 2 + length / (HEADER_LEN + TRAILER_LEN + 3),
                _ => 2,
            })
            .sum();
        prop_assert!(heard.len() - 1 + hit >= sent.len());
    }

    #[test]
    fn any_bytes_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        let mut deframer = Deframer::new();
        heard_by(&mut deframer, &bytes);
        let good = line_of(header(Kind::Event), SESSION, b"good");
        let answers = heard_by(&mut deframer, &good);
        prop_assert_eq!(answers.last(), Some(&Ok((header(Kind::Event), b"good".to_vec()))));
    }

    #[test]
    fn any_frame_is_parsed_or_refused(frame in proptest::collection::vec(any::<u8>(), 0..1_100)) {
        prop_assert!(parse(&frame, SESSION).is_err());
    }
}
