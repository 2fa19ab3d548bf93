//! Images at another size: which pixels each output row or column comes from, worked out once.
//!
//! After `ResizeNearestNeighbor`, `ResizeBilinear` and `ResizeBilinearInteger`
//! (tflite/kernels/internal/reference/resize_nearest_neighbor.h, resize_bilinear.h).

/// How positions of the output are laid over the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// The outermost pixels of both coincide.
    pub(crate) align_corners: bool,
    /// Positions are those of pixels' centres.
    pub(crate) half_pixel_centers: bool,
}

/// Fraction bits of the integer kernel.
const BITS: i64 = 10;

/// The two pixels an output lies between, and how far it is past the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Between<T> {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) past: T,
}

impl Grid {
    fn stretches(self, output: usize) -> bool {
        self.align_corners && output > 1
    }

    /// The nearest pixel of each output position.
    pub(crate) fn nearest(self, input: usize, output: usize) -> Vec<usize> {
        let scale = if self.stretches(output) {
            (input - 1) as f32 / (output - 1) as f32
        } else {
            input as f32 / output as f32
        };
        let offset = if self.half_pixel_centers { 0.5 } else { 0.0 };
        (0..output)
            .map(|at| {
                let position = (at as f32 + offset) * scale;
                let pixel = if self.align_corners {
                    position.round()
                } else {
                    position.floor()
                };
                (pixel.max(0.0) as usize).min(input - 1)
            })
            .collect()
    }

    /// The neighbours of each output position in single precision.
    pub(crate) fn between(self, input: usize, output: usize) -> Vec<Between<f32>> {
        let scale = if self.stretches(output) {
            (input - 1) as f32 / (output - 1) as f32
        } else {
            input as f32 / output as f32
        };
        (0..output)
            .map(|at| {
                let position = if self.half_pixel_centers {
                    (at as f32 + 0.5) * scale - 0.5
                } else {
                    at as f32 * scale
                };
                let first = position.floor().max(0.0) as usize;
                Between {
                    first: first.min(input - 1),
                    second: (position.ceil().max(0.0) as usize).min(input - 1),
                    past: position - first as f32,
                }
            })
            .collect()
    }

    /// The same with ten bits of fraction.
    pub(crate) fn between_fixed(self, input: usize, output: usize) -> Vec<Between<i64>> {
        let (from, to) = (input as i64, output as i64);
        let scale = if self.stretches(output) {
            (((from - 1) << BITS) + (to - 1) / 2) / (to - 1)
        } else {
            ((from << BITS) + to / 2) / to
        };
        (0..to)
            .map(|at| {
                let position = if self.half_pixel_centers {
                    at * scale + scale / 2 - (1 << (BITS - 1))
                } else {
                    at * scale
                };
                let first = (position / (1 << BITS)).max(0).min(from - 1);
                let second = ((position + (1 << BITS) - 1) / (1 << BITS))
                    .max(0)
                    .min(from - 1);
                Between {
                    first: first as usize,
                    second: second as usize,
                    past: position - (first << BITS),
                }
            })
            .collect()
    }
}

/// One value between four, each with ten bits of fraction, rounded half away from zero.
pub(crate) fn mixed(corners: [[i8; 2]; 2], down: i64, right: i64) -> i8 {
    let one = 1i64 << BITS;
    let weigh = |row: [i8; 2]| i64::from(row[0]) * (one - right) + i64::from(row[1]) * right;
    let sum = weigh(corners[0]) * (one - down) + weigh(corners[1]) * down;
    let half = if sum > 0 {
        1 << (2 * BITS - 1)
    } else {
        -(1 << (2 * BITS - 1))
    };
    ((sum + half) / (1 << (2 * BITS))) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Grid = Grid {
        align_corners: false,
        half_pixel_centers: false,
    };

    #[test]
    fn twice_the_size_repeats_each_pixel() {
        assert_eq!(PLAIN.nearest(3, 6), [0, 0, 1, 1, 2, 2]);
        let corners = Grid {
            align_corners: true,
            ..PLAIN
        };
        assert_eq!(corners.nearest(3, 5), [0, 1, 1, 2, 2]);
    }

    #[test]
    fn between_two_pixels_lies_their_mean() {
        let at = PLAIN.between_fixed(2, 4);
        assert_eq!((at[1].first, at[1].second, at[1].past), (0, 1, 512));
        assert_eq!(mixed([[10, 20], [10, 20]], 0, 512), 15);
        assert_eq!(mixed([[-10, -21], [-10, -21]], 0, 512), -16);
        let real = PLAIN.between(2, 4);
        assert_eq!((real[1].first, real[1].second, real[1].past), (0, 1, 0.5));
        assert_eq!((real[3].first, real[3].second), (1, 1));
    }
}
