//! The product in safe Rust, eight columns at a time, in the order in which the weights lie.

use super::{Layout, Product};

const WIDTH: usize = 8;

pub(super) const LAYOUT: Layout = Layout {
    nr: WIDTH,
    lane: WIDTH,
};

pub(super) fn run(product: Product) {
    let Product {
        left,
        starts,
        taps,
        packed,
        columns,
        out,
        step,
        clamp,
        ..
    } = product;
    let panels = packed.chunks_exact(WIDTH * (1 + taps.depth()));
    for (index, panel) in panels.enumerate() {
        let column = index * WIDTH;
        let width = WIDTH.min(columns - column);
        for (row, start) in starts.iter().enumerate() {
            let mut groups = panel.chunks_exact(WIDTH);
            let mut sums = [0.0_f32; WIDTH];
            if let Some(bias) = groups.next() {
                sums.copy_from_slice(bias);
            }
            for offset in taps.runs() {
                let run = &left[start + offset..][..taps.run];
                for (&x, group) in run.iter().zip(&mut groups) {
                    for (sum, &weight) in sums.iter_mut().zip(group) {
                        *sum += x * weight;
                    }
                }
            }
            let out = &mut out[row * step + column..][..width];
            for (out, &sum) in out.iter_mut().zip(&sums) {
                *out = clamp.apply(sum);
            }
        }
    }
}
