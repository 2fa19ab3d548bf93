//! The product on aarch64: rows times eight columns, with `fmla` by a lane of the row.
#![expect(
    unsafe_code,
    reason = "loads that Product has checked once for all rows"
)]

use super::{Layout, Product};
use crate::gemm::Rows;
use core::arch::aarch64::*;

const WIDTH: usize = 8;

pub(super) const LAYOUT: Layout = Layout {
    nr: WIDTH,
    lane: WIDTH,
};

/// The sums of one row: columns 0 to 3, and 4 to 7.
type Sums = [float32x4_t; 2];

pub(super) fn run(product: Product) {
    // SAFETY: NEON is part of the target.
    unsafe { run_all(product) }
}

#[target_feature(enable = "neon")]
fn run_all(mut product: Product) {
    let len = WIDTH * (1 + product.taps.depth());
    for (index, panel) in product.packed.chunks_exact(len).enumerate() {
        let mut rows = Rows::new(product.starts);
        while rows.left >= 8 {
            block::<8>(&mut product, index * WIDTH, panel, &mut rows);
        }
        while rows.left >= 4 {
            block::<4>(&mut product, index * WIDTH, panel, &mut rows);
        }
        while rows.left >= 1 {
            block::<1>(&mut product, index * WIDTH, panel, &mut rows);
        }
    }
}

/// `M` rows by the eight columns from `column` on.
#[target_feature(enable = "neon")]
#[inline(never)]
fn block<const M: usize>(product: &mut Product, column: usize, panel: &[f32], rows: &mut Rows) {
    let first = rows.done;
    let rows: [usize; M] = rows.take();
    let mut groups = Groups { at: panel.as_ptr() };
    let mut sums = [groups.next(); M];
    for offset in product.taps.runs() {
        let starts = &product.left[offset..];
        let mut at = 0;
        while at + 4 <= product.taps.run {
            let mut x = [vdupq_n_f32(0.0); M];
            for (x, row) in x.iter_mut().zip(rows) {
                debug_assert!(row + at + 4 <= starts.len());
                // SAFETY: Product has checked that every run of every row lies within the slice.
                *x = unsafe { vld1q_f32(starts.as_ptr().add(row + at)) };
            }
            multiply::<M, 0>(&mut sums, &x, groups.next());
            multiply::<M, 1>(&mut sums, &x, groups.next());
            multiply::<M, 2>(&mut sums, &x, groups.next());
            multiply::<M, 3>(&mut sums, &x, groups.next());
            at += 4;
        }
        while at < product.taps.run {
            let mut x = [vdupq_n_f32(0.0); M];
            for (x, row) in x.iter_mut().zip(rows) {
                // SAFETY: as above.
                *x = vdupq_n_f32(unsafe { *starts.get_unchecked(row + at) });
            }
            multiply::<M, 0>(&mut sums, &x, groups.next());
            at += 1;
        }
    }
    let [min, max] = [
        vdupq_n_f32(product.clamp.min),
        vdupq_n_f32(product.clamp.max),
    ];
    let width = WIDTH.min(product.columns - column);
    for (row, sums) in (first..).zip(sums) {
        let mut all = [0.0; WIDTH];
        for (sum, half) in sums.iter().zip(all.as_chunks_mut::<4>().0) {
            // SAFETY: four elements are stored to four elements. NaN stays NaN.
            unsafe { vst1q_f32(half.as_mut_ptr(), vminq_f32(vmaxq_f32(*sum, min), max)) };
        }
        product.out[row * product.step + column..][..width].copy_from_slice(&all[..width]);
    }
}

/// One depth: a group of weights by element `LANE` of each row.
#[target_feature(enable = "neon")]
#[inline]
fn multiply<const M: usize, const LANE: i32>(
    sums: &mut [Sums; M],
    x: &[float32x4_t; M],
    weights: Sums,
) {
    for (sums, &x) in sums.iter_mut().zip(x) {
        sums[0] = vfmaq_laneq_f32::<LANE>(sums[0], weights[0], x);
        sums[1] = vfmaq_laneq_f32::<LANE>(sums[1], weights[1], x);
    }
}

/// Walks through a panel: the biases, then the weights of each depth.
struct Groups {
    at: *const f32,
}

impl Groups {
    #[inline]
    fn next(&mut self) -> Sums {
        // SAFETY: Product has checked the length of the panels.
        unsafe {
            let group = [vld1q_f32(self.at), vld1q_f32(self.at.add(4))];
            self.at = self.at.add(WIDTH);
            group
        }
    }
}
