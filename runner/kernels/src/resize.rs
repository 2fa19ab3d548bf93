//! RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR.

use crate::element::Element;
use crate::error::{Error, Operand, exactly, product};

/// A change of height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// Batch, height, width and channels of the input.
    pub input: [usize; 4],
    /// Height and width of the output.
    pub size: [usize; 2],
    /// Corner pixels lie on corner pixels.
    pub align_corners: bool,
    /// Pixels are squares with their value in the middle, not points.
    pub half_pixel_centers: bool,
}

/// Two pixels of an axis and the way from the first to the second, in `F`.
type Between<F> = ([usize; 2], F);

impl Resize {
    fn check<T>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        let [batch, height, width, channels] = self.input;
        exactly(x, product(&self.input)?, Operand::Input)?;
        exactly(
            out,
            product(&[batch, self.size[0], self.size[1], channels])?,
            Operand::Output,
        )?;
        let limit = 1 << 20;
        if [height, width, channels, self.size[0], self.size[1]].contains(&0) {
            return Err(Error::ZeroExtent);
        }
        // The reference computes positions in 32 bits with 10 of fraction.
        if [height, width, self.size[0], self.size[1]]
            .iter()
            .any(|&extent| extent > limit)
        {
            return Err(Error::TooLarge);
        }
        Ok(())
    }

    /// The ratio of sizes of an axis, numerator and denominator.
    fn ratio(&self, axis: usize) -> (usize, usize) {
        let (input, output) = (self.input[1 + axis], self.size[axis]);
        if self.align_corners && output > 1 {
            (input - 1, output - 1)
        } else {
            (input, output)
        }
    }

    /// The nearest pixel of the input: `GetNearestNeighbor` (tflite/kernels/internal/reference/
    /// resize_nearest_neighbor.h).
    ///
    /// # Errors
    /// [`Error::Length`], or a size of zero or beyond all use.
    pub fn nearest<T: Copy>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.check(x, out)?;
        let [_, height, width, channels] = self.input;
        for (pixel, out) in out.chunks_exact_mut(channels).enumerate() {
            let (column, row) = (pixel % self.size[1], pixel / self.size[1]);
            let (batch, row) = (row / self.size[0], row % self.size[0]);
            let place = (batch * height + self.nearest_index(0, row)) * width
                + self.nearest_index(1, column);
            out.copy_from_slice(&x[place * channels..][..channels]);
        }
        Ok(())
    }

    fn nearest_index(&self, axis: usize, index: usize) -> usize {
        let (input, output) = self.ratio(axis);
        let scale = input as f32 / output as f32;
        let offset = if self.half_pixel_centers { 0.5 } else { 0.0 };
        let exact = (index as f32 + offset) * scale;
        let whole = if self.align_corners {
            libm::roundf(exact)
        } else {
            libm::floorf(exact)
        };
        (whole as usize).min(self.input[1 + axis] - 1)
    }

    /// Bilinear interpolation of real numbers, and of `u8` in `f32` cut off towards zero: the
    /// template of `ResizeBilinear` (tflite/kernels/internal/reference/resize_bilinear.h).
    ///
    /// # Errors
    /// As [`Resize::nearest`].
    pub fn bilinear<T: Copy>(
        &self,
        x: &[T],
        out: &mut [T],
        widen: impl Fn(T) -> f32,
        narrow: impl Fn(f32) -> T,
    ) -> Result<(), Error> {
        self.interpolate(x, out, Self::real_place, |[a, b, c, d], y, x| {
            let value = widen(a) * (1.0 - y) * (1.0 - x)
                + widen(c) * y * (1.0 - x)
                + widen(b) * (1.0 - y) * x
                + widen(d) * y * x;
            narrow(value)
        })
    }

    /// Bilinear interpolation of `i8` and `i16` with 10 bits of fraction, rounded half away from
    /// zero: `ResizeBilinearInteger` (the same file).
    ///
    /// # Errors
    /// As [`Resize::nearest`].
    pub fn bilinear_quantised<T: Element>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.interpolate(x, out, Self::fixed_place, |corners, y, x| {
            const ONE: i64 = 1 << 10;
            let [a, b, c, d] = corners.map(|corner| i64::from(corner.widen()));
            let (y, x) = (i64::from(y), i64::from(x));
            let sum = a * (ONE - y) * (ONE - x) + c * y * (ONE - x) + b * (ONE - y) * x + d * y * x;
            let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
            T::saturate(((sum + half) / (1 << 20)) as i32)
        })
    }

    fn interpolate<T: Copy, F: Copy>(
        &self,
        x: &[T],
        out: &mut [T],
        place: impl Fn(&Self, usize, usize) -> Between<F>,
        mix: impl Fn([T; 4], F, F) -> T,
    ) -> Result<(), Error> {
        self.check(x, out)?;
        let [_, height, width, channels] = self.input;
        for (pixel, out) in out.chunks_exact_mut(channels).enumerate() {
            let (column, row) = (pixel % self.size[1], pixel / self.size[1]);
            let (batch, row) = (row / self.size[0], row % self.size[0]);
            let (rows, down) = place(self, 0, row);
            let (columns, across) = place(self, 1, column);
            let [a, b, c, d]: [&[T]; 4] = core::array::from_fn(|which| {
                let y = batch * height + rows[which / 2];
                &x[(y * width + columns[which % 2]) * channels..][..channels]
            });
            let corners = a.iter().zip(b).zip(c.iter().zip(d));
            for (out, ((&a, &b), (&c, &d))) in out.iter_mut().zip(corners) {
                *out = mix([a, b, c, d], down, across);
            }
        }
        Ok(())
    }

    fn real_place(&self, axis: usize, index: usize) -> Between<f32> {
        let (input, output) = self.ratio(axis);
        let scale = input as f32 / output as f32;
        let exact = if self.half_pixel_centers {
            (index as f32 + 0.5) * scale - 0.5
        } else {
            index as f32 * scale
        };
        let last = self.input[1 + axis] - 1;
        // Not negative, by the conversion's saturation.
        let first = libm::floorf(exact) as usize;
        let second = (libm::ceilf(exact) as usize).min(last);
        ([first.min(last), second], exact - first as f32)
    }

    fn fixed_place(&self, axis: usize, index: usize) -> Between<i32> {
        let (input, output) = self.ratio(axis);
        let scale = (((input << 10) + output / 2) / output) as i64;
        let exact = if self.half_pixel_centers {
            index as i64 * scale + scale / 2 - (1 << 9)
        } else {
            index as i64 * scale
        };
        let last = self.input[1 + axis] as i64 - 1;
        let first = (exact / (1 << 10)).max(0).min(last);
        let second = ((exact + (1 << 10) - 1) / (1 << 10)).min(last);
        (
            [first as usize, second.max(0) as usize],
            (exact - (first << 10)) as i32,
        )
    }
}
