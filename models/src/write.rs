//! Writers of the containers, the counterpart of [`crate::container`]'s parsers. Runs on the laptop.

use crate::container::{
    DATASET_MAGIC, DATASET_VERSION, GOLDEN_MAGIC, GOLDEN_VERSION, InputSpec, LabelKind, TensorSpec,
};

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A dataset file's bytes. `inputs` holds for each input its description and all samples one after
/// another; `labels` all labels one after another. Lengths are not checked here: parse the result.
pub fn dataset(
    samples: u32,
    inputs: &[(InputSpec, &[u8])],
    kind: LabelKind,
    labels: &[u8],
) -> Vec<u8> {
    let (code, classes, count, scale, offset) = match kind {
        LabelKind::None => (0, 0, 0, 1.0, 0.0),
        LabelKind::Class { classes } => (1, classes, 1, 1.0, 0.0),
        LabelKind::Values {
            count,
            scale,
            offset,
        } => (2, 0, count, scale, offset),
        LabelKind::Boxes { classes, slots } => (3, classes, slots, 1.0, 0.0),
    };
    let mut out = Vec::new();
    out.extend(DATASET_MAGIC);
    out.extend(DATASET_VERSION.to_le_bytes());
    out.extend([inputs.len() as u8, code]);
    out.extend(
        [samples, u32::from(classes), count]
            .map(u32::to_le_bytes)
            .concat(),
    );
    out.extend([scale, offset].map(f32::to_le_bytes).concat());
    out.extend([0; 4]);
    for (spec, _) in inputs {
        out.extend([spec.dtype as u8, 0, 0, 0]);
        out.extend(spec.elements.to_le_bytes());
        out.extend([spec.scale, spec.offset].map(f32::to_le_bytes).concat());
    }
    for section in inputs.iter().map(|(_, data)| *data).chain([labels]) {
        out.extend(section);
        pad(&mut out);
    }
    out
}

/// A golden vector file's bytes. Each vector holds its input tensors, then its output tensors, in the
/// order of `inputs` and `outputs`. Lengths are not checked here: parse the result.
pub fn golden(inputs: &[TensorSpec], outputs: &[TensorSpec], vectors: &[Vec<&[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(GOLDEN_MAGIC);
    out.extend(GOLDEN_VERSION.to_le_bytes());
    out.extend([inputs.len() as u8, outputs.len() as u8]);
    out.extend((vectors.len() as u32).to_le_bytes());
    out.extend([0; 4]);
    for TensorSpec { dtype, bytes } in inputs.iter().chain(outputs) {
        out.extend([*dtype as u8, 0, 0, 0]);
        out.extend(bytes.to_le_bytes());
    }
    for tensor in vectors.iter().flatten() {
        out.extend(*tensor);
        pad(&mut out);
    }
    out
}
