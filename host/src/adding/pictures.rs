//! Pictures of a folder, at the resolutions that models take.

use super::AddError;
use super::labels::Labels;
use super::sizes::Size;
use image::imageops::FilterType;
use scalebench_engine::DType;
use std::fs;
use std::path::{Path, PathBuf};

/// Ranges that models are trained with: what bytes 0 and 255 stand for.
const RANGES: [[f32; 2]; 3] = [[0.0, 1.0], [-1.0, 1.0], [0.0, 255.0]];
/// How far an int8 input's range may be from one of [`RANGES`], as a share of it.
const NEAR: f32 = 0.02;

/// What is in a folder, by name.
pub(super) fn listed(folder: &Path) -> Result<Vec<PathBuf>, AddError> {
    let entries = fs::read_dir(folder).map_err(AddError::read(folder))?;
    let paths: Result<Vec<_>, _> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(AddError::read(folder))?;
    paths.sort();
    Ok(paths)
}

/// Whether a file is called like a picture that is read here.
pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        ["png", "jpg", "jpeg"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// What models take of a picture: of each channel its share of white, less a mean, by a deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Normal {
    /// Mean of each channel, in shares of white.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, in shares of white.
    pub deviation: Vec<f32>,
}

impl Normal {
    /// The little-endian floats that models take of `bytes`, channels of a pixel side by side.
    pub(super) fn apply(&self, bytes: &[u8], channels: usize) -> Result<Vec<u8>, AddError> {
        if [self.mean.len(), self.deviation.len()] != [channels; 2] {
            return Err(AddError::Option(format!(
                "--mean has {} numbers and --deviation {}, but pictures have {channels} channels: give one for each",
                self.mean.len(),
                self.deviation.len()
            )));
        }
        let by_channel = self.mean.iter().zip(&self.deviation).cycle();
        let floats = bytes.iter().zip(by_channel);
        Ok(floats
            .flat_map(|(&byte, (mean, deviation))| {
                ((f32::from(byte) / 255.0 - mean) / deviation).to_le_bytes()
            })
            .collect())
    }
}

/// Height, width and channels of a model's only input.
pub(super) fn shape(size: &Size) -> Result<[u32; 3], AddError> {
    match size.inputs().as_slice() {
        [shape] if shape.len() == 3 && matches!(shape[2], 1 | 3) => {
            Ok([shape[0], shape[1], shape[2]])
        }
        inputs => Err(AddError::file(
            &size.path,
            format!(
                "its inputs have the shapes {inputs:?}, and pictures have [height, width, 1 or 3]: give arrays instead"
            ),
        )),
    }
}

/// Pictures as models take them.
pub(super) struct Pictures {
    /// Bytes at each resolution, one picture after the other.
    pub(super) bytes: Vec<Vec<u8>>,
    /// Width and height of each picture in its file.
    pub(super) originals: Vec<[u32; 2]>,
}

/// The labelled pictures at each of `shapes`.
pub(super) fn read(labels: &Labels, shapes: &[[u32; 3]]) -> Result<Pictures, AddError> {
    let mut bytes = vec![Vec::new(); shapes.len()];
    let mut originals = Vec::new();
    for path in &labels.files {
        let reader = image::ImageReader::open(path).map_err(AddError::read(path))?;
        let reader = reader.with_guessed_format().map_err(AddError::read(path))?;
        let picture = reader.decode().map_err(|error| {
            let what = format!("is no picture that can be read ({error}): give PNG or JPEG");
            AddError::file(path, what)
        })?;
        originals.push([picture.width(), picture.height()]);
        for (bytes, &[height, width, channels]) in bytes.iter_mut().zip(shapes) {
            let fits = (picture.width(), picture.height()) == (width, height);
            let resized = if fits {
                picture.clone()
            } else {
                picture.resize_exact(width, height, FilterType::Triangle)
            };
            if channels == 1 {
                bytes.extend(resized.into_luma8().into_raw());
            } else {
                bytes.extend(resized.into_rgb8().into_raw());
            }
        }
    }
    Ok(Pictures { bytes, originals })
}

/// What bytes 0 and 255 stand for: as asked, else as the int8 models among `sizes` tell.
pub(super) fn range(wanted: Option<[f32; 2]>, sizes: &[Size]) -> Result<[f32; 2], AddError> {
    if let Some(range) = wanted {
        return Ok(range);
    }
    let told: Vec<[f32; 2]> = sizes.iter().filter_map(told).collect();
    match told.as_slice() {
        [first, rest @ ..] if rest.iter().all(|range| range == first) => Ok(*first),
        _ => Err(AddError::Option(
            "these models do not tell what numbers their pictures are: say with --range what black and white stand for, as 0,1 or -1,1 or 0,255".to_owned(),
        )),
    }
}

/// The range that a quantised input holds, if it is a usual one.
fn told(size: &Size) -> Option<[f32; 2]> {
    let input = size.model.inputs().first()?;
    let [least, most] = match input.dtype {
        DType::I8 => [-128, 127],
        DType::U8 => [0, 255],
        _ => return None,
    };
    let quantisation = input.quantization?;
    let real = |value: i32| (value - quantisation.zero_point) as f32 * quantisation.scale;
    let (low, high) = (real(least), real(most));
    RANGES.into_iter().find(|&[black, white]| {
        let most = NEAR * (white - black);
        (low - black).abs() <= most && (high - white).abs() <= most
    })
}
