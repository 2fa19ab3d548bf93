//! The integer matrix product that all operators here come down to: rows of int8 inputs, found in
//! place by [`Starts`] and [`Taps`], times columns of int8 weights, arranged once in panels.
//!
//! # Panels
//!
//! Columns (output channels) go into panels of [`Layout::nr`], the last one narrower, a multiple of
//! [`Layout::lane`]. A panel of `w` columns is, without gaps and in the byte order of the machine:
//!
//! | bytes | what |
//! |---|---|
//! | `4w` | the bias of each column, as `i32`, with all that is known of zero points folded in |
//! | `4w` | the mantissa of each column's multiplier, as `i32` |
//! | `4w` | the shift of each column's multiplier, as `i32` |
//! | `w·k` | weights: for each group of [`Layout::kr`] depths, `kr` bytes of each column in turn |
//!
//! where `k` is the depth with every run rounded up to a multiple of `kr`. The bytes that fill up are
//! zero, so that whatever a kernel reads of the input beyond a run does not count.

use crate::error::{Error, Operand, exactly, first, product};
use crate::isa::{Isa, Level};
use crate::requant::{Multiplier, Output};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "arm", target_os = "linux"))]
mod neon32;
mod portable;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "arm", target_os = "linux")
))]
mod rows;

#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    all(target_arch = "arm", target_os = "linux")
))]
pub(crate) use rows::Rows;

/// `n` or the next multiple of a power of two; without the division that a small layer would feel.
#[inline]
const fn rounded_up(n: usize, power: usize) -> usize {
    debug_assert!(power.is_power_of_two());
    n.wrapping_add(power - 1) & !(power - 1)
}

/// How an instruction set wants its panels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Columns in a panel.
    nr: usize,
    /// What the width of the last panel is a multiple of; a power of two.
    lane: usize,
    /// Successive depths of one column that stand together; a power of two.
    kr: usize,
    /// What the kernel adds to every input byte before it multiplies.
    lift: i32,
}

impl Layout {
    pub(crate) fn of(isa: Isa) -> Self {
        match isa.0 {
            Level::Portable => portable::LAYOUT,
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot => neon::LAYOUT,
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Level::Neon32 => neon32::LAYOUT,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::LAYOUT,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::LAYOUT,
        }
    }

    /// The granularity at which kernels read a run.
    pub(crate) fn kr(&self) -> usize {
        self.kr
    }

    /// The width of the panel that begins at column `from`.
    fn width(&self, from: usize, columns: usize) -> usize {
        rounded_up(columns - from, self.lane).min(self.nr)
    }

    /// Bytes of all panels.
    pub(crate) fn packed_len(&self, taps: &Taps, columns: usize) -> Result<usize, Error> {
        let column = HEADER
            .checked_add(taps.padded(self.kr))
            .ok_or(Error::TooLarge)?;
        product(&[rounded_up(columns, self.lane), column])
    }
}

/// Bytes of bias, mantissa and shift for each column.
const HEADER: usize = 12;

/// How the elements of one row lie: `outer × inner` runs of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taps {
    pub(crate) outer: usize,
    pub(crate) outer_step: usize,
    pub(crate) inner: usize,
    pub(crate) inner_step: usize,
    pub(crate) run: usize,
}

impl Taps {
    /// A row that lies in one piece.
    pub(crate) const fn contiguous(run: usize) -> Self {
        Self {
            outer: 1,
            outer_step: 0,
            inner: 1,
            inner_step: 0,
            run,
        }
    }

    /// How many elements a row has.
    pub(crate) fn depth(&self) -> usize {
        self.outer * self.inner * self.run
    }

    /// The same with every run rounded up.
    fn padded(&self, kr: usize) -> usize {
        self.outer * self.inner * rounded_up(self.run, kr)
    }

    /// From a row's first element to one past the last that a kernel reads.
    pub(crate) fn span(&self, kr: usize) -> usize {
        (self.outer - 1) * self.outer_step
            + (self.inner - 1) * self.inner_step
            + rounded_up(self.run, kr)
    }

    /// Where the runs begin, from the row's first element.
    pub(crate) fn runs(self) -> impl Iterator<Item = usize> {
        (0..self.outer).flat_map(move |outer| {
            (0..self.inner).map(move |inner| outer * self.outer_step + inner * self.inner_step)
        })
    }
}

/// Where the rows of the left operand begin: a grid over an image, or lines of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Starts {
    pub(crate) lines: usize,
    pub(crate) line_step: usize,
    pub(crate) places: usize,
    pub(crate) place_step: usize,
}

impl Starts {
    /// The rows of a matrix.
    pub(crate) const fn matrix(rows: usize, step: usize) -> Self {
        Self {
            lines: 1,
            line_step: 0,
            places: rows,
            place_step: step,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines * self.places
    }

    pub(crate) fn last(&self) -> usize {
        (self.lines - 1) * self.line_step + (self.places - 1) * self.place_step
    }

    /// The starts in order of rows.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.lines).flat_map(move |line| {
            (0..self.places).map(move |place| line * self.line_step + place * self.place_step)
        })
    }
}

