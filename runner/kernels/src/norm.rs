//! L2_NORMALIZATION along the innermost axis.

use crate::element::{Byte, Quantisation};
use crate::error::Error;
use crate::fixed::inverse_square_root;
use crate::requant::Multiplier;
use crate::softmax::rows;

/// Of `i8` and `u8`, to a scale of 1/128: `L2Normalization` (tflite/kernels/internal/reference/
/// integer_ops/l2normalization.h, l2normalization.h).
///
/// # Errors
/// [`Error::Length`] or [`Error::Quantisation`].
pub fn quantised<T: Byte>(
    input: Quantisation,
    depth: usize,
    x: &[T],
    out: &mut [T],
) -> Result<(), Error> {
    let zero = input.check::<T>()?.zero;
    for (x, out) in rows(depth, x, out)? {
        let squares = x.iter().fold(0_i32, |sum, x| {
            let x = x.widen() - zero;
            sum.wrapping_add(x * x)
        });
        let root = inverse_square_root(squares.max(0));
        // 7 bits of fraction: `u8` has them put before the multiplication, `i8` after.
        let (before, after) = if T::MIN < 0 { (0, 7) } else { (7, 0) };
        let scale = Multiplier {
            shift: root.shift + after,
            ..root
        };
        // Zero is in the middle of the output's type.
        let middle = (T::MIN + T::MAX + 1) / 2;
        for (out, x) in out.iter_mut().zip(x) {
            *out = T::saturate(middle + scale.apply((x.widen() - zero) << before));
        }
    }
    Ok(())
}

/// Of `f32`; the norm is at least 10⁻⁶.
///
/// # Errors
/// [`Error::Length`].
pub fn real(depth: usize, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
    for (x, out) in rows(depth, x, out)? {
        let squares: f32 = x.iter().map(|x| x * x).sum();
        let norm = libm::sqrtf(squares).max(1e-6);
        for (out, x) in out.iter_mut().zip(x) {
            *out = x / norm;
        }
    }
    Ok(())
}
