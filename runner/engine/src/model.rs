//! A loaded model: inputs in, one inference, outputs out.

use crate::lower::lower;
use crate::reader;
use crate::session::Session;
use crate::{DType, Isa, LoadError, RunError, TensorInfo};

/// What a model may ask for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes for activations, scratch and packed weights together.
    pub memory_bytes: u64,
    /// The instruction set that kernels may use: all of them compute the same integers.
    pub isa: Isa,
}

impl Default for Limits {
    /// One gibibyte, and what the processor has.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            isa: Isa::detect(),
        }
    }
}

/// A loaded, planned, ready-to-run model.
#[derive(Debug)]
pub struct Model {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    session: Session,
    operators: Vec<Named>,
    /// By operator of the file; `None` where none of its work is left for an inference.
    ticks: Vec<Option<u64>>,
}

/// How an operator and its output are called in the file.
#[derive(Debug)]
struct Named {
    operator: String,
    output: String,
    dtype: DType,
}

/// What an operator has just written.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Written<'m> {
    /// Type of the operator as the schema names it.
    pub operator: &'m str,
    /// Index of the tensor in the main subgraph.
    pub tensor: usize,
    /// Name of the operator's first output.
    pub name: &'m str,
    /// Element type.
    pub dtype: DType,
    /// Raw little-endian elements.
    pub bytes: &'m [u8],
}

impl Model {
    /// Checks and prepares the model in `bytes`.
    ///
    /// # Errors
    /// When the file is broken, holds an operator that is not covered, or needs more memory than allowed;
    /// naming the tensor or operator.
    pub fn load(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let graph = reader::read(bytes)?;
        let program = lower(&graph, limits, false)?;
        let describe = |tensors: &[usize]| {
            tensors
                .iter()
                .map(|&index| {
                    let tensor = &graph.tensors[index];
                    TensorInfo {
                        name: tensor.name.into(),
                        dtype: tensor.dtype.unwrap_or(DType::U8),
                        shape: program.shapes[index].clone(),
                        quantization: tensor
                            .scales
                            .as_ref()
                            .and_then(|scales| scales.per_tensor()),
                    }
                })
                .collect::<Vec<_>>()
        };
        let (inputs, outputs) = (describe(&graph.inputs), describe(&graph.outputs));
        let operators: Vec<_> = graph
            .operators
            .iter()
            .map(|operator| Named {
                operator: operator.name.to_string(),
                output: graph.output_name(operator),
                dtype: operator
                    .outputs
                    .first()
                    .and_then(|&output| graph.tensors[output].dtype.ok())
                    .unwrap_or(DType::U8),
            })
            .collect();
        let session = Session::new(&graph, program, limits)?;
        Ok(Self {
            inputs,
            outputs,
            session,
            ticks: vec![None; operators.len()],
            operators,
        })
    }

    /// The tensors to fill, in the order of the file.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The tensors to read, in the order of the file.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Raw little-endian bytes of input `index`, kept from run to run. Panics if there is no such input.
    pub fn input_mut(&mut self, index: usize) -> &mut [u8] {
        self.session.input_mut(index)
    }

    /// One inference. Allocates nothing from the second time on.
    ///
    /// # Errors
    /// When an operator meets a value it must not act upon.
    pub fn run(&mut self) -> Result<(), RunError> {
        self.session.run(|_, _| ())
    }

    /// One inference, in which `observe` sees what every operator writes.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn run_observed(&mut self, mut observe: impl FnMut(Written<'_>)) -> Result<(), RunError> {
        let operators = &self.operators;
        self.session.run(|origin, bytes| {
            let named = &operators[origin.operator];
            observe(Written {
                operator: &named.operator,
                tensor: origin.tensor,
                name: &named.output,
                dtype: named.dtype,
                bytes,
            });
        })
    }

    /// Raw little-endian bytes of output `index` after [`Model::run`]. Panics if there is no such output.
    pub fn output(&self, index: usize) -> &[u8] {
        self.session.output(index)
    }

    /// Planned peak of activation memory in bytes, inputs, outputs and scratch included.
    pub fn activation_bytes(&self) -> usize {
        self.session.arena_bytes()
    }

    /// One inference in which `now` is read around every operator.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn profile(&mut self, now: &mut dyn FnMut() -> u64) -> Result<(), RunError> {
        let ticks = &mut self.ticks;
        let mut before = now();
        self.session.run(|origin, _| {
            let took = now().wrapping_sub(before);
            if let Some(sum) = ticks.get_mut(origin.operator) {
                *sum = Some(sum.unwrap_or(0).wrapping_add(took));
            }
            before = now();
        })
    }

    /// Operators that took part in [`Model::profile`], by their index in the file, and the sum of what each took since
    /// the model was loaded, in steps of the clock given there.
    pub fn profiled(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let sums = self.ticks.iter().enumerate();
        sums.filter_map(|(operator, ticks)| Some((operator, (*ticks)?)))
    }
}
