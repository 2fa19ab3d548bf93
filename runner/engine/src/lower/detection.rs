//! `TFLite_Detection_PostProcess`, the custom operator at the end of single-shot detectors.

use std::sync::Mutex;

use bytemuck::Pod;
use scalebench_kernels::detection::{Detections, Found, Suppression, decode};
use scalebench_kernels::element::{Element, Quantisation};
use scalebench_kernels::quantise::dequantise;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::{Lowered, Lowering, Outcome, Refusal};
use crate::reader::Options;
use crate::step::{Fault, Step, aligned, cut};

/// Name of the operator.
pub(super) const NAME: &str = "TFLite_Detection_PostProcess";
/// Most detections asked for; with fewer boxes than that the rest is 0.
const MOST: f64 = 1e5;

/// Floats, whether they come as such or quantised.
#[derive(Clone, Copy)]
struct Reals {
    dtype: DType,
    from: Option<Quantisation>,
    count: usize,
}

impl Reals {
    fn of(input: &Argument<'_>) -> Result<Self, Refusal> {
        let from = match input.dtype {
            DType::F32 => None,
            DType::I8 | DType::U8 => Some(input.quantisation()?),
            other => return unsupported(format!("elements of {other}")),
        };
        Ok(Self {
            dtype: input.dtype,
            from,
            count: input.elements(),
        })
    }

    /// The elements of `bytes` as floats, in `own` if they must be converted.
    fn read<'a>(self, bytes: &'a [u8], own: &'a mut [f32]) -> Result<&'a [f32], Fault> {
        fn real<T: Element + Pod>(
            from: Quantisation,
            bytes: &[u8],
            own: &mut [f32],
        ) -> Result<(), Fault> {
            Ok(dequantise(from, bytemuck::cast_slice::<_, T>(bytes), own)?)
        }
        match (self.from, self.dtype) {
            (None, _) => return Ok(bytemuck::cast_slice(bytes)),
            (Some(from), DType::I8) => real::<i8>(from, bytes, own)?,
            (Some(from), _) => real::<u8>(from, bytes, own)?,
        }
        Ok(own)
    }

    /// Floats of scratch that takes.
    fn scratch(self) -> usize {
        if self.from.is_some() { self.count } else { 0 }
    }
}

/// The options, as `Init` (tflite/kernels/detection_postprocess.cc) takes them.
struct Asked {
    suppression: Suppression,
    by_class: bool,
    scales: [f32; 4],
}

fn asked(operator: &Operator<'_>, scores: usize) -> Result<Asked, Refusal> {
    let bytes = operator.table.custom_options().map(|list| list.bytes());
    let Some(options) = bytes.and_then(Options::read) else {
        return broken("its options are no map of numbers");
    };
    let number = |name: &str| {
        let number = options.number(name).filter(|number| number.is_finite());
        number.ok_or_else(|| Refusal::Broken(format!("its option `{name}` is missing")))
    };
    let count = |name: &str| match number(name)? {
        count if (1.0..=MOST).contains(&count) => Ok(count as usize),
        count => broken(format!("its option `{name}` is {count}")),
    };
    let scale = |name: &str| match number(name)? as f32 {
        scale if scale > 0.0 => Ok(scale),
        scale => broken(format!("its option `{name}` is {scale}")),
    };
    let classes = count("num_classes")?;
    if scores != classes && scores != classes + 1 {
        return broken(format!("{scores} scores of {classes} classes"));
    }
    let by_class = options.number("use_regular_nms").unwrap_or(0.0) != 0.0;
    let overlap = number("nms_iou_threshold")? as f32;
    if !(overlap > 0.0 && overlap <= 1.0) {
        return broken(format!("its option `nms_iou_threshold` is {overlap}"));
    }
    Ok(Asked {
        suppression: Suppression {
            classes,
            scores,
            most: count("max_detections")?,
            most_of_class: match options.number("detections_per_class") {
                Some(_) => count("detections_per_class")?,
                None => 100,
            },
            classes_of_box: count("max_classes_per_detection")?,
            least_score: number("nms_score_threshold")? as f32,
            overlap,
        },
        by_class,
        scales: [
            scale("y_scale")?,
            scale("x_scale")?,
            scale("h_scale")?,
            scale("w_scale")?,
        ],
    })
}

