//! Rows of quantised ADD and SUB with AVX2, eight pairs at a time; what is left over by the
//! specification.

#![expect(
    unsafe_code,
    reason = "loads and stores of blocks that are checked to be whole"
)]

use super::Add;
use crate::avx2::Scale;
use crate::broadcast::Binary;
use crate::element::Element;
use crate::requant::Multiplier;
use core::arch::x86_64::*;

/// Pairs in a vector.
const LANES: usize = 8;

/// As [`Add`] on every pair; the slices are as for [`Binary::row`].
pub(super) fn row<T: Element>(add: &Add, a: &[T], b: &[T], out: &mut [T]) {
    if [a, b].iter().any(|x| x.len() != out.len() && x.len() != 1) {
        return;
    }
    // SAFETY: only an `Isa` of this level leads here, and such a token is made where the processor
    // has AVX2. Either operand has one element, or one for each of `out`.
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
#[target_feature(enable = "avx2")]
unsafe fn pairs<T: Element>(add: &Add, a: &[T], b: &[T], out: &mut [T]) {
    let one = Operand::new(add, 0, a);
    let other = Operand::new(add, 1, b);
    let output = Scale::all(add.output);
    let zero = _mm256_set1_epi32(add.zero);
    let (min, max) = (
        _mm256_set1_epi32(add.range.min),
        _mm256_set1_epi32(add.range.max),
    );
    for (index, out) in out.chunks_exact_mut(LANES).enumerate() {
        // SAFETY: the caller's; the block is whole.
        let (x, y) = unsafe { (one.scaled(index * LANES), other.scaled(index * LANES)) };
        let sum = if add.subtract {
            _mm256_sub_epi32(x, y)
        } else {
            _mm256_add_epi32(x, y)
        };
        let moved = _mm256_add_epi32(output.apply(sum), zero);
        let bounded = _mm256_min_epi32(_mm256_max_epi32(moved, min), max);
        // SAFETY: the chunk has eight elements.
        unsafe { store(out.as_mut_ptr(), bounded) };
    }
}

/// One operand, on its way to the common scale.
struct Operand<T> {
    /// The row, unless one element meets all of the other operand's.
    row: Option<*const T>,
    /// That element, scaled.
    one: __m256i,
    zero: __m256i,
    left: __m128i,
    /// None for a half, which the operand of the greater scale has.
    scale: Option<Scale>,
}

impl<T: Element> Operand<T> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(add: &Add, which: usize, x: &[T]) -> Self {
        let half = add.inputs[which] == Multiplier::HALF;
        let one = match *x {
            [one] => add.scaled(which, one.widen()),
            _ => 0,
        };
        Self {
            row: (x.len() > 1).then_some(x.as_ptr()),
            one: _mm256_set1_epi32(one),
            zero: _mm256_set1_epi32(add.zeros[which]),
            left: _mm_cvtsi32_si128((add.left - u32::from(half)) as i32),
            scale: (!half).then(|| Scale::all(add.inputs[which])),
        }
    }

    /// [`Add::scaled`] of the eight elements from `at` on.
    ///
    /// # Safety
    /// They must lie within a row.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn scaled(&self, at: usize) -> __m256i {
        let Some(row) = self.row else { return self.one };
        // SAFETY: the caller's.
        let x = unsafe { load(row.add(at)) };
        let x = _mm256_sll_epi32(_mm256_sub_epi32(x, self.zero), self.left);
        match &self.scale {
            Some(scale) => scale.apply(x),
            None => x,
        }
    }
}

/// Eight elements in 32 bits each.
///
/// # Safety
/// They must be readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load<T: Element>(from: *const T) -> __m256i {
    // SAFETY: the caller's; the intrinsics ask for no alignment.
    unsafe {
        match (size_of::<T>(), T::MIN) {
            (1, 0) => _mm256_cvtepu8_epi32(_mm_loadu_si64(from.cast())),
            (1, _) => _mm256_cvtepi8_epi32(_mm_loadu_si64(from.cast())),
            _ => _mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast())),
        }
    }
}

/// Values of the range of `T`, narrowed.
///
/// # Safety
/// Eight elements must be writable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store<T: Element>(to: *mut T, values: __m256i) {
    let (low, high) = (
        _mm256_castsi256_si128(values),
        _mm256_extracti128_si256::<1>(values),
    );
    let words = _mm_packs_epi32(low, high);
    // SAFETY: the caller's; the intrinsics ask for no alignment.
    unsafe {
        match (size_of::<T>(), T::MIN) {
            (1, 0) => _mm_storeu_si64(to.cast(), _mm_packus_epi16(words, words)),
            (1, _) => _mm_storeu_si64(to.cast(), _mm_packs_epi16(words, words)),
            _ => _mm_storeu_si128(to.cast(), words),
        }
    }
}
