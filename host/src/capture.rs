//! Captures: every raw byte of a run, so that it can be told again.
//!
//! A capture is an append-only file. All integers are little-endian.
//!
//! ```text
//! "SBCAPTUR"  version:u16=1  reserved:u16=0
//! record*:    kind:u8  time:u64  length:u32  payload  crc:u32
//! ```
//!
//! `time` is the host's, in microseconds since 1970; `crc` is the CRC-32 (ISO-HDLC) of everything of
//! the record before it. Kinds:
//!
//! | kind | payload |
//! |---|---|
//! | 1 | the plan, as JSON; the first record |
//! | 2 | u32: from here on the host asks for this session |
//! | 3 | bytes received from the board, as they came |
//!
//! Records of other kinds are skipped. A host that was killed leaves a tail that ends within a record;
//! it is dropped, and [`Writer::append`] cuts it off before it goes on.

use scalebench_wire::frame::crc32;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MAGIC: &[u8; 8] = b"SBCAPTUR";
const VERSION: u16 = 1;
const HEAD: usize = 12;
const RECORD_HEAD: usize = 13;
const MOST_PAYLOAD: usize = 1 << 24;
/// Received bytes are gathered up to this many, or this long, into one record.
const GATHER: usize = 16 * 1024;
const GATHER_TIME: Duration = Duration::from_millis(100);

/// Why a capture cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// Not a capture at all.
    #[error(
        "this is no capture of scalebench (its first bytes are others): name the folder of a run"
    )]
    Magic,
    /// From a later scalebench.
    #[error("this capture has format {theirs}, this scalebench reads {VERSION}: update scalebench")]
    Version {
        /// The file's.
        theirs: u16,
    },
}

/// One thing a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The plan, as JSON.
    Plan(&'a [u8]),
    /// The host asks for this session from here on.
    Seek(u32),
    /// Bytes from the board.
    Bytes(&'a [u8]),
}

/// An entry and the host's time, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When.
    pub time_us: u64,
    /// What.
    pub entry: Entry<'a>,
}

/// A read capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture<'a> {
    /// Everything in it, in order.
    pub records: Vec<Record<'a>>,
    /// Bytes of the file that are sound; what is behind them is a torn tail.
    pub sound: usize,
}

/// Reads a capture. A torn or damaged record ends it.
///
/// # Errors
/// [`CaptureError`] when the head is another's.
pub fn parse(bytes: &[u8]) -> Result<Capture<'_>, CaptureError> {
    let (head, _) = bytes
        .split_first_chunk::<HEAD>()
        .ok_or(CaptureError::Magic)?;
    if !head.starts_with(MAGIC) {
        return Err(CaptureError::Magic);
    }
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version != VERSION {
        return Err(CaptureError::Version { theirs: version });
    }
    let mut records = Vec::new();
    let mut sound = HEAD;
    while let Some((kind, time_us, payload, length)) = record(&bytes[sound..]) {
        let entry = match (kind, payload) {
            (1, json) => Some(Entry::Plan(json)),
            (2, &[a, b, c, d]) => Some(Entry::Seek(u32::from_le_bytes([a, b, c, d]))),
            (3, bytes) => Some(Entry::Bytes(bytes)),
            _ => None,
        };
        records.extend(entry.map(|entry| Record { time_us, entry }));
        sound += length;
    }
    Ok(Capture { records, sound })
}

fn record(bytes: &[u8]) -> Option<(u8, u64, &[u8], usize)> {
    let (head, rest) = bytes.split_first_chunk::<RECORD_HEAD>()?;
    let time = u64::from_le_bytes(head[1..9].try_into().ok()?);
    let length = u32::from_le_bytes(head[9..13].try_into().ok()?) as usize;
    if length > MOST_PAYLOAD {
        return None;
    }
    let payload = rest.get(..length)?;
    let crc = rest.get(length..length + 4)?;
    let checked = bytes.get(..RECORD_HEAD + length)?;
    (crc == crc32(checked).to_le_bytes()).then_some((
        head[0],
        time,
        payload,
        RECORD_HEAD + length + 4,
    ))
}

/// Writes a capture.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<File>,
    gathered: Vec<u8>,
    gathered_since: Instant,
    gathered_at: u64,
}

