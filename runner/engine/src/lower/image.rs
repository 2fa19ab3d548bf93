//! `RESIZE_NEAREST_NEIGHBOR` and `RESIZE_BILINEAR`.

use bytemuck::Pod;
use scalebench_kernels::Error;
use scalebench_kernels::resize::Resize;
use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{broken, unsupported};
use crate::lower::movement::{Movement, moved};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

/// Pixels repeated or left out.
struct Nearest(Resize);

impl Movement for Nearest {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.0.nearest(x, out)
    }
}

pub(super) fn resize(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(input.dtype)?;
    let sizes = cx.input(operator, 1)?.integers()?;
    // The kernel counts positions in 32 bits with ten of fraction.
    let extent = |&size: &usize| size > 0 && size <= 1 << 20;
    let size: Vec<usize> = sizes
        .iter()
        .filter_map(|&size| usize::try_from(size).ok())
        .collect();
    let (&[batch, height, width, channels], &[rows, columns]) = (input.shape, size.as_slice())
    else {
        return broken(format!("{:?} resized to {sizes:?}", input.shape));
    };
    if channels == 0 || ![rows, columns, height, width].iter().all(extent) {
        return broken(format!("{:?} resized to {sizes:?}", input.shape));
    }
    let table = &operator.table;
    let options = if operator.code == B::RESIZE_BILINEAR {
        let options = table.builtin_options_as_resize_bilinear_options();
        options.map(|o| (o.align_corners(), o.half_pixel_centers()))
    } else {
        let options = table.builtin_options_as_resize_nearest_neighbor_options();
        options.map(|o| (o.align_corners(), o.half_pixel_centers()))
    };
    let (align_corners, half_pixel_centers) = options.unwrap_or_default();
    let kernel = Resize {
        input: [batch, height, width, channels],
        size: [rows, columns],
        align_corners,
        half_pixel_centers,
    };
    let shape = vec![batch, rows, columns, channels];
    if operator.code == B::RESIZE_NEAREST_NEIGHBOR {
        return moved("nearest pixels", &input, &output, shape, Nearest(kernel));
    }
    let (path, from, to) = ("bilinear pixels", [input.tensor], output.tensor);
    let step = match input.dtype {
        DType::F32 => Step::new(path, from, to, move |io| {
            let (x, out) = io.unary::<f32, f32>();
            Ok(kernel.bilinear(x, out, |x| x, |x| x)?)
        }),
        DType::U8 => Step::new(path, from, to, move |io| {
            let (x, out) = io.unary::<u8, u8>();
            Ok(kernel.bilinear(x, out, f32::from, |x| x.round() as u8)?)
        }),
        DType::I8 => Step::new(path, from, to, move |io| {
            let (x, out) = io.unary::<i8, i8>();
            Ok(kernel.bilinear_quantised(x, out)?)
        }),
        DType::I16 => Step::new(path, from, to, move |io| {
            let (x, out) = io.unary::<i16, i16>();
            Ok(kernel.bilinear_quantised(x, out)?)
        }),
        other => return unsupported(format!("bilinear pixels of {other}")),
    };
    Ok(Lowered::step(shape, step))
}
