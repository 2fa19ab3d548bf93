//! Rows of quantised ADD and SUB on aarch64, eight pairs at a time; what is left over by the
//! specification.

#![expect(
    unsafe_code,
    reason = "loads and stores of blocks that are checked to be whole"
)]

use super::Add;
use crate::broadcast::Binary;
use crate::element::Element;
use crate::neon::Scale;
use crate::requant::Multiplier;
use core::arch::aarch64::*;

/// Pairs in a block.
const LANES: usize = 8;

/// As [`Add`] on every pair; the slices are as for [`Binary::row`].
pub(super) fn row<T: Element>(add: &Add, a: &[T], b: &[T], out: &mut [T]) {
    if [a, b].iter().any(|x| x.len() != out.len() && x.len() != 1) {
        return;
    }
    // SAFETY: NEON is part of the target. Either operand has one element, or one for each of `out`.
    unsafe { pairs(add, a, b, out) };
    let whole = out.len() / LANES * LANES;
    let rest = |x: &[T], at| if x.len() == 1 { x[0] } else { x[at] };
    for (at, out) in out.iter_mut().enumerate().skip(whole) {
        *out = add.apply(rest(a, at), rest(b, at));
    }
}

/// Whole blocks.
///
/// # Safety
/// Either operand must have one element, or one for each of `out`.
#[target_feature(enable = "neon")]
unsafe fn pairs<T: Element>(add: &Add, a: &[T], b: &[T], out: &mut [T]) {
    let one = Operand::new(add, 0, a);
    let other = Operand::new(add, 1, b);
    let output = Scale::all(add.output);
    let zero = vdupq_n_s32(add.zero);
    // Of any element's range, so that 16 bits hold it.
    let (min, max) = (
        vdupq_n_s16(add.range.min as i16),
        vdupq_n_s16(add.range.max as i16),
    );
    for (index, out) in out.chunks_exact_mut(LANES).enumerate() {
        // SAFETY: the caller's; the block is whole.
        let (x, y) = unsafe { (one.scaled(index * LANES), other.scaled(index * LANES)) };
        let moved = [0, 1].map(|half| {
            let sum = if add.subtract {
                vsubq_s32(x[half], y[half])
            } else {
                vaddq_s32(x[half], y[half])
            };
            vaddq_s32(output.apply(sum), zero)
        });
        let words = vqmovn_high_s32(vqmovn_s32(moved[0]), moved[1]);
        let bounded = vminq_s16(vmaxq_s16(words, min), max);
        // SAFETY: the chunk has eight elements.
        unsafe { store(out.as_mut_ptr(), bounded) };
    }
}

/// One operand, on its way to the common scale.
struct Operand<T> {
    /// The row, unless one element meets all of the other operand's.
    row: Option<*const T>,
    /// That element, scaled.
    one: int32x4_t,
    zero: int16x8_t,
    left: int32x4_t,
    /// None for a half, which the operand of the greater scale has.
    scale: Option<Scale>,
}

impl<T: Element> Operand<T> {
    #[target_feature(enable = "neon")]
    #[inline]
    fn new(add: &Add, which: usize, x: &[T]) -> Self {
        let half = add.inputs[which] == Multiplier::HALF;
        let one = match *x {
            [one] => add.scaled(which, one.widen()),
            _ => 0,
        };
        Self {
            row: (x.len() > 1).then_some(x.as_ptr()),
            one: vdupq_n_s32(one),
            zero: vdupq_n_s16(add.zeros[which] as i16),
            left: vdupq_n_s32((add.left - u32::from(half)) as i32),
            scale: (!half).then(|| Scale::all(add.inputs[which])),
        }
    }

    /// [`Add::scaled`] of the eight elements from `at` on.
    ///
    /// # Safety
    /// They must lie within a row.
    #[target_feature(enable = "neon")]
    #[inline]
    unsafe fn scaled(&self, at: usize) -> [int32x4_t; 2] {
        let Some(row) = self.row else {
            return [self.one; 2];
        };
        // SAFETY: the caller's.
        let x = unsafe { load(row.add(at)) };
        let low = vsubl_s16(vget_low_s16(x), vget_low_s16(self.zero));
        let high = vsubl_high_s16(x, self.zero);
        [low, high].map(|x| {
            let x = vshlq_s32(x, self.left);
            match self.scale {
                Some(scale) => scale.apply(x),
                None => x,
            }
        })
    }
}

/// Eight elements in 16 bits each.
///
/// # Safety
/// They must be readable.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn load<T: Element>(from: *const T) -> int16x8_t {
    // SAFETY: the caller's; the intrinsics ask for no more alignment than `T` has.
    unsafe {
        match (size_of::<T>(), T::MIN) {
            (1, 0) => vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from.cast()))),
            (1, _) => vmovl_s8(vld1_s8(from.cast())),
            _ => vld1q_s16(from.cast()),
        }
    }
}

/// Values of the range of `T`, narrowed.
///
/// # Safety
/// Eight elements must be writable.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn store<T: Element>(to: *mut T, values: int16x8_t) {
    // SAFETY: the caller's; the intrinsics ask for no more alignment than `T` has.
    unsafe {
        match size_of::<T>() {
            1 => vst1_s8(to.cast(), vmovn_s16(values)),
            _ => vst1q_s16(to.cast(), values),
        }
    }
}
