//! Fixed-point functions of gemmlowp (fixedpoint/fixedpoint.h), on raw 32-bit words.
//!
//! A word with `n` integer bits stands for `raw / 2^(31 − n)`; a product of words has the sum of
//! their integer bits.

use crate::requant::{Multiplier, divide_by_power_of_two, doubling_high};

/// `x · 2^exponent` for a positive exponent, saturated: `SaturatingRoundingMultiplyByPOT`.
fn shifted_left(x: i32, exponent: u32) -> i32 {
    let threshold = (1 << (31 - exponent)) - 1;
    if x > threshold {
        i32::MAX
    } else if x < -threshold {
        i32::MIN
    } else {
        x << exponent
    }
}

/// `exp(a)` for `a` in [−1/4, 0) with no integer bit, by a Taylor series about −1/8:
/// `exp_on_interval_between_negative_one_quarter_and_0_excl`.
fn exp_near_zero(a: i32) -> i32 {
    const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a + (1 << 28);
    let x2 = doubling_high(x, x);
    let x3 = doubling_high(x2, x);
    let x4 = doubling_high(x2, x2);
    let quarter = divide_by_power_of_two(x4, 2);
    let tail = divide_by_power_of_two(doubling_high(quarter + x3, THIRD) + x2, 1);
    EXP_OF_MINUS_EIGHTH + doubling_high(EXP_OF_MINUS_EIGHTH, x + tail)
}

/// `exp(a)` with no integer bit, for `a ≤ 0` with five: `exp_on_negative_values`.
pub(crate) fn exp_of_negative(a: i32) -> i32 {
    /// `exp(−2^k)` for k from −2, without integer bits.
    const POWERS: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    const QUARTER: i32 = 1 << 24;
    if a == 0 {
        return i32::MAX;
    }
    let last = (a & (QUARTER - 1)) - QUARTER;
    let remainder = last.wrapping_sub(a);
    let start = exp_near_zero(shifted_left(last, 5));
    (24..).zip(POWERS).fold(start, |result, (bit, power)| {
        if remainder & (1 << bit) == 0 {
            result
        } else {
            doubling_high(result, power)
        }
    })
}

/// `1 / (1 + a)` for `a` in [0, 1], both without integer bits, by Newton's division:
/// `one_over_one_plus_x_for_x_in_0_1`.
fn one_over_one_plus(a: i32) -> i32 {
    const FORTY_EIGHT_SEVENTEENTHS: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_SEVENTEENTHS: i32 = -1_010_580_540;
    const ONE: i32 = 1 << 29;
    let sum = i64::from(a) + i64::from(i32::MAX);
    let half_denominator = ((sum + if sum >= 0 { 1 } else { -1 }) / 2) as i32;
    let mut x =
        FORTY_EIGHT_SEVENTEENTHS + doubling_high(half_denominator, MINUS_THIRTY_TWO_SEVENTEENTHS);
    for _ in 0..3 {
        let rest = ONE - doubling_high(half_denominator, x);
        x = x.wrapping_add(shifted_left(doubling_high(x, rest), 2));
    }
    shifted_left(x, 1)
}

/// `1 / x` for `x > 0` with `integer_bits`, as a word without integer bits and how many bits `x` has
/// above the binary point: `GetReciprocal` (tflite/kernels/internal/common.h).
pub(crate) fn reciprocal(x: i32, integer_bits: i32) -> (i32, i32) {
    let headroom = x.leading_zeros().min(31);
    let above_one = ((x as u32) << headroom).wrapping_sub(1 << 31) as i32;
    (one_over_one_plus(above_one), integer_bits - headroom as i32)
}

/// `1 / √x` of an integer: `GetInvSqrtQuantizedMultiplierExp` (tflite/kernels/internal/common.h),
/// five steps of Newton's iteration from 1. Zero counts as one.
pub(crate) fn inverse_square_root(x: i32) -> Multiplier {
    const HALF_THREE: i32 = (1 << 28) + (1 << 27);
    const HALF_SQUARE_ROOT_OF_TWO: i32 = 1_518_500_250;
    if x <= 1 {
        return Multiplier {
            mantissa: i32::MAX,
            shift: 0,
        };
    }
    let mut x = x;
    let mut right = 11;
    while x >= 1 << 29 {
        x /= 4;
        right += 1;
    }
    let pairs = (x.leading_zeros() - 1) / 2 - 1;
    right -= pairs as i32;
    x <<= 2 * pairs;
    let half = divide_by_power_of_two(x >> 1, 1);
    let mut root = 1 << 28;
    for _ in 0..5 {
        let cube = shifted_left(doubling_high(doubling_high(root, root), root), 6);
        let next = doubling_high(HALF_THREE, root).wrapping_sub(doubling_high(half, cube));
        root = shifted_left(next, 3);
    }
    let mut mantissa = doubling_high(root, HALF_SQUARE_ROOT_OF_TWO);
    if right < 0 {
        mantissa <<= -right;
        right = 0;
    }
    Multiplier {
        mantissa,
        shift: -right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn real(raw: i32, integer_bits: i32) -> f64 {
        f64::from(raw) / f64::from(31 - integer_bits).exp2()
    }

    proptest! {
        #[test]
        fn exp_is_near(a in i32::MIN + 1..=0) {
            let near = (real(exp_of_negative(a), 0) - real(a, 5).exp()).abs();
            prop_assert!(near < 1e-6, "{near}");
        }

        #[test]
        fn reciprocal_is_near(x in 1_i32..) {
            let (scale, bits) = reciprocal(x, 12);
            let product = real(scale, 0) / f64::from(bits).exp2() * real(x, 12);
            prop_assert!((product - 1.0).abs() < 1e-6, "{product}");
        }

        #[test]
        fn inverse_square_root_is_near(x in 2_i32..) {
            let root = inverse_square_root(x);
            let product = real(root.mantissa, 0) * f64::from(root.shift).exp2() * f64::from(x).sqrt();
            prop_assert!((product - 1.0).abs() < 1e-4, "{product}");
        }
    }
}
