//! The host's end of a session over a serial port.

use crate::capture::Writer;
use crate::port::{Port, PortError};
use crate::receiver::{Delivery, Receiver, mismatch};
use scalebench_wire::frame::{Header, Kind, MAX_LINE, encode};
use scalebench_wire::link::{LinkStats, SendError};
use scalebench_wire::message::{Event, Hello, Request, Welcome, clipped};
use std::time::{Duration, Instant};

/// Why a session ended, or never began.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// No runner answers.
    #[error(
        "no runner answers on {port} at {baud} baud{printed}: check that the board runs scalebench-runner at this speed, and the cable's RX and TX"
    )]
    NoAnswer {
        /// The port.
        port: String,
        /// The host's speed.
        baud: u32,
        /// What was heard instead, as the end of a sentence; empty if nothing.
        printed: String,
    },
    /// The two speak different versions.
    #[error("{0}")]
    Version(String),
    /// The capture cannot be written.
    #[error("cannot write the capture: {0}: make room on the disk, then go on with --resume")]
    Capture(#[source] std::io::Error),
    /// The board was started anew in the middle of it.
    #[error(
        "the board restarted: what it was measuring is lost and can be had again with --resume"
    )]
    Restarted,
    /// The board ended the session by itself.
    #[error(
        "the board left the session: is another host talking to it? What it was measuring can be had again with --resume"
    )]
    Left,
    /// The board says nothing any more.
    #[error("the board has said nothing for {0} s: reset it, then go on with --resume")]
    Silent(u64),
    /// Another board than the one the run was begun on.
    #[error(
        "this run was begun on {was}, but this is {is}: resume it on the board it was begun on, or start a new run"
    )]
    OtherBoard {
        /// The first board.
        was: String,
        /// This one.
        is: String,
    },
    /// A message that does not fit its type.
    #[error(
        "the board sent a message that cannot be read: update the host, or reflash with `scalebench image`"
    )]
    Message,
}

/// How patient the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Between two attempts to open a session.
    pub hello: Duration,
    /// For the board to open one.
    pub open: Duration,
    /// For the board to say anything, unless it announced to be quiet.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            hello: Duration::from_millis(300),
            open: Duration::from_secs(10),
            silence: Duration::from_secs(20),
        }
    }
}

/// Sees everything that arrives.
pub trait Observer {
    /// A delivery, before anybody acts on it.
    fn delivered(&mut self, delivery: &Delivery<'_>);
    /// Called often, with the link's counts.
    fn turned(&mut self, _stats: LinkStats, _bytes: u64) {}
}

impl Observer for () {
    fn delivered(&mut self, _: &Delivery<'_>) {}
}

/// A session, or the wait for one.
#[derive(Debug)]
pub struct Session<O> {
    port: Port,
    baud: u32,
    receiver: Receiver,
    capture: Option<Writer>,
    patience: Patience,
    begun: Instant,
    heard: Instant,
    quiet: Duration,
    bytes: u64,
    out: Vec<u8>,
    /// Sees everything that arrives.
    pub observer: O,
}

impl<O: Observer> Session<O> {
    /// Over an open port; `capture` gets every byte received.
    pub fn new(
        port: Port,
        baud: u32,
        receiver: Receiver,
        capture: Option<Writer>,
        patience: Patience,
        observer: O,
    ) -> Self {
        Self {
            port,
            baud,
            receiver,
            capture,
            patience,
            begun: Instant::now(),
            heard: Instant::now(),
            quiet: Duration::ZERO,
            bytes: 0,
            out: Vec::with_capacity(MAX_LINE),
            observer,
        }
    }

