//! Thirty-two lanes at a time with AVX2: `vpmaddwd` multiplies two taps with their weights, both in
//! 16 bits, and adds the products.
//!
//! Weights in 16 bits have room for a zero point, so this path serves the uint8 scheme. The order of
//! lanes is that of `avx512`.

#![expect(
    unsafe_code,
    reason = "vector loads and stores whose bounds are checked once for a row"
)]

use super::pack::Packed;
use crate::avx2::{Scale, vector};
use crate::requant::Output;
use core::arch::x86_64::*;

/// Lanes of a block.
pub(super) const LANES: usize = 32;

/// Bytes of a vector.
const VECTOR: usize = 32;

/// One row of outputs from its lines.
pub(super) fn row(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    if packed.reaches_beyond(line.len(), out.len()) {
        return;
    }
    // SAFETY: only an `Isa` of this level or above leads here, and such a token is made where the
    // processor has AVX2. Whole blocks of lanes under every tap lie within `line`.
    unsafe { periods(packed, line, stage, out) }
}

/// # Safety
/// Whole blocks of lanes under every tap must lie within `line`.
#[target_feature(enable = "avx2")]
unsafe fn periods(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    let period = packed.period();
    let zero = _mm256_set1_epi16(stage.zero as i16);
    let (min, max) = (_mm256_set1_epi8(stage.min), _mm256_set1_epi8(stage.max));
    for (index, (words, weights)) in packed.blocks().take(period / LANES).enumerate() {
        let scales: [Scale; 4] =
            core::array::from_fn(|j| Scale::new(vector(words, 4 + j), vector(words, 8 + j)));
        for at in (index * LANES..out.len()).step_by(period) {
            // SAFETY: the block begins within the row.
            let sums = unsafe { sums(packed, words, weights, line.as_ptr().add(at)) };
            let [a, b, c, d] = core::array::from_fn(|j| scales[j].apply(sums[j]));
            let low = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero);
            let high = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero);
            let bytes = _mm256_packs_epi16(low, high);
            let bytes = _mm256_min_epi8(_mm256_max_epi8(bytes, min), max);
            if let Some(out) = out[at..].first_chunk_mut::<LANES>() {
                // SAFETY: the chunk has 32 bytes.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), bytes) };
            } else {
                let mut block = [0; LANES];
                // SAFETY: the block has 32 bytes.
                unsafe { _mm256_storeu_si256(block.as_mut_ptr().cast(), bytes) };
                let rest = &mut out[at..];
                rest.copy_from_slice(&block[..rest.len()]);
            }
        }
    }
}

/// The accumulators of a block of lanes that begins at `line`.
///
/// # Safety
/// Under every tap the block must lie in readable memory.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn sums(packed: &Packed, words: &[u8], weights: &[u8], line: *const i8) -> [__m256i; 4] {
    let zero = _mm256_setzero_si256();
    let mut sums: [__m256i; 4] = core::array::from_fn(|j| vector(words, j));
    let (offsets, _) = packed.offset_bytes().as_chunks::<8>();
    for (offsets, weights) in offsets.iter().zip(weights.chunks_exact(4 * VECTOR)) {
        let (offsets, _) = offsets.as_chunks::<4>();
        let tap = |t: usize| {
            let offset = u32::from_ne_bytes(offsets[t]) as usize;
            // SAFETY: as above; the intrinsic asks for no alignment.
            unsafe { _mm256_loadu_si256(line.add(offset).cast()) }
        };
        let [a, b] = [tap(0), tap(1)];
        let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
        let pairs = [
            _mm256_unpacklo_epi8(low, zero),
            _mm256_unpackhi_epi8(low, zero),
            _mm256_unpacklo_epi8(high, zero),
            _mm256_unpackhi_epi8(high, zero),
        ];
        for (j, pair) in pairs.into_iter().enumerate() {
            let products = _mm256_madd_epi16(pair, vector(weights, j));
            sums[j] = _mm256_add_epi32(sums[j], products);
        }
    }
    sums
}
