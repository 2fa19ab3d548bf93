//! One frame on the line.
//!
//! ```text
//! 0x00*  COBS( version:u8  sequence:u16  acknowledgement:u16  kind:u8  body  trailer:u32 )  0x00
//! ```
//!
//! Integers are little-endian. `trailer` is the CRC-32 (ISO-HDLC) of everything before it, XORed with
//! the number of the session the frame belongs to, so that a frame left over from an earlier session
//! is as good as broken while no byte is spent on saying which session it is. Frames outside of
//! a session ([`Kind::Hello`], [`Kind::Welcome`]) use session 0.
//!
//! A receiver checks in this order: COBS, length, checksum, version, kind. A frame that is too long
//! or broken is dropped up to the next zero byte and never half parsed.

use crate::PROTOCOL_VERSION;
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// Bytes before the body: version, sequence, acknowledgement, kind.
pub const HEADER_LEN: usize = 6;
/// Bytes after the body: the checksum.
pub const TRAILER_LEN: usize = 4;
/// The longest body.
pub const MAX_BODY: usize = 1014;
/// The longest frame before COBS.
pub const MAX_FRAME: usize = HEADER_LEN + MAX_BODY + TRAILER_LEN;
/// The longest frame on the line: COBS adds one byte per 254 begun, and a zero stands at both ends.
pub const MAX_LINE: usize = MAX_FRAME + MAX_FRAME.div_ceil(254) + 2;

const _: () = assert!(MAX_FRAME == 1024 && MAX_LINE == 1031);

static CHECKSUM: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// The CRC-32 (ISO-HDLC) of `bytes`, as used in frames and for hashes of outputs.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    CHECKSUM.checksum(bytes)
}

/// What the body of a frame holds. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Host to board, outside of a session: [`crate::message::Hello`].
    Hello = 0,
    /// Board to host, outside of a session: [`crate::message::Welcome`].
    Welcome = 1,
    /// Both ways, not sequenced: which frames after the acknowledged one have arrived ([`crate::link`]).
    Ack = 2,
    /// Host to board: [`crate::message::Request`].
    Request = 3,
    /// Board to host: [`crate::message::Event`].
    Event = 4,
    /// Host to board: the next bytes of the artefact that is being uploaded.
    Chunk = 5,
    /// Board to host: [`crate::batch`] of timing readings.
    Timings = 6,
    /// Board to host: [`crate::batch`] of power readings.
    Power = 7,
    /// Board to host: [`crate::batch`] of outcomes of the accuracy pass.
    Outcomes = 8,
    /// Board to host: defmt log bytes.
    Log = 9,
    /// Board to host: filler of a line test.
    Probe = 10,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Hello,
        Self::Welcome,
        Self::Ack,
        Self::Request,
        Self::Event,
        Self::Chunk,
        Self::Timings,
        Self::Power,
        Self::Outcomes,
        Self::Log,
        Self::Probe,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// Whether frames of this kind carry a sequence number and are delivered exactly once.
    #[must_use]
    pub fn is_sequenced(self) -> bool {
        !matches!(self, Self::Hello | Self::Welcome | Self::Ack)
    }
}

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of this frame in its direction and session; zero where the kind is not sequenced.
    pub sequence: u16,
    /// The next sequence number expected from the other side: everything before it has arrived.
    pub acknowledgement: u16,
    /// What the body holds.
    pub kind: Kind,
}

/// Why bytes between two zeros are not a frame. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Not COBS.
    Encoding,
    /// Shorter than header and checksum, or longer than [`MAX_FRAME`].
    Length,
    /// The checksum fits neither session 0 nor the given session: damaged, or from another session.
    Checksum,
    /// Sound, but of another protocol version.
    Version {
        /// The other side's [`PROTOCOL_VERSION`].
        theirs: u8,
    },
    /// Sound, but of a kind this side does not know.
    Kind(u8),
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Encoding => f.write_str("not COBS"),
            Self::Length => f.write_str("too short or too long for a frame"),
            Self::Checksum => f.write_str("checksum wrong, or a frame of another session"),
            Self::Version { theirs } => {
                write!(f, "protocol {theirs} where {PROTOCOL_VERSION} is spoken")
            }
            Self::Kind(kind) => write!(f, "unknown frame kind {kind}"),
        }
    }
}

impl core::error::Error for FrameError {}

/// Writes one frame, with a zero byte at both ends, and returns the bytes to send.
///
/// Returns an empty slice when `body` is longer than [`MAX_BODY`].
pub fn encode<'a>(
    header: Header,
    session: u32,
    body: &[u8],
    line: &'a mut [u8; MAX_LINE],
) -> &'a [u8] {
    let mut frame = [0; MAX_FRAME];
    let Some(end) = fill(&mut frame, header, session, body) else {
        return &[];
    };
    let length = match (frame.get(..end), line.get_mut(1..)) {
        (Some(frame), Some(rest)) => cobs::try_encode(frame, rest).unwrap_or(0),
        _ => 0,
    };
    if let Some(first) = line.first_mut() {
        *first = 0;
    }
    if let Some(last) = line.get_mut(length + 1) {
        *last = 0;
    }
    line.get(..length + 2).unwrap_or(&[])
}

