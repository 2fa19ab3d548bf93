//! AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D.

use crate::element::{Element, Range};
use crate::error::{Error, Operand, exactly};
use crate::window::Window;

/// A pool of quantised values; input and output have one quantisation.
///
/// What lies outside the input counts for nothing, in sums and in divisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The geometry; dilation is 1.
    pub window: Window,
    /// The bounds of the fused activation.
    pub range: Range,
}

/// The most channels that are accumulated at a time.
const LANES: usize = 64;

impl Pool {
    /// The mean of each window: `AveragePool` (tflite/kernels/internal/reference/integer_ops/
    /// pooling.h and pooling.h), rounded half away from zero; of `u8`, which has no negative sums,
    /// half up.
    ///
    /// # Errors
    /// [`Error::Length`] or a geometry that makes no sense.
    pub fn average<T: Element>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        let range = self.range;
        pool(
            &self.window,
            x,
            out,
            0,
            |sum, x| sum + x.widen(),
            |sum, count| {
                let count = count as i32;
                let half = if sum > 0 { count / 2 } else { -(count / 2) };
                T::saturate(range.limit((sum + half) / count))
            },
        )
    }

    /// The greatest of each window: `MaxPool` (the same files).
    ///
    /// # Errors
    /// As [`Pool::average`].
    pub fn max<T: Element>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        let range = self.range;
        pool(
            &self.window,
            x,
            out,
            T::MIN,
            |max, x| max.max(x.widen()),
            |max, _| T::saturate(range.limit(max)),
        )
    }
}

/// A pool of `f32`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RealPool {
    /// The geometry; dilation is 1.
    pub window: Window,
    /// The bounds of the fused activation.
    pub bounds: [f32; 2],
}

impl RealPool {
    /// The mean of each window.
    ///
    /// # Errors
    /// As [`Pool::average`].
    pub fn average(&self, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
        let [min, max] = self.bounds;
        pool(
            &self.window,
            x,
            out,
            0.0,
            |sum, x| sum + x,
            |sum, count| (sum / count as f32).max(min).min(max),
        )
    }

    /// The greatest of each window.
    ///
    /// # Errors
    /// As [`Pool::average`].
    pub fn max(&self, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
        let [lower, upper] = self.bounds;
        pool(&self.window, x, out, f32::MIN, f32::max, |value, _| {
            value.max(lower).min(upper)
        })
    }

    /// The root of the mean square of each window.
    ///
    /// # Errors
    /// As [`Pool::average`].
    pub fn l2(&self, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
        let [min, max] = self.bounds;
        pool(
            &self.window,
            x,
            out,
            0.0,
            |sum, x| sum + x * x,
            |sum, count| libm::sqrtf(sum / count as f32).max(min).min(max),
        )
    }
}

/// Folds each window, a block of channels at a time so that channels lie side by side in registers.
fn pool<T: Copy, A: Copy>(
    window: &Window,
    x: &[T],
    out: &mut [T],
    first: A,
    fold: impl Fn(A, T) -> A,
    last: impl Fn(A, usize) -> T,
) -> Result<(), Error> {
    window.check()?;
    let ([_, height, width, channels], [_, rows, columns, depth]) = (window.input, window.output);
    if channels != depth {
        return Err(Error::Channels);
    }
    exactly(x, window.input.iter().product(), Operand::Input)?;
    exactly(out, window.output.iter().product(), Operand::Output)?;
    let images = x.chunks_exact(height * width * channels);
    for (x, out) in images.zip(out.chunks_exact_mut(rows * columns * channels)) {
        for (place, out) in out.chunks_exact_mut(channels).enumerate() {
            let [top, bottom] = span(window, 0, place / columns);
            let [left, right] = span(window, 1, place % columns);
            let count = (bottom - top) * (right - left);
            if count == 0 {
                return Err(Error::ZeroExtent);
            }
            for (block, out) in out.chunks_mut(LANES).enumerate() {
                let mut sums = [first; LANES];
                let sums = &mut sums[..out.len()];
                for row in top..bottom {
                    for column in left..right {
                        let at = (row * width + column) * channels + block * LANES;
                        for (sum, &x) in sums.iter_mut().zip(&x[at..at + out.len()]) {
                            *sum = fold(*sum, x);
                        }
                    }
                }
                for (out, &sum) in out.iter_mut().zip(sums.iter()) {
                    *out = last(sum, count);
                }
            }
        }
    }
    Ok(())
}

/// The rows (axis 0) or columns (axis 1) of the input that the window at `place` covers.
fn span(window: &Window, axis: usize, place: usize) -> [usize; 2] {
    let start = place * window.stride[axis];
    let end = (start + window.kernel[axis]).saturating_sub(window.before[axis]);
    let first = start.saturating_sub(window.before[axis]);
    let end = end.min(window.input[1 + axis]);
    [first.min(end), end]
}
