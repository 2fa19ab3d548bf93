//! The state machine around everything: one host at a time, one trial at a time.
//!
//! ```text
//!            Hello                ArtefactBegin
//!   Idle ───────────▶ Ready ◀──────────────────▶ Provisioning
//!    ▲                 │  ▲       ArtefactCommit
//!    │ Bye             │  │ TrialEnded
//!    └──────── any     ▼  │
//!                   Measuring ◀──▶ Draining
//! ```
//!
//! A [`Hello`] is taken in any state: it ends what was going on for a host that vanished.

use crate::board::{Board, Clock, Line, Log, Parts, Rails, Store, Vitals};
use crate::clock;
use crate::log::{info, warn};
use crate::power::{self, Watch};
use crate::trial::{Progress, Surroundings, Trial};
use embedded_io::{Read, ReadReady, Write, WriteReady};
use scalebench_wire::frame::{self, FrameError, Header, Kind, MAX_LINE};
use scalebench_wire::link::{Incoming, Link};
use scalebench_wire::message::{
    ArtefactState, BoardInfo, Event, Hello, Request, Sampling, Welcome,
};

const BEACON_US: u64 = 1_000_000;
/// How long the runner still answers after a farewell.
const FAREWELL_US: u64 = 300_000;
/// A changed line speed must prove itself within this time.
const BAUD_TRIAL_US: u64 = 1_000_000;
/// Bytes read from the line before anything else gets its turn.
const READ_AT_ONCE: usize = 4096;

/// What the session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No host.
    Idle,
    /// A host, and nothing to do.
    Ready,
    /// An artefact is coming in.
    Provisioning,
    /// A trial is under way.
    Measuring,
    /// A trial is under way, and its readings are being sent.
    Draining,
}

/// What the host wants of the board when it needs it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// To be switched off.
    PowerOff,
    /// To be started anew.
    Reboot,
}

/// The whole runner, but for its surroundings.
pub struct Session<'a, B: Board> {
    parts: Parts<B>,
    info: BoardInfo,
    boot: u32,
    baud: u32,
    link: Link,
    work: Work,
    /// What [`Request::TimeDecoding`] said in this session.
    time_decoding: bool,
    /// What [`Request::Profile`] said in this session.
    profile_ms: u32,
    readings: &'a mut [u32],
    beacon_due: u64,
    baud_change: Option<BaudChange>,
    farewell: Option<Farewell>,
    sampling: Sampling,
    unsent: Unsent,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one of them, placed once, without a heap to box it"
)]
enum Work {
    Nothing,
    Upload,
    Trial(Trial),
    LineTest { left: u32, bytes: u32 },
    Watch(Watch),
}

#[derive(Clone, Copy, Debug)]
enum BaudChange {
    /// Wait until the answer has left.
    Draining { to: u32 },
    /// Wait for a sound frame.
    Trying { back_to: u32, until: u64 },
}

/// Bytes of a frame that the line has not taken yet.
#[derive(Debug)]
struct Unsent {
    bytes: [u8; MAX_LINE],
    from: usize,
    to: usize,
}

impl Unsent {
    fn set(&mut self, bytes: usize) {
        self.from = 0;
        self.to = bytes;
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or(&[])
    }
}

type LineError<B> = <<B as Board>::Line as embedded_io::ErrorType>::Error;

impl<'a, B: Board> Session<'a, B> {
    /// A session that waits for a host. Measures the clock, so it takes a few milliseconds.
    ///
    /// `info.clock` and `info.readings_capacity` are filled in; `boot` is a number that differs from start to
    /// start; `baud` the line's speed now; `readings` the room for the readings of one window.
    pub fn new(
        parts: Parts<B>,
        mut info: BoardInfo,
        boot: u32,
        baud: u32,
        readings: &'a mut [u32],
    ) -> Self {
        info.clock = clock::measured(&parts.clock, readings);
        info.readings_capacity = u32::try_from(readings.len()).unwrap_or(u32::MAX);
        info!("runner started, boot {}", boot);
        Self {
            parts,
            info,
            boot,
            baud,
            link: Link::new(),
            work: Work::Nothing,
            time_decoding: false,
            profile_ms: 0,
            readings,
            beacon_due: 0,
            baud_change: None,
            farewell: None,
            sampling: power::DEFAULT,
            unsent: Unsent {
                bytes: [0; MAX_LINE],
                from: 0,
                to: 0,
            },
        }
    }

