//! Many readings in one message, at little more than their entropy.
//!
//! A batch holds rows of the same `C` columns of integers (timing: one column of ticks; power: time,
//! voltage and current; outcomes: as many columns as the task has). Each column is predicted from what
//! came before in the same batch; the error of the prediction is zig-zagged and written as a Rice code
//! (R. F. Rice, *Some practical universal noiseless coding techniques*, JPL 79-22, 1979): `error >> k`
//! ones, a zero, then the low `k` bits. `k` is chosen per column and batch. Compared with varints of
//! the same errors this saves the unused bits of the last byte, which is what keeps a noisy reading
//! near one byte.
//!
//! ```text
//! first:u32  rows:u16  C × ( width:7 bits  start:width bits, zig-zag  k:6 bits )  rows × C × code
//! ```
//!
//! `first` is the number of the batch's first row in its stream, so that a gap can be seen. All
//! arithmetic wraps, so every `i64` survives.

use crate::bits::{BitReader, BitWriter};

/// The most rows in one batch.
pub const MAX_ROWS: usize = 4096;
/// After this many ones the error follows in 64 plain bits.
const ESCAPE: u32 = 24;
const WIDTH_OF_K: u32 = 6;
const MOST_K: usize = 40;
/// About as many rows as fill a frame.
const ROWS_TO_CHOOSE_BY: usize = 1024;
const WIDTH_OF_WIDTH: u32 = 7;

/// How a column is predicted. Both sides must agree; it follows from the kind of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// Noise around a level: a running mean with weight 1/8, deaf to outliers.
    Level,
    /// A slowly changing value: the same as before.
    Previous,
    /// A clock: as far from the last value as the last was from the one before.
    Step,
}

/// Why a batch cannot be read. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// The message ends before its last row.
    Truncated,
    /// It claims more than [`MAX_ROWS`] rows.
    TooManyRows(u16),
}

impl core::fmt::Display for BatchError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => f.write_str("batch ends before its last row"),
            Self::TooManyRows(rows) => write!(
                f,
                "batch claims {rows} rows, at most {MAX_ROWS} are allowed"
            ),
        }
    }
}

impl core::error::Error for BatchError {}

#[derive(Clone, Copy, Debug)]
struct Column {
    predictor: Predictor,
    level: i64,
    step: i64,
    /// Running mean of the distance from the level, in eighths.
    spread: u64,
    k: u32,
}

impl Column {
    fn new(predictor: Predictor, start: i64, k: u32) -> Self {
        // A level is kept with three binary places, so that the mean does not stick.
        let level = if predictor == Predictor::Level {
            start.wrapping_shl(3)
        } else {
            start
        };
        Self {
            predictor,
            level,
            step: 0,
            spread: 0,
            k,
        }
    }

    fn prediction(&self) -> i64 {
        match self.predictor {
            Predictor::Level => self.level >> 3,
            Predictor::Previous => self.level,
            Predictor::Step => self.level.wrapping_add(self.step),
        }
    }

    fn learn(&mut self, value: i64) {
        match self.predictor {
            Predictor::Level => {
                // An inference that was interrupted says nothing about the next: what is far out moves
                // the level no further than four times the usual distance.
                let distance = value.wrapping_sub(self.level >> 3);
                let most = (self.spread / 2).saturating_add(8);
                let bounded = distance.unsigned_abs().min(most);
                self.spread = (self.spread - self.spread / 8).saturating_add(bounded);
                let step = bounded.min(i64::MAX as u64) as i64;
                self.level = self
                    .level
                    .wrapping_add(if distance < 0 { -step } else { step });
            }
            Predictor::Previous => self.level = value,
            Predictor::Step => {
                self.step = value.wrapping_sub(self.level);
                self.level = value;
            }
        }
    }

    fn error(&mut self, value: i64) -> u64 {
        let error = zigzag(value.wrapping_sub(self.prediction()));
        self.learn(value);
        error
    }

    fn cost(&self, error: u64) -> usize {
        let ones = error.checked_shr(self.k).unwrap_or(0);
        if ones >= u64::from(ESCAPE) {
            ESCAPE as usize + 64
        } else {
            ones as usize + 1 + self.k as usize
        }
    }

