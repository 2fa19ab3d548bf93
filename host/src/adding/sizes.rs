//! The models of a family: names, precisions, costs.

use super::{AddError, MAX_FILE};
use scalebench_engine::{Limits, Model, ModelReport, TensorInfo, TensorReport};
use scalebench_models::{Build, Precision, Variant, is_name};
use std::fs;
use std::path::{Path, PathBuf};

/// One model file.
pub(super) struct Size {
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
    /// Name of the file without its ending, by which golden vectors are found.
    pub(super) stem: String,
    pub(super) variant: String,
    pub(super) precision: Precision,
    pub(super) parameters: u64,
    pub(super) macs: u64,
    pub(super) model: Model,
}

impl Size {
    /// The build of `variant` that this file is.
    pub(super) fn slot<'v>(&self, variant: &'v mut Variant) -> &'v mut Option<Build> {
        match self.precision {
            Precision::Float32 => &mut variant.float32,
            Precision::Int8 => &mut variant.int8,
            Precision::Dynamic => &mut variant.dynamic,
        }
    }

    /// Shapes of the inputs, without the batch.
    pub(super) fn inputs(&self) -> Vec<Vec<u32>> {
        let without_batch = |input: &TensorInfo| {
            let shape = input.shape.iter().skip(1);
            let shape: Vec<u32> = shape.map(|&side| side as u32).collect();
            if shape.is_empty() { vec![1] } else { shape }
        };
        self.model.inputs().iter().map(without_batch).collect()
    }

    /// Elements of the first output.
    pub(super) fn outputs(&self) -> usize {
        self.model.outputs().first().map_or(0, TensorInfo::elements)
    }
}

/// Reads and plans every model.
pub(super) fn load(files: &[PathBuf]) -> Result<Vec<Size>, AddError> {
    let mut sizes: Vec<Size> = Vec::new();
    for path in files {
        let size = read(path)?;
        let twin = sizes
            .iter()
            .find(|other| other.variant == size.variant && other.precision == size.precision);
        if let Some(twin) = twin {
            return Err(AddError::file(
                path,
                format!(
                    "is variant `{}` in {}, as {} is: rename one of the files",
                    size.variant,
                    size.precision,
                    twin.path.display()
                ),
            ));
        }
        if let Some(first) = sizes.first()
            && first.model.inputs().len() != size.model.inputs().len()
        {
            return Err(AddError::file(
                path,
                format!(
                    "has {} inputs, but {} has {}: sizes of one family take the same data",
                    size.model.inputs().len(),
                    first.path.display(),
                    first.model.inputs().len()
                ),
            ));
        }
        sizes.push(size);
    }
    Ok(sizes)
}

fn read(path: &Path) -> Result<Size, AddError> {
    let length = fs::metadata(path).map_err(AddError::read(path))?.len();
    if length > MAX_FILE {
        let what = format!("{length} bytes are too many: a model has at most {MAX_FILE}");
        return Err(AddError::file(path, what));
    }
    let content = fs::read(path).map_err(AddError::read(path))?;
    let refused = AddError::model(path);
    let model = Model::load(&content, &Limits::default()).map_err(&refused)?;
    let report = scalebench_engine::inspect(&content, &Limits::default()).map_err(&refused)?;
    if let Some(batched) = model.inputs().iter().find(|input| {
        input
            .shape
            .first()
            .is_some_and(|&batch| batch != 1 && input.shape.len() > 1)
    }) {
        return Err(AddError::file(
            path,
            format!(
                "input `{}` takes {} samples at once: convert the model with batch 1",
                crate::text::escaped(&batched.name),
                batched.shape[0]
            ),
        ));
    }
    if report.macs == 0 || report.parameters == 0 {
        let what = "has neither weights nor multiplications: nothing there scales";
        return Err(AddError::file(path, what));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let variant = variant(&stem);
    if !is_name(&variant) {
        let what = "its name has nothing to call a variant by: rename the file to a-z 0-9 . _ -";
        return Err(AddError::file(path, what));
    }
    Ok(Size {
        path: path.to_owned(),
        stem: stem.into_owned(),
        variant,
        precision: precision(&report),
        parameters: report.parameters,
        macs: report.macs,
        content,
        model,
    })
}

/// How the model holds its numbers: integers that are multiplied with weights make it int8, integer weights alone dynamic.
/// (What is looked up in a table of integers is made float again before it is multiplied.)
fn precision(report: &ModelReport) -> Precision {
    let small = |tensor: &TensorReport| {
        matches!(tensor.dtype.as_str(), "i8" | "u8") && tensor.quantization.is_some()
    };
    let operators = || report.operators.iter();
    let between = operators()
        .filter(|operator| operator.macs > 0)
        .flat_map(|operator| &operator.inputs)
        .any(|tensor| !tensor.constant && small(tensor));
    let weights = operators()
        .flat_map(|operator| &operator.inputs)
        .any(|tensor| tensor.constant && small(tensor));
    match (between, weights) {
        (true, _) => Precision::Int8,
        (false, true) => Precision::Dynamic,
        (false, false) => Precision::Float32,
    }
}

/// The variant's name: the file's, without what tells the precision.
fn variant(stem: &str) -> String {
    let mut name: String = stem
        .to_lowercase()
        .chars()
        .map(|char| match char {
            'a'..='z' | '0'..='9' | '.' | '_' | '-' => char,
            _ => '-',
        })
        .collect();
    const WORDS: [&str; 7] = [
        "int8", "float32", "dynamic", "fp32", "f32", "float", "quant",
    ];
    for word in WORDS {
        let shorter = name
            .strip_suffix(word)
            .and_then(|rest| rest.strip_suffix(['.', '_', '-']));
        if let Some(shorter) = shorter.filter(|rest| !rest.is_empty()) {
            name = shorter.to_owned();
            break;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::variant;

    #[test]
    fn a_variant_is_called_as_its_file_without_the_precision() {
        let names = [
            ("small.int8", "small"),
            ("w8-d2_float32", "w8-d2"),
            ("Net A", "net-a"),
            ("int8", "int8"),
            (".int8", ".int8"),
        ];
        for (stem, name) in names {
            assert_eq!(variant(stem), name);
        }
    }
}
