//! Eight lanes at a time on 32-bit ARM with NEON, in the portable layout.
#![expect(unsafe_code, reason = "NEON can only be written in assembly")]

use super::pack::Packed;
use super::portable::LANES;
use crate::neon32::finish;
use crate::requant::Output;
use core::arch::asm;

/// One row of outputs from its lines.
pub(super) fn row(packed: &Packed, line: &[i8], stage: Output, out: &mut [i8]) {
    if packed.reaches_beyond(line.len(), out.len()) {
        return;
    }
    let places = (0..).step_by(LANES);
    for ((out, (words, weights)), at) in out.chunks_mut(LANES).zip(packed.blocks()).zip(places) {
        let ([biases, mantissas, shifts], _) = words.as_chunks::<32>() else {
            return;
        };
        let mut sums = [0; LANES];
        for (sum, bias) in sums.iter_mut().zip(biases.as_chunks().0) {
            *sum = i32::from_ne_bytes(*bias);
        }
        let offsets = packed.offset_bytes();
        // SAFETY: the token proves NEON. Under every tap eight lanes lie within the line, and there are
        // eight weights of two bytes for each.
        let bytes = unsafe {
            add(&mut sums, offsets, line[at..].as_ptr(), weights.as_ptr());
            finish(&sums, mantissas, shifts, stage)
        };
        out.copy_from_slice(&bytes[..out.len()]);
    }
}

/// Adds the products of all taps.
///
/// # Safety
/// The processor must have NEON; eight elements at each of `offsets` from `line` on, of which there is
/// at least one, and as many weights, must be readable.
unsafe fn add(sums: &mut [i32; LANES], offsets: &[u8], line: *const i8, weights: *const u8) {
    // SAFETY: every turn reads one offset, eight elements and eight weights; nothing asks for alignment
    // but the sums, which are words.
    unsafe {
        asm!(
            ".fpu neon",
            "vldm {sums}, {{d16-d19}}",
            "2:",
            "ldr {x}, [{offsets}], #4",
            "add {x}, {x}, {line}",
            "vld1.8 {{d0}}, [{x}]",
            "vld1.8 {{d4-d5}}, [{weights}]!",
            "vmovl.s8 q0, d0",
            "vmlal.s16 q8, d0, d4",
            "vmlal.s16 q9, d1, d5",
            "cmp {offsets}, {end}",
            "bne 2b",
            "vstm {sums}, {{d16-d19}}",
            x = out(reg) _,
            sums = in(reg) sums.as_mut_ptr(),
            offsets = inout(reg) offsets.as_ptr() => _,
            end = in(reg) offsets.as_ptr_range().end,
            line = in(reg) line,
            weights = inout(reg) weights => _,
            out("q0") _, out("q2") _, out("q8") _, out("q9") _,
            options(nostack),
        );
    }
}
