//! A checked model: what the reader hands to the lowering.

use std::borrow::Cow;
use std::fmt;

use tract_tflite::tflite;

use crate::{DType, LoadError, Quantization};

/// Most elements a tensor may have; the reference runtime counts in 32 bits as well.
pub(crate) const MOST_ELEMENTS: usize = i32::MAX as usize;

/// Affine quantisation, per tensor (one scale) or along one axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scales {
    /// Positive and finite, one, or one per index of `axis`.
    pub(crate) scales: Vec<f32>,
    /// As many as scales, each within the range of the element type.
    pub(crate) zero_points: Vec<i32>,
    /// Axis the scales go along, meaningful with more than one.
    pub(crate) axis: usize,
}

impl Scales {
    /// The one scale and zero point of a tensor quantised as a whole.
    pub(crate) fn per_tensor(&self) -> Option<Quantization> {
        match (self.scales.as_slice(), self.zero_points.as_slice()) {
            (&[scale], &[zero_point]) => Some(Quantization { scale, zero_point }),
            _ => None,
        }
    }
}

/// A tensor of the main subgraph.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    /// Name in the file, may be empty.
    pub(crate) name: &'a str,
    /// Element type; the file's own word for it if no operator here takes it.
    pub(crate) dtype: Result<DType, tflite::TensorType>,
    /// Dimensions as the file has them, those left open set to one.
    pub(crate) shape: Vec<usize>,
    /// Whether the file leaves a dimension, or the rank, open.
    pub(crate) open: bool,
    /// Quantisation of an integer tensor.
    pub(crate) scales: Option<Scales>,
    /// Elements of a constant, little-endian.
    pub(crate) data: Option<Cow<'a, [u8]>>,
    /// Whether its elements are stored in a sparse or otherwise special form.
    pub(crate) special: Option<&'static str>,
}

/// An operator of the main subgraph.
#[derive(Clone)]
pub(crate) struct Operator<'a> {
    /// Position in the file.
    pub(crate) index: usize,
    /// Type.
    pub(crate) code: tflite::BuiltinOperator,
    /// Type as a person knows it.
    pub(crate) name: Cow<'a, str>,
    /// Version in the file.
    pub(crate) version: i32,
    /// Tensors it reads; `None` for an optional one left out.
    pub(crate) inputs: Vec<Option<usize>>,
    /// Tensors it writes; at least one.
    pub(crate) outputs: Vec<usize>,
    /// The verified table, for its options.
    pub(crate) table: tflite::Operator<'a>,
}

impl fmt::Debug for Operator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {:?}", self.index, self.name, self.outputs)
    }
}

/// The main subgraph, in an order in which every tensor is written before it is read.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    /// All tensors.
    pub(crate) tensors: Vec<Tensor<'a>>,
    /// All operators, in execution order.
    pub(crate) operators: Vec<Operator<'a>>,
    /// Tensors the caller fills.
    pub(crate) inputs: Vec<usize>,
    /// Tensors the caller reads.
    pub(crate) outputs: Vec<usize>,
}

impl Graph<'_> {
    /// An error about a tensor.
    pub(crate) fn tensor_error(&self, index: usize, reason: impl Into<String>) -> LoadError {
        LoadError::Tensor {
            index,
            name: self.tensors[index].name.into(),
            reason: reason.into(),
        }
    }

    /// An error about an operator that contradicts its tensors.
    pub(crate) fn operator_error(
        &self,
        operator: &Operator,
        reason: impl Into<String>,
    ) -> LoadError {
        LoadError::Operator {
            index: operator.index,
            operator: operator.name.to_string(),
            output: self.output_name(operator),
            reason: reason.into(),
        }
    }

    /// An error about an operator that is sound but not covered.
    pub(crate) fn unsupported(&self, operator: &Operator, reason: impl Into<String>) -> LoadError {
        LoadError::Unsupported {
            index: operator.index,
            operator: operator.name.to_string(),
            version: operator.version,
            output: self.output_name(operator),
            reason: reason.into(),
        }
    }

    /// Name of the first tensor the operator writes.
    pub(crate) fn output_name(&self, operator: &Operator) -> String {
        operator
            .outputs
            .first()
            .map_or_else(String::new, |&t| self.tensors[t].name.into())
    }
}
