//! Options of custom operators: a map from names to numbers, as FlexBuffers lay it out
//! (flatbuffers/flexbuffers.h). Everything is bounded by the bytes given; what is no such map reads as empty.

/// A map of numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    bytes: &'a [u8],
    /// Where the values begin, how many they are, and how wide each is.
    values: usize,
    count: usize,
    width: usize,
    /// The same of the names, as many as values.
    names: usize,
    name_width: usize,
}

/// Types of values, the upper six bits of their type byte.
mod kind {
    pub(super) const INT: u8 = 1;
    pub(super) const UINT: u8 = 2;
    pub(super) const FLOAT: u8 = 3;
    pub(super) const INDIRECT_INT: u8 = 6;
    pub(super) const INDIRECT_UINT: u8 = 7;
    pub(super) const INDIRECT_FLOAT: u8 = 8;
    pub(super) const MAP: u8 = 9;
    pub(super) const BOOL: u8 = 26;
}

/// An unsigned number of so many bytes.
fn unsigned(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let own = bytes.get(at..at.checked_add(width)?)?;
    let mut wide = [0; 8];
    wide.get_mut(..width)?.copy_from_slice(own);
    Some(u64::from_le_bytes(wide))
}

/// Where an offset at `at` points to: so many bytes back.
fn target(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    at.checked_sub(usize::try_from(unsigned(bytes, at, width)?).ok()?)
}

impl<'a> Options<'a> {
    /// Reads the map at the root of `bytes`.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let root = bytes.len().checked_sub(2)?;
        let (packed, root_width) = (bytes[root], usize::from(bytes[root + 1]));
        if packed >> 2 != kind::MAP || root_width > 8 {
            return None;
        }
        let width = 1 << (packed & 3);
        let values = target(bytes, root.checked_sub(root_width)?, root_width)?;
        let count = unsigned(bytes, values.checked_sub(width)?, width)?;
        let names = target(bytes, values.checked_sub(3 * width)?, width)?;
        let name_width = unsigned(bytes, values.checked_sub(2 * width)?, width)?;
        Some(Self {
            bytes,
            values,
            count: usize::try_from(count).ok().filter(|&n| n <= bytes.len())?,
            width,
            names,
            name_width: usize::try_from(name_width).ok().filter(|&w| w <= 8)?,
        })
    }

    /// The number of that name.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let index = (0..self.count).find(|&index| {
            let at = self.names + index * self.name_width;
            let own = target(self.bytes, at, self.name_width);
            let own = own.and_then(|at| self.bytes.get(at..at.checked_add(name.len() + 1)?));
            own.is_some_and(|own| own[..name.len()] == *name.as_bytes() && own[name.len()] == 0)
        })?;
        let at = self.values + index * self.width;
        let packed = *self
            .bytes
            .get(self.values + self.count * self.width + index)?;
        let (at, width) = match packed >> 2 {
            kind::INDIRECT_INT | kind::INDIRECT_UINT | kind::INDIRECT_FLOAT => {
                (target(self.bytes, at, self.width)?, 1 << (packed & 3))
            }
            _ => (at, self.width),
        };
        let bits = unsigned(self.bytes, at, width)?;
        match (packed >> 2, width) {
            (kind::BOOL | kind::UINT | kind::INDIRECT_UINT, _) => Some(bits as f64),
            (kind::INT | kind::INDIRECT_INT, width) => {
                let unused = 64 - 8 * width as u32;
                Some(((bits << unused) as i64 >> unused) as f64)
            }
            (kind::FLOAT | kind::INDIRECT_FLOAT, 4) => Some(f64::from(f32::from_bits(bits as u32))),
            (kind::FLOAT | kind::INDIRECT_FLOAT, 8) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": 7, "b": -2, "c": true}`, every width one byte, as FlexBuffers' own writer has it.
    const MAP: &[u8] = &[
        b'a', 0, b'b', 0, b'c', 0, // names
        3, 7, 6, 5, // their vector: its length, then the ways back to them
        3, 1, // the map: the way back to the names, and their width
        3, 7, 0xfe, 1, // its length, the values
        4, 4, 0x68, // their types
        6, 0x24, 1, // the root: the way back to the values, a map, of one byte
    ];

    #[test]
    fn numbers_are_found_by_name() {
        let options = Options::read(MAP).unwrap();
        assert_eq!(options.number("a"), Some(7.0));
        assert_eq!(options.number("b"), Some(-2.0));
        assert_eq!(options.number("c"), Some(1.0));
        assert_eq!(options.number("d"), None);
        assert_eq!(options.number(""), None);
    }

    #[test]
    fn broken_bytes_read_as_nothing() {
        for at in 0..MAP.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = MAP.to_vec();
                bytes[at] = value;
                if let Some(options) = Options::read(&bytes) {
                    options.number("a");
                    options.number("c");
                }
            }
            assert!(Options::read(&MAP[..at]).is_none_or(|o| o.number("a").is_none()));
        }
        assert!(Options::read(&[]).is_none());
    }
}
