//! Fault injection: damages the bytes on a line, the same way for the same seed and the same bytes.

use scalebench::virtual_board::{Direction, Tamper};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What was done to a line so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Bytes that entered the line.
    pub bytes: AtomicU64,
    /// Bytes of which one bit was flipped.
    pub flipped: AtomicU64,
    /// Bytes that vanished.
    pub dropped: AtomicU64,
    /// Bytes that came twice.
    pub doubled: AtomicU64,
    /// Bytes that nobody sent.
    pub inserted: AtomicU64,
    /// Pieces of bytes held back until the next piece.
    pub delayed: AtomicU64,
    /// Times the line was cut.
    pub cuts: AtomicU64,
}

impl Counts {
    /// Bytes flipped, dropped, doubled or inserted.
    #[must_use]
    pub fn errors(&self) -> u64 {
        [&self.flipped, &self.dropped, &self.doubled, &self.inserted]
            .into_iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }
}

/// A bad line.
#[derive(Debug)]
pub struct Noise {
    dice: Dice,
    one_in: u64,
    delay_one_in: u64,
    cut_every: u64,
    cuts_left: u64,
    cut_for: Duration,
    until_cut: u64,
    cut_until: Option<Instant>,
    held: [Vec<u8>; 2],
    counts: Arc<Counts>,
}

impl Noise {
    /// One byte in `one_in` is damaged (zero for none), one piece in a hundred delayed.
    #[must_use]
    pub fn new(seed: u64, one_in: u64) -> Self {
        Self {
            dice: Dice(seed.wrapping_mul(2).wrapping_add(1)),
            one_in,
            delay_one_in: if one_in == 0 { 0 } else { 100 },
            cut_every: 0,
            cuts_left: 0,
            cut_for: Duration::ZERO,
            until_cut: u64::MAX,
            cut_until: None,
            held: Default::default(),
            counts: Arc::default(),
        }
    }

    /// Also cuts the line `cuts` times for `lasting`: after every so many bytes that entered it.
    #[must_use]
    pub fn with_cuts(mut self, cuts: u64, every_bytes: u64, lasting: Duration) -> Self {
        self.cut_every = every_bytes;
        self.until_cut = every_bytes;
        self.cuts_left = cuts;
        self.cut_for = lasting;
        self
    }

    /// What was done, to be looked at while the line is in use.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Whether the line is cut now; begins a cut when its time has come.
    fn is_cut(&mut self, bytes: u64) -> bool {
        if let Some(until) = self.cut_until {
            if Instant::now() < until {
                return true;
            }
            self.cut_until = None;
        }
        self.until_cut = self.until_cut.saturating_sub(bytes);
        if self.until_cut > 0 || self.cuts_left == 0 {
            return false;
        }
        self.cuts_left -= 1;
        self.until_cut = self.cut_every;
        self.cut_until = Some(Instant::now() + self.cut_for);
        self.counts.cuts.fetch_add(1, Ordering::SeqCst);
        true
    }

    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = Vec::with_capacity(bytes.len() + 8);
        for &byte in bytes {
            if !self.dice.one_in(self.one_in) {
                damaged.push(byte);
                continue;
            }
            let (count, roll) = match self.dice.roll() % 4 {
                0 => (&self.counts.dropped, None),
                1 => (&self.counts.doubled, Some([byte, byte])),
                2 => (&self.counts.inserted, Some([byte, self.dice.roll() as u8])),
                _ => {
                    damaged.push(byte ^ (1 << (self.dice.roll() % 8)));
                    (&self.counts.flipped, None)
                }
            };
            count.fetch_add(1, Ordering::SeqCst);
            damaged.extend(roll.into_iter().flatten());
        }
        damaged
    }
}

impl Tamper for Noise {
    fn tamper(&mut self, direction: Direction, bytes: &mut Vec<u8>) {
        self.counts
            .bytes
            .fetch_add(bytes.len() as u64, Ordering::SeqCst);
        let way = usize::from(direction == Direction::Up);
        if self.is_cut(bytes.len() as u64) {
            bytes.clear();
            self.held[way].clear();
            return;
        }
        let mut out = std::mem::take(&mut self.held[way]);
        out.extend(self.damage(bytes));
        if self.dice.one_in(self.delay_one_in) {
            self.counts.delayed.fetch_add(1, Ordering::SeqCst);
            self.held[way] = std::mem::take(&mut out);
        }
        *bytes = out;
    }
}

/// A small seeded generator (xorshift64, G. Marsaglia, J. Stat. Softw. 8(14), 2003).
#[derive(Debug)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn through(noise: &mut Noise, pieces: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in 0..pieces {
            let mut bytes: Vec<u8> = (0..100).map(|i| (piece * 100 + i) as u8).collect();
            noise.tamper(Direction::Up, &mut bytes);
            out.extend(bytes);
        }
        out
    }

    #[test]
    fn the_same_seed_does_the_same_damage_of_every_kind() {
        let (mut one, mut two) = (Noise::new(5, 100), Noise::new(5, 100));
        let clean = through(&mut Noise::new(5, 0), 1_000);
        let damaged = through(&mut one, 1_000);
        assert_eq!(clean.len(), 100_000);
        assert_ne!(damaged, clean);
        assert_eq!(damaged, through(&mut two, 1_000));
        assert_ne!(damaged, through(&mut Noise::new(6, 100), 1_000));
        let counts = one.counts();
        for count in [
            &counts.flipped,
            &counts.dropped,
            &counts.doubled,
            &counts.inserted,
        ] {
            assert!(
                (150..400).contains(&count.load(Ordering::SeqCst)),
                "{counts:?}"
            );
        }
        assert!((800..1_200).contains(&counts.errors()), "{counts:?}");
        assert!(counts.delayed.load(Ordering::SeqCst) > 0, "{counts:?}");
    }

    #[test]
    fn a_cut_swallows_both_directions_and_ends() {
        let lasting = Duration::from_millis(30);
        let mut noise = Noise::new(1, 0).with_cuts(1, 150, lasting);
        let mut send = |direction| {
            let mut bytes = vec![7; 100];
            noise.tamper(direction, &mut bytes);
            bytes.len()
        };
        assert_eq!(send(Direction::Up), 100);
        assert_eq!(send(Direction::Up), 0);
        assert_eq!(send(Direction::Down), 0);
        std::thread::sleep(lasting * 2);
        assert_eq!(send(Direction::Down), 100);
        assert_eq!(send(Direction::Up), 100);
    }
}
