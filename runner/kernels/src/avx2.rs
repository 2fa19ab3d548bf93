//! Fixed-point multiplication of eight 32-bit lanes with AVX2, shared by the operators' fast paths.

#![expect(unsafe_code, reason = "a vector load from a checked slice")]

use crate::requant::Multiplier;
use core::arch::x86_64::*;

/// The multipliers of eight lanes.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    mantissa: __m256i,
    left: __m256i,
    right: __m256i,
    /// Half a unit of the right shift, and −1 where there is one.
    half: __m256i,
    unit: __m256i,
}

impl Scale {
    /// The same multiplier for all lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn all(multiplier: Multiplier) -> Self {
        Self::new(
            _mm256_set1_epi32(multiplier.mantissa),
            _mm256_set1_epi32(multiplier.shift),
        )
    }

    /// Of mantissas and shifts ([`Multiplier`]), a lane each.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn new(mantissa: __m256i, shift: __m256i) -> Self {
        let zero = _mm256_setzero_si256();
        let right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
        let one = _mm256_set1_epi32(1);
        Self {
            mantissa,
            left: _mm256_max_epi32(shift, zero),
            right,
            // A shift by −1 leaves nothing.
            half: _mm256_sllv_epi32(one, _mm256_sub_epi32(right, one)),
            unit: _mm256_cmpgt_epi32(right, zero),
        }
    }

    /// [`Multiplier::apply`].
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn apply(&self, x: __m256i) -> __m256i {
        let nudge = _mm256_set1_epi64x(1 << 30);
        let x = _mm256_sllv_epi32(x, self.left);
        let even = _mm256_mul_epi32(x, self.mantissa);
        let odd = _mm256_mul_epi32(
            _mm256_srli_epi64::<32>(x),
            _mm256_srli_epi64::<32>(self.mantissa),
        );
        // Bits 31 to 62 of each: of the even lanes to the low half, of the odd ones to the high half.
        let even = _mm256_srli_epi64::<31>(_mm256_add_epi64(even, nudge));
        let odd = _mm256_slli_epi64::<1>(_mm256_add_epi64(odd, nudge));
        let high = _mm256_blend_epi32::<0b1010_1010>(even, odd);
        let below = _mm256_and_si256(_mm256_srai_epi32::<31>(high), self.unit);
        let rounded = _mm256_add_epi32(_mm256_add_epi32(high, self.half), below);
        _mm256_srav_epi32(rounded, self.right)
    }
}

/// Vector `index` of packed memory.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn vector(bytes: &[u8], index: usize) -> __m256i {
    let bytes = &bytes[index * 32..][..32];
    // SAFETY: the slice has 32 bytes.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
