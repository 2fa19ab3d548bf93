//! Samples as a dataset stores them.

use super::labels::Labels;
use super::sizes::Size;
use super::{AddError, Wishes, npy, pictures};
use scalebench_engine::DType;
use scalebench_models::container::{Dtype, InputSpec};

/// An evaluation set for models with inputs of these shapes.
pub(super) struct Samples {
    pub(super) name: String,
    pub(super) count: u32,
    pub(super) inputs: Vec<Input>,
    /// Width and height of each picture in its file.
    pub(super) originals: Vec<[u32; 2]>,
    /// In words how files became this.
    pub(super) how: String,
}

/// One input of all samples.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) shape: Vec<u32>,
    pub(super) spec: InputSpec,
    pub(super) bytes: Vec<u8>,
}

impl Samples {
    /// Whether a model's inputs have these shapes, sides of one aside.
    pub(super) fn suits(&self, size: &Size) -> bool {
        let inputs = size.inputs();
        inputs.len() == self.inputs.len()
            && inputs
                .iter()
                .zip(&self.inputs)
                .all(|(theirs, ours)| sides(theirs).eq(sides(&ours.shape)))
    }

    /// The stored bytes of one input of one sample.
    pub(super) fn sample(&self, input: usize, sample: u32) -> &[u8] {
        let input = &self.inputs[input];
        let length = input.spec.sample_bytes() as usize;
        let at = sample as usize * length;
        &input.bytes[at..at + length]
    }
}

fn sides(shape: &[u32]) -> impl Iterator<Item = u32> + '_ {
    shape.iter().copied().filter(|&side| side != 1)
}

/// Pictures of a folder, once for each resolution; or arrays.
pub(super) fn load(
    wishes: &Wishes,
    sizes: &[Size],
    labels: &Labels,
) -> Result<Vec<Samples>, AddError> {
    match wishes.data.as_slice() {
        [only] if only.path.is_dir() => of_pictures(wishes, sizes, labels),
        sources if sources.iter().any(|source| source.path.is_dir()) => Err(AddError::Option(
            "one folder of pictures is all the data there can be: give only that, or arrays"
                .to_owned(),
        )),
        _ => Ok(vec![of_arrays(wishes, sizes, labels)?]),
    }
}

fn of_pictures(wishes: &Wishes, sizes: &[Size], labels: &Labels) -> Result<Vec<Samples>, AddError> {
    let (dtype, scale, offset, taken) = match &wishes.normal {
        Some(pictures::Normal { mean, deviation }) => {
            let taken = format!(
                "stored as floats: each channel's byte / 255, less {mean:?}, by {deviation:?}."
            );
            (Dtype::F32, 1.0, 0.0, taken)
        }
        None => {
            let [black, white] = pictures::range(wishes.range, sizes)?;
            let scale = (white - black) / 255.0;
            let taken = format!("stored as u8; a model takes byte * {scale} + {black}.");
            (Dtype::U8, scale, black, taken)
        }
    };
    let shapes: Result<Vec<_>, _> = sizes.iter().map(pictures::shape).collect();
    let mut shapes = shapes?;
    shapes.sort_unstable();
    shapes.dedup();
    let pictures::Pictures { bytes, originals } = pictures::read(labels, &shapes)?;
    let how = format!(
        "PNG and JPEG files, transparency and EXIF orientation ignored, turned grey where a model takes one channel, \
         resized with a triangle filter and without cropping to the model's resolution, {taken}"
    );
    let sets = shapes.into_iter().zip(bytes).map(|(shape, bytes)| {
        let [height, width, channels] = shape;
        let bytes = match &wishes.normal {
            Some(normal) => normal.apply(&bytes, channels as usize)?,
            None => bytes,
        };
        Ok(Samples {
            name: format!("pictures-{height}x{width}x{channels}"),
            count: labels.len() as u32,
            inputs: vec![Input {
                name: "picture".to_owned(),
                shape: shape.to_vec(),
                spec: InputSpec {
                    dtype,
                    elements: shape.iter().product(),
                    scale,
                    offset,
                },
                bytes,
            }],
            originals: originals.clone(),
            how: how.clone(),
        })
    });
    sets.collect()
}

fn of_arrays(wishes: &Wishes, sizes: &[Size], labels: &Labels) -> Result<Samples, AddError> {
    if wishes.normal.is_some() {
        let what = "--mean and --deviation are for a folder of pictures: save arrays as the model takes them";
        return Err(AddError::Option(what.to_owned()));
    }
    let model = &sizes[0];
    let inputs = model.model.inputs();
    if inputs.len() != wishes.data.len() {
        return Err(AddError::Option(format!(
            "{} takes {} inputs, but --data names {} arrays: give one for each, in the model's order ({})",
            model.path.display(),
            inputs.len(),
            wishes.data.len(),
            inputs
                .iter()
                .map(|input| crate::text::escaped(&input.name))
                .collect::<Vec<_>>()
                .join(", ")
        )));
    }
    let mut found = Vec::new();
    for ((source, input), shape) in wishes.data.iter().zip(inputs).zip(model.inputs()) {
        let path = &source.path;
        let mut array = npy::read(source)?;
        let count = array.shape.first().copied().unwrap_or(0);
        if count != labels.given {
            let what = format!(
                "has {count} samples, but {} are labelled: give both for the same samples",
                labels.given
            );
            return Err(AddError::file(path, what));
        }
        let own: Vec<u32> = array
            .shape
            .iter()
            .skip(1)
            .map(|&side| side as u32)
            .collect();
        if !sides(&own).eq(sides(&shape)) {
            let what = format!(
                "a sample has the shape {own:?}, but input `{}` of {} takes {shape:?}: save the array in that shape",
                crate::text::escaped(&input.name),
                model.path.display()
            );
            return Err(AddError::file(path, what));
        }
        if let Some(sample) = array.odd() {
            let what = format!(
                "sample {sample} holds a value that is not finite: leave it out, or put a number there"
            );
            return Err(AddError::file(path, what));
        }
        let plain = input.dtype != DType::F32 && input.quantization.is_none();
        if plain && array.dtype == Dtype::F32 {
            let what = format!(
                "holds floats, but input `{}` takes whole numbers: save array.astype('int32')",
                crate::text::escaped(&input.name)
            );
            return Err(AddError::file(path, what));
        }
        let (scale, offset) = match wishes.range {
            None => (1.0, 0.0),
            Some([low, high]) if array.dtype == Dtype::U8 => ((high - low) / 255.0, low),
            Some(_) => {
                let what = "--range is for bytes, and these are none: save the numbers that the model takes";
                return Err(AddError::file(path, what));
            }
        };
        let elements: u32 = shape.iter().product();
        let length = labels.len() * elements as usize * array.dtype.size();
        array.bytes.truncate(length);
        let name = crate::text::escaped(input.name.trim());
        found.push(Input {
            name: if name.is_empty() {
                "input".to_owned()
            } else {
                name
            },
            shape,
            spec: InputSpec {
                dtype: array.dtype,
                elements,
                scale,
                offset,
            },
            bytes: array.bytes,
        });
    }
    let how = match wishes.range {
        Some([low, high]) => format!(
            "Arrays of bytes as given; a model takes byte * {} + {low}.",
            (high - low) / 255.0
        ),
        None => "Arrays as given: a model takes their numbers.".to_owned(),
    };
    Ok(Samples {
        name: "samples".to_owned(),
        count: labels.len() as u32,
        inputs: found,
        originals: Vec::new(),
        how,
    })
}
