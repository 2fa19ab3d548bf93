//! The product in safe Rust, eight columns at a time, in the order in which the weights lie.

use super::{HEADER, Layout, Product, Sink};
use crate::requant::Multiplier;

const WIDTH: usize = 8;

pub(super) const LAYOUT: Layout = Layout {
    nr: WIDTH,
    lane: WIDTH,
    kr: 1,
    lift: 0,
};

pub(super) fn run(mut product: Product) {
    let panel_len = WIDTH * (HEADER + product.taps.depth());
    for (index, panel) in product.packed.chunks_exact(panel_len).enumerate() {
        let (header, weights) = panel.split_at(WIDTH * HEADER);
        let column = index * WIDTH;
        let width = WIDTH.min(product.columns - column);
        for (row, start) in product.starts.iter().enumerate() {
            let sums = dot(&product, start, header, weights);
            put(&mut product.sink, row, column, &sums[..width], header);
        }
    }
}

/// The accumulators of one row and eight columns.
fn dot(product: &Product, start: usize, header: &[u8], weights: &[u8]) -> [i32; WIDTH] {
    let mut sums = [0_i32; WIDTH];
    for (lane, sum) in sums.iter_mut().enumerate() {
        *sum = field(header, 0, lane);
    }
    let mut total = 0_i32;
    let mut groups = weights.chunks_exact(WIDTH);
    for offset in product.taps.runs() {
        let run = &product.left[start + offset..][..product.taps.run];
        for (&x, group) in run.iter().zip(&mut groups) {
            let x = i32::from(x);
            total = total.wrapping_add(x);
            for (sum, &weight) in sums.iter_mut().zip(group) {
                *sum = sum.wrapping_add(x * i32::from(weight as i8));
            }
        }
    }
    let correction = product.weight_zero.wrapping_mul(total);
    sums.map(|sum| sum.wrapping_sub(correction))
}

fn put(sink: &mut Sink, row: usize, column: usize, sums: &[i32], header: &[u8]) {
    match sink {
        Sink::Bytes { out, step, stage } => {
            let out = &mut out[row * *step + column..][..sums.len()];
            for (lane, (out, &sum)) in out.iter_mut().zip(sums).enumerate() {
                let multiplier = Multiplier {
                    mantissa: field(header, 1, lane),
                    shift: field(header, 2, lane),
                };
                *out = stage.finish(multiplier.apply(sum));
            }
        }
        Sink::Wide { out, step } => {
            out[row * *step + column..][..sums.len()].copy_from_slice(sums);
        }
    }
}

/// Bias (0), mantissa (1) or shift (2) of one column.
fn field(header: &[u8], field: usize, lane: usize) -> i32 {
    let at = (field * WIDTH + lane) * 4;
    header
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, i32::from_ne_bytes)
}
