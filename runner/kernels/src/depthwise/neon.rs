//! Sixteen lanes at a time on aarch64, and two blocks of lanes with the same weights at once.
//!
//! Without a weight of −128 the products of two taps are added in 16 bits (2 · 127 · 128 < 2^15), and
//! their sum in 32 bits.
#![expect(unsafe_code, reason = "loads whose bounds are checked once for a row")]

use super::pack::Packed;
use crate::neon::{Finish, Scale};
use crate::requant::Output;
use core::arch::aarch64::*;

/// Lanes of a block.
pub(super) const LANES: usize = 16;

/// Accumulators, mantissas or shifts of a block.
type Words = [int32x4_t; 4];

/// One row of outputs from its lines.
pub(super) fn row(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    let last = packed.offsets().max().unwrap_or(0);
    let needed = last.checked_add(out.len().next_multiple_of(LANES));
    if needed.is_none_or(|needed| needed > line.len()) {
        return;
    }
    // SAFETY: NEON is part of the target, and every load ends before `needed`.
    unsafe { periods(packed, line, stage, out) }
}

/// # Safety
/// Whole blocks of lanes under every tap lie within `line`.
#[target_feature(enable = "neon")]
unsafe fn periods(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    let finish = Finish::new(stage);
    let period = packed.period();
    for (index, (words, weights)) in packed.blocks().take(period / LANES).enumerate() {
        let least = weights.iter().fold(0, |least: i8, &w| least.min(w as i8));
        let block = Block {
            words,
            weights,
            narrow: least > i8::MIN,
        };
        let mut at = index * LANES;
        while at + period < out.len() {
            // SAFETY: both blocks begin within the row.
            unsafe { block.step(packed, line, finish, [at, at + period], out) };
            at += 2 * period;
        }
        if at < out.len() {
            // SAFETY: the block begins within the row.
            unsafe { block.step(packed, line, finish, [at], out) };
        }
    }
}

/// What lanes of the same channels have in common.
struct Block<'a> {
    words: &'a [u8],
    weights: &'a [u8],
    /// Whether no weight is −128.
    narrow: bool,
}

impl Block<'_> {
    /// The lanes from each place of `at` on.
    ///
    /// # Safety
    /// Under every tap they lie within `line`.
    #[target_feature(enable = "neon")]
    #[inline]
    unsafe fn step<const P: usize>(
        &self,
        packed: &Packed,
        line: &[i8],
        finish: Finish,
        at: [usize; P],
        out: &mut [i8],
    ) {
        // SAFETY: the caller's.
        let mut sums = unsafe {
            if self.narrow {
                self.sums::<P, true>(packed, line, at)
            } else {
                self.sums::<P, false>(packed, line, at)
            }
        };
        let (mantissas, shifts) = (self.words(1), self.words(2));
        for i in 0..4 {
            let scale = Scale::new(mantissas[i], shifts[i]);
            for sums in &mut sums {
                sums[i] = scale.apply(sums[i]);
            }
        }
        for (at, sums) in at.into_iter().zip(sums) {
            let low = finish.apply(sums[0], sums[1]);
            let high = finish.apply(sums[2], sums[3]);
            let bytes = vcombine_s8(low, high);
            if let Some(out) = out[at..].first_chunk_mut::<LANES>() {
                // SAFETY: 16 bytes are stored to 16 bytes.
                unsafe { vst1q_s8(out.as_mut_ptr(), bytes) };
            } else {
                let mut all = [0; LANES];
                // SAFETY: 16 bytes are stored to 16 bytes.
                unsafe { vst1q_s8(all.as_mut_ptr(), bytes) };
                let out = &mut out[at..];
                out.copy_from_slice(&all[..out.len()]);
            }
        }
    }

    /// The accumulators.
    ///
    /// # Safety
    /// As [`Block::step`].
    #[target_feature(enable = "neon")]
    #[inline]
    unsafe fn sums<const P: usize, const NARROW: bool>(
        &self,
        packed: &Packed,
        line: &[i8],
        at: [usize; P],
    ) -> [Words; P] {
        let mut sums = [self.words(0); P];
        // SAFETY: the caller's.
        let element = |at: usize| unsafe { vld1q_s8(line.as_ptr().add(at)) };
        let mut taps = packed.offsets().zip(self.weights.as_chunks::<LANES>().0);
        while let Some((offset, weights)) = taps.next() {
            let weight = load(weights);
            if NARROW && let Some((other, weights)) = taps.next() {
                let second = load(weights);
                for (sums, at) in sums.iter_mut().zip(at) {
                    let (x, y) = (element(at + offset), element(at + other));
                    let low = vmull_s8(vget_low_s8(x), vget_low_s8(weight));
                    let low = vmlal_s8(low, vget_low_s8(y), vget_low_s8(second));
                    let high = vmull_high_s8(x, weight);
                    add(sums, low, vmlal_high_s8(high, y, second));
                }
                continue;
            }
            for (sums, at) in sums.iter_mut().zip(at) {
                let x = element(at + offset);
                let low = vmull_s8(vget_low_s8(x), vget_low_s8(weight));
                add(sums, low, vmull_high_s8(x, weight));
            }
        }
        sums
    }

    /// Biases (0), mantissas (1) or shifts (2).
    #[target_feature(enable = "neon")]
    #[inline]
    fn words(&self, kind: usize) -> Words {
        let mut words = [vdupq_n_s32(0); 4];
        let bytes = self.words[4 * LANES * kind..].as_chunks::<16>().0;
        for (words, bytes) in words.iter_mut().zip(bytes) {
            // SAFETY: 16 bytes are read from 16 bytes.
            *words = unsafe { vld1q_s32(bytes.as_ptr().cast()) };
        }
        words
    }
}

/// Adds sixteen products to the accumulators.
#[target_feature(enable = "neon")]
#[inline]
fn add(sums: &mut Words, low: int16x8_t, high: int16x8_t) {
    sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
    sums[1] = vaddw_high_s16(sums[1], low);
    sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
    sums[3] = vaddw_high_s16(sums[3], high);
}

#[target_feature(enable = "neon")]
#[inline]
fn load(weights: &[u8; LANES]) -> int8x16_t {
    // SAFETY: 16 bytes are read from 16 bytes.
    unsafe { vld1q_s8(weights.as_ptr().cast()) }
}
