//! Looking at an operator's tensors and options while it is lowered.

use crate::graph::{Operator, Scales};
use crate::lower::{Lowering, Refusal};
use crate::{DType, Quantization};

/// A tensor an operator reads or writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Argument<'l> {
    /// Index in the graph.
    pub(crate) tensor: usize,
    /// Element type.
    pub(crate) dtype: DType,
    /// Dimensions; of an output, as the file has them.
    pub(crate) shape: &'l [usize],
    /// Quantisation, if it is quantised.
    pub(crate) scales: Option<&'l Scales>,
    /// Elements of a constant, little-endian.
    pub(crate) constant: Option<&'l [u8]>,
    name: &'l str,
}

/// An operator that contradicts its tensors.
pub(crate) fn broken<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(reason.into()))
}

/// A sound operator that is not covered.
pub(crate) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unsupported(reason.into()))
}

impl Lowering<'_, '_> {
    fn argument(&self, tensor: usize) -> Argument<'_> {
        let spec = &self.graph.tensors[tensor];
        Argument {
            tensor,
            // Checked for all tensors of an operator before it is lowered.
            dtype: spec.dtype.unwrap_or(DType::U8),
            shape: &self.shapes[tensor],
            scales: spec.scales.as_ref(),
            constant: self.constants[tensor].as_deref(),
            name: spec.name,
        }
    }

    /// Input `index`, which must be there.
    pub(crate) fn input(
        &self,
        operator: &Operator<'_>,
        index: usize,
    ) -> Result<Argument<'_>, Refusal> {
        self.optional(operator, index)
            .ok_or_else(|| Refusal::Broken(format!("its input {index} is missing")))
    }

    /// Input `index`, if it is there.
    pub(crate) fn optional(&self, operator: &Operator<'_>, index: usize) -> Option<Argument<'_>> {
        let tensor = operator.inputs.get(index).copied().flatten()?;
        Some(self.argument(tensor))
    }

    /// Output `index`, with the shape of the file.
    pub(crate) fn output(
        &self,
        operator: &Operator<'_>,
        index: usize,
    ) -> Result<Argument<'_>, Refusal> {
        match operator.outputs.get(index) {
            Some(&tensor) => Ok(self.argument(tensor)),
            None => broken(format!("its output {index} is missing")),
        }
    }
}

impl<'l> Argument<'l> {
    /// Elements.
    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Refuses other element types than `dtype`.
    pub(crate) fn expect(&self, dtype: DType) -> Result<(), Refusal> {
        if self.dtype == dtype {
            Ok(())
        } else {
            unsupported(format!(
                "tensor `{}` is {}, {dtype} is due",
                self.name, self.dtype
            ))
        }
    }

    /// Scale and zero point of a tensor quantised as a whole.
    pub(crate) fn quantization(&self) -> Result<Quantization, Refusal> {
        match self.scales.map(Scales::per_tensor) {
            Some(Some(quantization)) => Ok(quantization),
            Some(None) => unsupported(format!("tensor `{}` has more than one scale", self.name)),
            None => broken(format!(
                "tensor `{}` is {} without a scale",
                self.name, self.dtype
            )),
        }
    }

    /// Elements of a constant of 32 or 64-bit integers: axes, sizes, paddings.
    pub(crate) fn integers(&self) -> Result<Vec<i64>, Refusal> {
        let Some(bytes) = self.constant else {
            return unsupported(format!("tensor `{}` is not a constant", self.name));
        };
        match self.dtype {
            DType::I32 => Ok(words::<4>(bytes)
                .map(|w| i64::from(i32::from_le_bytes(w)))
                .collect()),
            DType::I64 => Ok(words::<8>(bytes).map(i64::from_le_bytes).collect()),
            other => broken(format!(
                "tensor `{}` is {other}, integers are due",
                self.name
            )),
        }
    }

    /// Elements of a constant of 32-bit floats.
    pub(crate) fn floats(&self) -> Result<Vec<f32>, Refusal> {
        self.expect(DType::F32)?;
        let Some(bytes) = self.constant else {
            return unsupported(format!("tensor `{}` is not a constant", self.name));
        };
        Ok(words::<4>(bytes).map(f32::from_le_bytes).collect())
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes
        .chunks_exact(N)
        .filter_map(|chunk| chunk.try_into().ok())
}

/// An axis counted from the front or, negative, from the back.
pub(crate) fn axis(value: i64, rank: usize) -> Result<usize, Refusal> {
    let counted = if value < 0 {
        value + rank as i64
    } else {
        value
    };
    usize::try_from(counted)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| Refusal::Broken(format!("axis {value} of {rank} dimensions")))
}
