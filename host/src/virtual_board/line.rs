//! A serial line between two pseudo-terminals: as slow as the speeds that both ends have set.

use super::pty::Pty;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A byte takes ten bits: start, eight of data, stop.
const BITS_A_BYTE: u64 = 10;
/// The line moves pieces of this duration.
const PIECE: Duration = Duration::from_millis(1);
/// A line that was served late, by a busy machine, catches up at most this much.
const CATCH_UP: Duration = Duration::from_millis(20);
/// Without traffic, the thread looks this often whether it shall end.
const IDLE: Duration = Duration::from_millis(50);
const MOST: usize = 4096;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From host to board.
    Down,
    /// From board to host.
    Up,
}

/// Damages bytes on the way. It may change, drop, repeat, insert; to cut the line it clears them.
pub trait Tamper: Send {
    /// Called for every piece of bytes that enters the line.
    fn tamper(&mut self, direction: Direction, bytes: &mut Vec<u8>);
}

/// The line; it ends when this is dropped.
#[derive(Debug)]
pub struct Line {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// Connects the near sides of two pseudo-terminals.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(host: Pty, board: Pty, tamper: Option<Box<dyn Tamper>>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("line".into())
            .spawn(move || carry(&host, &board, tamper, &stopped))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One direction: a piece of bytes under way and the time at which it has arrived.
struct Way<'a> {
    direction: Direction,
    from: &'a Pty,
    to: &'a Pty,
    piece: Vec<u8>,
    free_at: Instant,
    idle: bool,
    stuck: bool,
    noise: u64,
}

