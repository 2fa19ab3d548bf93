//! Weights, biases and multipliers in the order in which a kernel meets them.

use super::lines::Lines;
#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(all(target_arch = "arm", target_os = "linux"))]
use super::neon32;
use super::{Params, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::error::{Error, product};
use crate::isa::Isa;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "arm", target_os = "linux")
))]
use crate::isa::Level;
use crate::requant::{Multiplier, Output};
use crate::window::Window;

/// How an instruction set wants its weights.
///
/// At the head lie the offsets of the taps in the lines, as `u32`. Then come blocks of `lanes` lanes,
/// as many as it takes until the channels repeat: biases, mantissas and shifts, each `lanes` words of
/// 32 bits; then the weights, `group` taps at a time.
///
/// Lanes are in the order that [`Layout::lane`] gives. Taps fill their last group with zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Lanes of a block; a multiple of 8.
    pub(super) lanes: usize,
    /// Taps that are multiplied and added in one instruction.
    group: usize,
    /// Bytes of a weight.
    size: usize,
    /// What lines are flipped by: `-128` where a kernel wants them without sign.
    pub(super) flip: i8,
}

impl Layout {
    /// The layout that `isa` works with.
    pub(super) fn of(isa: Isa, weight_zero: i32) -> Self {
        match (isa.0, weight_zero) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, 0) => Self {
                lanes: avx512::LANES,
                group: 4,
                size: 1,
                flip: i8::MIN,
            },
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2 | Level::Avx512, _) => Self {
                lanes: avx2::LANES,
                group: 2,
                size: 2,
                flip: i8::MIN,
            },
            #[cfg(target_arch = "aarch64")]
            (Level::Neon | Level::NeonDot, 0) => Self {
                lanes: neon::LANES,
                group: 1,
                size: 1,
                flip: 0,
            },
            _ => Self {
                lanes: portable::LANES,
                group: 1,
                size: 2,
                flip: 0,
            },
        }
    }

    /// Runs the kernel of this layout over one row of outputs.
    pub(super) fn row(
        &self,
        isa: Isa,
        packed: &Packed,
        line: &[i8],
        stage: Output,
        out: &mut [i8],
    ) {
        match (isa.0, self.size) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, 1) => avx512::row(packed, line, stage, out),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2 | Level::Avx512, _) => avx2::row(packed, line, stage, out),
            #[cfg(target_arch = "aarch64")]
            (Level::Neon | Level::NeonDot, 1) => neon::row(packed, line, stage, out),
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            (Level::Neon32, _) => neon32::row(packed, line, stage, out),
            _ => portable::row(packed, line, stage, out),
        }
    }

    /// The place of a block's lane among its words: where taps are interleaved within 128 bits, the
    /// four words of every quarter of a block's 16 lanes come apart.
    fn lane(&self, lane: usize) -> usize {
        if self.group == 1 {
            return lane;
        }
        let (sixteen, four, one) = (lane / 16, lane % 16 / 4, lane % 4);
        four * (self.lanes / 4) + sixteen * 4 + one
    }

    /// Taps with those that fill the last group.
    fn taps(&self, window: &Window) -> usize {
        (window.kernel[0] * window.kernel[1]).next_multiple_of(self.group)
    }

    /// Bytes of a block.
    fn block(&self, window: &Window) -> usize {
        self.lanes * (12 + self.taps(window) * self.size)
    }

    /// Blocks until the channels repeat.
    fn blocks(&self, window: &Window) -> usize {
        let channels = window.output[3];
        channels / common_divisor(channels, self.lanes)
    }

    /// Bytes of the tap offsets, so that blocks keep the alignment of the whole.
    fn head(&self, window: &Window) -> usize {
        (self.taps(window) * 4).next_multiple_of(64)
    }

    /// Bytes of all.
    pub(super) fn packed_len(&self, window: &Window) -> Result<usize, Error> {
        let blocks = product(&[self.blocks(window), self.block(window)])?;
        blocks.checked_add(self.head(window)).ok_or(Error::TooLarge)
    }

    /// Arranges `weights` and the rest in `into`; all lengths were checked.
    pub(super) fn pack(
        &self,
        params: &Params,
        lines: &Lines,
        (weights, bias, multipliers): (&[i8], Option<&[i32]>, &[Multiplier]),
        into: &mut [u8],
    ) -> Result<(), Error> {
        let window = &params.window;
        let channels = window.output[3];
        let taps = window.kernel[0] * window.kernel[1];
        into.fill(0);
        let (head, blocks) = into.split_at_mut(self.head(window));
        for (tap, into) in head.chunks_exact_mut(4).take(self.taps(window)).enumerate() {
            // A tap that fills the group reads what the last one reads.
            let offset = lines.offset(tap.min(taps - 1));
            let offset = u32::try_from(offset).map_err(|_| Error::TooLarge)?;
            into.copy_from_slice(&offset.to_ne_bytes());
        }
        // Flipped elements are greater by 128.
        let input_zero = params.input_zero - i32::from(self.flip);
        for (index, block) in blocks.chunks_exact_mut(self.block(window)).enumerate() {
            let (words, block) = block.split_at_mut(12 * self.lanes);
            for lane in 0..self.lanes {
                let channel = (index * self.lanes + lane) % channels;
                let place = self.lane(lane);
                let mut bias = bias.map_or(0, |bias| bias[channel]);
                for tap in 0..taps {
                    let weight = i32::from(weights[tap * channels + channel]) - params.weight_zero;
                    bias = bias.wrapping_sub(input_zero.wrapping_mul(weight));
                    let at = tap / self.group * self.group * self.lanes
                        + place * self.group
                        + tap % self.group;
                    let at = at * self.size;
                    // To one byte where the weights have no zero point, to two in any case.
                    block[at..at + self.size].copy_from_slice(&weight.to_le_bytes()[..self.size]);
                }
                let Multiplier { mantissa, shift } = multipliers[channel];
                for (kind, word) in [bias, mantissa, shift].into_iter().enumerate() {
                    let at = 4 * (kind * self.lanes + place);
                    words[at..at + 4].copy_from_slice(&word.to_ne_bytes());
                }
            }
        }
        Ok(())
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// What [`Layout::pack`] arranged, taken apart.
pub(super) struct Packed<'a> {
    offsets: &'a [u8],
    blocks: &'a [u8],
    block: usize,
    lanes: usize,
}