impl Writer {
    /// Begins a new capture with its plan.
    ///
    /// # Errors
    /// What the system says; the file must not exist.
    pub fn create(path: &Path, plan: &[u8]) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut writer = Self::over(file);
        let [a, b] = VERSION.to_le_bytes();
        writer.file.write_all(MAGIC)?;
        writer.file.write_all(&[a, b, 0, 0])?;
        writer.put(1, now_us(), plan)?;
        writer.file.flush()?;
        Ok(writer)
    }

    /// Goes on with a capture, of which the first `sound` bytes are kept.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(path: &Path, sound: usize) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(sound as u64)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self::over(file))
    }

    fn over(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(64 * 1024, file),
            gathered: Vec::with_capacity(2 * GATHER),
            gathered_since: Instant::now(),
            gathered_at: 0,
        }
    }

    /// Notes that the host asks for a session.
    ///
    /// # Errors
    /// What the system says.
    pub fn seek(&mut self, session: u32) -> io::Result<()> {
        self.flush()?;
        self.put(2, now_us(), &session.to_le_bytes())?;
        self.file.flush()
    }

    /// Keeps received bytes. They are on disk at most a tenth of a second later, if
    /// [`Writer::tick`] is called that often.
    ///
    /// # Errors
    /// What the system says.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gathered.is_empty() {
            self.gathered_since = Instant::now();
            self.gathered_at = now_us();
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes out what has waited long enough.
    ///
    /// # Errors
    /// What the system says.
    pub fn tick(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() && self.gathered_since.elapsed() >= GATHER_TIME {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes out everything.
    ///
    /// # Errors
    /// What the system says.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered);
            let result = self.put(3, self.gathered_at, &gathered);
            self.gathered = gathered;
            self.gathered.clear();
            result?;
        }
        self.file.flush()
    }

    fn put(&mut self, kind: u8, time_us: u64, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|&length| length as usize <= MOST_PAYLOAD)
            .ok_or_else(|| io::Error::other("a capture record is limited to 16 MiB"))?;
        let mut record = Vec::with_capacity(RECORD_HEAD + payload.len() + 4);
        record.push(kind);
        record.extend_from_slice(&time_us.to_le_bytes());
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(payload);
        let crc = crc32(&record);
        record.extend_from_slice(&crc.to_le_bytes());
        self.file.write_all(&record)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Reads a capture file whole.
///
/// # Errors
/// What the system says.
pub fn load(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("capture.bin");
        let mut writer = Writer::create(&path, b"{}").unwrap();
        writer.seek(7).unwrap();
        writer.bytes(b"ab").unwrap();
        writer.bytes(b"cd").unwrap();
        writer.seek(8).unwrap();
        writer.bytes(b"ef").unwrap();
        path
    }

    fn entries<'a>(capture: &Capture<'a>) -> Vec<Entry<'a>> {
        capture.records.iter().map(|record| record.entry).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = load(&written(dir.path())).unwrap();
        let capture = parse(&bytes).unwrap();
        assert_eq!(capture.sound, bytes.len());
        assert_eq!(
            entries(&capture),
            [
                Entry::Plan(b"{}"),
                Entry::Seek(7),
                Entry::Bytes(b"abcd"),
                Entry::Seek(8),
                Entry::Bytes(b"ef")
            ]
        );
    }

    #[test]
    fn a_torn_tail_is_dropped_and_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        let bytes = load(&path).unwrap();
        let torn = &bytes[..bytes.len() - 3];
        let capture = parse(torn).unwrap();
        assert_eq!(capture.records.len(), 4);
        std::fs::write(&path, torn).unwrap();
        Writer::append(&path, capture.sound)
            .unwrap()
            .seek(9)
            .unwrap();
        let bytes = load(&path).unwrap();
        let capture = parse(&bytes).unwrap();
        assert_eq!(capture.sound, bytes.len());
        assert_eq!(entries(&capture)[4], Entry::Seek(9));
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(parse(b"GIF89a"), Err(CaptureError::Magic));
        let error = parse(b"SBCAPTUR\x09\x00\x00\x00").unwrap_err();
        assert_eq!(
            error.to_string(),
            "this capture has format 9, this scalebench reads 1: update scalebench"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>, headed: bool) {
            if headed {
                bytes.splice(0..0, b"SBCAPTUR\x01\x00\x00\x00".iter().copied());
            }
            if let Ok(capture) = parse(&bytes) {
                prop_assert!(capture.sound <= bytes.len());
            }
        }
    }
}
