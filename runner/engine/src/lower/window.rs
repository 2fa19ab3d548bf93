//! The geometry of sliding windows, and paddings that a window can take over.

use scalebench_kernels::window::Window;
use tract_tflite::tflite::{BuiltinOperator, Padding};

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken};
use crate::lower::{Lowering, Refusal};

/// How a window slides, as the options say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sliding {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [i32; 2],
    pub(super) dilation: [i32; 2],
    pub(super) padding: Padding,
}

/// Height and width of the padding before and after an image.
#[derive(Debug, Clone, Copy, Default)]
struct Padded {
    before: [usize; 2],
    after: [usize; 2],
}

impl Sliding {
    /// The window over an input, for `channels` output channels.
    fn window(&self, input: &[usize], padded: Padded, channels: usize) -> Result<Window, Refusal> {
        let &[batch, height, width, depth] = input else {
            return broken(format!(
                "its input has the shape {input:?}, four dimensions are due"
            ));
        };
        let positive = |values: [i32; 2], what: &str| match values.map(usize::try_from) {
            [Ok(a), Ok(b)] if a > 0 && b > 0 => Ok([a, b]),
            _ => broken(format!("its {what} is {values:?}")),
        };
        let stride = positive(self.stride, "stride")?;
        let dilation = positive(self.dilation, "dilation")?;
        let mut extents = [0; 2];
        let mut before = [0; 2];
        for axis in 0..2 {
            let (size, kernel) = ([height, width][axis], self.kernel[axis]);
            if kernel == 0 || size == 0 {
                return broken("a window or input without extent");
            }
            let reach = (kernel - 1)
                .checked_mul(dilation[axis])
                .and_then(|reach| reach.checked_add(1))
                .ok_or_else(|| {
                    Refusal::Broken("its window does not fit the address space".into())
                })?;
            let full = size + padded.before[axis] + padded.after[axis];
            match self.padding {
                Padding::SAME => {
                    extents[axis] = full.div_ceil(stride[axis]);
                    let covered = ((extents[axis] - 1) * stride[axis]).saturating_add(reach);
                    before[axis] = covered.saturating_sub(full) / 2;
                }
                Padding::VALID => {
                    if full < reach {
                        return broken(format!("a window of {reach} over {full} rows or columns"));
                    }
                    extents[axis] = (full - reach) / stride[axis] + 1;
                }
                other => return broken(format!("padding {}", other.0)),
            }
            before[axis] += padded.before[axis];
        }
        let window = Window {
            input: [batch, height, width, depth],
            output: [batch, extents[0], extents[1], channels],
            kernel: self.kernel,
            stride,
            dilation,
            before,
        };
        window.check()?;
        Ok(window)
    }
}

impl<'a> Lowering<'_, 'a> {
    /// The window over input 0, and that input; if a padding with zeros comes before, its input, the padding
    /// become the window's own.
    pub(super) fn window(
        &self,
        operator: &Operator<'a>,
        sliding: Sliding,
        channels: usize,
    ) -> Result<(Window, Argument<'_>), Refusal> {
        let input = self.input(operator, 0)?;
        if sliding.padding == Padding::VALID
            && let Some((inner, padded)) = self.padding_before(&input)
        {
            return Ok((sliding.window(inner.shape, padded, channels)?, inner));
        }
        Ok((
            sliding.window(input.shape, Padded::default(), channels)?,
            input,
        ))
    }

    /// The window over input 0 as it is: for pooling, which averages over what is inside only.
    pub(super) fn plain_window(
        &self,
        operator: &Operator<'a>,
        sliding: Sliding,
    ) -> Result<Window, Refusal> {
        let input = self.input(operator, 0)?;
        let channels = input.shape.last().copied().unwrap_or_default();
        sliding.window(input.shape, Padded::default(), channels)
    }

    /// The input of the `PAD` that wrote `padded`, if it puts zeros around images.
    fn padding_before(&self, padded: &Argument<'_>) -> Option<(Argument<'_>, Padded)> {
        let pad = &self.graph.operators[self.writers[padded.tensor]?];
        if pad.code != BuiltinOperator::PAD {
            return None;
        }
        let inner = self.input(pad, 0).ok()?;
        let same = inner.dtype == padded.dtype
            && inner.scales.map(|s| s.per_tensor()) == padded.scales.map(|s| s.per_tensor());
        let amounts = self.input(pad, 1).ok()?.integers().ok()?;
        let &[0, 0, top, bottom, left, right, 0, 0] = amounts.as_slice() else {
            return None;
        };
        let amount = |value: i64| usize::try_from(value).ok().filter(|&v| v <= 1 << 20);
        let image =
            inner.shape.len() == 4 && matches!(inner.dtype, DType::F32 | DType::I8 | DType::U8);
        (same && image).then_some(())?;
        Some((
            inner,
            Padded {
                before: [amount(top)?, amount(left)?],
                after: [amount(bottom)?, amount(right)?],
            },
        ))
    }
}
