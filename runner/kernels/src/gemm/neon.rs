//! The product on aarch64: plain NEON, and with the dot-product instructions of Armv8.2.
//!
//! Both take the same panels, eight columns of four depths in 32 bytes. `sdot` multiplies such a group
//! by a word of a row as it stands. Plain NEON repeats the word over a register, multiplies to 16 bits,
//! adds the products of two groups there, and adds neighbours to 32 bits.
#![expect(
    unsafe_code,
    reason = "loads that Product has checked once for all rows"
)]

use super::{HEADER, Layout, Product, Rows, Sink};
use crate::isa::Level;
use crate::neon::{Finish, Scale, dot};
use core::arch::aarch64::*;
use core::arch::asm;

const WIDTH: usize = 8;
const DEPTHS: usize = 4;
/// Bytes of one group of weights.
const GROUP: usize = WIDTH * DEPTHS;

pub(super) const LAYOUT: Layout = Layout {
    nr: WIDTH,
    lane: WIDTH,
    kr: DEPTHS,
    lift: 0,
};

/// The accumulators of one row: columns 0 to 3, and 4 to 7.
type Sums = [int32x4_t; 2];

/// By the path that the product was made for.
pub(super) fn run(product: Product) {
    // SAFETY: NEON is part of the target, and the token proves the dot products.
    unsafe {
        match product.isa.0 {
            Level::NeonDot => run_dot(product),
            _ => run_plain(product),
        }
    }
}

/// With `smull`, `smlal` and `sadalp`.
#[target_feature(enable = "neon")]
fn run_plain(mut product: Product) {
    for index in 0..product.columns.div_ceil(WIDTH) {
        let panel = Panel::new(&product, index);
        let mut rows = Rows::new(product.starts);
        // To look through a panel costs about as much as it saves with one row.
        if rows.left > 1 && panel.is_narrow() {
            while rows.left >= 4 {
                block_plain::<4, true>(&mut product, &panel, &mut rows);
            }
            while rows.left >= 1 {
                block_plain::<1, true>(&mut product, &panel, &mut rows);
            }
        }
        while rows.left >= 4 {
            block_plain::<4, false>(&mut product, &panel, &mut rows);
        }
        while rows.left >= 1 {
            block_plain::<1, false>(&mut product, &panel, &mut rows);
        }
    }
}

/// With `sdot`.
#[target_feature(enable = "neon,dotprod")]
fn run_dot(mut product: Product) {
    for index in 0..product.columns.div_ceil(WIDTH) {
        let panel = Panel::new(&product, index);
        let mut rows = Rows::new(product.starts);
        while rows.left >= 8 {
            block_dot::<8>(&mut product, &panel, &mut rows);
        }
        while rows.left >= 4 {
            block_dot::<4>(&mut product, &panel, &mut rows);
        }
        while rows.left >= 1 {
            block_dot::<1>(&mut product, &panel, &mut rows);
        }
    }
}

/// `M` rows by eight columns with `sdot`.
#[target_feature(enable = "neon,dotprod")]
#[inline(never)]
fn block_dot<const M: usize>(product: &mut Product, panel: &Panel, rows: &mut Rows) {
    let first = rows.done;
    let rows = place(product, rows.take());
    let mut groups = Groups::new(panel);
    let mut sums = [panel.bias; M];
    for outer in 0..product.taps.outer {
        for inner in 0..product.taps.inner {
            let mut run = Run::new(product, outer, inner);
            while run.left >= 4 {
                let mut x = [vdupq_n_s8(0); M];
                for (x, row) in x.iter_mut().zip(rows) {
                    *x = run.load(row);
                }
                run.skip(4);
                dot_group::<M, 0>(&mut sums, &x, groups.next());
                dot_group::<M, 1>(&mut sums, &x, groups.next());
                dot_group::<M, 2>(&mut sums, &x, groups.next());
                dot_group::<M, 3>(&mut sums, &x, groups.next());
            }
            while run.left >= 1 {
                let mut x = [vdupq_n_s8(0); M];
                for (x, row) in x.iter_mut().zip(rows) {
                    *x = run.load_word(row);
                }
                run.skip(1);
                dot_group::<M, 0>(&mut sums, &x, groups.next());
            }
        }
    }
    panel.put(product, first, rows, sums);
}

