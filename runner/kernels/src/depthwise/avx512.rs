//! Sixty-four lanes at a time with AVX-512 VNNI: `vpdpbusd` multiplies the bytes of four taps
//! (inputs, lifted by 128) with four weights and adds the sum to each of sixteen accumulators.
//!
//! Interleaving the taps within 128 bits leaves lane `16q + 4j + i` in word `4q + i` of vector `j`;
//! packing the four vectors of results back into bytes undoes just that.

#![expect(
    unsafe_code,
    reason = "vector loads and stores whose bounds are checked once for a row"
)]

use super::pack::Packed;
use crate::avx512::{Scale, vector};
use crate::requant::Output;
use core::arch::x86_64::*;

/// Lanes of a block.
pub(super) const LANES: usize = 64;

/// Bytes of a vector.
const VECTOR: usize = 64;

/// One row of outputs from its lines.
pub(super) fn row(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    if packed.reaches_beyond(line.len(), out.len()) {
        return;
    }
    // SAFETY: only an `Isa` of this level leads here, and such a token is made where the processor
    // has these features. Whole blocks of lanes under every tap lie within `line`.
    unsafe { periods(packed, line, stage, out) }
}

/// # Safety
/// Whole blocks of lanes under every tap must lie within `line`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn periods(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    let period = packed.period();
    let zero = _mm512_set1_epi16(stage.zero as i16);
    let (min, max) = (_mm512_set1_epi8(stage.min), _mm512_set1_epi8(stage.max));
    for (index, (words, weights)) in packed.blocks().take(period / LANES).enumerate() {
        let scales: [Scale; 4] =
            core::array::from_fn(|j| Scale::new(vector(words, 4 + j), vector(words, 8 + j)));
        for at in (index * LANES..out.len()).step_by(period) {
            // SAFETY: the block begins within the row.
            let sums = unsafe { sums(packed, words, weights, line.as_ptr().add(at)) };
            let [a, b, c, d] = core::array::from_fn(|j| scales[j].apply(sums[j]));
            let low = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
            let high = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
            let bytes = _mm512_packs_epi16(low, high);
            let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, min), max);
            let left = out.len() - at;
            let mask = if left < LANES {
                (1 << left) - 1
            } else {
                u64::MAX
            };
            // SAFETY: bytes beyond the row are masked.
            unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().add(at), mask, bytes) };
        }
    }
}

/// The accumulators of a block of lanes that begins at `line`.
///
/// # Safety
/// Under every tap the block must lie in readable memory.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn sums(packed: &Packed, words: &[u8], weights: &[u8], line: *const i8) -> [__m512i; 4] {
    let mut sums: [__m512i; 4] = core::array::from_fn(|j| vector(words, j));
    let (offsets, _) = packed.offset_bytes().as_chunks::<16>();
    for (offsets, weights) in offsets.iter().zip(weights.chunks_exact(4 * VECTOR)) {
        let (offsets, _) = offsets.as_chunks::<4>();
        let tap = |t: usize| {
            let offset = u32::from_ne_bytes(offsets[t]) as usize;
            // SAFETY: as above; the intrinsic asks for no alignment.
            unsafe { _mm512_loadu_si512(line.add(offset).cast()) }
        };
        let [a, b, c, d] = [tap(0), tap(1), tap(2), tap(3)];
        let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
        let (ab_high, cd_high) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
        let quads = [
            _mm512_unpacklo_epi16(ab, cd),
            _mm512_unpackhi_epi16(ab, cd),
            _mm512_unpacklo_epi16(ab_high, cd_high),
            _mm512_unpackhi_epi16(ab_high, cd_high),
        ];
        for (j, quad) in quads.into_iter().enumerate() {
            sums[j] = _mm512_dpbusd_epi32(sums[j], quad, vector(weights, j));
        }
    }
    sums
}
