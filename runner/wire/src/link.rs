//! A session over a line that loses, repeats and damages bytes: every message arrives once and in order.
//!
//! Both sides run the same [`Link`]. Each direction numbers its sequenced frames; at most [`WINDOW`]
//! are under way, kept in a fixed ring until acknowledged. Every frame carries the cumulative
//! acknowledgement of the other direction. An [`Kind::Ack`] frame adds which later frames are already
//! there, so that only what was lost is sent again. A serial line never reorders: when a frame has
//! arrived, every frame sent before it and not arrived is lost, which finds losses without waiting;
//! a timer (RFC 6298) is left only for the last frame before a silence.
//!
//! The longest body is adapted to the line ([`Link::body_limit`]): on a clean one frames are full,
//! on a noisy one they shrink until about one in nine is lost, near the optimum for random errors.
//!
//! Nothing here reads a clock or touches a line; times are microseconds of any steady clock.

use crate::frame::{self, Deframer, FrameError, Header, Kind, MAX_BODY, MAX_LINE};
use serde::Serialize;

/// The most frames under way in one direction.
pub const WINDOW: u16 = 16;
const SLOTS: usize = WINDOW as usize;
const _: () = assert!(WINDOW.is_power_of_two() && WINDOW <= 32);

/// An acknowledgement without other traffic to ride on waits this long for company.
const ACK_DELAY_US: u64 = 2_000;
const FIRST_TIMEOUT_US: u64 = 500_000;
const LEAST_TIMEOUT_US: u64 = 60_000;
const MOST_TIMEOUT_US: u64 = 2_000_000;
const LEAST_BODY: usize = 96;
/// Short enough to get through a bad line, where a full frame sent first might never do.
const FIRST_BODY: usize = 256;

/// Counts of what happened on a link since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct LinkStats {
    /// Sequenced frames sent for the first time.
    pub sent: u32,
    /// Sequenced frames sent again.
    pub resent: u32,
    /// Sequenced frames accepted.
    pub received: u32,
    /// Frames that had been accepted before.
    pub repeated: u32,
    /// Byte runs that were no sound frame of this session.
    pub rejected: u32,
}

/// Why a message was not taken for sending. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No session is open.
    Closed,
    /// [`WINDOW`] frames are under way; try again after the next acknowledgement.
    Full,
    /// The message is longer than [`MAX_BODY`].
    TooLong,
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Closed => "no session is open",
            Self::Full => "the send window is full",
            Self::TooLong => "the message does not fit in a frame",
        })
    }
}

impl core::error::Error for SendError {}