    fn put(&self, error: u64, bits: &mut BitWriter<'_>) -> bool {
        let ones = error.checked_shr(self.k).unwrap_or(0);
        if ones >= u64::from(ESCAPE) {
            return bits.put(u64::MAX, ESCAPE) && bits.put(error, 64);
        }
        let ones = ones as u32;
        bits.put(u64::MAX << 1, ones + 1) && bits.put(error, self.k)
    }

    fn take(&mut self, bits: &mut BitReader<'_>) -> Option<i64> {
        let ones = bits.ones(ESCAPE)?;
        let error = if ones == ESCAPE {
            bits.take(64)?
        } else {
            u64::from(ones).wrapping_shl(self.k) | bits.take(self.k)?
        };
        let value = self.prediction().wrapping_add(unzigzag(error));
        self.learn(value);
        Some(value)
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ ((value & 1) as i64).wrapping_neg()
}

/// What [`encode`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Bytes of the body in use.
    pub bytes: usize,
    /// Rows of the input in it.
    pub rows: usize,
}

/// Writes as many of `rows` as fit into `body`; `first` numbers the first of them in its stream.
pub fn encode<const C: usize>(
    first: u32,
    rows: impl Iterator<Item = [i64; C]> + Clone,
    predictors: [Predictor; C],
    body: &mut [u8],
) -> Encoded {
    let nothing = Encoded { bytes: 0, rows: 0 };
    let rows = rows.take(MAX_ROWS);
    let Some(start) = rows.clone().next() else {
        return nothing;
    };
    let mut columns = chosen(rows.clone(), predictors, start);

    let Some((head, rest)) = body.split_first_chunk_mut::<6>() else {
        return nothing;
    };
    let mut bits = BitWriter::new(rest);
    for (column, start) in columns.iter().zip(start) {
        let start = zigzag(start);
        let width = 64 - start.leading_zeros();
        if !(bits.put(width.into(), WIDTH_OF_WIDTH)
            && bits.put(start, width)
            && bits.put(column.k.into(), WIDTH_OF_K))
        {
            return nothing;
        }
    }
    let mut count = 0_u16;
    for row in rows {
        let mut errors = [0; C];
        let mut cost = 0_usize;
        for ((error, column), value) in errors.iter_mut().zip(&mut columns).zip(row) {
            *error = column.error(value);
            cost += column.cost(*error);
        }
        if cost > bits.room() {
            break;
        }
        for (error, column) in errors.iter().zip(&columns) {
            column.put(*error, &mut bits);
        }
        count += 1;
    }
    let [f0, f1, f2, f3] = first.to_le_bytes();
    let [c0, c1] = count.to_le_bytes();
    head.copy_from_slice(&[f0, f1, f2, f3, c0, c1]);
    Encoded {
        bytes: bits.len() + 6,
        rows: usize::from(count),
    }
}

/// Columns with the `k` that makes their rows shortest.
fn chosen<const C: usize>(
    rows: impl Iterator<Item = [i64; C]> + Clone,
    predictors: [Predictor; C],
    start: [i64; C],
) -> [Column; C] {
    let mut columns = [Column::new(Predictor::Previous, 0, 0); C];
    for ((i, column), (predictor, start)) in columns
        .iter_mut()
        .enumerate()
        .zip(predictors.into_iter().zip(start))
    {
        *column = Column::new(predictor, start, 0);
        let mut scan = *column;
        let mut costs = [0_usize; MOST_K + 1];
        for row in rows.clone().take(ROWS_TO_CHOOSE_BY) {
            let error = scan.error(row.get(i).copied().unwrap_or(0));
            for (k, cost) in costs.iter_mut().enumerate() {
                scan.k = k as u32;
                *cost += scan.cost(error);
            }
        }
        let best = costs.iter().enumerate().min_by_key(|&(_, cost)| cost);
        column.k = best.map_or(0, |(k, _)| k as u32);
    }
    columns
}

/// The rows of a received batch. Ends early, with an error, where the message does.
#[derive(Clone, Debug)]
pub struct Rows<'a, const C: usize> {
    /// The number of the first row in its stream.
    pub first: u32,
    left: u16,
    columns: [Column; C],
    bits: BitReader<'a>,
}

