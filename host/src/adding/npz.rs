//! The members of a ZIP archive as NumPy writes it: stored or deflated, below 4 GiB, without encryption.
//!
//! Layout after PKWARE's APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its
//! end). Lengths are taken from the central directory: the local headers of NumPy's files do not hold them.

use flate2::read::DeflateDecoder;
use scalebench_wire::frame::crc32;
use std::io::Read;

const END: &[u8] = b"PK\x05\x06";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// Bytes of the fixed part of each record.
const END_BYTES: usize = 22;
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
/// The longest comment at the end of an archive.
const MAX_COMMENT: usize = u16::MAX as usize;
/// Ways to compress.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A file in an archive.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) name: String,
    method: u16,
    packed: &'a [u8],
    length: u64,
    crc: u32,
}

/// What an archive holds.
pub(super) fn members(bytes: &[u8]) -> Result<Vec<Member<'_>>, &'static str> {
    const BROKEN: &str = "is no whole ZIP archive";
    let first = bytes.len().saturating_sub(END_BYTES + MAX_COMMENT);
    let tail = bytes.get(first..).unwrap_or(&[]);
    let end = tail
        .windows(END.len())
        .rposition(|window| window == END)
        .and_then(|at| tail.get(at..at + END_BYTES))
        .ok_or(BROKEN)?;
    let count = u16_at(end, 10).ok_or(BROKEN)?;
    let mut at = u32_at(end, 16).ok_or(BROKEN)? as usize;
    let mut members = Vec::new();
    for _ in 0..count {
        let head = record(bytes, at, CENTRAL, CENTRAL_BYTES).ok_or(BROKEN)?;
        let lengths = [28, 30, 32].map(|field| u16_at(head, field).map_or(0, usize::from));
        let name = bytes.get(at + CENTRAL_BYTES..at + CENTRAL_BYTES + lengths[0]);
        let packed = u32_at(head, 20).ok_or(BROKEN)? as usize;
        let place = u32_at(head, 42).ok_or(BROKEN)? as usize;
        let local = record(bytes, place, LOCAL, LOCAL_BYTES).ok_or(BROKEN)?;
        let before = [26, 28].map(|field| u16_at(local, field).map_or(0, usize::from));
        let begin = place + LOCAL_BYTES + before[0] + before[1];
        members.push(Member {
            name: String::from_utf8_lossy(name.ok_or(BROKEN)?).into_owned(),
            method: u16_at(head, 10).ok_or(BROKEN)?,
            packed: begin
                .checked_add(packed)
                .and_then(|end| bytes.get(begin..end))
                .ok_or(BROKEN)?,
            length: u32_at(head, 24).ok_or(BROKEN)?.into(),
            crc: u32_at(head, 16).ok_or(BROKEN)?,
        });
        at += CENTRAL_BYTES + lengths.iter().sum::<usize>();
    }
    Ok(members)
}

impl Member<'_> {
    /// Its bytes, of which there are at most `most`.
    pub(super) fn content(&self, most: u64) -> Result<Vec<u8>, &'static str> {
        if self.length > most {
            return Err("holds an array that is too long");
        }
        let mut content = Vec::new();
        match self.method {
            STORED => content.extend_from_slice(self.packed),
            DEFLATED => {
                // One byte more than announced, so that a longer one is noticed.
                DeflateDecoder::new(self.packed)
                    .take(self.length + 1)
                    .read_to_end(&mut content)
                    .map_err(|_| "holds an array whose compression is damaged")?;
            }
            _ => return Err("holds an array that is neither stored nor deflated"),
        }
        if content.len() as u64 != self.length || crc32(&content) != self.crc {
            return Err("holds a damaged array");
        }
        Ok(content)
    }
}

/// The fixed part of a record that begins with `signature`.
fn record<'a>(bytes: &'a [u8], at: usize, signature: &[u8], length: usize) -> Option<&'a [u8]> {
    let record = bytes.get(at..at.checked_add(length)?)?;
    record.starts_with(signature).then_some(record)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// An archive of one stored and one deflated member, as Python's zipfile writes it.
    fn archive(first: &[u8], second: &[u8]) -> Vec<u8> {
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), Default::default());
        deflated.write_all(second).unwrap();
        let deflated = deflated.finish().unwrap();
        let mut out = Vec::new();
        let mut directory = Vec::new();
        for (name, method, packed, whole) in [
            ("x.npy", STORED, first, first),
            ("y.npy", DEFLATED, deflated.as_slice(), second),
        ] {
            let place = out.len() as u32;
            out.extend(LOCAL);
            out.extend([0; 22]);
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(20_u16.to_le_bytes());
            out.extend(name.as_bytes());
            out.extend([0xAA; 20]); // lengths of 64 bits, not looked at
            out.extend(packed);
            directory.extend(CENTRAL);
            directory.extend([0; 6]);
            directory.extend(method.to_le_bytes());
            directory.extend([0; 4]);
            directory.extend(crc32(whole).to_le_bytes());
            directory.extend((packed.len() as u32).to_le_bytes());
            directory.extend((whole.len() as u32).to_le_bytes());
            directory.extend((name.len() as u16).to_le_bytes());
            directory.extend([0; 12]);
            directory.extend(place.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let place = out.len() as u32;
        out.extend(&directory);
        out.extend(END);
        out.extend([0; 6]);
        out.extend(2_u16.to_le_bytes());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(place.to_le_bytes());
        out.extend([0; 2]);
        out
    }

    #[test]
    fn members_come_out_as_they_went_in() {
        let (first, second) = (vec![7; 100], b"abcabcabcabcabc".to_vec());
        let bytes = archive(&first, &second);
        let found = members(&bytes).unwrap();
        assert_eq!(found[0].name, "x.npy");
        assert_eq!(found[0].content(1_000).unwrap(), first);
        assert_eq!(found[1].content(1_000).unwrap(), second);
        assert!(found[1].content(3).is_err());
    }

    #[test]
    fn no_damage_goes_unnoticed_or_panics() {
        let bytes = archive(&[1, 2, 3], b"something to deflate, to deflate");
        for length in 0..bytes.len() {
            assert!(members(&bytes[..length]).is_err(), "{length} bytes");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xFF;
            for member in members(&damaged).into_iter().flatten() {
                let _ = member.content(1_000);
            }
        }
        let mut damaged = bytes.clone();
        damaged[LOCAL_BYTES + 5 + 20] ^= 1;
        assert!(members(&damaged).unwrap()[0].content(1_000).is_err());
    }
}
