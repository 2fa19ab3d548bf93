//! The one tract operator of this engine: a [`Step`] with the facts of what it writes.
//!
//! A session runs its kernel on the arena; where tract itself walks the model, [`EvalOp::eval`] runs the same
//! kernel on tensors of its own.

use tract_core::internal::*;

use crate::step::{Io, MOST, Step};
use crate::tensor::AlignedBytes;

/// A step as tract sees it.
#[derive(Debug, Clone)]
pub(crate) struct KernelOp {
    /// Type of the operator in the file.
    pub(crate) name: Arc<str>,
    /// What it does.
    pub(crate) step: Arc<Step>,
    /// What it writes.
    pub(crate) facts: TVec<TypedFact>,
}

impl PartialEq for KernelOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.step, &other.step)
    }
}

impl Eq for KernelOp {}

impl Op for KernelOp {
    fn name(&self) -> StaticName {
        self.name.to_string().into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![self.step.path.into()])
    }

    op_as_typed_op!();
}

impl EvalOp for KernelOp {
    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        ensure!(
            inputs.len() <= MOST && self.facts.len() <= MOST,
            "too many tensors"
        );
        let mut outputs = self
            .facts
            .iter()
            .map(|fact| {
                let shape = fact.shape.as_concrete().context("a shape with symbols")?;
                Tensor::zero_aligned_dt(fact.datum_type, shape, AlignedBytes::ALIGNMENT)
            })
            .collect::<TractResult<Vec<_>>>()?;
        let mut scratch =
            Tensor::zero_aligned_dt(DatumType::U8, &[self.step.scratch], AlignedBytes::ALIGNMENT)?;
        let mut io = Io {
            scratch: scratch.as_bytes_mut(),
            ..Io::default()
        };
        for (slot, output) in io.outputs.iter_mut().zip(&mut outputs) {
            *slot = output.as_bytes_mut();
        }
        let begun = usize::from(self.step.in_place);
        for (slot, input) in io.inputs.iter_mut().zip(&inputs[begun..]) {
            *slot = input.as_bytes();
        }
        if self.step.in_place {
            io.outputs[0].copy_from_slice(inputs[0].as_bytes());
        }
        (self.step.work)(&mut io).map_err(|fault| format_err!("{}: {fault}", self.name))?;
        Ok(outputs.into_iter().map(TValue::from).collect())
    }

    op_out_of_plan!();
}

impl TypedOp for KernelOp {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.clone())
    }

    fn cost(&self, _: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let datum = self
            .facts
            .first()
            .map_or(DatumType::U8, |fact| fact.datum_type);
        Ok(tvec!((Cost::FMA(datum), TDim::from(self.step.macs as i64))))
    }

    as_op!();
}