/// What a received byte completed, apart from sequenced messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A frame outside of a session: a [`Kind::Hello`] or [`Kind::Welcome`] body.
    Outside(Kind, &'a [u8]),
    /// A frame of the session was taken in; look at [`Link::receive`].
    Session,
    /// The bytes were no frame of ours; what they were, as far as they were kept.
    Rejected(FrameError, &'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// To be sent, for the first time or again.
    Due,
    UnderWay,
    Arrived,
}

#[derive(Debug)]
struct Slot {
    state: State,
    kind: Kind,
    length: u16,
    tries: u16,
    /// Position of its latest transmission among all transmissions.
    order: u32,
    sent_at: u64,
    body: [u8; MAX_BODY],
}

impl Slot {
    const EMPTY: Self = Self {
        state: State::Free,
        kind: Kind::Ack,
        length: 0,
        tries: 0,
        order: 0,
        sent_at: 0,
        body: [0; MAX_BODY],
    };

    fn body(&self) -> &[u8] {
        self.body.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

fn slot_of(slots: &[Slot; SLOTS], sequence: u16) -> Option<&Slot> {
    slots.get(usize::from(sequence % WINDOW))
}

fn slot_of_mut(slots: &mut [Slot; SLOTS], sequence: u16) -> Option<&mut Slot> {
    slots.get_mut(usize::from(sequence % WINDOW))
}

/// How far `later` is ahead of `earlier`, in the circle of sequence numbers.
fn ahead(later: u16, earlier: u16) -> u16 {
    later.wrapping_sub(earlier)
}

/// One end of a session. About 33 KiB, no heap.
#[derive(Debug)]
pub struct Link {
    session: u32,
    deframer: Deframer,
    stats: LinkStats,
    outgoing: Outgoing,
    arriving: Arriving,
}

#[derive(Debug)]
struct Outgoing {
    slots: [Slot; SLOTS],
    /// The oldest frame not acknowledged.
    base: u16,
    /// The next number to give.
    next: u16,
    transmissions: u32,
    /// When a frame was last heard to have arrived.
    progress_at: u64,
    round_trip: RoundTrip,
    body_limit: usize,
    arrived_in_row: u8,
}

#[derive(Debug)]
struct Arriving {
    slots: [Slot; SLOTS],
    /// The next frame to hand over; everything before it is acknowledged.
    next: u16,
    ack: AckState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AckState {
    Nothing,
    Waiting { since: u64, frames: u16 },
    Urgent,
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// A link without a session.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            session: 0,
            deframer: Deframer::new(),
            stats: LinkStats {
                sent: 0,
                resent: 0,
                received: 0,
                repeated: 0,
                rejected: 0,
            },
            outgoing: Outgoing::new(),
            arriving: Arriving::new(),
        }
    }

    /// Begins a session (nonzero number), forgetting everything of the one before.
    pub fn open(&mut self, session: u32) {
        self.close();
        self.session = session;
        self.stats = LinkStats::default();
    }

    /// Ends the session; what was under way is forgotten.
    pub fn close(&mut self) {
        self.session = 0;
        self.outgoing.reset();
        self.arriving.reset();
    }

    /// The open session, or zero.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.session
    }

    /// What happened since [`Link::open`].
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// Messages that can be sent before the window is full.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.session == 0 {
            0
        } else {
            usize::from(WINDOW - ahead(self.outgoing.next, self.outgoing.base))
        }
    }

    /// Whether everything sent has been acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outgoing.next == self.outgoing.base
    }

    /// The longest body worth sending on this line now, for senders that may choose; at most [`MAX_BODY`].
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.outgoing.body_limit
    }

    /// The smoothed round trip in microseconds, once one was measured.
    #[must_use]
    pub fn round_trip_us(&self) -> Option<u64> {
        self.outgoing.round_trip.smoothed
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`SendError`] when no session is open, the window is full or the message is too long.
    pub fn send(&mut self, kind: Kind, body: &[u8]) -> Result<(), SendError> {
        if body.len() > MAX_BODY {
            return Err(SendError::TooLong);
        }
        self.send_with(kind, |into| {
            if let Some(into) = into.get_mut(..body.len()) {
                into.copy_from_slice(body);
            }
            Some(body.len())
        })
    }

    /// Queues a message in postcard's encoding.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn send_message<T: Serialize>(&mut self, kind: Kind, message: &T) -> Result<(), SendError> {
        self.send_with(kind, |into| {
            postcard::to_slice(message, into)
                .ok()
                .map(|used| used.len())
        })
    }

    /// Queues a message that `write` puts into the frame; it returns the length, or `None` if it did not fit.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn send_with(
        &mut self,
        kind: Kind,
        write: impl FnOnce(&mut [u8; MAX_BODY]) -> Option<usize>,
    ) -> Result<(), SendError> {
        if self.session == 0 {
            return Err(SendError::Closed);
        }
        if self.room() == 0 {
            return Err(SendError::Full);
        }
        let sequence = self.outgoing.next;
        let slot = slot_of_mut(&mut self.outgoing.slots, sequence).ok_or(SendError::Full)?;
        let length = write(&mut slot.body)
            .filter(|&length| length <= MAX_BODY)
            .ok_or(SendError::TooLong)?;
        slot.length = length as u16;
        slot.kind = kind;
        slot.tries = 0;
        slot.state = State::Due;
        self.outgoing.next = sequence.wrapping_add(1);
        Ok(())
    }

    /// The next bytes to put on the line, or an empty slice when there is nothing to send at `now`.
    ///
    /// The caller writes all of them before it asks again.
    pub fn transmit<'a>(&mut self, now: u64, line: &'a mut [u8; MAX_LINE]) -> &'a [u8] {
        if self.session == 0 {
            return &[];
        }
        self.outgoing.expire(now);
        let acknowledgement = self.arriving.next;
        if let Some((sequence, slot)) = self.outgoing.take_due(now) {
            if slot.tries == 1 {
                self.stats.sent += 1;
            } else {
                self.stats.resent += 1;
            }
            self.arriving.piggybacked();
            let header = Header {
                sequence,
                acknowledgement,
                kind: slot.kind,
            };
            return frame::encode(header, self.session, slot.body(), line);
        }
        if self.arriving.take_ack(now) {
            let header = Header {
                sequence: 0,
                acknowledgement,
                kind: Kind::Ack,
            };
            return frame::encode(
                header,
                self.session,
                &self.arriving.bitmap().to_le_bytes(),
                line,
            );
        }
        &[]
    }

    /// When [`Link::transmit`] has something to send although nothing is received until then.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        if self.session == 0 {
            return None;
        }
        let ack = match self.arriving.ack {
            AckState::Nothing => None,
            AckState::Waiting { since, .. } => Some(since + ACK_DELAY_US),
            AckState::Urgent => Some(0),
        };
        [ack, self.outgoing.deadline()].into_iter().flatten().min()
    }

    /// Takes one byte from the line.
    pub fn push(&mut self, byte: u8, now: u64) -> Option<Incoming<'_>> {
        match self.deframer.push(byte, self.session)? {
            Err(rejected) => {
                self.stats.rejected = self.stats.rejected.saturating_add(1);
                Some(Incoming::Rejected(rejected.error, rejected.bytes))
            }
            Ok(frame) if frame.session == 0 => {
                Some(Incoming::Outside(frame.header.kind, frame.body))
            }
            Ok(frame) => {
                let bitmap = match frame.header.kind {
                    Kind::Ack => frame
                        .body
                        .first_chunk()
                        .map_or(0, |bytes| u32::from_le_bytes(*bytes)),
                    _ => 0,
                };
                self.outgoing
                    .acknowledge(frame.header.acknowledgement, bitmap, now);
                if frame.header.kind.is_sequenced() {
                    match self.arriving.accept(frame.header, frame.body) {
                        Acceptance::New => self.stats.received += 1,
                        Acceptance::Repeated => self.stats.repeated += 1,
                        Acceptance::Beyond => {}
                    }
                }
                Some(Incoming::Session)
            }
        }
    }

    /// The next message in order, if it is there. It stays until [`Link::consume`].
    #[must_use]
    pub fn receive(&self) -> Option<(Kind, &[u8])> {
        let slot = slot_of(&self.arriving.slots, self.arriving.next)?;
        (slot.state == State::Arrived).then(|| (slot.kind, slot.body()))
    }

    /// Done with the message [`Link::receive`] gave: from now on it is acknowledged.
    pub fn consume(&mut self, now: u64) {
        self.arriving.consume(now);
    }
}

