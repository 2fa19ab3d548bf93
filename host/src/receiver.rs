//! From raw bytes to what they mean: the part of a session that a replay repeats exactly.

use crate::text::printed;
use scalebench_wire::PROTOCOL_VERSION;
use scalebench_wire::frame::{FrameError, Kind};
use scalebench_wire::link::{Incoming, Link, LinkStats};
use scalebench_wire::message::Welcome;

/// What bytes amounted to.
#[derive(Debug)]
pub enum Delivery<'a> {
    /// The session asked for is open.
    Opened(Box<Welcome>),
    /// A board waits for a session, while none is open.
    Waiting(Box<Welcome>),
    /// The board was started anew; the session is gone.
    Restarted,
    /// The board let the session go without being started anew: it was told to, or another host came.
    Left,
    /// The next message of the session.
    Message(Kind, &'a [u8]),
    /// Text that is no frame, escaped: a boot message, a login prompt.
    Printed(String),
    /// The board speaks another protocol version.
    Version(u8),
}

/// Takes raw bytes, gives deliveries. Does no input or output.
#[derive(Debug)]
pub struct Receiver {
    link: Box<Link>,
    wanted: u32,
    boot: Option<u32>,
    earlier: LinkStats,
    /// The last bytes that no zero byte has ended yet.
    loose: Vec<u8>,
}

