//! The portable depthwise convolution, compiled once more for wider vectors.

#![expect(
    unsafe_code,
    reason = "calls of functions compiled for features that an `Isa` proves"
)]

use super::Depthwise;

pub(super) fn avx2(
    plan: &Depthwise,
    weights: (&[f32], Option<&[f32]>),
    input: &[f32],
    out: &mut [f32],
) {
    #[target_feature(enable = "avx2,fma")]
    fn slide(plan: &Depthwise, weights: (&[f32], Option<&[f32]>), input: &[f32], out: &mut [f32]) {
        plan.slide(weights, input, out);
    }
    // SAFETY: only an `Isa` of this level leads here, and such a token is made where the processor
    // has these features.
    unsafe { slide(plan, weights, input, out) }
}

pub(super) fn avx512(
    plan: &Depthwise,
    weights: (&[f32], Option<&[f32]>),
    input: &[f32],
    out: &mut [f32],
) {
    #[target_feature(enable = "avx512f,avx512vl")]
    fn slide(plan: &Depthwise, weights: (&[f32], Option<&[f32]>), input: &[f32], out: &mut [f32]) {
        plan.slide(weights, input, out);
    }
    // SAFETY: as above.
    unsafe { slide(plan, weights, input, out) }
}
