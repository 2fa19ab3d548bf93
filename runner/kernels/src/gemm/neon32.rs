//! The product on 32-bit ARM with NEON, two rows by eight columns at a time.
//!
//! Panels and arithmetic are those of plain NEON on aarch64: a word of a row is repeated over a
//! register, multiplied to 16 bits by a group of weights, the products of two groups added there, and
//! neighbours added to 32 bits.
#![expect(unsafe_code, reason = "NEON can only be written in assembly")]

use super::{HEADER, Layout, Product, Rows, Sink};
use crate::neon32::{finish, finish_once};
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

/// Sums of every other pair of depths, for eight columns of two rows.
type Partial = [[[i32; 2]; WIDTH]; 2];

pub(super) fn run(mut product: Product) {
    let panel_len = WIDTH * (HEADER + product.taps.padded(DEPTHS));
    for (index, panel) in product.packed.chunks_exact(panel_len).enumerate() {
        let (header, weights) = panel.split_at(WIDTH * HEADER);
        // Two products fit 16 bits if no weight is −128: 2 · 127 · 128 < 2^15. To look through a panel
        // costs about as much as it saves with two rows.
        let narrow = product.starts.len() > 2 && weights.iter().all(|&weight| weight != 0x80);
        let mut rows = Rows::new(product.starts);
        while rows.left > 0 {
            let first = rows.done;
            let starts = if rows.left > 1 {
                rows.take()
            } else {
                // The last row twice: it is written once.
                [rows.take::<1>()[0]; 2]
            };
            let partial = block(&product, starts, weights, narrow);
            for (row, partial) in (first..rows.done).zip(&partial) {
                let total = match product.weight_zero {
                    0 => 0,
                    zero => zero.wrapping_mul(sum(&product, starts[row - first])),
                };
                put(&mut product, row, index * WIDTH, header, partial, total);
            }
        }
    }
}

/// Two rows by a panel.
fn block(product: &Product, rows: [usize; 2], weights: &[u8], narrow: bool) -> Partial {
    let words = product.taps.run.div_ceil(DEPTHS);
    let mut partial = [[[0; 2]; WIDTH]; 2];
    for (offset, weights) in product.taps.runs().zip(weights.chunks_exact(words * GROUP)) {
        let run = |row: usize| &product.left[row + offset..][..words * DEPTHS];
        let [first, second] = rows.map(run);
        let paired = if narrow { words & !1 } else { 0 };
        let (low, high) = weights.split_at(paired * GROUP);
        let (a, c) = first.split_at(paired * DEPTHS);
        let (b, d) = second.split_at(paired * DEPTHS);
        // SAFETY: the token proves NEON, and the lengths are those of as many words.
        unsafe {
            multiply_pairs(&mut partial, [a, b], low);
            multiply(&mut partial, [c, d], high);
        }
    }
    partial
}

/// Adds the products of successive words of two rows and groups of weights, by two.
///
/// # Safety
/// The processor must have NEON, the rows an even number of words, and `weights` as many groups.
unsafe fn multiply_pairs(partial: &mut Partial, rows: [&[i8]; 2], weights: &[u8]) {
    if weights.is_empty() {
        return;
    }
    // SAFETY: every turn reads eight bytes of each row and two groups; nothing asks for alignment
    // but the sums, which are words.
    unsafe {
        asm!(
            ".fpu neon",
            "vldm {sums}, {{d16-d31}}",
            "2:",
            "vld1.8 {{d0-d3}}, [{weights}]!",
            "vld2.32 {{d8[], d9[]}}, [{row0}]!",
            "vld1.8 {{d4-d7}}, [{weights}]!",
            "vld2.32 {{d10[], d11[]}}, [{row1}]!",
            "vmull.s8 q6, d0, d8",
            "vmull.s8 q7, d1, d8",
            "vmlal.s8 q6, d4, d9",
            "vmlal.s8 q7, d5, d9",
            "vpadal.s16 q8, q6",
            "vpadal.s16 q9, q7",
            "vmull.s8 q6, d2, d8",
            "vmull.s8 q7, d3, d8",
            "vmlal.s8 q6, d6, d9",
            "vmlal.s8 q7, d7, d9",
            "vpadal.s16 q10, q6",
            "vpadal.s16 q11, q7",
            "vmull.s8 q6, d0, d10",
            "vmull.s8 q7, d1, d10",
            "vmlal.s8 q6, d4, d11",
            "vmlal.s8 q7, d5, d11",
            "vpadal.s16 q12, q6",
            "vpadal.s16 q13, q7",
            "vmull.s8 q6, d2, d10",
            "vmull.s8 q7, d3, d10",
            "vmlal.s8 q6, d6, d11",
            "vmlal.s8 q7, d7, d11",
            "vpadal.s16 q14, q6",
            "vpadal.s16 q15, q7",
            "cmp {weights}, {end}",
            "bne 2b",
            "vstm {sums}, {{d16-d31}}",
            sums = in(reg) partial.as_mut_ptr(),
            weights = inout(reg) weights.as_ptr() => _,
            end = in(reg) weights.as_ptr_range().end,
            row0 = inout(reg) rows[0].as_ptr() => _,
            row1 = inout(reg) rows[1].as_ptr() => _,
            out("q0") _, out("q1") _, out("q2") _, out("q3") _,
            out("q4") _, out("q5") _, out("q6") _, out("q7") _,
            out("q8") _, out("q9") _, out("q10") _, out("q11") _,
            out("q12") _, out("q13") _, out("q14") _, out("q15") _,
            options(nostack),
        );
    }
}

