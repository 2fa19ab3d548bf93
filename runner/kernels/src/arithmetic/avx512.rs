//! Rows of quantised ADD and SUB with AVX-512, sixteen pairs at a time.
//!
//! Sums are worked out in single precision first, which takes a third of the instructions. Its distance
//! from the specification is bounded ([`Near`]): where a sum is not that near to the middle between two
//! outputs, its rounding is the specification's. The few vectors with a sum that near are done exactly.

#![expect(
    unsafe_code,
    reason = "masked loads and stores within slices of checked length"
)]

use super::Add;
use super::near::Near;
use crate::avx512::Scale;
use crate::element::Element;
use crate::requant::Multiplier;
use core::arch::x86_64::*;

/// Pairs in a vector.
const LANES: usize = 16;

/// As [`Add`] on every pair; the slices are as for [`crate::broadcast::Binary::row`].
pub(super) fn row<T: Element>(add: &Add, a: &[T], b: &[T], out: &mut [T]) {
    if [a, b].iter().any(|x| x.len() != out.len() && x.len() != 1) {
        return;
    }
    // SAFETY: only an `Isa` of this level leads here, and such a token is made where the processor
    // has these features. Either operand has one element, or one for each of `out`.
    unsafe { pairs(add, a, b, out) }
}

/// # Safety
/// Either operand must have one element, or one for each of `out`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn pairs<T: Element>(add: &Add, a: &[T], b: &[T], out: &mut [T]) {
    // SAFETY (all): the caller's; lanes beyond the end are masked.
    unsafe {
        let near = match &add.near {
            Some(near) if a.len() == out.len() && b.len() == out.len() => Some(Rounding::new(near)),
            _ => None,
        };
        let one = Operand::new(add, 0, a);
        let other = Operand::new(add, 1, b);
        let output = Scale::all(add.output);
        let zero = _mm512_set1_epi32(add.zero);
        let (min, max) = (
            _mm512_set1_epi32(add.range.min),
            _mm512_set1_epi32(add.range.max),
        );
        for at in (0..out.len()).step_by(LANES) {
            let left = (out.len() - at).min(LANES);
            let mask = ((1_u32 << left) - 1) as __mmask16;
            let certain = match &near {
                Some(near) => near.rounded(
                    load(a.as_ptr().add(at), mask),
                    load(b.as_ptr().add(at), mask),
                ),
                None => None,
            };
            let moved = match certain {
                Some(moved) => moved,
                None => {
                    let (x, y) = (one.scaled(at, mask), other.scaled(at, mask));
                    let sum = if add.subtract {
                        _mm512_sub_epi32(x, y)
                    } else {
                        _mm512_add_epi32(x, y)
                    };
                    _mm512_add_epi32(output.apply(sum), zero)
                }
            };
            let bounded = _mm512_min_epi32(_mm512_max_epi32(moved, min), max);
            store(out.as_mut_ptr().add(at), mask, bounded);
        }
    }
}

/// [`Near`] in every lane.
struct Rounding {
    factors: [__m512; 2],
    constant: __m512,
    certain: __m512,
}

impl Rounding {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(near: &Near) -> Self {
        let [x, y] = near.factors;
        Self {
            factors: [_mm512_set1_ps(x), _mm512_set1_ps(y)],
            constant: _mm512_set1_ps(near.constant),
            certain: _mm512_set1_ps(near.certain),
        }
    }

    /// Outputs before their clamp, if all of them are beyond doubt.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn rounded(&self, x: __m512i, y: __m512i) -> Option<__m512i> {
        let (x, y) = (_mm512_cvtepi32_ps(x), _mm512_cvtepi32_ps(y));
        let sum = _mm512_fmadd_ps(x, self.factors[0], self.constant);
        let sum = _mm512_fmadd_ps(y, self.factors[1], sum);
        // What rounding to the nearest integer leaves over.
        let rest = _mm512_abs_ps(_mm512_reduce_ps::<0>(sum));
        let doubtful = _mm512_cmp_ps_mask::<_CMP_NLT_US>(rest, self.certain);
        (doubtful == 0).then_some(_mm512_cvtps_epi32(sum))
    }
}

/// One operand, on its way to the common scale.
struct Operand<T> {
    /// The row, unless one element meets all of the other operand's.
    row: Option<*const T>,
    /// That element, scaled.
    one: __m512i,
    zero: __m512i,
    left: __m128i,
    /// None for a half, which the operand of the greater scale has.
    scale: Option<Scale>,
}

impl<T: Element> Operand<T> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(add: &Add, which: usize, x: &[T]) -> Self {
        let half = add.inputs[which] == Multiplier::HALF;
        let one = match *x {
            [one] => add.scaled(which, one.widen()),
            _ => 0,
        };
        Self {
            row: (x.len() > 1).then_some(x.as_ptr()),
            one: _mm512_set1_epi32(one),
            zero: _mm512_set1_epi32(add.zeros[which]),
            left: _mm_cvtsi32_si128((add.left - u32::from(half)) as i32),
            scale: (!half).then(|| Scale::all(add.inputs[which])),
        }
    }

    /// [`Add::scaled`] of the elements from `at` on.
    ///
    /// # Safety
    /// Those elements of a row which `mask` names must lie within it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn scaled(&self, at: usize, mask: __mmask16) -> __m512i {
        let Some(row) = self.row else { return self.one };
        // SAFETY: the caller's.
        let x = unsafe { load(row.add(at), mask) };
        let x = _mm512_sll_epi32(_mm512_sub_epi32(x, self.zero), self.left);
        match &self.scale {
            Some(scale) => scale.apply(x),
            None => x,
        }
    }
}

/// Elements in 32 bits each.
///
/// # Safety
/// Those which `mask` names must be readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load<T: Element>(from: *const T, mask: __mmask16) -> __m512i {
    // SAFETY: the caller's; the intrinsics ask for no alignment.
    unsafe {
        match (size_of::<T>(), T::MIN) {
            (1, 0) => _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from.cast())),
            (1, _) => _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, from.cast())),
            _ => _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(mask, from.cast())),
        }
    }
}

/// Values of the range of `T`, narrowed.
///
/// # Safety
/// Elements which `mask` names must be writable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn store<T: Element>(to: *mut T, mask: __mmask16, values: __m512i) {
    // SAFETY: the caller's; the intrinsics ask for no alignment.
    unsafe {
        match size_of::<T>() {
            // Without a mask, which some processors are slow at.
            1 if mask == __mmask16::MAX => {
                _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(values));
            }
            1 => _mm_mask_storeu_epi8(to.cast(), mask, _mm512_cvtepi32_epi8(values)),
            _ => _mm256_mask_storeu_epi16(to.cast(), mask, _mm512_cvtepi32_epi16(values)),
        }
    }
}
