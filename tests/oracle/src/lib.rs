//! What the TFLite reference kernels answer: single operators with inputs and outputs, for tests.
//!
//! The cases are made by `make.py` beside this crate; `case.py` specifies the file. A bounded set
//! lies in `fixtures/`; `SCALEBENCH_CASES=DIR` makes tests read another folder instead, so that
//! thousands can be made for a deep run.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

/// One operator, its tensors with their contents, and the model that holds it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique within the set, such as `conv.7`.
    pub name: String,
    /// The schema's name of the operator, such as `CONV_2D`.
    pub op: String,
    /// The operator's fields as the schema's table has them, such as `strideW`; only those set.
    pub options: Map<String, Value>,
    /// All tensors: constants, fed inputs, and outputs with what the reference answers.
    pub tensors: Vec<Tensor>,
    /// The operator's inputs as indices into `tensors`, `None` for one left out.
    pub inputs: Vec<Option<usize>>,
    /// The operator's outputs as indices into `tensors`.
    pub outputs: Vec<usize>,
    /// The inputs that are not constants, in the order of the model's inputs.
    pub fed: Vec<usize>,
    /// The `.tflite` file.
    pub model: Vec<u8>,
}

/// A tensor and its contents.
#[derive(Debug, Clone, Deserialize)]
pub struct Tensor {
    /// `float32`, `float16`, `int8`, `uint8`, `int16`, `int32`, `int64` or `bool`.
    pub dtype: String,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Empty if not quantised, else one, or one for each channel of `axis`.
    pub scale: Vec<f32>,
    /// As many as `scale`.
    pub zero_point: Vec<i64>,
    /// The axis of per-channel quantisation.
    pub axis: usize,
    bytes: usize,
    /// Little-endian elements.
    #[serde(skip)]
    pub data: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    op: String,
    options: Map<String, Value>,
    tensors: Vec<Tensor>,
    inputs: Vec<isize>,
    outputs: Vec<usize>,
    fed: Vec<usize>,
    model_bytes: usize,
}

/// The folder the cases are read from.
pub fn folder() -> PathBuf {
    std::env::var_os("SCALEBENCH_CASES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"),
        PathBuf::from,
    )
}

/// All cases of one file of [`folder`], such as `conv` for `conv.cases`.
///
/// # Panics
/// If the file is absent or broken: a test without its cases has shown nothing.
pub fn cases(name: &str) -> Vec<Case> {
    let path = folder().join(name).with_extension("cases");
    let bytes = std::fs::read(&path).unwrap_or_else(|why| {
        panic!(
            "{}: {why}: make it with tests/oracle/make.py",
            path.display()
        )
    });
    let mut rest = bytes.as_slice();
    let mut cases = Vec::new();
    while !rest.is_empty() {
        cases.push(decode(&mut rest));
    }
    assert!(!cases.is_empty(), "{} is empty", path.display());
    cases
}

/// The names of all case files of [`folder`], sorted.
///
/// # Panics
/// If the folder cannot be read.
pub fn names() -> Vec<String> {
    let folder = folder();
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            (path.extension()? == "cases").then_some(path.file_stem()?.to_str()?.to_owned())
        })
        .collect();
    names.sort();
    names
}

fn decode(rest: &mut &[u8]) -> Case {
    let mut take = |count: usize| rest.split_off(..count).expect("a whole case").to_vec();
    let length = u32::from_le_bytes(take(4).try_into().expect("four bytes"));
    let mut header: Header = serde_json::from_slice(&take(length as usize)).expect("a header");
    for tensor in &mut header.tensors {
        tensor.data = take(tensor.bytes);
    }
    Case {
        name: header.name,
        op: header.op,
        options: header.options,
        tensors: header.tensors,
        inputs: header
            .inputs
            .into_iter()
            .map(|index| usize::try_from(index).ok())
            .collect(),
        outputs: header.outputs,
        fed: header.fed,
        model: take(header.model_bytes),
    }
}

impl Case {
    /// The `index`-th input of the operator, if it is there.
    pub fn input(&self, index: usize) -> Option<&Tensor> {
        self.inputs
            .get(index)
            .copied()
            .flatten()
            .map(|tensor| &self.tensors[tensor])
    }

    /// The first output.
    pub fn output(&self) -> &Tensor {
        &self.tensors[self.outputs[0]]
    }

    /// An integer or boolean option; 0 if the file does not set it.
    pub fn int(&self, name: &str) -> i64 {
        self.options.get(name).map_or(0, |value| {
            value
                .as_i64()
                .unwrap_or_else(|| i64::from(value.as_bool() == Some(true)))
        })
    }

    /// A float option; 0 if the file does not set it.
    pub fn float(&self, name: &str) -> f32 {
        self.options
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or(0.0) as f32
    }
}

/// An element type of a [`Tensor`].
pub trait Element: Copy {
    /// The name in [`Tensor::dtype`].
    const DTYPE: &'static str;
    /// From little-endian bytes.
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! elements {
    ($($kind:ty = $name:literal),*) => {$(
        impl Element for $kind {
            const DTYPE: &'static str = $name;
            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("an element's bytes"))
            }
        }
    )*};
}
elements!(
    f32 = "float32",
    i8 = "int8",
    u8 = "uint8",
    i16 = "int16",
    i32 = "int32",
    i64 = "int64"
);

impl Tensor {
    /// The contents as elements.
    ///
    /// # Panics
    /// If the tensor is of another type.
    pub fn elements<T: Element>(&self) -> Vec<T> {
        assert_eq!(self.dtype, T::DTYPE);
        self.data
            .chunks_exact(size_of::<T>())
            .map(T::read)
            .collect()
    }
}