impl<'a> Packed<'a> {
    /// `packed` has the length that `layout` asks for.
    pub(super) fn new(layout: Layout, window: &Window, packed: &'a [u8]) -> Self {
        let (head, blocks) = packed.split_at(layout.head(window));
        Self {
            offsets: &head[..4 * layout.taps(window)],
            blocks,
            block: layout.block(window),
            lanes: layout.lanes,
        }
    }

    /// The offsets of the taps as `u32` of this machine, those that fill the last group included.
    #[cfg(any(target_arch = "x86_64", all(target_arch = "arm", target_os = "linux")))]
    pub(super) fn offset_bytes(&self) -> &'a [u8] {
        self.offsets
    }

    /// Lanes until the channels repeat: whole blocks.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn period(&self) -> usize {
        self.blocks.len() / self.block * self.lanes
    }

    /// Whether a row of `count` lanes, rounded up to whole blocks, reads past `elements`.
    #[cfg(any(target_arch = "x86_64", all(target_arch = "arm", target_os = "linux")))]
    pub(super) fn reaches_beyond(&self, elements: usize, count: usize) -> bool {
        let last = self.offsets().max().unwrap_or(0);
        let needed = last.checked_add(count.next_multiple_of(self.lanes));
        needed.is_none_or(|needed| needed > elements)
    }

    /// The offsets of the taps, those that fill the last group included.
    pub(super) fn offsets(&self) -> impl Iterator<Item = usize> + 'a {
        self.offsets
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| u32::from_ne_bytes(bytes) as usize)
    }

    /// Lanes until the channels repeat: whole blocks.
    #[cfg(target_arch = "aarch64")]
    pub(super) fn period(&self) -> usize {
        self.blocks.len() / self.block * self.lanes
    }

    /// The block of every `lanes` lanes of a row in turn: words and weights.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let words = 12 * self.lanes;
        self.blocks
            .chunks_exact(self.block)
            .map(move |block| block.split_at(words))
            .cycle()
    }
}
