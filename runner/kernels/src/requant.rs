//! From wide accumulators to 8-bit outputs, rounded as the TFLite reference kernels round.

/// A positive real number as `mantissa · 2^(shift − 31)`, the fixed-point multiplier of gemmlowp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Multiplier {
    /// `0`, or in `2^30 .. 2^31`.
    pub mantissa: i32,
    /// In `-31 ..= 30`; positive means to the left.
    pub shift: i32,
}

impl Multiplier {
    /// One half: doubling the product and keeping its high half undoes the doubling.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(crate) const HALF: Self = Self {
        mantissa: 1 << 30,
        shift: 0,
    };

    /// The nearest multiplier to `real`, as `QuantizeMultiplier` (tflite/kernels/internal/
    /// quantization_util.cc) finds it. Too small a number becomes zero, as there.
    ///
    /// `None` if `real` is negative, not finite, or `2^30` and more, where the reference kernels
    /// would shift out of their word.
    pub fn from_real(real: f64) -> Option<Self> {
        if !(real.is_finite() && real >= 0.0) {
            return None;
        }
        if real == 0.0 {
            return Some(Self::default());
        }
        let (fraction, mut shift) = libm::frexp(real);
        let mut mantissa = libm::round(fraction * (1_i64 << 31) as f64) as i64;
        if mantissa == 1 << 31 {
            mantissa /= 2;
            shift += 1;
        }
        if shift < -31 {
            return Some(Self::default());
        }
        if shift > 30 {
            return None;
        }
        let mantissa = i32::try_from(mantissa).ok()?;
        Some(Self { mantissa, shift })
    }

    /// `x` times this number, rounded: `MultiplyByQuantizedMultiplier` for 32-bit accumulators
    /// (tflite/kernels/internal/common.h), with the double rounding that LiteRT is built with.
    #[inline]
    pub fn apply(self, x: i32) -> i32 {
        let left = self.shift.max(0) as u32;
        let right = (-self.shift).max(0) as u32;
        divide_by_power_of_two(doubling_high(x.wrapping_shl(left), self.mantissa), right)
    }

    /// `x` times this number, rounded once: the other build of `MultiplyByQuantizedMultiplier`
    /// (`TFLITE_SINGLE_ROUNDING`). In LiteRT 2.3 the reference kernel of `FULLY_CONNECTED` rounds so,
    /// while those of convolutions and `BATCH_MATMUL` round twice; the oracle's cases tell.
    #[inline]
    pub fn apply_once(self, x: i32) -> i32 {
        let total = (31 - self.shift).clamp(1, 62) as u32;
        let product = i64::from(x) * i64::from(self.mantissa);
        ((product + (1 << (total - 1))) >> total) as i32
    }

    /// [`Multiplier::apply_once`] for the 64-bit accumulators of int16 activations, which take no more than 47
    /// bits.
    #[inline]
    pub fn apply_once_wide(self, x: i64) -> i32 {
        let total = (31 - self.shift).clamp(1, 62) as u32;
        let product = i128::from(x) * i128::from(self.mantissa);
        let scaled = (product + (1 << (total - 1))) >> total;
        scaled.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32
    }

    /// [`Multiplier::apply`] for the 64-bit accumulators of int16 activations, where the reference keeps 16 bits
    /// of the mantissa and rounds once. `shift` must be below 8, as there.
    #[inline]
    pub fn apply_wide(self, x: i64) -> i32 {
        let reduced = if self.mantissa < 0x7fff_0000 {
            (self.mantissa + (1 << 15)) >> 16
        } else {
            0x7fff
        };
        let total = (15 - self.shift).clamp(1, 62) as u32;
        let product = x.wrapping_mul(i64::from(reduced));
        (product.wrapping_add(1 << (total - 1)) >> total) as i32
    }
}

/// `SaturatingRoundingDoublingHighMul` of gemmlowp: the high half of `2ab`, rounded to the nearest.
///
/// gemmlowp nudges by `2^30`, or `1 − 2^30` for negative products, and divides by `2^31` towards
/// zero. Both cases are the floor of `(ab + 2^30) / 2^31`.
#[inline]
pub fn doubling_high(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// `RoundingDivideByPOT` of gemmlowp: `x / 2^exponent` to the nearest, halves away from zero.
/// `exponent` must be below 32.
#[inline]
pub fn divide_by_power_of_two(x: i32, exponent: u32) -> i32 {
    let mask = ((1_i64 << (exponent & 31)) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> (exponent & 31)) + i32::from(remainder > threshold)
}

/// The last stage of an operator with int8 output: zero point and fused activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The output's zero point.
    pub zero: i32,
    /// The least value, from the fused activation; `-128` if none.
    pub min: i8,
    /// The greatest value.
    pub max: i8,
}

impl Output {
    /// The output byte of a scaled accumulator.
    #[inline]
    pub fn finish(self, scaled: i32) -> i8 {
        let moved = scaled.wrapping_add(self.zero);
        moved.clamp(
            i32::from(self.min),
            i32::from(self.max).max(i32::from(self.min)),
        ) as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// gemmlowp's definition, word for word: fixedpoint.h, `SaturatingRoundingDoublingHighMul`.
    fn gemmlowp_high(a: i32, b: i32) -> i32 {
        if a == b && a == i32::MIN {
            return i32::MAX;
        }
        let product = i64::from(a) * i64::from(b);
        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        ((product + nudge) / (1_i64 << 31)) as i32
    }

    #[test]
    fn multipliers_are_quantised_as_tflite_does() {
        let of = |real| Multiplier::from_real(real).map(|m| (m.mantissa, m.shift));
        assert_eq!(of(1.0), Some((1 << 30, 1)));
        assert_eq!(of(0.5), Some((1 << 30, 0)));
        assert_eq!(of(0.0), Some((0, 0)));
        assert_eq!(of(0.75), Some((3 << 29, 0)));
        // The fraction rounds up to one: halved, and one more shift.
        assert_eq!(of(1.0 - 1e-16), Some((1 << 30, 1)));
        assert_eq!(of(1e-30), Some((0, 0)));
        assert_eq!(of(-1.0), None);
        assert_eq!(of(f64::NAN), None);
        assert_eq!(of(1e30), None);
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(divide_by_power_of_two(6, 2), 2);
        assert_eq!(divide_by_power_of_two(-6, 2), -2);
        assert_eq!(divide_by_power_of_two(5, 2), 1);
        assert_eq!(divide_by_power_of_two(i32::MAX, 31), 1);
        assert_eq!(divide_by_power_of_two(7, 0), 7);
    }

    proptest! {
        #[test]
        fn high_product_equals_gemmlowp(a: i32, b: i32) {
            prop_assert_eq!(doubling_high(a, b), gemmlowp_high(a, b));
        }

        #[test]
        fn apply_is_near_the_real_product(x in -(1 << 24)..1 << 24, real in 1e-6_f64..2.0) {
            let exact = f64::from(x) * real;
            let got = f64::from(Multiplier::from_real(real).unwrap().apply(x));
            prop_assert!((got - exact).abs() <= 1.0, "{got} for {exact}");
        }
    }
}