impl Outgoing {
    const fn new() -> Self {
        Self {
            slots: [Slot::EMPTY; SLOTS],
            base: 0,
            next: 0,
            transmissions: 0,
            progress_at: 0,
            round_trip: RoundTrip::new(),
            body_limit: FIRST_BODY,
            arrived_in_row: 0,
        }
    }

    fn reset(&mut self) {
        self.slots
            .iter_mut()
            .for_each(|slot| slot.state = State::Free);
        self.base = 0;
        self.next = 0;
        self.progress_at = 0;
        self.round_trip = RoundTrip::new();
        self.body_limit = FIRST_BODY;
    }

    fn sequences(&self) -> impl Iterator<Item = u16> + use<> {
        let base = self.base;
        (0..ahead(self.next, self.base)).map(move |offset| base.wrapping_add(offset))
    }

    fn take_due(&mut self, now: u64) -> Option<(u16, &Slot)> {
        let sequence = self
            .sequences()
            .find(|&s| slot_of(&self.slots, s).is_some_and(|slot| slot.state == State::Due))?;
        self.transmissions = self.transmissions.wrapping_add(1);
        let order = self.transmissions;
        let slot = slot_of_mut(&mut self.slots, sequence)?;
        slot.state = State::UnderWay;
        slot.tries = slot.tries.saturating_add(1);
        slot.order = order;
        slot.sent_at = now;
        Some((sequence, slot))
    }

