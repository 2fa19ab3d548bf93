//! Eight lanes at a time in safe Rust.

use super::pack::Packed;
use crate::requant::{Multiplier, Output};

/// Lanes of a block.
pub(super) const LANES: usize = 8;

/// One row of outputs from its lines.
pub(super) fn row(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    for ((out, (words, weights)), at) in out
        .chunks_mut(LANES)
        .zip(packed.blocks())
        .zip((0..).step_by(LANES))
    {
        let word = |kind: usize, lane: usize| {
            let at = 4 * (kind * LANES + lane);
            words[at..]
                .first_chunk()
                .map_or(0, |&bytes| i32::from_ne_bytes(bytes))
        };
        let mut sums: [i32; LANES] = core::array::from_fn(|lane| word(0, lane));
        let (weights, _) = weights.as_chunks::<{ 2 * LANES }>();
        for (offset, weights) in packed.offsets().zip(weights) {
            let Some(x) = line
                .get(offset + at..)
                .and_then(<[i8]>::first_chunk::<LANES>)
            else {
                return;
            };
            for (lane, sum) in sums.iter_mut().enumerate() {
                let weight = i16::from_le_bytes([weights[2 * lane], weights[2 * lane + 1]]);
                *sum = sum.wrapping_add(i32::from(x[lane]) * i32::from(weight));
            }
        }
        for (lane, (out, &sum)) in out.iter_mut().zip(&sums).enumerate() {
            let multiplier = Multiplier {
                mantissa: word(1, lane),
                shift: word(2, lane),
            };
            *out = stage.finish(multiplier.apply(sum));
        }
    }
}
