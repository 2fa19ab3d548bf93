//! Bit strings, most significant bit first, in a slice of bytes.

/// Writes bits into a slice; refuses, without a trace, what does not fit.
#[derive(Debug)]
pub struct BitWriter<'a> {
    bytes: &'a mut [u8],
    bit: usize,
}

impl<'a> BitWriter<'a> {
    /// Starts at the first bit of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, bit: 0 }
    }

    /// Bits that still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.bytes.len() * 8 - self.bit
    }

    /// Bytes touched so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bit.div_ceil(8)
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bit == 0
    }

    /// Appends the lowest `count` (at most 64) bits of `value`. Returns whether they fitted.
    pub fn put(&mut self, value: u64, count: u32) -> bool {
        let count = count.min(64);
        if self.room() < count as usize {
            return false;
        }
        let mut left = count;
        while left > 0 {
            let free = 8 - (self.bit % 8) as u32;
            let take = left.min(free);
            left -= take;
            let piece = ((value >> left) as u8) & mask(take);
            if let Some(byte) = self.bytes.get_mut(self.bit / 8) {
                if free == 8 {
                    *byte = 0;
                }
                *byte |= piece << (free - take);
            }
            self.bit += take as usize;
        }
        true
    }
}

/// Reads bits from a slice.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bit: 0 }
    }

    /// The next `count` (at most 64) bits, or `None` when fewer are left.
    pub fn take(&mut self, count: u32) -> Option<u64> {
        let count = count.min(64);
        if self.bytes.len() * 8 - self.bit < count as usize {
            return None;
        }
        let mut value = 0_u64;
        let mut left = count;
        while left > 0 {
            let free = 8 - (self.bit % 8) as u32;
            let take = left.min(free);
            let byte = *self.bytes.get(self.bit / 8)?;
            let piece = (byte >> (free - take)) & mask(take);
            value = value << take | u64::from(piece);
            left -= take;
            self.bit += take as usize;
        }
        Some(value)
    }

    /// Counts ones up to the next zero, which is taken too; stops after `most` ones without
    /// looking for a zero.
    pub fn ones(&mut self, most: u32) -> Option<u32> {
        let mut count = 0_u32;
        while count < most {
            if self.take(1)? == 0 {
                return Some(count);
            }
            count += 1;
        }
        Some(count)
    }
}

fn mask(bits: u32) -> u8 {
    0xff_u8.checked_shr(8 - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(pieces in proptest::collection::vec((any::<u64>(), 0_u32..=64), 0..40)) {
            let mut bytes = [0xaa; 320];
            let mut writer = BitWriter::new(&mut bytes);
            for &(value, count) in &pieces {
                prop_assert!(writer.put(value, count));
            }
            let mut reader = BitReader::new(&bytes);
            for &(value, count) in &pieces {
                let kept = if count == 64 { value } else { value & ((1 << count) - 1) };
                prop_assert_eq!(reader.take(count), Some(kept));
            }
        }
    }

    #[test]
    fn a_full_slice_refuses_and_an_empty_one_ends() {
        let mut bytes = [0; 1];
        let mut writer = BitWriter::new(&mut bytes);
        assert!(writer.put(0b101, 3));
        assert!(!writer.put(0, 6));
        assert!(writer.put(0b11111, 5));
        assert_eq!(bytes, [0b1011_1111]);
        let mut reader = BitReader::new(&bytes);
        assert_eq!(reader.ones(4), Some(1));
        assert_eq!(reader.ones(4), Some(4));
        assert_eq!(reader.take(3), None);
    }
}
