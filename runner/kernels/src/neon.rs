//! What the aarch64 kernels share: rescaling in vectors, and the instructions that stable Rust has no
//! intrinsic for.
#![expect(
    unsafe_code,
    reason = "loads by pointer, instructions without an intrinsic"
)]

use crate::requant::{Multiplier, Output};
use core::arch::aarch64::*;
use core::arch::asm;

/// Four multipliers, ready to be applied.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    mantissa: int32x4_t,
    left: int32x4_t,
    right: int32x4_t,
}

impl Scale {
    /// From mantissas and shifts as [`Multiplier`] has them.
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn new(mantissa: int32x4_t, shift: int32x4_t) -> Self {
        let zero = vdupq_n_s32(0);
        Self {
            mantissa,
            left: vmaxq_s32(shift, zero),
            right: vminq_s32(shift, zero),
        }
    }

    /// One multiplier for all.
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn all(multiplier: Multiplier) -> Self {
        let Multiplier { mantissa, shift } = multiplier;
        Self::new(vdupq_n_s32(mantissa), vdupq_n_s32(shift))
    }

    /// [`Multiplier::apply`]. `vrshl` rounds halves up where gemmlowp rounds them away
    /// from zero: a negative number that is shifted at all is made smaller by one first.
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn apply(self, x: int32x4_t) -> int32x4_t {
        let x = vqrdmulhq_s32(vshlq_s32(x, self.left), self.mantissa);
        let x = vsraq_n_s32::<31>(x, vandq_s32(x, self.right));
        vrshlq_s32(x, self.right)
    }

    /// Whether all shifts are to the right, as those of multipliers below a half.
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn shrinks(self) -> bool {
        vmaxvq_s32(self.right) < 0
    }

    /// As [`Scale::apply`], if it [`Scale::shrinks`].
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn shrink(self, x: int32x4_t) -> int32x4_t {
        let x = vqrdmulhq_s32(x, self.mantissa);
        vrshlq_s32(vsraq_n_s32::<31>(x, x), self.right)
    }

    /// [`Multiplier::apply_once`].
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn apply_once(self, x: int32x4_t) -> int32x4_t {
        let total = vsubq_s32(vaddq_s32(self.left, self.right), vdupq_n_s32(31));
        let low = vmull_s32(vget_low_s32(x), vget_low_s32(self.mantissa));
        let high = vmull_high_s32(x, self.mantissa);
        let low = vrshlq_s64(low, vmovl_s32(vget_low_s32(total)));
        let high = vrshlq_s64(high, vmovl_high_s32(total));
        vmovn_high_s64(vmovn_s64(low), high)
    }
}

/// The last stage, eight outputs at a time.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    zero: int32x4_t,
    min: int8x8_t,
    max: int8x8_t,
}

impl Finish {
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn new(stage: Output) -> Self {
        Self {
            zero: vdupq_n_s32(stage.zero),
            min: vdup_n_s8(stage.min),
            max: vdup_n_s8(stage.max),
        }
    }

    /// [`Output::finish`].
    #[target_feature(enable = "neon")]
    #[inline]
    pub(crate) fn apply(self, low: int32x4_t, high: int32x4_t) -> int8x8_t {
        let low = vqmovn_s32(vaddq_s32(low, self.zero));
        let both = vqmovn_high_s32(low, vaddq_s32(high, self.zero));
        vmax_s8(vmin_s8(vqmovn_s16(both), self.max), self.min)
    }
}

/// Adds to word `i` of `sum` the products of bytes `4i..4i + 4` of `b` with word `LANE` of `a`.
#[target_feature(enable = "neon,dotprod")]
#[inline]
pub(crate) fn dot<const LANE: i32>(mut sum: int32x4_t, b: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: works on registers alone, and the target feature covers the instruction.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {b:v}.16b, {a:v}.4b[{lane}]",
            sum = inout(vreg) sum, b = in(vreg) b, a = in(vreg) a, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