    /// What the session is doing.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.work {
            _ if self.link.session() == 0 => State::Idle,
            Work::Nothing | Work::LineTest { .. } | Work::Watch(_) => State::Ready,
            Work::Upload => State::Provisioning,
            Work::Trial(trial) if trial.is_draining() => State::Draining,
            Work::Trial(_) => State::Measuring,
        }
    }

    /// Serves until `stop` says so, the host says farewell or the line fails.
    ///
    /// # Errors
    /// The line's own, when it is gone.
    pub fn run(
        &mut self,
        mut stop: impl FnMut() -> bool,
    ) -> Result<Option<Farewell>, LineError<B>> {
        while self.farewell.is_none() && !stop() {
            if !self.poll()? {
                self.parts.line.wait(self.idle_micros());
            }
        }
        if self.farewell.is_some() {
            self.acknowledge_farewell()?;
        }
        self.end_session();
        Ok(self.farewell)
    }

    /// Lets the host hear that it was understood; repeats of its request are answered too.
    fn acknowledge_farewell(&mut self) -> Result<(), LineError<B>> {
        let until = self.now() + FAREWELL_US;
        while self.now() < until {
            if !self.poll()? {
                self.parts.line.wait(self.idle_micros());
            }
        }
        self.parts.line.flush()
    }

    /// One round: read, answer, work, write. `false` when there is nothing to do until bytes come or time passes.
    ///
    /// # Errors
    /// The line's own, when it is gone.
    pub fn poll(&mut self) -> Result<bool, LineError<B>> {
        let read = self.read()?;
        let answered = self.answer();
        let worked = self.work();
        let wrote = self.write()?;
        self.baud_step();
        Ok(read || answered || worked || wrote)
    }

    fn now(&self) -> u64 {
        self.parts.clock.micros(self.parts.clock.now())
    }

    fn idle_micros(&self) -> u64 {
        if !self.unsent.rest().is_empty() {
            return 200;
        }
        let due = self.link.deadline().unwrap_or(self.beacon_due);
        due.saturating_sub(self.now()).clamp(100, 10_000)
    }

    fn read(&mut self) -> Result<bool, LineError<B>> {
        let mut taken = 0;
        while taken < READ_AT_ONCE && self.parts.line.read_ready()? {
            let mut bytes = [0; 256];
            let count = self.parts.line.read(&mut bytes)?;
            if count == 0 {
                break;
            }
            taken += count;
            let now = self.now();
            for &byte in bytes.get(..count).unwrap_or(&[]) {
                self.take(byte, now);
            }
        }
        Ok(taken > 0)
    }

    fn take(&mut self, byte: u8, now: u64) {
        match self.link.push(byte, now) {
            None => {}
            Some(Incoming::Outside(Kind::Hello, body)) => {
                if let Ok(hello) = postcard::from_bytes::<Hello>(body) {
                    self.greet(&hello);
                }
            }
            Some(Incoming::Outside(..)) => {}
            Some(Incoming::Session) => {
                if let Some(BaudChange::Trying { .. }) = self.baud_change {
                    self.baud_change = None;
                }
            }
            Some(Incoming::Rejected(FrameError::Version { .. }, _)) => self.beacon_due = 0,
            Some(Incoming::Rejected(..)) => {}
        }
    }

    fn greet(&mut self, hello: &Hello) {
        if hello.session == 0 {
            return;
        }
        if hello.session != self.link.session() {
            self.end_session();
            self.time_decoding = false;
            self.profile_ms = 0;
            self.link.open(hello.session);
            info!("session {}", hello.session);
        }
        // The answer to a repeated greeting must not overtake a frame that is half written.
        self.beacon_due = 0;
    }

    fn end_session(&mut self) {
        use crate::board::Engine;
        self.work = Work::Nothing;
        self.sampling = power::DEFAULT;
        self.parts.rails.set(&self.sampling);
        self.parts.vitals.restore_governor();
        self.parts.engine.unload();
        self.parts.store.close();
        self.link.close();
    }

    fn answer(&mut self) -> bool {
        let mut any = false;
        while self.link.room() >= 2 {
            let Some((kind, body)) = self.link.receive() else {
                break;
            };
            match kind {
                Kind::Chunk => {
                    // What cannot be kept is told when the host asks: it does not listen before.
                    if matches!(self.work, Work::Upload) {
                        self.parts.store.append(body);
                    }
                }
                Kind::Request => match postcard::from_bytes(body) {
                    Ok(request) => self.obey(request),
                    Err(_) => warn!("a request that this runner does not know"),
                },
                _ => {}
            }
            let now = self.now();
            self.link.consume(now);
            any = true;
        }
        any
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::ArtefactStatus { digest } => {
                let (have, state) = self.parts.store.status(digest);
                self.event(&Event::Artefact {
                    digest,
                    have,
                    state,
                });
            }
            Request::ArtefactBegin {
                digest,
                bytes,
                offset,
            } => {
                if self.parts.store.begin(digest, bytes, offset) {
                    self.work = Work::Upload;
                } else {
                    let have = self.parts.store.status(digest).0;
                    self.event(&Event::Artefact {
                        digest,
                        have,
                        state: ArtefactState::Refused,
                    });
                }
            }
            Request::ArtefactCommit if matches!(self.work, Work::Upload) => self.commit(),
            Request::Trial(spec) if !matches!(self.work, Work::Trial(_)) => {
                let trial = Trial::new(
                    spec,
                    self.time_decoding,
                    self.profile_ms,
                    self.sampling.when,
                );
                self.work = Work::Trial(trial);
            }
            Request::TimeDecoding(wanted) => {
                info!("windows of detection hold decoding: {}", wanted);
                self.time_decoding = wanted;
            }
            Request::Profile(milliseconds) => self.profile_ms = milliseconds,
            Request::Abort => {
                if let Work::Trial(trial) = &mut self.work {
                    trial.abort();
                }
            }
            Request::Bye => self.end_session(),
            Request::PowerOff => self.farewell = Some(Farewell::PowerOff),
            Request::Reboot => self.farewell = Some(Farewell::Reboot),
            Request::LineTest { bytes } if matches!(self.work, Work::Nothing) => {
                self.work = Work::LineTest { left: bytes, bytes };
            }
            Request::Sampling(sampling) if matches!(self.work, Work::Nothing) => {
                self.sampling = sampling;
                self.parts.rails.set(&sampling);
            }
            Request::WatchRails { millis } if matches!(self.work, Work::Nothing) => {
                self.work = Work::Watch(Watch::new(millis));
            }
            Request::Governor(name) if matches!(self.work, Work::Nothing) => {
                let (before, refused) = self.parts.vitals.set_governor(&name);
                self.event(&Event::Governor { before, refused });
            }
            Request::Echo(number) => self.event(&Event::Echo(number)),
            Request::Baud { baud } if matches!(self.work, Work::Nothing) => {
                self.event(&Event::Baud {
                    baud,
                    accepted: true,
                });
                self.baud_change = Some(BaudChange::Draining { to: baud });
            }
            _ => warn!("a request that does not fit what the runner is doing"),
        }
    }

    fn commit(&mut self) {
        self.work = Work::Nothing;
        if let (Some(digest), have, state) = self.parts.store.commit() {
            self.event(&Event::Artefact {
                digest,
                have,
                state,
            });
        }
    }

    fn event(&mut self, event: &Event) {
        let sent = self.link.send_message(Kind::Event, event);
        debug_assert!(sent.is_ok(), "answers are given only while there is room");
    }

    fn work(&mut self) -> bool {
        self.send_log();
        match &mut self.work {
            Work::Nothing | Work::Upload => false,
            Work::Trial(trial) => {
                let mut around = Surroundings {
                    parts: &mut self.parts,
                    link: &mut self.link,
                    readings: self.readings,
                    resolution_ticks: self.info.clock.resolution_ticks,
                };
                let progress = trial.step(&mut around);
                if progress == Progress::Done {
                    self.work = Work::Nothing;
                }
                progress != Progress::Blocked
            }
            Work::Watch(watch) => {
                if self.link.room() <= 3 {
                    return false;
                }
                let Parts { rails, clock, .. } = &mut self.parts;
                let did = watch.step(rails, clock, &mut self.link);
                if did.is_none() {
                    self.work = Work::Nothing;
                }
                did.unwrap_or(true)
            }
            Work::LineTest { left, bytes } => {
                let room = self.link.room() > 2;
                if room && *left > 0 {
                    let length = (*left as usize).min(self.link.body_limit());
                    let sent = self.link.send_with(Kind::Probe, |body| {
                        fill_probe(body.get_mut(..length)?, *left);
                        Some(length)
                    });
                    if sent.is_ok() {
                        *left -= length as u32;
                    }
                } else if room {
                    let tested = Event::LineTested { bytes: *bytes };
                    self.work = Work::Nothing;
                    self.event(&tested);
                }
                room
            }
        }
    }

    /// Log bytes go out when nothing else wants the line much.
    fn send_log(&mut self) {
        if self.link.room() < 4 {
            return;
        }
        let mut bytes = [0; 256];
        let count = self.parts.log.take(&mut bytes);
        if count > 0 {
            let _ = self.link.send(Kind::Log, bytes.get(..count).unwrap_or(&[]));
        }
    }

    fn write(&mut self) -> Result<bool, LineError<B>> {
        let mut any = false;
        loop {
            if self.unsent.rest().is_empty() && !self.next_frame() {
                return Ok(any);
            }
            if !self.parts.line.write_ready()? {
                return Ok(any);
            }
            let count = self.parts.line.write(self.unsent.rest())?;
            self.unsent.from += count;
            any |= count > 0;
        }
    }

    /// Puts the next frame in line to be written, if there is one.
    fn next_frame(&mut self) -> bool {
        let now = self.now();
        let waiting = self.link.session() == 0;
        if self.beacon_due == 0 || (waiting && now >= self.beacon_due) {
            self.beacon_due = now + BEACON_US;
            let welcome = Welcome {
                session: self.link.session(),
                boot: self.boot,
                board: self.info.clone(),
            };
            let mut body = [0; frame::MAX_BODY];
            let header = Header {
                sequence: 0,
                acknowledgement: 0,
                kind: Kind::Welcome,
            };
            let Ok(body) = postcard::to_slice(&welcome, &mut body) else {
                return false;
            };
            let length = frame::encode(header, 0, body, &mut self.unsent.bytes).len();
            self.unsent.set(length);
            return true;
        }
        let length = self.link.transmit(now, &mut self.unsent.bytes).len();
        self.unsent.set(length);
        length > 0
    }

    fn baud_step(&mut self) {
        match self.baud_change {
            Some(BaudChange::Draining { to })
                if self.link.is_drained() && self.unsent.rest().is_empty() =>
            {
                let until = self.now() + BAUD_TRIAL_US;
                self.baud_change = if self.parts.line.set_baud(to) {
                    let back_to = core::mem::replace(&mut self.baud, to);
                    Some(BaudChange::Trying { back_to, until })
                } else {
                    None
                };
            }
            Some(BaudChange::Trying { back_to, until }) if self.now() >= until => {
                self.parts.line.set_baud(back_to);
                self.baud = back_to;
                self.baud_change = None;
            }
            _ => {}
        }
    }
}

/// Filler in which every byte value occurs, the same for the same `seed`.
fn fill_probe(body: &mut [u8], seed: u32) {
    let mut state = seed | 1;
    for byte in body {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = state as u8;
    }
}
