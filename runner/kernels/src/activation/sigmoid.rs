//! LOGISTIC and TANH of `i16`, from one table of the logistic function.

use crate::element::Quantisation;
use crate::error::Error;

/// `Logistic` and `Tanh` of `i16` (tflite/kernels/internal/reference/integer_ops/logistic.h, tanh.h):
/// the input is brought to steps of 1/(3 · 4096) and looked up between entries, with
/// `tanh(x) = 2 · logistic(2x) − 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sigmoid {
    /// The logistic function of `i / 24` in 16 bits.
    table: [u16; 256],
    tanh: bool,
    multiplier: i32,
    right: u32,
}

impl Sigmoid {
    /// LOGISTIC. The output's scale is 1/32768.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if the scale or zero point is out of range.
    pub fn logistic(input: Quantisation) -> Result<Self, Error> {
        let table = table();
        Ok(match power_of_two_shift(input.check::<i16>()?) {
            Some(0) => Self {
                table,
                tanh: false,
                multiplier: 3,
                right: 0,
            },
            _ => {
                let (multiplier, right) = general(input);
                Self {
                    table,
                    tanh: false,
                    multiplier,
                    right,
                }
            }
        })
    }

    /// TANH. The output's scale is 1/32768.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if the scale or zero point is out of range, or so unusual that the
    /// reference overflows.
    pub fn tanh(input: Quantisation) -> Result<Self, Error> {
        let (multiplier, right) = match power_of_two_shift(input.check::<i16>()?) {
            Some(shift @ 0..=1) => (3 << shift, 0),
            _ => general(input),
        };
        Ok(Self {
            table: table(),
            tanh: true,
            multiplier,
            right,
        })
    }

    /// One element.
    #[inline]
    pub fn apply(&self, x: i16) -> i16 {
        let round = (1 << self.right) >> 1;
        let x = i32::from(x)
            .wrapping_mul(self.multiplier)
            .wrapping_add(round)
            >> self.right;
        if self.tanh {
            self.tanh_of(x)
        } else {
            self.logistic_of(x)
        }
    }

    fn logistic_of(&self, x: i32) -> i16 {
        let size = x.unsigned_abs();
        let above = self
            .between((size >> 9) as usize, size & 0x1ff, 9)
            .unwrap_or(0x7fff << 10);
        let whole = if x >= 0 {
            above + (1 << 9)
        } else {
            (1 << 25) - above + (1 << 9) - 1
        };
        (whole >> 10) as i16
    }

    fn tanh_of(&self, x: i32) -> i16 {
        let size = x.unsigned_abs();
        let above = self
            .between((size >> 8) as usize, size & 0xff, 8)
            .unwrap_or(0xffff << 8) as i32;
        let whole = if x >= 0 {
            above - (1 << 23) + (1 << 7)
        } else {
            -above + (1 << 23) + (1 << 7) - 1
        };
        (whole >> 8) as i16
    }

    /// Between entry `index` and the next, `part` of `2^bits` on the way; none at the table's end.
    fn between(&self, index: usize, part: u32, bits: u32) -> Option<u32> {
        let [low, high] =
            [self.table.get(index)?, self.table.get(index + 1)?].map(|&e| u32::from(e));
        Some((low << bits) + part * (high - low))
    }
}

/// The logistic function of `i / 24`, less half of what linear interpolation overestimates it by in
/// the middle of a step; the last entry is the greatest 16-bit number. This derives all entries of
/// `sigmoid_table_uint16` (tflite/kernels/internal/common.h).
fn table() -> [u16; 256] {
    let logistic = |x: f64| 65536.0 / (1.0 + libm::exp(-x / 24.0));
    let mut table = [u16::MAX; 256];
    for (index, entry) in table.iter_mut().take(255).enumerate() {
        let x = index as f64;
        let over = (logistic(x) + logistic(x + 1.0)) / 2.0 - logistic(x + 0.5);
        *entry = libm::round(logistic(x) - over / 2.0) as u16;
    }
    table
}

/// By how much a power-of-two scale exceeds 2^−12, that of three integer bits.
fn power_of_two_shift(input: Quantisation) -> Option<i32> {
    let exact = libm::logf(input.scale) * (1.0 / core::f32::consts::LN_2);
    let rounded = libm::roundf(exact);
    ((exact - rounded).abs() < 1e-3).then_some(12 + rounded as i32)
}

/// A multiplier of 15 bits and a shift to the right for any other scale.
fn general(input: Quantisation) -> (i32, u32) {
    let mut multiplier = input.wide() * 4096.0 * 3.0;
    let mut right = 0;
    while multiplier <= 32767.0 / 2.0 && right <= 30 {
        right += 1;
        multiplier *= 2.0;
    }
    (multiplier as i32, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_reference_entries() {
        let table = table();
        let known = [
            (0, 32768),
            (1, 33451),
            (28, 49975),
            (100, 64536),
            (135, 65301),
            (255, 65535),
        ];
        assert!(known.iter().all(|&(index, entry)| table[index] == entry));
    }
}