#[target_feature(enable = "neon,dotprod")]
#[inline]
fn dot_group<const M: usize, const LANE: i32>(
    sums: &mut [Sums; M],
    x: &[int8x16_t; M],
    weights: [int8x16_t; 2],
) {
    for (sums, &x) in sums.iter_mut().zip(x) {
        sums[0] = dot::<LANE>(sums[0], weights[0], x);
        sums[1] = dot::<LANE>(sums[1], weights[1], x);
    }
}

/// `M` rows by eight columns without dot products. `NARROW`: no weight is −128.
#[target_feature(enable = "neon")]
#[inline(never)]
fn block_plain<const M: usize, const NARROW: bool>(
    product: &mut Product,
    panel: &Panel,
    rows: &mut Rows,
) {
    let first = rows.done;
    let rows = place(product, rows.take());
    let mut groups = Groups::new(panel);
    // Each word sums every other pair of depths of a column: columns 2i and 2i + 1 are in partial[i].
    let mut partial = [[vdupq_n_s32(0); 4]; M];
    for outer in 0..product.taps.outer {
        for inner in 0..product.taps.inner {
            let mut run = Run::new(product, outer, inner);
            while run.left >= 2 {
                let weights = [groups.next(), groups.next()];
                for (sums, row) in partial.iter_mut().zip(rows) {
                    multiply_pair::<NARROW>(sums, run.load_2_words(row), weights);
                }
                run.skip(2);
            }
            while run.left >= 1 {
                let weights = groups.next();
                for (sums, row) in partial.iter_mut().zip(rows) {
                    multiply(sums, run.load_1_word(row), weights);
                }
                run.skip(1);
            }
        }
    }
    let mut sums = [panel.bias; M];
    for (sums, partial) in sums.iter_mut().zip(partial) {
        sums[0] = vaddq_s32(sums[0], vpaddq_s32(partial[0], partial[1]));
        sums[1] = vaddq_s32(sums[1], vpaddq_s32(partial[2], partial[3]));
    }
    panel.put(product, first, rows, sums);
}

/// A group of weights by a word of a row.
#[target_feature(enable = "neon")]
#[inline]
fn multiply(sums: &mut [int32x4_t; 4], x: int8x16_t, weights: [int8x16_t; 2]) {
    let half = vget_low_s8(x);
    sums[0] = vpadalq_s16(sums[0], vmull_s8(vget_low_s8(weights[0]), half));
    sums[1] = vpadalq_s16(sums[1], vmull_high_s8(weights[0], x));
    sums[2] = vpadalq_s16(sums[2], vmull_s8(vget_low_s8(weights[1]), half));
    sums[3] = vpadalq_s16(sums[3], vmull_high_s8(weights[1], x));
}

