//! Fixed-point multiplication of sixteen 32-bit lanes with AVX-512, shared by the operators' fast paths.

#![expect(unsafe_code, reason = "a vector load from a checked slice")]

use crate::requant::Multiplier;
use core::arch::x86_64::*;

/// The multipliers of sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    mantissa: __m512i,
    left: __m512i,
    right: __m512i,
    /// Half a unit of the right shift, and −1 where there is one.
    half: __m512i,
    unit: __m512i,
}

impl Scale {
    /// The same multiplier for all lanes.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn all(multiplier: Multiplier) -> Self {
        Self::new(
            _mm512_set1_epi32(multiplier.mantissa),
            _mm512_set1_epi32(multiplier.shift),
        )
    }

    /// Of mantissas and shifts ([`Multiplier`]), a lane each.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn new(mantissa: __m512i, shift: __m512i) -> Self {
        let zero = _mm512_setzero_si512();
        let right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
        let shifts = _mm512_test_epi32_mask(right, right);
        let one = _mm512_set1_epi32(1);
        Self {
            mantissa,
            left: _mm512_max_epi32(shift, zero),
            right,
            half: _mm512_maskz_sllv_epi32(shifts, one, _mm512_sub_epi32(right, one)),
            unit: _mm512_maskz_set1_epi32(shifts, -1),
        }
    }

    /// [`Multiplier::apply`].
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn apply(&self, x: __m512i) -> __m512i {
        let nudge = _mm512_set1_epi64(1 << 30);
        let x = _mm512_sllv_epi32(x, self.left);
        let even = _mm512_mul_epi32(x, self.mantissa);
        let odd = _mm512_mul_epi32(
            _mm512_srli_epi64::<32>(x),
            _mm512_srli_epi64::<32>(self.mantissa),
        );
        // Bits 31 to 62 of each: of the even lanes to the low half, of the odd ones to the high half.
        let even = _mm512_srli_epi64::<31>(_mm512_add_epi64(even, nudge));
        let odd = _mm512_slli_epi64::<1>(_mm512_add_epi64(odd, nudge));
        let high = _mm512_mask_mov_epi32(even, 0xaaaa, odd);
        let below = _mm512_and_si512(_mm512_srai_epi32::<31>(high), self.unit);
        let rounded = _mm512_add_epi32(_mm512_add_epi32(high, self.half), below);
        _mm512_srav_epi32(rounded, self.right)
    }
}

/// Vector `index` of packed memory.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn vector(bytes: &[u8], index: usize) -> __m512i {
    let bytes = &bytes[index * 64..][..64];
    // SAFETY: the slice has 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}