impl<'a> Way<'a> {
    fn new(direction: Direction, from: &'a Pty, to: &'a Pty) -> Self {
        Self {
            direction,
            from,
            to,
            piece: Vec::with_capacity(MOST),
            free_at: Instant::now(),
            idle: true,
            stuck: false,
            noise: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Moves everything that is due at `now`.
    fn serve(&mut self, now: Instant, tamper: &mut Option<Box<dyn Tamper>>) -> io::Result<()> {
        while self.free_at <= now {
            if !self.piece.is_empty() {
                let written = self.to.write(&self.piece)?;
                self.piece.drain(..written);
                self.stuck = !self.piece.is_empty();
                if self.stuck {
                    return Ok(());
                }
            }
            if !self.take(now, tamper)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts the next piece on the line; `false` when there is none.
    fn take(&mut self, now: Instant, tamper: &mut Option<Box<dyn Tamper>>) -> io::Result<bool> {
        let baud = u64::from(self.from.baud().unwrap_or(9_600));
        let most = baud * PIECE.as_micros() as u64 / (BITS_A_BYTE * 1_000_000);
        let mut bytes = [0; MOST];
        let length = self
            .from
            .read(&mut bytes[..(most as usize).clamp(1, MOST)])?;
        if length == 0 {
            self.idle = true;
            return Ok(false);
        }
        let begins = if self.idle {
            now
        } else {
            self.free_at.max(now.checked_sub(CATCH_UP).unwrap_or(now))
        };
        self.idle = false;
        self.free_at =
            begins + Duration::from_nanos(length as u64 * BITS_A_BYTE * 1_000_000_000 / baud);
        self.piece.extend_from_slice(&bytes[..length]);
        if self.to.baud() != self.from.baud() {
            self.garble();
        }
        if let Some(tamper) = tamper {
            tamper.tamper(self.direction, &mut self.piece);
        }
        Ok(true)
    }

    /// What a receiver at another speed makes of the bytes: nothing that was sent.
    fn garble(&mut self) {
        for byte in &mut self.piece {
            self.noise ^= self.noise << 13;
            self.noise ^= self.noise >> 7;
            self.noise ^= self.noise << 17;
            *byte ^= (self.noise as u8) | 1;
        }
    }
}

fn carry(host: &Pty, board: &Pty, mut tamper: Option<Box<dyn Tamper>>, stop: &AtomicBool) {
    let mut down = Way::new(Direction::Down, host, board);
    let mut up = Way::new(Direction::Up, board, host);
    while !stop.load(Ordering::SeqCst) {
        let now = Instant::now();
        if up.serve(now, &mut tamper).is_err() || down.serve(now, &mut tamper).is_err() {
            return;
        }
        let mut wait = IDLE;
        let mut fds = Vec::with_capacity(2);
        for way in [&up, &down] {
            // A piece that a tamperer swallowed still takes its time.
            let busy = way.free_at.saturating_duration_since(Instant::now());
            if !busy.is_zero() {
                wait = wait.min(busy);
            } else if way.stuck {
                wait = wait.min(PIECE); // as long as the receiver does not read
            } else if way.piece.is_empty() {
                fds.push(PollFd::new(way.from, PollFlags::IN));
            } else {
                wait = Duration::ZERO;
            }
        }
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let _ = poll(&mut fds, Some(&wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Port;

    struct Ends {
        host: Port,
        board: Port,
        _line: Line,
    }

    fn ends(hosts_baud: u32, boards_baud: u32, tamper: Option<Box<dyn Tamper>>) -> Ends {
        let (host, board) = (Pty::open().unwrap(), Pty::open().unwrap());
        let ports = (
            Port::open(host.path(), hosts_baud).unwrap(),
            Port::open(board.path(), boards_baud).unwrap(),
        );
        Ends {
            host: ports.0,
            board: ports.1,
            _line: Line::start(host, board, tamper).unwrap(),
        }
    }

    /// Sends `bytes` up, gives what arrives and how long it took from the first to the last byte.
    fn sent_up(ends: &Ends, bytes: &[u8]) -> (Vec<u8>, Duration) {
        let (mut written, mut arrived) = (0, Vec::new());
        let begun = Instant::now();
        while arrived.len() < bytes.len() && begun.elapsed() < Duration::from_secs(20) {
            written += ends.board.write(&bytes[written..]).unwrap();
            let mut piece = [0; 4096];
            ends.host.wait(false, Duration::from_millis(1)).unwrap();
            let length = ends.host.read(&mut piece).unwrap();
            arrived.extend_from_slice(&piece[..length]);
        }
        (arrived, begun.elapsed())
    }

    #[test]
    fn bytes_arrive_unchanged_and_no_faster_than_the_line() {
        let ends = ends(115_200, 115_200, None);
        let bytes: Vec<u8> = (0..5_760_u32).map(|i| (i % 251) as u8).collect();
        let (arrived, took) = sent_up(&ends, &bytes);
        assert_eq!(arrived, bytes);
        let line = Duration::from_millis(500); // 57,600 bits at 115,200 a second
        assert!(took > line - Duration::from_millis(25), "{took:?}");
        assert!(took < line * 4, "{took:?}");
    }

    #[test]
    fn ends_of_different_speed_do_not_understand_each_other() {
        let ends = ends(115_200, 921_600, None);
        let bytes = vec![b'U'; 1_000];
        let (arrived, _) = sent_up(&ends, &bytes);
        assert_eq!(arrived.len(), bytes.len());
        assert!(arrived.iter().all(|&byte| byte != b'U'));
    }

    struct Cut;

    impl Tamper for Cut {
        fn tamper(&mut self, direction: Direction, bytes: &mut Vec<u8>) {
            assert_eq!(direction, Direction::Up);
            bytes.retain(|&byte| byte != 7);
        }
    }

    #[test]
    fn tampering_reaches_every_byte() {
        let ends = ends(921_600, 921_600, Some(Box::new(Cut)));
        let bytes: Vec<u8> = (0..2_560_u32).map(|i| (i % 10) as u8).collect();
        ends.board.write(&bytes).unwrap();
        let (mut arrived, begun) = (Vec::new(), Instant::now());
        while arrived.len() < 2_304 && begun.elapsed() < Duration::from_secs(10) {
            let mut piece = [0; 4096];
            ends.host.wait(false, Duration::from_millis(5)).unwrap();
            let length = ends.host.read(&mut piece).unwrap();
            arrived.extend_from_slice(&piece[..length]);
        }
        assert_eq!(arrived.len(), 2_304);
        assert!(!arrived.contains(&7));
    }
}
