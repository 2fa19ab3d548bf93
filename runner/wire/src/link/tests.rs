extern crate std;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

/// A small, seeded generator, so that a failing line can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.roll().is_multiple_of(n)
    }
}

/// One direction of a line: bytes take `latency` microseconds, and some are flipped, lost or doubled.
struct Line {
    bytes: VecDeque<(u64, u8)>,
    free_at: u64,
    one_in: u64,
}

impl Line {
    const BYTE_US: u64 = 10;
    const LATENCY_US: u64 = 1_000;

    fn put(&mut self, now: u64, bytes: &[u8], dice: &mut Dice) {
        for &byte in bytes {
            self.free_at = self.free_at.max(now) + Self::BYTE_US;
            let at = self.free_at + Self::LATENCY_US;
            match dice.one_in(self.one_in).then(|| dice.roll() % 4) {
                None => self.bytes.push_back((at, byte)),
                Some(0) => {}
                Some(1) => self.bytes.extend([(at, byte), (at, byte)]),
                Some(_) => self.bytes.push_back((at, byte ^ (1 << (dice.roll() % 8)))),
            }
        }
    }
}

struct Outcome {
    received: Vec<Vec<u8>>,
    duration_us: u64,
    stats: LinkStats,
    body_limit: usize,
}

/// Sends `count` messages of up to the adapted length, one side to the other.
fn carry(count: u32, one_in: u64, seed: u64, most: usize) -> Outcome {
    let mut dice = Dice(seed | 1);
    let (mut board, mut host) = (
        std::boxed::Box::new(Link::new()),
        std::boxed::Box::new(Link::new()),
    );
    board.open(7);
    host.open(7);
    let line = || Line {
        bytes: VecDeque::new(),
        free_at: 0,
        one_in,
    };
    let (mut up, mut down) = (line(), line());
    let mut buffer = [0; MAX_LINE];
    let mut received = Vec::new();
    let (mut now, mut queued) = (0, 0);
    while received.len() < count as usize {
        now += 100;
        assert!(
            now < 600_000_000,
            "stuck after {} of {count}",
            received.len()
        );
        while queued < count && board.room() > 0 {
            let mut body = std::vec![queued as u8; board.body_limit().min(most)];
            body[..4].copy_from_slice(&queued.to_le_bytes());
            board.send(Kind::Log, &body).unwrap();
            queued += 1;
        }
        while up.free_at <= now {
            match board.transmit(now, &mut buffer) {
                [] => break,
                bytes => up.put(now, bytes, &mut dice),
            }
        }
        while down.free_at <= now {
            match host.transmit(now, &mut buffer) {
                [] => break,
                bytes => down.put(now, bytes, &mut dice),
            }
        }
        while up.bytes.front().is_some_and(|&(at, _)| at <= now) {
            host.push(up.bytes.pop_front().unwrap().1, now);
            while let Some((kind, body)) = host.receive() {
                assert_eq!(kind, Kind::Log);
                received.push(body.to_vec());
                host.consume(now);
            }
        }
        while down.bytes.front().is_some_and(|&(at, _)| at <= now) {
            board.push(down.bytes.pop_front().unwrap().1, now);
        }
    }
    Outcome {
        received,
        duration_us: now,
        stats: board.stats(),
        body_limit: board.body_limit(),
    }
}

fn assert_in_order(outcome: &Outcome) {
    for (i, body) in outcome.received.iter().enumerate() {
        assert_eq!(body[..4], (i as u32).to_le_bytes());
        assert!(body[4..].iter().all(|&byte| byte == i as u8));
    }
}

#[test]
fn a_clean_line_is_filled() {
    let outcome = carry(1_000, 0, 1, MAX_BODY);
    assert_in_order(&outcome);
    assert_eq!(outcome.stats.resent, 0);
    assert_eq!(outcome.body_limit, MAX_BODY);
    let bytes: usize = outcome.received.iter().map(Vec::len).sum();
    let goodput = bytes as f64 * Line::BYTE_US as f64 / outcome.duration_us as f64;
    assert!(goodput > 0.95, "{goodput}");
}

#[test]
fn a_noisy_line_delivers_everything_and_shrinks_its_frames() {
    let outcome = carry(5_000, 1_000, 2, MAX_BODY);
    assert_in_order(&outcome);
    assert!(outcome.stats.resent > 0);
    assert!(
        (LEAST_BODY..500).contains(&outcome.body_limit),
        "{}",
        outcome.body_limit
    );
    let bytes: usize = outcome.received.iter().map(Vec::len).sum();
    let goodput = bytes as f64 * Line::BYTE_US as f64 / outcome.duration_us as f64;
    assert!(goodput > 0.5, "{goodput}");
}

#[test]
fn sequence_numbers_wrap() {
    let outcome = carry(70_000, 0, 3, 8);
    assert_in_order(&outcome);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn everything_arrives_once_and_in_order(seed in any::<u64>(), one_in in 150_u64..5_000) {
        assert_in_order(&carry(100, one_in, seed, MAX_BODY));
    }

    #[test]
    fn any_bytes_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
        let mut link = Link::new();
        link.open(1);
        let mut buffer = [0; MAX_LINE];
        for (now, &byte) in bytes.iter().enumerate() {
            link.push(byte, now as u64);
            link.transmit(now as u64, &mut buffer);
        }
        prop_assert_eq!(link.receive(), None);
    }
}

#[test]
fn frames_of_an_earlier_session_are_refused() {
    let mut board = Link::new();
    board.open(1);
    board.send(Kind::Event, b"stale").unwrap();
    let mut buffer = [0; MAX_LINE];
    let stale = board.transmit(0, &mut buffer).to_vec();
    let mut host = Link::new();
    host.open(2);
    let answers: Vec<_> = stale
        .iter()
        .filter_map(|&byte| match host.push(byte, 0) {
            Some(Incoming::Rejected(error, _)) => Some(error),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [FrameError::Checksum]);
    assert_eq!(host.receive(), None);
}

#[test]
fn a_full_window_and_a_closed_link_refuse() {
    let mut link = Link::new();
    assert_eq!(link.send(Kind::Event, b""), Err(SendError::Closed));
    link.open(1);
    for _ in 0..WINDOW {
        link.send(Kind::Event, b"x").unwrap();
    }
    assert_eq!(link.send(Kind::Event, b"x"), Err(SendError::Full));
    assert!(!link.is_drained());
    link.open(2);
    assert_eq!(
        link.send(Kind::Event, &[0; MAX_BODY + 1]),
        Err(SendError::TooLong)
    );
}
