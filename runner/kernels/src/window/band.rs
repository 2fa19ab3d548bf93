//! The input cut into bands of rows, in which every window lies in one piece of memory.
//!
//! Where a window leaves the input, or a kernel reads in groups that do not divide its runs, the rows
//! of a band are copied to scratch, with the padding around them. That costs one copy of the input;
//! the matrix of all windows (im2col) would cost one for each tap.

use super::Window;
use crate::error::{Error, Operand, first_mut, product};

/// Bytes of scratch a band may take: as much as stays in the first level of a small cache.
const BAND_BYTES: usize = 32 << 10;

/// How an input is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bands {
    window: Window,
    /// Output rows of a band.
    rows: usize,
    /// Elements beyond the last row that a kernel may read; `None` if the input is used in place.
    slack: Option<usize>,
    /// Elements from one row to the next.
    pitch: usize,
}

/// Output rows that are computed in one go, and the elements their windows lie in.
pub(crate) struct Band<'a, T> {
    /// The first output row.
    pub(crate) row: usize,
    /// How many.
    pub(crate) rows: usize,
    /// From the first element of the first window.
    pub(crate) elements: &'a [T],
    /// Whether they were copied, and the caller's `prepare` changed the copy.
    pub(crate) prepared: bool,
}

impl Bands {
    /// Cuts the input of `window` (which was checked), whose runs have `run` elements of `size`
    /// bytes, for a kernel that reads runs in groups of `kr`.
    pub(crate) fn new(window: Window, run: usize, size: usize, kr: usize) -> Result<Self, Error> {
        let channels = window.input[3];
        if run.is_multiple_of(kr) && !window.leaves_input() {
            return Ok(Self {
                window,
                rows: window.output[1],
                slack: None,
                pitch: window.input[2] * channels,
            });
        }
        let pitch = product(&[window.covered(1, window.output[2]), channels])?;
        let fitting =
            (BAND_BYTES / size / pitch).saturating_sub(window.reach(0)) / window.stride[0];
        let rows = (fitting + 1).min(window.output[1]);
        product(&[pitch, window.covered(0, rows)])?;
        Ok(Self {
            window,
            rows,
            slack: Some(run.next_multiple_of(kr) - run),
            pitch,
        })
    }

    /// Elements from one row of a band to the next.
    pub(crate) fn pitch(&self) -> usize {
        self.pitch
    }

    /// Elements of scratch.
    pub(crate) fn scratch_len(&self) -> usize {
        self.slack.map_or(0, |slack| {
            self.window.covered(0, self.rows) * self.pitch + slack
        })
    }

    /// Hands every band of one image to `each`, top to bottom. `padding` stands where the image has
    /// no element. Elements that are copied, padding included, pass through `prepare` first, which
    /// says whether it changed them.
    pub(crate) fn for_each<T: Copy>(
        &self,
        image: &[T],
        padding: T,
        scratch: &mut [T],
        prepare: impl Fn(&mut [T]) -> bool,
        mut each: impl FnMut(Band<T>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let scratch = first_mut(scratch, self.scratch_len(), Operand::Scratch)?;
        let mut row = 0;
        while row < self.window.output[1] {
            let rows = self.rows.min(self.window.output[1] - row);
            let (elements, prepared) = match self.slack {
                None => (image, false),
                Some(slack) => {
                    let length = self.window.covered(0, rows) * self.pitch;
                    let (lines, rest) = scratch.split_at_mut(length);
                    self.copy(image, row, padding, lines);
                    rest[..slack].fill(padding);
                    let prepared = prepare(&mut scratch[..length + slack]);
                    (&*scratch, prepared)
                }
            };
            each(Band {
                row,
                rows,
                elements,
                prepared,
            })?;
            row += rows;
        }
        Ok(())
    }

    /// Copies the lines that the windows of output row `row` and following cover.
    fn copy<T: Copy>(&self, image: &[T], row: usize, padding: T, lines: &mut [T]) {
        let [_, height, width, channels] = self.window.input;
        let [above, left] = self.window.before;
        let left = (left * channels).min(self.pitch);
        let kept = (width * channels).min(self.pitch - left);
        for (index, line) in lines.chunks_exact_mut(self.pitch).enumerate() {
            let source = (row * self.window.stride[0] + index)
                .checked_sub(above)
                .filter(|&y| y < height);
            match source {
                None => line.fill(padding),
                Some(y) => {
                    let (before, rest) = line.split_at_mut(left);
                    let (inside, after) = rest.split_at_mut(kept);
                    before.fill(padding);
                    inside.copy_from_slice(&image[y * width * channels..][..kept]);
                    after.fill(padding);
                }
            }
        }
    }
}
