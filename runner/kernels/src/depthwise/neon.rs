//! Sixteen lanes at a time on aarch64, and up to four blocks of lanes with the same weights at once.
//!
//! Without a weight of −128 the products of two taps are added in 16 bits (2 · 127 · 128 < 2^15), and
//! their sum in 32 bits.
#![expect(unsafe_code, reason = "loads whose bounds are checked once for a row")]

use super::pack::Packed;
use crate::neon::{Finish, Scale};
use crate::requant::Output;
use core::arch::aarch64::*;
use core::arch::asm;

/// Lanes of a block.
pub(super) const LANES: usize = 16;

/// Blocks at once: their accumulators take half of the registers.
const PLACES: usize = 4;

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
        let Some(words) = words.as_chunks().0.first_chunk() else {
            return;
        };
        let least = weights.iter().fold(0, |least: i8, &w| least.min(w as i8));
        let mut block = Block {
            words,
            weights,
            narrow: least > i8::MIN,
            shrinks: false,
        };
        let [a, b, c, d] = block.words(2);
        block.shrinks = vmaxvq_s32(vmaxq_s32(vmaxq_s32(a, b), vmaxq_s32(c, d))) < 0;
        let mut at = index * LANES;
        let mut places = out.len().saturating_sub(at).div_ceil(period);
        // In turns of nearly equal numbers.
        let mut turns = places.div_ceil(PLACES);
        while turns > 0 {
            let taken = places.div_ceil(turns);
            let around = (at, period);
            // SAFETY: so many blocks begin within the row.
            unsafe {
                match taken {
                    1 => block.step::<1>(packed, line, finish, around, out),
                    2 => block.step::<2>(packed, line, finish, around, out),
                    3 => block.step::<3>(packed, line, finish, around, out),
                    _ => block.step::<PLACES>(packed, line, finish, around, out),
                }
            }
            at += taken * period;
            places -= taken;
            turns -= 1;
        }
    }
}

/// What lanes of the same channels have in common.
struct Block<'a> {
    /// Biases, mantissas and shifts.
    words: &'a [[u8; 16]; 12],
    weights: &'a [u8],
    /// Whether no weight is −128.
    narrow: bool,
    /// Whether all multipliers shift to the right.
    shrinks: bool,
}

impl Block<'_> {
    /// The lanes from `first` on, and from `P − 1` places on that are `period` apart.
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
        (first, period): (usize, usize),
        out: &mut [i8],
    ) {
        let at: [usize; P] = core::array::from_fn(|place| first + place * period);
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
                sums[i] = if self.shrinks {
                    scale.shrink(sums[i])
                } else {
                    scale.apply(sums[i])
                };
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
        [0, 1, 2, 3].map(|quarter| {
            let bytes = &self.words[4 * kind + quarter];
            // SAFETY: 16 bytes are read from 16 bytes.
            unsafe { vld1q_s32(bytes.as_ptr().cast()) }
        })
    }
}

/// Adds sixteen products to the accumulators.
#[target_feature(enable = "neon")]
#[inline]
fn add(sums: &mut Words, low: int16x8_t, high: int16x8_t) {
    // In assembly, because the compiler moves upper halves down before it adds them.
    // SAFETY: works on registers alone, and NEON is there.
    unsafe {
        asm!(
            "saddw  {s0:v}.4s, {s0:v}.4s, {low:v}.4h",
            "saddw2 {s1:v}.4s, {s1:v}.4s, {low:v}.8h",
            "saddw  {s2:v}.4s, {s2:v}.4s, {high:v}.4h",
            "saddw2 {s3:v}.4s, {s3:v}.4s, {high:v}.8h",
            s0 = inout(vreg) sums[0], s1 = inout(vreg) sums[1],
            s2 = inout(vreg) sums[2], s3 = inout(vreg) sums[3],
            low = in(vreg) low, high = in(vreg) high,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn load(weights: &[u8; LANES]) -> int8x16_t {
    // SAFETY: 16 bytes are read from 16 bytes.
    unsafe { vld1q_s8(weights.as_ptr().cast()) }
}
