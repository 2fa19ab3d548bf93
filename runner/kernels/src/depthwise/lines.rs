//! The input as lines in which a row of outputs is one run of lanes.

use crate::error::{Error, product};
use crate::window::Window;

/// Bytes of scratch that lines may take: as much as stays in the first level of a small cache.
const BYTES: usize = 24 << 10;

/// How the input is laid out in lines.
///
/// A line is a padded row whose columns are sorted by their remainder by the stride: all columns of
/// remainder 0, then all of remainder 1, and so on. Under a tap the columns of successive outputs then
/// follow each other. Channels are repeated as often as the multiplier says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    window: Window,
    repeat: usize,
    /// Output rows whose lines fit at a time.
    pub(super) rows: usize,
    /// Elements of the columns of one remainder.
    phase: usize,
    /// Elements from one line to the next.
    pub(super) pitch: usize,
    /// Elements behind the last line that a kernel may read.
    slack: usize,
}

impl Lines {
    /// For kernels that compute `lanes` at a time. `window` was checked.
    pub(super) fn new(window: Window, repeat: usize, lanes: usize) -> Result<Self, Error> {
        let columns = window
            .covered(1, window.output[2])
            .div_ceil(window.stride[1]);
        let phase = product(&[columns, window.output[3]])?;
        let pitch = product(&[phase, window.stride[1]])?;
        let fitting = (BYTES / pitch).saturating_sub(window.reach(0)) / window.stride[0];
        let rows = (fitting + 1).min(window.output[1]);
        product(&[pitch, window.covered(0, rows)])?;
        Ok(Self {
            window,
            repeat,
            rows,
            phase,
            pitch,
            slack: lanes,
        })
    }

    /// Elements of scratch.
    pub(super) fn len(&self) -> usize {
        self.window.covered(0, self.rows) * self.pitch + self.slack
    }

    /// Where the element of a tap lies that meets lane 0, from the start of the row's first line.
    pub(super) fn offset(&self, tap: usize) -> usize {
        let (row, column) = (tap / self.window.kernel[1], tap % self.window.kernel[1]);
        let [down, across] = self.window.dilation;
        row * down * self.pitch + self.column(column * across)
    }

    /// Where a padded column begins in its line.
    fn column(&self, column: usize) -> usize {
        let stride = self.window.stride[1];
        column % stride * self.phase + column / stride * self.window.output[3]
    }

    /// Lays out what output rows from `top` on cover. `flip` is applied to every element, as `xor`;
    /// `padding` stands where the image has none.
    pub(super) fn copy(
        &self,
        image: &[i8],
        top: usize,
        rows: usize,
        (padding, flip): (i8, i8),
        into: &mut [i8],
    ) {
        let [_, height, width, depth] = self.window.input;
        let channels = self.window.output[3];
        let [above, left] = self.window.before;
        let columns = self.window.covered(1, self.window.output[2]);
        let inside = width.min(columns.saturating_sub(left));
        let padding = padding ^ flip;
        let (lines, slack) = into.split_at_mut(self.window.covered(0, rows) * self.pitch);
        slack.fill(padding);
        for (index, line) in lines.chunks_exact_mut(self.pitch).enumerate() {
            let source = (top * self.window.stride[0] + index)
                .checked_sub(above)
                .filter(|&y| y < height);
            let Some(y) = source else {
                line.fill(padding);
                continue;
            };
            let row = &image[y * width * depth..][..inside * depth];
            if self.window.stride[1] == 1 && self.repeat == 1 {
                let (before, rest) = line.split_at_mut(left.min(columns) * depth);
                let (middle, after) = rest.split_at_mut(row.len());
                before.fill(padding);
                after.fill(padding);
                flipped(row, flip, middle);
                continue;
            }
            line.fill(padding);
            if self.repeat == 1 {
                self.sort(row, left, flip, line);
                continue;
            }
            for (x, pixel) in row.chunks_exact(depth).enumerate() {
                let into = &mut line[self.column(left + x)..][..channels];
                for (into, &value) in into.chunks_exact_mut(self.repeat).zip(pixel) {
                    into.fill(value ^ flip);
                }
            }
        }
    }

    /// Sorts the columns of an image's row by their remainder.
    fn sort(&self, row: &[i8], left: usize, flip: i8, line: &mut [i8]) {
        let (stride, depth) = (self.window.stride[1], self.window.input[3]);
        for first in 0..stride.min(row.len() / depth) {
            let from = row[first * depth..].chunks(stride * depth);
            let into = line[self.column(left + first)..].chunks_exact_mut(depth);
            // The usual depths, known to the compiler, need no loop for a pixel.
            match depth {
                8 => pixels::<8>(from, into, flip),
                16 => pixels::<16>(from, into, flip),
                32 => pixels::<32>(from, into, flip),
                64 => pixels::<64>(from, into, flip),
                _ => {
                    for (from, into) in from.zip(into) {
                        flipped(&from[..depth], flip, into);
                    }
                }
            }
        }
    }
}

/// Copies pixels of `N` channels.
fn pixels<'s, const N: usize>(
    from: impl Iterator<Item = &'s [i8]>,
    into: impl Iterator<Item = &'s mut [i8]>,
    flip: i8,
) {
    for (from, into) in from.zip(into) {
        if let (Some(from), Some(into)) = (from.first_chunk::<N>(), into.first_chunk_mut::<N>()) {
            *into = from.map(|value| value ^ flip);
        }
    }
}

fn flipped(from: &[i8], flip: i8, into: &mut [i8]) {
    if flip == 0 {
        into.copy_from_slice(from);
        return;
    }
    for (into, &value) in into.iter_mut().zip(from) {
        *into = value ^ flip;
    }
}