/// Two groups of weights by two words of a row.
#[target_feature(enable = "neon")]
#[inline]
fn multiply_pair<const NARROW: bool>(
    sums: &mut [int32x4_t; 4],
    x: [int8x16_t; 2],
    weights: [[int8x16_t; 2]; 2],
) {
    if !NARROW {
        multiply(sums, x[0], weights[0]);
        multiply(sums, x[1], weights[1]);
        return;
    }
    // In assembly for its order: the compiler's own keeps more products in flight than there are
    // registers, and an in-order core does best with four.
    // SAFETY: works on registers alone, and NEON is there.
    unsafe {
        asm!(
            "smull  {p0:v}.8h, {a0:v}.8b,  {x0:v}.8b",
            "smull2 {p1:v}.8h, {a0:v}.16b, {x0:v}.16b",
            "smull  {p2:v}.8h, {a1:v}.8b,  {x0:v}.8b",
            "smull2 {p3:v}.8h, {a1:v}.16b, {x0:v}.16b",
            "smlal  {p0:v}.8h, {b0:v}.8b,  {x1:v}.8b",
            "smlal2 {p1:v}.8h, {b0:v}.16b, {x1:v}.16b",
            "smlal  {p2:v}.8h, {b1:v}.8b,  {x1:v}.8b",
            "smlal2 {p3:v}.8h, {b1:v}.16b, {x1:v}.16b",
            "sadalp {s0:v}.4s, {p0:v}.8h",
            "sadalp {s1:v}.4s, {p1:v}.8h",
            "sadalp {s2:v}.4s, {p2:v}.8h",
            "sadalp {s3:v}.4s, {p3:v}.8h",
            s0 = inout(vreg) sums[0], s1 = inout(vreg) sums[1],
            s2 = inout(vreg) sums[2], s3 = inout(vreg) sums[3],
            x0 = in(vreg) x[0], x1 = in(vreg) x[1],
            a0 = in(vreg) weights[0][0], a1 = in(vreg) weights[0][1],
            b0 = in(vreg) weights[1][0], b1 = in(vreg) weights[1][1],
            p0 = out(vreg) _, p1 = out(vreg) _, p2 = out(vreg) _, p3 = out(vreg) _,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
}

/// Where rows begin in memory.
#[inline]
fn place<const M: usize>(product: &Product, rows: [usize; M]) -> [*const i8; M] {
    let mut starts = [product.left.as_ptr(); M];
    for (start, row) in starts.iter_mut().zip(rows) {
        // SAFETY: Product has checked the last row.
        *start = unsafe { start.add(row) };
    }
    starts
}

/// Walks along a run, which is the same in all rows.
struct Run {
    /// From the beginning of a row.
    at: usize,
    /// Words left to read. The last may reach beyond the run; Product has checked that it lies within
    /// the slice, and its weights are zero there.
    left: usize,
}

impl Run {
    #[inline]
    fn new(product: &Product, outer: usize, inner: usize) -> Self {
        let taps = &product.taps;
        Self {
            at: outer * taps.outer_step + inner * taps.inner_step,
            left: taps.run.div_ceil(DEPTHS),
        }
    }

    #[inline]
    fn skip(&mut self, words: usize) {
        self.at += words * DEPTHS;
        self.left -= words;
    }

    /// Four words; as many must be left.
    #[inline]
    fn load(&self, row: *const i8) -> int8x16_t {
        // SAFETY: within the run.
        unsafe { vld1q_s8(row.add(self.at)) }
    }

    /// One word, the others zero.
    #[inline]
    fn load_word(&self, row: *const i8) -> int8x16_t {
        // SAFETY: within the run.
        unsafe {
            let word = row.add(self.at).cast::<i32>().read_unaligned();
            vreinterpretq_s8_s32(vsetq_lane_s32::<0>(word, vdupq_n_s32(0)))
        }
    }

    /// One word, repeated over a register.
    #[inline]
    fn load_1_word(&self, row: *const i8) -> int8x16_t {
        // SAFETY: within the run.
        unsafe {
            let word = row.add(self.at).cast::<i32>().read_unaligned();
            vreinterpretq_s8_s32(vdupq_n_s32(word))
        }
    }

    /// Two words, each repeated over a register; as many must be left.
    #[inline]
    fn load_2_words(&self, row: *const i8) -> [int8x16_t; 2] {
        // SAFETY: within the run, and the load asks for no alignment.
        unsafe {
            let words = vld2q_dup_s32(row.add(self.at).cast());
            [vreinterpretq_s8_s32(words.0), vreinterpretq_s8_s32(words.1)]
        }
    }
}

/// Walks through the groups of a panel.
struct Groups {
    at: *const i8,
}

impl Groups {
    #[inline]
    fn new(panel: &Panel) -> Self {
        Self {
            at: panel.weights.as_ptr().cast(),
        }
    }

    /// The next group. There is one for each word of each run.
    #[inline]
    fn next(&mut self) -> [int8x16_t; 2] {
        // SAFETY: Product has checked the length of the panels.
        unsafe {
            let group = [vld1q_s8(self.at), vld1q_s8(self.at.add(16))];
            self.at = self.at.add(GROUP);
            group
        }
    }
}

/// Eight columns of weights, and how their accumulators become bytes.
struct Panel<'a> {
    weights: &'a [u8],
    bias: Sums,
    scale: [Scale; 2],
    /// Whether both shrink what they scale.
    shrinks: bool,
    /// The first column.
    column: usize,
    /// How many of the eight columns there are.
    width: usize,
}

impl<'a> Panel<'a> {
    #[target_feature(enable = "neon")]
    fn new(product: &Product<'a>, index: usize) -> Self {
        let len = WIDTH * (HEADER + product.taps.padded(DEPTHS));
        let (header, weights) = product.packed[index * len..][..len].split_at(WIDTH * HEADER);
        let word = |at: usize| {
            // SAFETY: reads 16 bytes of a slice of 16 bytes.
            unsafe { vld1q_s32(header[16 * at..][..16].as_ptr().cast()) }
        };
        let scale = [Scale::new(word(2), word(4)), Scale::new(word(3), word(5))];
        Self {
            weights,
            bias: [word(0), word(1)],
            scale,
            shrinks: scale[0].shrinks() && scale[1].shrinks(),
            column: index * WIDTH,
            width: WIDTH.min(product.columns - index * WIDTH),
        }
    }

    /// Whether no weight is −128, so that two products fit 16 bits: 2 · 127 · 128 < 2^15.
    fn is_narrow(&self) -> bool {
        let least = self
            .weights
            .iter()
            .fold(0, |least: i8, &w| least.min(w as i8));
        least > i8::MIN
    }

    /// Finishes and writes successive rows, of which `first` is the first.
    #[target_feature(enable = "neon")]
    #[inline]
    fn put<const M: usize>(
        &self,
        product: &mut Product,
        first: usize,
        rows: [*const i8; M],
        mut sums: [Sums; M],
    ) {
        if product.weight_zero != 0 {
            sums = correct(product, rows, sums);
        }
        match &mut product.sink {
            Sink::Bytes { out, step, stage } => {
                let finish = Finish::new(*stage);
                let from = first * *step + self.column;
                debug_assert!(from + (M - 1) * *step + self.width <= out.len());
                for (row, sums) in sums.iter().enumerate() {
                    let [low, high] = if product.once {
                        [0, 1].map(|half| self.scale[half].apply_once(sums[half]))
                    } else if self.shrinks {
                        [0, 1].map(|half| self.scale[half].shrink(sums[half]))
                    } else {
                        [0, 1].map(|half| self.scale[half].apply(sums[half]))
                    };
                    let bytes = finish.apply(low, high);
                    // SAFETY: Product has checked that the last row ends within the slice.
                    unsafe { store(bytes, out.as_mut_ptr().add(from + row * *step), self.width) };
                }
            }
            Sink::Wide { out, step } => {
                for (row, sums) in sums.iter().enumerate() {
                    let mut all = [0; WIDTH];
                    // SAFETY: eight words are stored to eight words.
                    unsafe {
                        vst1q_s32(all.as_mut_ptr(), sums[0]);
                        vst1q_s32(all.as_mut_ptr().add(4), sums[1]);
                    }
                    let at = (first + row) * *step + self.column;
                    out[at..][..self.width].copy_from_slice(&all[..self.width]);
                }
            }
        }
    }
}

/// Takes off what the weights' zero point adds to every column: itself times the sum of the row.
#[target_feature(enable = "neon")]
#[inline(never)]
fn correct<const M: usize>(
    product: &Product,
    rows: [*const i8; M],
    mut sums: [Sums; M],
) -> [Sums; M] {
    for (sums, row) in sums.iter_mut().zip(rows) {
        let mut total = 0_i32;
        for offset in product.taps.runs() {
            // SAFETY: Product has checked that every run lies within the slice.
            let run = unsafe { core::slice::from_raw_parts(row.add(offset), product.taps.run) };
            total = run
                .iter()
                .fold(total, |sum, &x| sum.wrapping_add(i32::from(x)));
        }
        let correction = vdupq_n_s32(total.wrapping_mul(product.weight_zero));
        sums[0] = vsubq_s32(sums[0], correction);
        sums[1] = vsubq_s32(sums[1], correction);
    }
    sums
}

/// Writes the first `width` bytes.
///
/// # Safety
/// They may be written.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn store(bytes: int8x8_t, into: *mut i8, width: usize) {
    if width == WIDTH {
        // SAFETY: all eight may be written.
        unsafe { vst1_s8(into, bytes) };
        return;
    }
    let mut all = [0; WIDTH];
    // SAFETY: eight bytes are stored to eight bytes, and `width` of them copied.
    unsafe {
        vst1_s8(all.as_mut_ptr(), bytes);
        core::ptr::copy_nonoverlapping(all.as_ptr(), into, width);
    }
}