fn fill(frame: &mut [u8; MAX_FRAME], header: Header, session: u32, body: &[u8]) -> Option<usize> {
    let trailer_at = HEADER_LEN + body.len();
    let end = trailer_at + TRAILER_LEN;
    let [s0, s1] = header.sequence.to_le_bytes();
    let [a0, a1] = header.acknowledgement.to_le_bytes();
    frame.first_chunk_mut::<HEADER_LEN>()?.copy_from_slice(&[
        PROTOCOL_VERSION,
        s0,
        s1,
        a0,
        a1,
        header.kind as u8,
    ]);
    frame.get_mut(HEADER_LEN..trailer_at)?.copy_from_slice(body);
    let trailer = crc32(frame.get(..trailer_at)?) ^ session;
    frame
        .get_mut(trailer_at..end)?
        .copy_from_slice(&trailer.to_le_bytes());
    Some(end)
}

/// A sound frame: its header and body, and whether it was sent outside of any session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Sequence, acknowledgement and kind.
    pub header: Header,
    /// Zero for a frame outside of a session, else the session given to [`parse`].
    pub session: u32,
    /// What the kind says.
    pub body: &'a [u8],
}

/// Checks a frame from which COBS is already taken off: length, checksum, version, kind.
///
/// # Errors
/// The first check that fails, in that order.
pub fn parse(frame: &[u8], session: u32) -> Result<Frame<'_>, FrameError> {
    if frame.len() > MAX_FRAME {
        return Err(FrameError::Length);
    }
    let (checked, trailer) = frame
        .split_last_chunk::<TRAILER_LEN>()
        .ok_or(FrameError::Length)?;
    let (&[version, s0, s1, a0, a1, kind], body) = checked
        .split_first_chunk::<HEADER_LEN>()
        .ok_or(FrameError::Length)?;
    let claimed = crc32(checked) ^ u32::from_le_bytes(*trailer);
    if claimed != 0 && claimed != session {
        return Err(FrameError::Checksum);
    }
    if version != PROTOCOL_VERSION {
        return Err(FrameError::Version { theirs: version });
    }
    let kind = Kind::from_byte(kind).ok_or(FrameError::Kind(kind))?;
    // A session's frame under session 0, or the other way round, was never sent by a sound peer.
    if (claimed == 0) != matches!(kind, Kind::Hello | Kind::Welcome) {
        return Err(FrameError::Checksum);
    }
    let header = Header {
        sequence: u16::from_le_bytes([s0, s1]),
        acknowledgement: u16::from_le_bytes([a0, a1]),
        kind,
    };
    Ok(Frame {
        header,
        session: claimed,
        body,
    })
}

/// Finds frames in a stream of bytes.
///
/// Holds one frame; what is longer is dropped up to the next zero byte.
#[derive(Debug)]
pub struct Deframer {
    line: heapless::Vec<u8, MAX_LINE>,
    frame: [u8; MAX_FRAME],
    overlong: bool,
    answered: bool,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// An empty deframer.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            line: heapless::Vec::new(),
            frame: [0; MAX_FRAME],
            overlong: false,
            answered: false,
        }
    }

    /// Takes one byte; at the zero that ends a frame, gives the frame or why it is none.
    ///
    /// Nothing between two zeros is no frame and no error.
    pub fn push(&mut self, byte: u8, session: u32) -> Option<Result<Frame<'_>, Rejected<'_>>> {
        if core::mem::take(&mut self.answered) {
            self.line.clear();
            self.overlong = false;
        }
        if byte != 0 {
            self.overlong |= self.line.push(byte).is_err();
            return None;
        }
        if self.line.is_empty() {
            return None;
        }
        self.answered = true;
        let parsed = match self.decode() {
            Ok(length) => parse(self.frame.get(..length).unwrap_or(&[]), session),
            Err(error) => Err(error),
        };
        Some(parsed.map_err(|error| Rejected {
            error,
            bytes: &self.line,
            overlong: self.overlong,
        }))
    }

    /// Takes COBS off the line; gives the length of the frame.
    fn decode(&mut self) -> Result<usize, FrameError> {
        if self.overlong {
            return Err(FrameError::Length);
        }
        match cobs::decode(&self.line, &mut self.frame) {
            Ok(report) => Ok(report.frame_size()),
            Err(cobs::DecodeError::TargetBufTooSmall) => Err(FrameError::Length),
            Err(_) => Err(FrameError::Encoding),
        }
    }
}

/// Bytes between two zeros that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// Which check failed.
    pub error: FrameError,
    /// The bytes as they came (of an overlong line the first [`MAX_LINE`]): a boot message, perhaps.
    pub bytes: &'a [u8],
    /// Whether bytes were dropped because the line was too long.
    pub overlong: bool,
}

#[cfg(test)]
mod tests;