pub(super) fn post_process(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let (encodings, scores) = (cx.input(operator, 0)?, cx.input(operator, 1)?);
    let anchors = cx.input(operator, 2)?;
    let (&[1, boxes, numbers], &[1, rows, columns], &[count, 4]) =
        (encodings.shape, scores.shape, anchors.shape)
    else {
        return broken(format!(
            "boxes of the shape {:?}, scores of {:?}, anchors of {:?}",
            encodings.shape, scores.shape, anchors.shape
        ));
    };
    if boxes != rows || boxes != count || numbers < 4 || boxes > u32::MAX as usize {
        return broken(format!(
            "{boxes} boxes of {numbers} numbers, {rows} of scores, {count} anchors"
        ));
    }
    let Asked {
        suppression,
        by_class,
        scales,
    } = asked(operator, columns)?;
    let outputs = (0..4)
        .map(|index| cx.output(operator, index))
        .collect::<Result<Vec<_>, _>>()?;
    for output in &outputs {
        output.expect(DType::F32)?;
    }
    let inputs = [encodings, scores, anchors];
    let reals = [
        Reals::of(&inputs[0])?,
        Reals::of(&inputs[1])?,
        Reals::of(&inputs[2])?,
    ];
    // No plain bytes, so not in the arena. Only ever one inference uses it.
    let found = Mutex::new(vec![Found::default(); suppression.found_len(boxes)]);
    let scratch = reals.map(Reals::scratch);
    let work = move |io: &mut crate::step::Io<'_>| {
        let (corners, rest) = cut::<f32>(io.scratch, boxes * 4)?;
        let (own, rest) = cut::<f32>(rest, scratch[0])?;
        let encodings = reals[0].read(io.inputs[0], own)?;
        let (own, rest) = cut::<f32>(rest, scratch[1])?;
        let scores = reals[1].read(io.inputs[1], own)?;
        let (own, _) = cut::<f32>(rest, scratch[2])?;
        let anchors = reals[2].read(io.inputs[2], own)?;
        decode(scales, numbers, encodings, anchors, corners)?;
        let mut found = found
            .try_lock()
            .map_err(|_| Fault::Value("a second inference runs at the same time"))?;
        let [boxes, classes, of, number] = &mut io.outputs;
        let out = Detections {
            boxes: bytemuck::cast_slice_mut(boxes),
            classes: bytemuck::cast_slice_mut(classes),
            scores: bytemuck::cast_slice_mut(of),
        };
        let many = if by_class {
            suppression.by_class(corners, scores, &mut found, out)?
        } else {
            suppression.at_once(corners, scores, &mut found, out)?
        };
        bytemuck::cast_slice_mut(number).fill(many as f32);
        Ok(())
    };
    let [boxes_out, ..] = outputs.as_slice() else {
        return broken("it has no outputs");
    };
    let path = "detections";
    let tensors = inputs.map(|input| input.tensor);
    let mut step = Step::new(path, tensors, boxes_out.tensor, work).scratch(
        aligned(boxes * 4 * size_of::<f32>())
            + scratch
                .map(|count| aligned(count * size_of::<f32>()))
                .iter()
                .sum::<usize>(),
    );
    step.outputs = outputs.iter().map(|output| output.tensor).collect();
    let places = suppression.places();
    Ok(Lowered {
        shapes: vec![
            vec![1, places, 4],
            vec![1, places],
            vec![1, places],
            vec![1],
        ],
        outcome: Outcome::Steps(vec![step]),
    })
}