const MOST_LOOSE: usize = 1024;

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// Without a session.
    #[must_use]
    pub fn new() -> Self {
        Self {
            link: Box::new(Link::new()),
            wanted: 0,
            boot: None,
            earlier: LinkStats::default(),
            loose: Vec::new(),
        }
    }

    /// From now on, waits for the board to open this session.
    pub fn seek(&mut self, session: u32) {
        self.earlier = self.totals();
        self.link.open(1); // forgets the counts
        self.link.close();
        self.wanted = session;
        self.boot = None;
    }

    /// The session that was asked for last.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    /// The link below, to send on.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// What happened on the link in this session.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.link.stats()
    }

    /// What happened over all sessions.
    #[must_use]
    pub fn totals(&self) -> LinkStats {
        let (a, b) = (self.earlier, self.link.stats());
        LinkStats {
            sent: a.sent.saturating_add(b.sent),
            resent: a.resent.saturating_add(b.resent),
            received: a.received.saturating_add(b.received),
            repeated: a.repeated.saturating_add(b.repeated),
            rejected: a.rejected.saturating_add(b.rejected),
        }
    }

    /// Text that came without any frame after it, if it is text.
    #[must_use]
    pub fn loose_text(&self) -> Option<String> {
        printed(&self.loose)
    }

    /// Takes bytes from the line at `now` microseconds; `sink` gets each delivery in turn.
    pub fn feed(&mut self, bytes: &[u8], now: u64, sink: &mut impl FnMut(Delivery<'_>)) {
        for &byte in bytes {
            if byte == 0 {
                self.loose.clear();
            } else {
                if self.loose.len() == MOST_LOOSE {
                    self.loose.drain(..MOST_LOOSE / 2);
                }
                self.loose.push(byte);
            }
            let session = match self.link.push(byte, now) {
                None => continue,
                Some(Incoming::Session) => true,
                Some(Incoming::Outside(Kind::Welcome, body)) => {
                    let Ok(welcome) = postcard::from_bytes::<Welcome>(body) else {
                        continue;
                    };
                    self.welcome(welcome, sink);
                    false
                }
                Some(Incoming::Outside(..)) => false,
                Some(Incoming::Rejected(FrameError::Version { theirs }, _)) => {
                    sink(Delivery::Version(theirs));
                    false
                }
                Some(Incoming::Rejected(_, bytes)) => {
                    if let Some(text) = printed(bytes) {
                        sink(Delivery::Printed(text));
                    }
                    false
                }
            };
            if session {
                while let Some((kind, body)) = self.link.receive() {
                    sink(Delivery::Message(kind, body));
                    self.link.consume(now);
                }
            }
        }
    }

    fn welcome(&mut self, welcome: Welcome, sink: &mut impl FnMut(Delivery<'_>)) {
        let open = self.link.session() != 0;
        let ours = welcome.session == self.wanted && self.wanted != 0;
        match (open, ours) {
            (true, true) if self.boot == Some(welcome.boot) => {}
            (true, _) => {
                self.link.close();
                self.wanted = 0;
                let restarted = self.boot != Some(welcome.boot);
                sink(if restarted {
                    Delivery::Restarted
                } else {
                    Delivery::Left
                });
            }
            (false, true) => {
                self.link.open(welcome.session);
                self.boot = Some(welcome.boot);
                sink(Delivery::Opened(Box::new(welcome)));
            }
            (false, false) => sink(Delivery::Waiting(Box::new(welcome))),
        }
    }
}

/// The sentence for a protocol mismatch, saying which side to update.
#[must_use]
pub fn mismatch(theirs: u8) -> String {
    if theirs > PROTOCOL_VERSION {
        format!(
            "runner speaks protocol {theirs}, this host {PROTOCOL_VERSION}: update the host, or reflash the board \
             with this host's `scalebench image`"
        )
    } else {
        format!(
            "runner speaks protocol {theirs}, this host {PROTOCOL_VERSION}: reflash the board with \
             `scalebench image`, or use a host of the runner's version"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_board::{board_info, hello_line, welcome_line};
    use scalebench_wire::frame::{Header, MAX_LINE, encode};

    fn deliveries(receiver: &mut Receiver, bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        receiver.feed(bytes, 0, &mut |delivery| {
            all.push(match delivery {
                Delivery::Opened(welcome) => format!("opened {}", welcome.session),
                Delivery::Waiting(_) => "waiting".into(),
                Delivery::Restarted => "restarted".into(),
                Delivery::Left => "left".into(),
                Delivery::Message(kind, body) => format!("{kind:?} {}", body.len()),
                Delivery::Printed(text) => format!("printed {text}"),
                Delivery::Version(theirs) => format!("version {theirs}"),
            })
        });
        all
    }

    #[test]
    fn a_session_opens_and_a_restart_is_seen() {
        let mut receiver = Receiver::new();
        assert_eq!(deliveries(&mut receiver, &welcome_line(0, 1)), ["waiting"]);
        receiver.seek(7);
        assert_eq!(deliveries(&mut receiver, &welcome_line(0, 1)), ["waiting"]);
        assert_eq!(deliveries(&mut receiver, &welcome_line(7, 1)), ["opened 7"]);
        assert!(deliveries(&mut receiver, &welcome_line(7, 1)).is_empty());
        assert_eq!(
            deliveries(&mut receiver, &welcome_line(0, 2)),
            ["restarted"]
        );
        assert_eq!(deliveries(&mut receiver, &welcome_line(7, 2)), ["waiting"]);
    }

    #[test]
    fn a_board_that_lets_the_session_go_did_not_restart() {
        for next in [0, 8] {
            let mut receiver = Receiver::new();
            receiver.seek(7);
            assert_eq!(deliveries(&mut receiver, &welcome_line(7, 1)), ["opened 7"]);
            assert_eq!(deliveries(&mut receiver, &welcome_line(next, 1)), ["left"]);
        }
    }

    #[test]
    fn an_echo_of_our_own_hello_is_no_board() {
        let mut receiver = Receiver::new();
        receiver.seek(9);
        assert!(deliveries(&mut receiver, &hello_line(9)).is_empty());
    }

    #[test]
    fn boot_messages_are_shown() {
        let mut receiver = Receiver::new();
        let mut bytes = b"\r\n[    0.000000] Kernel panic - not syncing: VFS\r\n".to_vec();
        assert!(deliveries(&mut receiver, &bytes).is_empty());
        assert!(receiver.loose_text().unwrap().contains("Kernel panic"));
        bytes = welcome_line(0, 1);
        assert_eq!(
            deliveries(&mut receiver, &bytes),
            [
                "printed [    0.000000] Kernel panic - not syncing: VFS",
                "waiting"
            ]
        );
    }

    #[test]
    fn of_a_long_text_the_end_is_shown() {
        let mut receiver = Receiver::new();
        let log = "[    0.000000] Booting Linux\r\n".repeat(100) + "Kernel panic - not syncing";
        deliveries(&mut receiver, log.as_bytes());
        let text = receiver.loose_text().unwrap();
        assert!(text.ends_with("Kernel panic - not syncing"), "{text}");
    }

    #[test]
    fn another_version_is_named() {
        let header = Header {
            sequence: 0,
            acknowledgement: 0,
            kind: Kind::Welcome,
        };
        let mut line = [0; MAX_LINE];
        let ours = encode(header, 0, &[], &mut line).to_vec();
        let mut frame = [0; 64];
        let length = cobs_decode(&ours, &mut frame);
        frame[0] = PROTOCOL_VERSION + 1;
        let crc = scalebench_wire::frame::crc32(&frame[..length - 4]);
        frame[length - 4..length].copy_from_slice(&crc.to_le_bytes());
        let mut receiver = Receiver::new();
        let bytes = cobs_encode(&frame[..length]);
        assert_eq!(
            deliveries(&mut receiver, &bytes),
            [format!("version {}", PROTOCOL_VERSION + 1)]
        );
        assert!(mismatch(PROTOCOL_VERSION + 1).contains("update the host"));
        assert!(
            mismatch(0).starts_with("runner speaks protocol 0, this host 1: reflash the board")
        );
        let _ = board_info();
    }

    // A short frame without zeros inside its first 254 bytes needs no more of COBS than this.
    fn cobs_decode(line: &[u8], into: &mut [u8]) -> usize {
        let (mut at, mut length) = (1, 0);
        while line[at] != 0 {
            let code = line[at] as usize;
            into[length..length + code - 1].copy_from_slice(&line[at + 1..at + code]);
            length += code - 1;
            at += code;
            if line[at] != 0 {
                into[length] = 0;
                length += 1;
            }
        }
        length
    }

    fn cobs_encode(frame: &[u8]) -> Vec<u8> {
        let mut line = vec![0];
        for run in frame.split(|&byte| byte == 0) {
            line.push(run.len() as u8 + 1);
            line.extend_from_slice(run);
        }
        line.push(0);
        line
    }
}