    /// Opens a new session.
    ///
    /// # Errors
    /// [`SessionError::NoAnswer`], [`SessionError::Version`] or the port's.
    pub fn open(&mut self) -> Result<Welcome, SessionError> {
        let number = loop {
            match getrandom::u32() {
                Ok(0) => {}
                Ok(number) => break number,
                Err(_) => break std::process::id().max(1),
            }
        };
        if let Some(capture) = &mut self.capture {
            capture.seek(number).map_err(SessionError::Capture)?;
        }
        self.receiver.seek(number);
        self.out.clear();
        let mut body = [0; 128];
        let hello = Hello {
            session: number,
            host: clipped(env!("CARGO_PKG_VERSION")),
        };
        let body = postcard::to_slice(&hello, &mut body).map_err(|_| SessionError::Message)?;
        let header = Header {
            sequence: 0,
            acknowledgement: 0,
            kind: Kind::Hello,
        };
        let mut line = [0; MAX_LINE];
        let hello = encode(header, 0, body, &mut line).to_vec();
        let deadline = Instant::now() + self.patience.open;
        let mut next = Instant::now();
        let (mut waits, mut printed) = (false, String::new());
        while Instant::now() < deadline {
            if Instant::now() >= next {
                next = Instant::now() + self.patience.hello;
                if self.out.is_empty() {
                    self.out.extend_from_slice(&hello);
                }
            }
            let mut opened = None;
            self.turn(Duration::from_millis(20), &mut |delivery| match delivery {
                Delivery::Opened(welcome) => opened = Some((**welcome).clone()),
                Delivery::Waiting(_) => waits = true,
                Delivery::Printed(text) => printed.clone_from(text),
                _ => {}
            })?;
            if let Some(welcome) = opened {
                self.heard = Instant::now();
                self.quiet = Duration::ZERO;
                return Ok(welcome);
            }
        }
        if let Some(text) = self.receiver.loose_text() {
            printed = text;
        }
        let printed = if waits {
            " to what it is sent, though it can be heard".to_owned()
        } else if printed.is_empty() {
            String::new()
        } else {
            format!(" (the board printed: {printed})")
        };
        Err(SessionError::NoAnswer {
            port: self.port.path().display().to_string(),
            baud: self.baud,
            printed,
        })
    }

    /// One round: sends what is due, waits at most `most` for bytes, takes them in.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn turn(
        &mut self,
        most: Duration,
        sink: &mut dyn FnMut(&Delivery<'_>),
    ) -> Result<(), SessionError> {
        self.transmit()?;
        let now = self.now();
        let wait = match self.receiver.link().deadline() {
            Some(deadline) => most.min(Duration::from_micros(deadline.saturating_sub(now))),
            None => most,
        };
        let ready = self.port.wait(!self.out.is_empty(), wait)?;
        if ready.readable {
            self.take_in(sink)?;
        }
        self.transmit()?;
        if let Some(capture) = &mut self.capture {
            capture.tick().map_err(SessionError::Capture)?;
        }
        self.observer.turned(self.receiver.stats(), self.bytes);
        Ok(())
    }

    fn transmit(&mut self) -> Result<(), SessionError> {
        loop {
            if self.out.is_empty() {
                let now = self.now();
                let mut line = [0; MAX_LINE];
                let bytes = self.receiver.link().transmit(now, &mut line);
                self.out.extend_from_slice(bytes);
            }
            if self.out.is_empty() {
                return Ok(());
            }
            let written = self.port.write(&self.out)?;
            self.out.drain(..written);
            if written == 0 {
                return Ok(());
            }
        }
    }