impl<'a, const C: usize> Rows<'a, C> {
    /// Reads the head of a batch.
    ///
    /// # Errors
    /// [`BatchError`] when the head is cut short or claims too many rows.
    pub fn new(body: &'a [u8], predictors: [Predictor; C]) -> Result<Self, BatchError> {
        let (&[f0, f1, f2, f3, c0, c1], rest) =
            body.split_first_chunk::<6>().ok_or(BatchError::Truncated)?;
        let left = u16::from_le_bytes([c0, c1]);
        if usize::from(left) > MAX_ROWS {
            return Err(BatchError::TooManyRows(left));
        }
        let mut bits = BitReader::new(rest);
        let mut columns = [Column::new(Predictor::Previous, 0, 0); C];
        for (column, predictor) in columns.iter_mut().zip(predictors) {
            let width = bits.take(WIDTH_OF_WIDTH).ok_or(BatchError::Truncated)?;
            let start = unzigzag(bits.take(width as u32).ok_or(BatchError::Truncated)?);
            let k = bits.take(WIDTH_OF_K).ok_or(BatchError::Truncated)?;
            *column = Column::new(predictor, start, k as u32);
        }
        Ok(Self {
            first: u32::from_le_bytes([f0, f1, f2, f3]),
            left,
            columns,
            bits,
        })
    }
}

impl<const C: usize> Iterator for Rows<'_, C> {
    type Item = Result<[i64; C], BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut row = [0; C];
        for (value, column) in row.iter_mut().zip(&mut self.columns) {
            let Some(taken) = column.take(&mut self.bits) else {
                self.left = 0;
                return Some(Err(BatchError::Truncated));
            };
            *value = taken;
        }
        Some(Ok(row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.left)))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::MAX_BODY;
    use proptest::prelude::*;
    use std::vec::Vec;

    const POWER: [Predictor; 3] = [Predictor::Step, Predictor::Previous, Predictor::Previous];

    fn round_trip<const C: usize>(rows: &[[i64; C]], predictors: [Predictor; C]) -> usize {
        let mut sent = 0;
        let mut bytes = 0;
        while sent < rows.len() {
            let mut body = [0x55; MAX_BODY];
            let encoded = encode(
                sent as u32,
                rows[sent..].iter().copied(),
                predictors,
                &mut body,
            );
            assert!(encoded.rows > 0);
            let read = Rows::new(&body[..encoded.bytes], predictors).unwrap();
            assert_eq!(read.first, sent as u32);
            let read: Vec<_> = read.map(Result::unwrap).collect();
            assert_eq!(read, rows[sent..sent + encoded.rows]);
            sent += encoded.rows;
            bytes += encoded.bytes;
        }
        bytes
    }

    proptest! {
        #[test]
        fn any_integers_survive(
            rows in proptest::collection::vec(any::<[i64; 3]>(), 1..300),
            narrow in proptest::collection::vec((-2000_i64..2000, 0_i64..9, -3_i64..3), 1..3000),
        ) {
            round_trip(&rows, POWER);
            round_trip(&rows, [Predictor::Level; 3]);
            let narrow: Vec<_> = narrow.iter().map(|&(a, b, c)| [a, b, c]).collect();
            round_trip(&narrow, POWER);
        }

        #[test]
        fn any_bytes_end_without_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(rows) = Rows::new(&body, POWER) {
                prop_assert!(rows.count() <= MAX_ROWS);
            }
        }

        #[test]
        fn a_cut_batch_is_an_error(cut in 0_usize..60) {
            let mut body = [0; 200];
            let rows = (0..60).map(|i| [i * i * 977]);
            let encoded = encode(0, rows, [Predictor::Level], &mut body);
            let cut = cut * encoded.bytes / 60;
            let cut = Rows::new(&body[..cut], [Predictor::Level]);
            prop_assert!(cut.is_err() || cut.unwrap().any(|row| row.is_err()));
        }
    }

    #[test]
    fn a_regular_power_reading_takes_under_three_bytes() {
        let rows: Vec<_> = (0..5000_i64)
            .map(|i| {
                [
                    i * 28000 + (i * 7919) % 23,
                    4020 + (i / 50) % 3,
                    1200 + (i * 31) % 40,
                ]
            })
            .collect();
        let bytes = round_trip(&rows, POWER);
        assert!((bytes as f64) < 3.0 * rows.len() as f64, "{bytes}");
    }
}