/// Where columns of weights come from: element `(depth, column)` is at
/// `depth * depth_step + column * column_step`.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) weights: &'a [i8],
    pub(crate) count: usize,
    pub(crate) column_step: usize,
    pub(crate) depth_step: usize,
    pub(crate) bias: Option<&'a [i32]>,
    /// One for each column, one for all, or none if the accumulators are wanted as they are.
    pub(crate) multipliers: &'a [Multiplier],
    pub(crate) input_zero: i32,
    pub(crate) weight_zero: i32,
}

/// Arranges `columns` into panels. `into` must be as long as [`Layout::packed_len`] says.
pub(crate) fn pack(isa: Isa, taps: &Taps, columns: &Columns, into: &mut [u8]) -> Result<(), Error> {
    let layout = Layout::of(isa);
    let depth = taps.depth();
    let needed = (depth - 1) * columns.depth_step + (columns.count - 1) * columns.column_step + 1;
    first(columns.weights, needed, Operand::Weights)?;
    if let Some(bias) = columns.bias {
        exactly(bias, columns.count, Operand::Bias)?;
    }
    if columns.multipliers.len() > 1 {
        exactly(columns.multipliers, columns.count, Operand::Multipliers)?;
    }
    exactly(
        into,
        layout.packed_len(taps, columns.count)?,
        Operand::Packed,
    )?;
    into.fill(0);

    let padded = taps.padded(layout.kr);
    let mut rest = into;
    let mut from = 0;
    while from < columns.count {
        let width = layout.width(from, columns.count);
        let (panel, after) = rest.split_at_mut(width * (HEADER + padded));
        for (lane, column) in (from..columns.count.min(from + width)).enumerate() {
            pack_column(&layout, taps, columns, column, Slot { panel, lane, width });
        }
        rest = after;
        from += width;
    }
    Ok(())
}

/// The place of one column in its panel.
struct Slot<'a> {
    panel: &'a mut [u8],
    lane: usize,
    width: usize,
}

impl Slot<'_> {
    fn put(&mut self, field: usize, value: i32) {
        let at = (field * self.width + self.lane) * 4;
        self.panel[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
}

/// Copies one column, and folds the zero points into its bias:
/// `Σ(x − zx)(w − zw) = Σ(x + lift)w − (zx + lift)Σw − zw Σx + k zx zw`,
/// of which only `zw Σx` has to wait for the input.
fn pack_column(layout: &Layout, taps: &Taps, columns: &Columns, column: usize, mut slot: Slot) {
    let kr = layout.kr;
    let body = slot.width * HEADER;
    let mut depth = 0;
    let mut group = 0;
    let mut sum = 0_i32;
    for _ in 0..taps.outer * taps.inner {
        for k in 0..taps.run {
            let weight = columns.weights[depth * columns.depth_step + column * columns.column_step];
            let at = body + ((group + k / kr) * slot.width + slot.lane) * kr + k % kr;
            slot.panel[at] = weight as u8;
            sum = sum.wrapping_add(i32::from(weight));
            depth += 1;
        }
        group += taps.run.div_ceil(kr);
    }
    let bias = columns
        .bias
        .and_then(|bias| bias.get(column).copied())
        .unwrap_or(0);
    let moved = columns.input_zero.wrapping_add(layout.lift);
    let both = (depth as i32)
        .wrapping_mul(columns.input_zero)
        .wrapping_mul(columns.weight_zero);
    let multiplier = columns
        .multipliers
        .get(column)
        .or(columns.multipliers.first());
    let multiplier = multiplier.copied().unwrap_or_default();
    slot.put(
        0,
        bias.wrapping_sub(moved.wrapping_mul(sum))
            .wrapping_add(both),
    );
    slot.put(1, multiplier.mantissa);
    slot.put(2, multiplier.shift);
}

/// A product whose operands are known to fit each other: every element that its rows, columns and
/// outputs name lies within its slices. Fast paths rest on that.
pub(crate) struct Product<'a> {
    isa: Isa,
    left: &'a [i8],
    starts: Starts,
    taps: Taps,
    packed: &'a [u8],
    columns: usize,
    weight_zero: i32,
    /// Whether `left` was lifted already: 128 added to every byte, as unsigned ones. Only where
    /// [`lift`] did so, and with weights that have no zero point.
    lifted: bool,
    /// Whether multipliers round once, see [`Multiplier::apply_once`].
    once: bool,
    sink: Sink<'a>,
}

/// Where the results go: row `r` to `r · step` and following of a slice.
pub(crate) enum Sink<'a> {
    /// Scaled, moved and clamped to bytes.
    Bytes {
        out: &'a mut [i8],
        step: usize,
        stage: Output,
    },
    /// The accumulators as they are.
    Wide { out: &'a mut [i32], step: usize },
}