    /// The oldest frame under way is due again when its time is over: counted from the last news of any
    /// frame, since on a slow line it waits behind all that were sent before it (RFC 6298, 5.3).
    fn expire(&mut self, now: u64) {
        let timeout = self.round_trip.timeout();
        let progress_at = self.progress_at;
        if let Some(slot) = self.oldest_under_way()
            && now.saturating_sub(slot.sent_at.max(progress_at)) >= timeout
        {
            slot.state = State::Due;
            self.round_trip.back_off();
            self.lost();
        }
    }

    fn oldest_under_way(&mut self) -> Option<&mut Slot> {
        let sequence = self
            .sequences()
            .find(|&s| slot_of(&self.slots, s).is_some_and(|slot| slot.state == State::UnderWay))?;
        slot_of_mut(&mut self.slots, sequence)
    }

    fn deadline(&self) -> Option<u64> {
        let timeout = self.round_trip.timeout();
        let mut under_way = None;
        for slot in self.sequences().filter_map(|s| slot_of(&self.slots, s)) {
            match slot.state {
                State::Due => return Some(0),
                State::UnderWay => {
                    under_way = under_way.or(Some(slot.sent_at.max(self.progress_at) + timeout));
                }
                State::Free | State::Arrived => {}
            }
        }
        under_way
    }

    fn acknowledge(&mut self, acknowledgement: u16, bitmap: u32, now: u64) {
        let under_way = ahead(self.next, self.base);
        let taken = ahead(acknowledgement, self.base);
        if taken > under_way {
            return; // an old acknowledgement, or nonsense
        }
        // The latest transmission known to have arrived; ambiguous ones (sent twice) do not count.
        let mut newest = None;
        for offset in 0..under_way {
            let sequence = self.base.wrapping_add(offset);
            let arrived = offset < taken
                || (offset > taken
                    && bitmap
                        .checked_shr(u32::from(offset - taken - 1))
                        .unwrap_or(0)
                        & 1
                        == 1);
            let Some(slot) = slot_of_mut(&mut self.slots, sequence) else {
                continue;
            };
            if !arrived || matches!(slot.state, State::Free | State::Arrived) {
                continue;
            }
            self.progress_at = now;
            if slot.tries == 1 && slot.state == State::UnderWay {
                newest = newest.max(Some(slot.order));
                self.round_trip.measured(now.saturating_sub(slot.sent_at));
                self.arrived_in_row += 1;
                if self.arrived_in_row == 8 {
                    self.arrived_in_row = 0;
                    self.body_limit = (self.body_limit + self.body_limit / 8).min(MAX_BODY);
                }
            }
            slot.state = State::Arrived;
        }
        for offset in 0..taken {
            if let Some(slot) = slot_of_mut(&mut self.slots, self.base.wrapping_add(offset)) {
                slot.state = State::Free;
            }
        }
        self.base = acknowledgement;
        if taken > 0 {
            self.round_trip.progress();
        }
        let Some(newest) = newest else { return };
        let mut lost = 0;
        for sequence in self.sequences() {
            if let Some(slot) = slot_of_mut(&mut self.slots, sequence)
                && slot.state == State::UnderWay
                && (newest.wrapping_sub(slot.order) as i32) > 0
            {
                slot.state = State::Due;
                lost += 1;
            }
        }
        (0..lost).for_each(|_| self.lost());
    }

    fn lost(&mut self) {
        self.arrived_in_row = 0;
        self.body_limit = (self.body_limit - self.body_limit / 8).max(LEAST_BODY);
    }
}

enum Acceptance {
    New,
    Repeated,
    /// Further ahead than there is room for; it will come again.
    Beyond,
}

impl Arriving {
    const fn new() -> Self {
        Self {
            slots: [Slot::EMPTY; SLOTS],
            next: 0,
            ack: AckState::Nothing,
        }
    }

    fn reset(&mut self) {
        self.slots
            .iter_mut()
            .for_each(|slot| slot.state = State::Free);
        self.next = 0;
        self.ack = AckState::Nothing;
    }

