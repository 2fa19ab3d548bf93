//! The `f32` matrix product: rows found in place by [`Starts`] and [`Taps`], columns in panels.
//!
//! A panel of `w` columns is `w` biases, then `w` weights of each depth in turn.

use crate::error::{Error, Operand, exactly, first, product};
use crate::gemm::{Starts, Taps};
use crate::isa::{Isa, Level};

use super::Clamp;

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

/// How an instruction set wants its panels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Columns in a panel.
    nr: usize,
    /// What the width of the last panel is a multiple of.
    lane: usize,
}

impl Layout {
    fn of(isa: Isa) -> Self {
        match isa.0 {
            Level::Portable => portable::LAYOUT,
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Level::Neon32 => portable::LAYOUT,
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot => neon::LAYOUT,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86::avx2::LAYOUT,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86::avx512::LAYOUT,
        }
    }

    fn width(&self, from: usize, columns: usize) -> usize {
        (columns - from).next_multiple_of(self.lane).min(self.nr)
    }
}

/// Elements of all panels of `columns` columns.
pub(super) fn packed_len(isa: Isa, depth: usize, columns: usize) -> Result<usize, Error> {
    let column = depth.checked_add(1).ok_or(Error::TooLarge)?;
    product(&[columns.next_multiple_of(Layout::of(isa).lane), column, 4]).map(|bytes| bytes / 4)
}

/// Where columns of weights come from: element `(depth, column)` is at
/// `depth * depth_step + column * column_step`.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) weights: &'a [f32],
    pub(super) count: usize,
    pub(super) column_step: usize,
    pub(super) depth: usize,
    pub(super) depth_step: usize,
    pub(super) bias: Option<&'a [f32]>,
}

/// Arranges `columns` into panels.
pub(super) fn pack(isa: Isa, columns: &Columns, into: &mut [f32]) -> Result<(), Error> {
    let layout = Layout::of(isa);
    let &Columns {
        weights,
        count,
        depth,
        column_step,
        depth_step,
        bias,
    } = columns;
    let needed = (depth - 1) * depth_step + (count - 1) * column_step + 1;
    first(weights, needed, Operand::Weights)?;
    exactly(into, packed_len(isa, depth, count)?, Operand::Packed)?;
    if let Some(bias) = bias {
        exactly(bias, count, Operand::Bias)?;
    }
    into.fill(0.0);
    let mut rest = into;
    let mut from = 0;
    while from < count {
        let width = layout.width(from, count);
        let (panel, after) = rest.split_at_mut(width * (1 + depth));
        let (biases, body) = panel.split_at_mut(width);
        for (lane, column) in (from..count.min(from + width)).enumerate() {
            biases[lane] = bias.map_or(0.0, |bias| bias[column]);
            for (k, group) in body.chunks_exact_mut(width).enumerate() {
                group[lane] = weights[k * depth_step + column * column_step];
            }
        }
        rest = after;
        from += width;
    }
    Ok(())
}

/// A product whose operands are known to fit each other: every element that its rows, columns and
/// outputs name lies within its slices. Fast paths rest on that.
pub(super) struct Product<'a> {
    isa: Isa,
    left: &'a [f32],
    starts: Starts,
    taps: Taps,
    packed: &'a [f32],
    columns: usize,
    out: &'a mut [f32],
    step: usize,
    clamp: Clamp,
}

impl<'a> Product<'a> {
    /// Checks that everything lies within its slice. Row `r` goes to `r · step` and following.
    pub(super) fn new(
        isa: Isa,
        (left, starts, taps): (&'a [f32], Starts, Taps),
        (packed, columns): (&'a [f32], usize),
        (out, step, clamp): (&'a mut [f32], usize, Clamp),
    ) -> Result<Self, Error> {
        let packed = first(
            packed,
            packed_len(isa, taps.depth(), columns)?,
            Operand::Packed,
        )?;
        first(left, starts.last() + taps.span(1), Operand::Input)?;
        first(out, (starts.len() - 1) * step + columns, Operand::Output)?;
        Ok(Self {
            isa,
            left,
            starts,
            taps,
            packed,
            columns,
            out,
            step,
            clamp,
        })
    }

    /// Computes it.
    pub(super) fn run(self) {
        match self.isa.0 {
            Level::Portable => portable::run(self),
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Level::Neon32 => portable::run(self),
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot => neon::run(self),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86::avx2::run(self),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86::avx512::run(self),
        }
    }
}
