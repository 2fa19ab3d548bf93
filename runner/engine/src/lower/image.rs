//! `RESIZE_NEAREST_NEIGHBOR` and `RESIZE_BILINEAR`.

use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{broken, unsupported};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::resize::{Grid, mixed};
use crate::step::Step;

pub(super) fn resize(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(input.dtype)?;
    let sizes = cx.input(operator, 1)?.integers()?;
    let extent = |size: i64| {
        usize::try_from(size)
            .ok()
            .filter(|&size| size > 0 && size <= 1 << 20)
    };
    let (&[batch, height, width, channels], &[rows, columns]) = (input.shape, sizes.as_slice())
    else {
        return broken(format!("{:?} resized to {sizes:?}", input.shape));
    };
    let (Some(rows), Some(columns)) = (extent(rows), extent(columns)) else {
        return broken(format!("{:?} resized to {sizes:?}", input.shape));
    };
    if [batch, height, width, channels].contains(&0) {
        return unsupported("an empty tensor");
    }
    let shape = vec![batch, rows, columns, channels];
    crate::reader::elements(&shape).map_err(Refusal::Broken)?;
    let grid = grid(operator);
    let (image, line) = (height * width * channels, width * channels);
    let step = match (operator.code, input.dtype) {
        (B::RESIZE_NEAREST_NEIGHBOR, dtype) => {
            let size = dtype.size();
            let (down, right) = (grid.nearest(height, rows), grid.nearest(width, columns));
            let pixel = channels * size;
            Step::new("nearest pixels", [input.tensor], output.tensor, move |io| {
                let outs = io.outputs[0].chunks_exact_mut(columns * pixel);
                for (at, out) in outs.enumerate() {
                    let from = at / rows * image * size + down[at % rows] * line * size;
                    let from = &io.inputs[0][from..][..line * size];
                    for (out, &x) in out.chunks_exact_mut(pixel).zip(&right) {
                        out.copy_from_slice(&from[x * pixel..][..pixel]);
                    }
                }
                Ok(())
            })
        }
        (_, DType::F32) => {
            let (down, right) = (grid.between(height, rows), grid.between(width, columns));
            Step::new(
                "bilinear pixels",
                [input.tensor],
                output.tensor,
                move |io| {
                    let (x, out) = io.unary::<f32, f32>();
                    for (at, out) in out.chunks_exact_mut(columns * channels).enumerate() {
                        let y = down[at % rows];
                        let image = &x[at / rows * image..][..image];
                        for (out, h) in out.chunks_exact_mut(channels).zip(&right) {
                            for (c, out) in out.iter_mut().enumerate() {
                                let pixel = |row: usize, column: usize| {
                                    image[row * line + column * channels + c]
                                };
                                *out = pixel(y.first, h.first) * (1.0 - y.past) * (1.0 - h.past)
                                    + pixel(y.second, h.first) * y.past * (1.0 - h.past)
                                    + pixel(y.first, h.second) * (1.0 - y.past) * h.past
                                    + pixel(y.second, h.second) * y.past * h.past;
                            }
                        }
                    }
                    Ok(())
                },
            )
        }
        (_, DType::I8) => {
            let (down, right) = (
                grid.between_fixed(height, rows),
                grid.between_fixed(width, columns),
            );
            Step::new(
                "bilinear pixels",
                [input.tensor],
                output.tensor,
                move |io| {
                    let (x, out) = io.unary::<i8, i8>();
                    for (at, out) in out.chunks_exact_mut(columns * channels).enumerate() {
                        let y = down[at % rows];
                        let image = &x[at / rows * image..][..image];
                        for (out, h) in out.chunks_exact_mut(channels).zip(&right) {
                            for (c, out) in out.iter_mut().enumerate() {
                                let pixel = |row: usize, column: usize| {
                                    image[row * line + column * channels + c]
                                };
                                let corners = [y.first, y.second]
                                    .map(|row| [pixel(row, h.first), pixel(row, h.second)]);
                                *out = mixed(corners, y.past, h.past);
                            }
                        }
                    }
                    Ok(())
                },
            )
        }
        (_, other) => return unsupported(format!("bilinear pixels of {other}")),
    };
    Ok(Lowered::step(shape, step))
}

fn grid(operator: &Operator<'_>) -> Grid {
    let table = &operator.table;
    let options = if operator.code == B::RESIZE_BILINEAR {
        table
            .builtin_options_as_resize_bilinear_options()
            .map(|options| (options.align_corners(), options.half_pixel_centers()))
    } else {
        table
            .builtin_options_as_resize_nearest_neighbor_options()
            .map(|options| (options.align_corners(), options.half_pixel_centers()))
    };
    let (align_corners, half_pixel_centers) = options.unwrap_or_default();
    Grid {
        align_corners,
        half_pixel_centers,
    }
}