    fn accept(&mut self, header: Header, body: &[u8]) -> Acceptance {
        let offset = ahead(header.sequence, self.next);
        let slot = slot_of_mut(&mut self.slots, header.sequence);
        let (Some(slot), true) = (slot, offset < WINDOW) else {
            // Behind the window: the acknowledgement was lost. Far ahead: a peer that overruns us.
            self.ack = AckState::Urgent;
            return if offset >= 0x8000 {
                Acceptance::Repeated
            } else {
                Acceptance::Beyond
            };
        };
        if slot.state == State::Arrived {
            self.ack = AckState::Urgent;
            return Acceptance::Repeated;
        }
        if let Some(into) = slot.body.get_mut(..body.len()) {
            into.copy_from_slice(body);
        }
        slot.length = body.len() as u16;
        slot.kind = header.kind;
        slot.state = State::Arrived;
        if self.has_gap() {
            self.ack = AckState::Urgent;
        }
        Acceptance::New
    }

    fn consume(&mut self, now: u64) {
        if let Some(slot) = slot_of_mut(&mut self.slots, self.next)
            && slot.state == State::Arrived
        {
            slot.state = State::Free;
            self.next = self.next.wrapping_add(1);
            self.note(now);
        }
    }

    /// Something is to be acknowledged: soon, or at once when a frame is missing or many have come.
    fn note(&mut self, now: u64) {
        let (since, frames) = match self.ack {
            AckState::Urgent => return,
            AckState::Nothing => (now, 1),
            AckState::Waiting { since, frames } => (since, frames + 1),
        };
        let waiting = AckState::Waiting { since, frames };
        self.ack = if frames >= WINDOW / 4 || self.has_gap() {
            AckState::Urgent
        } else {
            waiting
        };
    }

    fn has_gap(&self) -> bool {
        let next_is_missing =
            slot_of(&self.slots, self.next).is_none_or(|slot| slot.state != State::Arrived);
        next_is_missing && self.bitmap() != 0
    }

    /// Bit `i`: frame `next + 1 + i` has arrived.
    fn bitmap(&self) -> u32 {
        (1..WINDOW)
            .filter(|&offset| {
                slot_of(&self.slots, self.next.wrapping_add(offset))
                    .is_some_and(|slot| slot.state == State::Arrived)
            })
            .fold(0, |bits, offset| bits | 1 << (offset - 1))
    }

    fn take_ack(&mut self, now: u64) -> bool {
        let due = match self.ack {
            AckState::Nothing => false,
            AckState::Waiting { since, .. } => now.saturating_sub(since) >= ACK_DELAY_US,
            AckState::Urgent => true,
        };
        if due {
            self.ack = AckState::Nothing;
        }
        due
    }

    /// A message carried the acknowledgement; only a gap still needs a frame of its own.
    fn piggybacked(&mut self) {
        if !self.has_gap() && self.ack != AckState::Urgent {
            self.ack = AckState::Nothing;
        }
    }
}

/// Round trip estimate and retransmission timeout after RFC 6298, in microseconds.
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    smoothed: Option<u64>,
    variation: u64,
    backed_off: u32,
}

impl RoundTrip {
    const fn new() -> Self {
        Self {
            smoothed: None,
            variation: 0,
            backed_off: 0,
        }
    }

    fn measured(&mut self, sample: u64) {
        let (smoothed, variation) = match self.smoothed {
            None => (sample, sample / 2),
            Some(smoothed) => (
                (7 * smoothed + sample) / 8,
                (3 * self.variation + smoothed.abs_diff(sample)) / 4,
            ),
        };
        self.smoothed = Some(smoothed);
        self.variation = variation;
    }

    fn timeout(&self) -> u64 {
        let plain = self
            .smoothed
            .map_or(FIRST_TIMEOUT_US, |smoothed| smoothed + 4 * self.variation);
        (plain.max(LEAST_TIMEOUT_US) << self.backed_off).min(MOST_TIMEOUT_US)
    }

    fn back_off(&mut self) {
        self.backed_off = (self.backed_off + 1).min(6);
    }

    fn progress(&mut self) {
        self.backed_off = 0;
    }
}

#[cfg(test)]
mod tests;
