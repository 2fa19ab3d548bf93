//! The loop of a row compiled for wider registers. The code is the portable one, so are the answers.

#![expect(
    unsafe_code,
    reason = "calls of functions compiled for what an `Isa` proves"
)]

use super::portable;
use crate::isa::{Isa, Level};

/// As [`portable`].
#[inline(always)]
pub(super) fn row<T: Copy, O>(isa: Isa, a: &[T], b: &[T], out: &mut [O], f: impl Fn(T, T) -> O) {
    match isa.0 {
        // SAFETY (both): such a token is made where the processor has these features.
        Level::Avx512 => unsafe { avx512(a, b, out, f) },
        Level::Avx2 => unsafe { avx2(a, b, out, f) },
        Level::Portable => portable(a, b, out, f),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<T: Copy, O>(a: &[T], b: &[T], out: &mut [O], f: impl Fn(T, T) -> O) {
    portable(a, b, out, f);
}

#[target_feature(enable = "avx2")]
fn avx2<T: Copy, O>(a: &[T], b: &[T], out: &mut [O], f: impl Fn(T, T) -> O) {
    portable(a, b, out, f);
}