impl<'a> Product<'a> {
    /// Checks that everything lies within its slice.
    #[inline]
    pub(crate) fn new(
        isa: Isa,
        (left, starts, taps): (&'a [i8], Starts, Taps),
        (packed, columns, weight_zero): (&'a [u8], usize, i32),
        sink: Sink<'a>,
    ) -> Result<Self, Error> {
        let layout = Layout::of(isa);
        let packed = first(packed, layout.packed_len(&taps, columns)?, Operand::Packed)?;
        first(left, starts.last() + taps.span(layout.kr), Operand::Input)?;
        match &sink {
            Sink::Bytes { out, step, .. } => {
                first(out, (starts.len() - 1) * step + columns, Operand::Output)?;
            }
            Sink::Wide { out, step } => {
                first(out, (starts.len() - 1) * step + columns, Operand::Output)?;
            }
        }
        Ok(Self {
            isa,
            left,
            starts,
            taps,
            packed,
            columns,
            weight_zero,
            lifted: false,
            once: false,
            sink,
        })
    }

    /// Says that whoever copied `left` lifted it, so that the kernel need not do so for every product.
    #[inline]
    pub(crate) fn with_lifted(mut self, lifted: bool) -> Self {
        self.lifted = lifted;
        self
    }

    /// Lets multipliers round once. Rows must be those of a matrix, [`Starts::matrix`].
    #[inline]
    pub(crate) fn rounding_once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Scales accumulators here that a kernel, which rounds twice, gives as they are: panel by panel,
    /// some rows at a time.
    fn run_once(self) {
        let Sink::Bytes { out, step, stage } = self.sink else {
            return;
        };
        let layout = Layout::of(self.isa);
        let column_bytes = HEADER + self.taps.padded(layout.kr);
        let mut wide = [0_i32; WIDE];
        let mut packed = self.packed;
        let mut from = 0;
        while from < self.columns {
            let width = layout.width(from, self.columns);
            let (panel, rest) = packed.split_at(width * column_bytes);
            let used = width.min(self.columns - from);
            let most = WIDE / used;
            let mut row = 0;
            while row < self.starts.places {
                let rows = most.min(self.starts.places - row);
                let wide = &mut wide[..rows * used];
                let part = Product {
                    left: &self.left[row * self.starts.place_step..],
                    starts: Starts::matrix(rows, self.starts.place_step),
                    packed: panel,
                    columns: used,
                    once: false,
                    sink: Sink::Wide {
                        out: wide,
                        step: used,
                    },
                    ..self
                };
                part.run();
                for (r, sums) in wide.chunks_exact(used).enumerate() {
                    let out = &mut out[(row + r) * step + from..][..used];
                    for (lane, (out, &sum)) in out.iter_mut().zip(sums).enumerate() {
                        let multiplier = Multiplier {
                            mantissa: field(panel, width + lane),
                            shift: field(panel, 2 * width + lane),
                        };
                        *out = stage.finish(multiplier.apply_once(sum));
                    }
                }
                row += rows;
            }
            packed = rest;
            from += width;
        }
    }

    /// Computes it.
    #[inline]
    pub(crate) fn run(self) {
        if self.once && matches!(self.sink, Sink::Bytes { .. }) && !rounds_once(self.isa) {
            return self.run_once();
        }
        match self.isa.0 {
            Level::Portable => portable::run(self),
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot => neon::run(self),
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Level::Neon32 => neon32::run(self),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::run(self),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::run(self),
        }
    }
}

/// The sum of a row's elements, which weights with a zero point ask for.
#[cfg(target_arch = "x86_64")]
fn total(left: &[i8], start: usize, taps: &Taps) -> i32 {
    taps.runs()
        .flat_map(|offset| left[start + offset..].iter().take(taps.run))
        .map(|&x| i32::from(x))
        .sum()
}

/// Accumulators that [`Product::run_once`] holds: not fewer than the columns of any panel.
const WIDE: usize = 256;

/// Whether the kernel of an instruction set knows both roundings.
fn rounds_once(isa: Isa) -> bool {
    match isa.0 {
        Level::Portable => false,
        #[cfg(target_arch = "aarch64")]
        Level::Neon | Level::NeonDot => true,
        #[cfg(all(target_arch = "arm", target_os = "linux"))]
        Level::Neon32 => true,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => false,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => true,
    }
}

/// Lifts `bytes`, if the kernel of an instruction set can be spared doing so: whether it can.
pub(crate) fn lift(isa: Isa, bytes: &mut [i8]) -> bool {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            avx512::lift(bytes);
            true
        }
        _ => {
            let _ = bytes;
            false
        }
    }
}

/// The `index`-th word of a panel's header.
fn field(panel: &[u8], index: usize) -> i32 {
    let bytes = panel.get(index * 4..).and_then(|rest| rest.first_chunk());
    bytes.copied().map_or(0, i32::from_ne_bytes)
}
