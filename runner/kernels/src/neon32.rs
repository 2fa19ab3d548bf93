//! What the kernels of 32-bit ARM share.
//!
//! Stable Rust has neither the NEON intrinsics of this architecture nor its target feature: vectors
//! exist only within assembly, which takes and leaves them in memory.
#![expect(unsafe_code, reason = "NEON can only be written in assembly")]

use crate::requant::Output;
use core::arch::asm;

/// Whether Linux says that the processor has NEON: bit 12 of `AT_HWCAP` (16) in the auxiliary vector.
#[cfg(any(test, feature = "detect"))]
pub(crate) fn present() -> bool {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, usize::from_ne_bytes);
    std::fs::read("/proc/self/auxv").is_ok_and(|vector| {
        vector
            .chunks_exact(2 * WORD)
            .any(|entry| word(&entry[..WORD]) == 16 && word(&entry[WORD..]) & 1 << 12 != 0)
    })
}

/// Eight accumulators, scaled, moved and clamped: [`crate::requant::Multiplier::apply`] and
/// [`Output::finish`]. `vrshl` rounds halves up where gemmlowp rounds them away from zero: a negative
/// number that is shifted at all is made smaller by one first.
///
/// # Safety
/// The processor must have NEON.
#[inline]
pub(crate) unsafe fn finish(
    sums: &[i32; 8],
    mantissas: &[u8; 32],
    shifts: &[u8; 32],
    stage: Output,
) -> [i8; 8] {
    let mut bytes = [0; 8];
    // SAFETY: reads 32 bytes from each pointer and writes eight; nothing asks for alignment.
    unsafe {
        asm!(
            ".fpu neon",
            "vld1.8 {{d0-d3}}, [{sums}]",
            "vld1.8 {{d4-d7}}, [{mantissas}]",
            "vld1.8 {{d16-d19}}, [{shifts}]",
            "vmov.i32 q10, #0",
            "vmax.s32 q11, q8, q10",
            "vmax.s32 q12, q9, q10",
            "vmin.s32 q8, q8, q10",
            "vmin.s32 q9, q9, q10",
            "vshl.s32 q0, q0, q11",
            "vshl.s32 q1, q1, q12",
            "vqrdmulh.s32 q0, q0, q2",
            "vqrdmulh.s32 q1, q1, q3",
            "vand q11, q0, q8",
            "vand q12, q1, q9",
            "vsra.s32 q0, q11, #31",
            "vsra.s32 q1, q12, #31",
            "vrshl.s32 q0, q0, q8",
            "vrshl.s32 q1, q1, q9",
            "vdup.32 q2, {zero}",
            "vdup.8 d6, {min}",
            "vdup.8 d7, {max}",
            "vadd.i32 q0, q0, q2",
            "vadd.i32 q1, q1, q2",
            "vqmovn.s32 d0, q0",
            "vqmovn.s32 d1, q1",
            "vqmovn.s16 d0, q0",
            "vmin.s8 d0, d0, d7",
            "vmax.s8 d0, d0, d6",
            "vst1.8 {{d0}}, [{bytes}]",
            sums = in(reg) sums.as_ptr(),
            mantissas = in(reg) mantissas.as_ptr(),
            shifts = in(reg) shifts.as_ptr(),
            zero = in(reg) stage.zero,
            min = in(reg) i32::from(stage.min),
            max = in(reg) i32::from(stage.max),
            bytes = in(reg) bytes.as_mut_ptr(),
            out("q0") _, out("q1") _, out("q2") _, out("q3") _,
            out("q8") _, out("q9") _, out("q10") _, out("q11") _, out("q12") _,
            options(nostack, preserves_flags),
        );
    }
    bytes
}

/// The same, rounded as [`crate::requant::Multiplier::apply_once`] does.
///
/// # Safety
/// The processor must have NEON.
#[inline]
pub(crate) unsafe fn finish_once(
    sums: &[i32; 8],
    mantissas: &[u8; 32],
    shifts: &[u8; 32],
    stage: Output,
) -> [i8; 8] {
    let mut bytes = [0; 8];
    // SAFETY: reads 32 bytes from each pointer and writes eight; nothing asks for alignment.
    unsafe {
        asm!(
            ".fpu neon",
            "vld1.8 {{d0-d3}}, [{sums}]",
            "vld1.8 {{d4-d7}}, [{mantissas}]",
            "vld1.8 {{d16-d19}}, [{shifts}]",
            "vmov.i32 q10, #31",
            "vsub.i32 q8, q8, q10",
            "vsub.i32 q9, q9, q10",
            "vmull.s32 q10, d0, d4",
            "vmull.s32 q11, d1, d5",
            "vmull.s32 q12, d2, d6",
            "vmull.s32 q13, d3, d7",
            "vmovl.s32 q0, d16",
            "vmovl.s32 q1, d17",
            "vmovl.s32 q2, d18",
            "vmovl.s32 q3, d19",
            "vrshl.s64 q10, q10, q0",
            "vrshl.s64 q11, q11, q1",
            "vrshl.s64 q12, q12, q2",
            "vrshl.s64 q13, q13, q3",
            "vmovn.i64 d0, q10",
            "vmovn.i64 d1, q11",
            "vmovn.i64 d2, q12",
            "vmovn.i64 d3, q13",
            "vdup.32 q2, {zero}",
            "vdup.8 d6, {min}",
            "vdup.8 d7, {max}",
            "vadd.i32 q0, q0, q2",
            "vadd.i32 q1, q1, q2",
            "vqmovn.s32 d0, q0",
            "vqmovn.s32 d1, q1",
            "vqmovn.s16 d0, q0",
            "vmin.s8 d0, d0, d7",
            "vmax.s8 d0, d0, d6",
            "vst1.8 {{d0}}, [{bytes}]",
            sums = in(reg) sums.as_ptr(),
            mantissas = in(reg) mantissas.as_ptr(),
            shifts = in(reg) shifts.as_ptr(),
            zero = in(reg) stage.zero,
            min = in(reg) i32::from(stage.min),
            max = in(reg) i32::from(stage.max),
            bytes = in(reg) bytes.as_mut_ptr(),
            out("q0") _, out("q1") _, out("q2") _, out("q3") _,
            out("q8") _, out("q9") _, out("q10") _, out("q11") _, out("q12") _, out("q13") _,
            options(nostack, preserves_flags),
        );
    }
    bytes
}