    fn take_in(&mut self, sink: &mut dyn FnMut(&Delivery<'_>)) -> Result<(), SessionError> {
        let mut buffer = [0; 16 * 1024];
        let length = self.port.read(&mut buffer)?;
        let bytes = &buffer[..length];
        if length == 0 {
            return Ok(());
        }
        self.bytes += length as u64;
        if let Some(capture) = &mut self.capture {
            capture.bytes(bytes).map_err(SessionError::Capture)?;
        }
        self.heard = Instant::now();
        let now = self.now();
        let (mut ended, mut quiet) = (None, self.quiet);
        let observer = &mut self.observer;
        self.receiver.feed(bytes, now, &mut |delivery| {
            observer.delivered(&delivery);
            match &delivery {
                Delivery::Restarted => ended = Some(SessionError::Restarted),
                Delivery::Left => ended = Some(SessionError::Left),
                Delivery::Version(theirs) => ended = Some(SessionError::Version(mismatch(*theirs))),
                Delivery::Message(kind, body) => {
                    quiet = match (kind, event(*kind, body)) {
                        (_, Some(Event::Quiet { up_to_ms })) => {
                            Duration::from_millis(up_to_ms.min(3_600_000).into())
                        }
                        // A log line says nothing of what comes next.
                        (Kind::Log, _) => quiet,
                        _ => Duration::ZERO,
                    }
                }
                _ => {}
            }
            sink(&delivery);
        });
        self.quiet = quiet;
        ended.map_or(Ok(()), Err)
    }

    /// Takes rounds until `until` gives something.
    ///
    /// # Errors
    /// [`SessionError::Silent`] when the board says nothing for too long, or any other.
    pub fn wait<T>(
        &mut self,
        mut until: impl FnMut(&Delivery<'_>) -> Option<T>,
    ) -> Result<T, SessionError> {
        let mut found = None;
        loop {
            self.turn(Duration::from_millis(20), &mut |delivery| {
                if found.is_none() {
                    found = until(delivery);
                }
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
            let silence = self.patience.silence + self.quiet;
            if self.heard.elapsed() > silence {
                return Err(SessionError::Silent(self.heard.elapsed().as_secs()));
            }
        }
    }

    /// Sends a request, waiting for room if need be. What arrives meanwhile goes to `sink`.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn request(&mut self, request: &Request) -> Result<(), SessionError> {
        self.queue(&mut |session| session.receiver.link().send_message(Kind::Request, request))
    }

    /// Sends a piece of an artefact of at most [`Session::piece`] bytes.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.queue(&mut |session| session.receiver.link().send(Kind::Chunk, bytes))
    }

    fn queue(
        &mut self,
        send: &mut dyn FnMut(&mut Self) -> Result<(), SendError>,
    ) -> Result<(), SessionError> {
        loop {
            match send(self) {
                Ok(()) => return self.transmit(),
                Err(SendError::Full) => self.turn(Duration::from_millis(20), &mut |_| {})?,
                Err(_) => return Err(SessionError::Message),
            }
            if self.heard.elapsed() > self.patience.silence + self.quiet {
                return Err(SessionError::Silent(self.heard.elapsed().as_secs()));
            }
        }
    }

    /// The best length of a chunk on this line now.
    pub fn piece(&mut self) -> usize {
        self.receiver.link().body_limit()
    }

    /// Ends the session politely, as far as the board still listens.
    pub fn bye(&mut self) {
        self.leave(&Request::Bye);
    }

    /// As [`Session::bye`], with another last request.
    pub fn leave(&mut self, farewell: &Request) {
        let _ = self.request(farewell);
        let deadline = Instant::now() + Duration::from_millis(500);
        while !self.receiver.link().is_drained() && Instant::now() < deadline {
            if self.turn(Duration::from_millis(20), &mut |_| {}).is_err() {
                break;
            }
        }
        if let Some(capture) = &mut self.capture {
            let _ = capture.flush();
        }
    }

    /// Changes the host's speed.
    ///
    /// # Errors
    /// The port's.
    pub fn set_baud(&mut self, baud: u32) -> Result<(), SessionError> {
        self.port.set_baud(baud)?;
        self.baud = baud;
        Ok(())
    }

    /// Replaces a port that was lost by one that was opened again.
    pub fn replug(&mut self, port: Port) {
        self.port = port;
        self.out.clear();
    }

    /// What this side of the link did, over all sessions.
    #[must_use]
    pub fn counts(&self) -> LinkStats {
        self.receiver.totals()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Bytes received.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The smoothed round trip, once measured.
    pub fn round_trip(&mut self) -> Option<Duration> {
        self.receiver
            .link()
            .round_trip_us()
            .map(Duration::from_micros)
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }
}

/// The event in a message, if it is one that this host knows.
#[must_use]
pub fn event(kind: Kind, body: &[u8]) -> Option<Event> {
    (kind == Kind::Event)
        .then(|| postcard::from_bytes(body).ok())
        .flatten()
}

#[cfg(test)]
mod tests;