/// The same one by one, for any weights.
///
/// # Safety
/// The processor must have NEON, and `weights` hold a group for each word of a row.
unsafe fn multiply(partial: &mut Partial, rows: [&[i8]; 2], weights: &[u8]) {
    if weights.is_empty() {
        return;
    }
    // SAFETY: every turn reads four bytes of each row and one group; nothing asks for alignment but
    // the sums, which are words.
    unsafe {
        asm!(
            ".fpu neon",
            "vldm {sums}, {{d16-d31}}",
            "2:",
            "vld1.8 {{d0-d3}}, [{weights}]!",
            "vld1.32 {{d8[]}}, [{row0}]!",
            "vld1.32 {{d9[]}}, [{row1}]!",
            "vmull.s8 q2, d0, d8",
            "vmull.s8 q3, d1, d8",
            "vmull.s8 q5, d2, d8",
            "vmull.s8 q6, d3, d8",
            "vpadal.s16 q8, q2",
            "vpadal.s16 q9, q3",
            "vpadal.s16 q10, q5",
            "vpadal.s16 q11, q6",
            "vmull.s8 q2, d0, d9",
            "vmull.s8 q3, d1, d9",
            "vmull.s8 q5, d2, d9",
            "vmull.s8 q6, d3, d9",
            "vpadal.s16 q12, q2",
            "vpadal.s16 q13, q3",
            "vpadal.s16 q14, q5",
            "vpadal.s16 q15, q6",
            "cmp {weights}, {end}",
            "bne 2b",
            "vstm {sums}, {{d16-d31}}",
            sums = in(reg) partial.as_mut_ptr(),
            weights = inout(reg) weights.as_ptr() => _,
            end = in(reg) weights.as_ptr_range().end,
            row0 = inout(reg) rows[0].as_ptr() => _,
            row1 = inout(reg) rows[1].as_ptr() => _,
            out("q0") _, out("q1") _, out("q2") _, out("q3") _,
            out("q4") _, out("q5") _, out("q6") _,
            out("q8") _, out("q9") _, out("q10") _, out("q11") _,
            out("q12") _, out("q13") _, out("q14") _, out("q15") _,
            options(nostack),
        );
    }
}

/// The sum of a row's elements.
fn sum(product: &Product, row: usize) -> i32 {
    let runs = product.taps.runs();
    runs.flat_map(|offset| &product.left[row + offset..][..product.taps.run])
        .fold(0, |sum, &x| sum.wrapping_add(i32::from(x)))
}

/// Adds the biases, takes off `total`, finishes and writes the columns that there are.
fn put(
    product: &mut Product,
    row: usize,
    column: usize,
    header: &[u8],
    partial: &[[i32; 2]; WIDTH],
    total: i32,
) {
    let width = WIDTH.min(product.columns - column);
    let ([bias, mantissas, shifts], _) = header.as_chunks::<32>() else {
        return;
    };
    let mut sums = [0_i32; WIDTH];
    for ((sum, partial), bias) in sums.iter_mut().zip(partial).zip(bias.as_chunks::<4>().0) {
        *sum = i32::from_ne_bytes(*bias)
            .wrapping_add(partial[0])
            .wrapping_add(partial[1])
            .wrapping_sub(total);
    }
    match &mut product.sink {
        Sink::Bytes { out, step, stage } => {
            // SAFETY: the token proves NEON.
            let bytes = unsafe {
                if product.once {
                    finish_once(&sums, mantissas, shifts, *stage)
                } else {
                    finish(&sums, mantissas, shifts, *stage)
                }
            };
            out[row * *step + column..][..width].copy_from_slice(&bytes[..width]);
        }
        Sink::Wide { out, step } => {
            out[row * *step + column..][..width].copy_from_slice(&sums[..width]);
        }
    }
}
