//! From a checked graph to the steps of an inference.
//!
//! Operators are taken in the order of the file. Each works out the shapes it writes from those it reads, so
//! that dimensions a converter left open are known, and those it wrote down are checked. What depends on
//! constants only is computed here, once; what changes no byte becomes no step at all.

mod argument;
mod arithmetic;
mod connected;
mod convert;
mod convolution;
mod depthwise;
mod detection;
mod function;
mod image;
mod matmul;
mod movement;
mod packed;
mod parts;
mod pool;
mod reduce;
mod scheme;
mod selection;
mod shape;
mod slicing;
mod softmax;
mod transposed;
mod window;

use std::borrow::Cow;
use std::sync::Arc;

use scalebench_kernels::isa::Isa;
use tract_tflite::tflite::BuiltinOperator as B;

use crate::graph::{Graph, Operator, Tensor};
use crate::reader::elements;
use crate::step::{Io, MOST, Step};
use crate::tensor::AlignedBytes;
use crate::{DType, Limits, LoadError};

/// Why an operator becomes no step.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It contradicts itself or its tensors.
    Broken(String),
    /// It is sound, but this engine does not cover it.
    Unsupported(String),
}

/// What became of an operator.
pub(crate) enum Outcome {
    /// Work to do at every inference.
    Steps(Vec<Step>),
    /// Its output is its input, looked at differently.
    Same(usize),
    /// Its output is known: elements, little-endian.
    Known(Vec<u8>),
}

/// What an operator's own lowering hands back.
pub(crate) struct Lowered {
    /// Shapes of its outputs, in their order.
    pub(crate) shapes: Vec<Vec<usize>>,
    /// What is to be done.
    pub(crate) outcome: Outcome,
}

impl From<scalebench_kernels::Error> for Refusal {
    fn from(error: scalebench_kernels::Error) -> Self {
        match error {
            // A sound tensor may have more dimensions than the kernels walk.
            scalebench_kernels::Error::Rank => Self::Unsupported(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl Lowered {
    /// One output, written by `step`.
    pub(crate) fn step(shape: Vec<usize>, step: Step) -> Self {
        Self {
            shapes: vec![shape],
            outcome: Outcome::Steps(vec![step]),
        }
    }

    /// One output with the bytes of tensor `input`.
    pub(crate) fn same(shape: Vec<usize>, input: usize) -> Self {
        Self {
            shapes: vec![shape],
            outcome: Outcome::Same(input),
        }
    }
}

/// How an operator will be executed, for a preflight.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// By steps of its own: the kernel, multiplications.
    Runs { path: &'static str, macs: u64 },
    /// Computed at load.
    Folded,
    /// It moves no byte.
    Free,
    /// Another operator does its work.
    Fused,
    /// Not at all: why.
    Refused(String),
}

/// A lowered graph.
pub(crate) struct Program {
    /// Steps in execution order, each with the index of its operator.
    pub(crate) steps: Vec<(usize, Arc<Step>)>,
    /// Shapes of all tensors as worked out.
    pub(crate) shapes: Vec<Vec<usize>>,
    /// Bytes of constant tensors that steps or the caller read, whether from the file or computed.
    pub(crate) constants: Vec<Option<Vec<u8>>>,
    /// For each tensor the one that has its bytes.
    pub(crate) home: Vec<usize>,
    /// For each operator how it is executed.
    pub(crate) verdicts: Vec<Verdict>,
}

/// What is known while operators are being lowered.
pub(crate) struct Lowering<'g, 'a> {
    pub(crate) graph: &'g Graph<'a>,
    shapes: Vec<Vec<usize>>,
    constants: Vec<Option<Cow<'g, [u8]>>>,
    home: Vec<usize>,
    /// Instruction set the kernels use.
    pub(crate) isa: Isa,
    /// Which operator writes a tensor.
    writers: Vec<Option<usize>>,
}

/// Lowers every operator. With `lenient`, an unsupported one is noted and its outputs taken as the file has them.
pub(crate) fn lower(
    graph: &Graph<'_>,
    limits: &Limits,
    lenient: bool,
) -> Result<Program, LoadError> {
    let mut lowering = Lowering::new(graph, limits.isa);
    let mut steps = Vec::new();
    let mut verdicts = Vec::with_capacity(graph.operators.len());
    let mut folded_bytes = 0u64;
    for &input in &graph.inputs {
        lowering.check_size(input, limits)?;
    }
    for operator in &graph.operators {
        let verdict = match lowering.operator(operator) {
            Ok(lowered) => {
                lowering.settle(operator, lowered.shapes, limits)?;
                lowering.place(operator, lowered.outcome, &mut steps, &mut folded_bytes)?
            }
            Err(Refusal::Broken(reason)) => return Err(graph.operator_error(operator, reason)),
            Err(Refusal::Unsupported(reason)) => {
                if !lenient {
                    return Err(graph.unsupported(operator, reason));
                }
                Verdict::Refused(reason)
            }
        };
        if folded_bytes > limits.memory_bytes {
            return Err(LoadError::Memory {
                needed: folded_bytes,
                allowed: limits.memory_bytes,
                what: "constants computed at load",
            });
        }
        verdicts.push(verdict);
    }
    Ok(lowering.finish(steps, verdicts))
}

impl<'g, 'a> Lowering<'g, 'a> {
    fn new(graph: &'g Graph<'a>, isa: Isa) -> Self {
        let mut writers = vec![None; graph.tensors.len()];
        for operator in &graph.operators {
            for &output in &operator.outputs {
                writers[output] = Some(operator.index);
            }
        }
        Self {
            graph,
            shapes: graph.tensors.iter().map(|t| t.shape.clone()).collect(),
            constants: graph
                .tensors
                .iter()
                .map(|t| t.data.as_deref().map(Cow::Borrowed))
                .collect(),
            home: (0..graph.tensors.len()).collect(),
            isa,
            writers,
        }
    }

    /// Lowers one operator by its type.
    fn operator(&self, operator: &Operator<'a>) -> Result<Lowered, Refusal> {
        for &tensor in operator.inputs.iter().flatten().chain(&operator.outputs) {
            let Tensor {
                name,
                dtype,
                special,
                ..
            } = &self.graph.tensors[tensor];
            if let Some(special) = special {
                return Err(Refusal::Unsupported(format!(
                    "tensor `{name}` is {special}"
                )));
            }
            if let Err(kind) = dtype {
                let kind = kind.variant_name().unwrap_or("unknown");
                return Err(Refusal::Unsupported(format!(
                    "tensor `{name}` has elements of type {kind}"
                )));
            }
        }
        match operator.code {
            B::RESHAPE => shape::reshape(self, operator),
            B::SQUEEZE => shape::squeeze(self, operator),
            B::EXPAND_DIMS => shape::expand_dims(self, operator),
            B::SHAPE => shape::shape(self, operator),
            B::RANK => shape::rank(self, operator),
            B::CONV_2D => convolution::dense(self, operator),
            B::DEPTHWISE_CONV_2D => depthwise::depthwise(self, operator),
            B::TRANSPOSE_CONV => transposed::transpose_conv(self, operator),
            B::FULLY_CONNECTED => connected::fully_connected(self, operator),
            B::BATCH_MATMUL => matmul::batch_matmul(self, operator),
            B::ADD | B::SUB | B::MUL | B::DIV | B::SQUARED_DIFFERENCE => {
                arithmetic::arithmetic(self, operator)
            }
            B::MAXIMUM | B::MINIMUM => arithmetic::extremum(self, operator),
            B::POW | B::FLOOR_DIV | B::FLOOR_MOD => arithmetic::plain(self, operator),
            B::PRELU => arithmetic::prelu(self, operator),
            B::EQUAL | B::NOT_EQUAL | B::LESS | B::LESS_EQUAL | B::GREATER | B::GREATER_EQUAL => {
                arithmetic::compare(self, operator)
            }
            B::LOGICAL_AND | B::LOGICAL_OR => arithmetic::logical(self, operator),
            B::QUANTIZE => convert::quantize(self, operator),
            B::DEQUANTIZE => convert::dequantize(self, operator),
            B::CAST => convert::cast(self, operator),
            B::ARG_MAX | B::ARG_MIN => selection::arg_extremum(self, operator),
            B::SELECT | B::SELECT_V2 => selection::select(self, operator),
            B::GATHER | B::EMBEDDING_LOOKUP => selection::gather(self, operator),
            B::GATHER_ND => selection::gather_nd(self, operator),
            B::ONE_HOT => selection::one_hot(self, operator),
            B::TRANSPOSE => movement::transpose(self, operator),
            B::SLICE => slicing::slice(self, operator),
            B::STRIDED_SLICE => slicing::strided_slice(self, operator),
            B::SPLIT | B::SPLIT_V => parts::split(self, operator),
            B::UNPACK => parts::unpack(self, operator),
            B::CONCATENATION | B::PACK => parts::join(self, operator),
            B::PAD | B::PADV2 | B::MIRROR_PAD => movement::pad(self, operator),
            B::REVERSE_V2 => movement::reverse(self, operator),
            B::FILL => movement::fill(self, operator),
            B::SPACE_TO_BATCH_ND | B::BATCH_TO_SPACE_ND => movement::batches(self, operator),
            B::TILE | B::BROADCAST_TO => movement::repeat(self, operator),
            B::SPACE_TO_DEPTH | B::DEPTH_TO_SPACE => movement::blocks(self, operator),
            B::RESIZE_NEAREST_NEIGHBOR | B::RESIZE_BILINEAR => image::resize(self, operator),
            B::LOGICAL_NOT => function::not(self, operator),
            B::AVERAGE_POOL_2D | B::MAX_POOL_2D | B::L2_POOL_2D => pool::pool(self, operator),
            B::SOFTMAX => softmax::softmax(self, operator),
            B::LOG_SOFTMAX => softmax::log_softmax(self, operator),
            B::L2_NORMALIZATION => softmax::l2_normalization(self, operator),
            B::CUMSUM => reduce::cumsum(self, operator),
            B::MEAN
            | B::SUM
            | B::REDUCE_PROD
            | B::REDUCE_MAX
            | B::REDUCE_MIN
            | B::REDUCE_ANY
            | B::REDUCE_ALL => reduce::reduce(self, operator),
            B::RELU
            | B::RELU6
            | B::RELU_N1_TO_1
            | B::RELU_0_TO_1
            | B::LEAKY_RELU
            | B::LOGISTIC
            | B::TANH
            | B::HARD_SWISH
            | B::GELU
            | B::ELU
            | B::EXP
            | B::LOG
            | B::SQRT
            | B::RSQRT
            | B::SQUARE
            | B::ABS
            | B::NEG
            | B::FLOOR
            | B::CEIL
            | B::ROUND
            | B::SIN
            | B::COS => function::unary(self, operator),
            B::CUSTOM if operator.name.ends_with(detection::NAME) => {
                detection::post_process(self, operator)
            }
            _ => Err(Refusal::Unsupported(
                "no kernel for this type of operator".into(),
            )),
        }
    }

    /// Takes the shapes an operator worked out, if the file does not contradict them.
    fn settle(
        &mut self,
        operator: &Operator<'a>,
        shapes: Vec<Vec<usize>>,
        limits: &Limits,
    ) -> Result<(), LoadError> {
        if shapes.len() != operator.outputs.len() {
            return Err(self.graph.operator_error(
                operator,
                format!(
                    "it has {} outputs, {} are due",
                    operator.outputs.len(),
                    shapes.len()
                ),
            ));
        }
        for (&output, shape) in operator.outputs.iter().zip(shapes) {
            let tensor = &self.graph.tensors[output];
            // Where only extents of 1 differ, the file's shape stands, as with TFLite.
            let wide = |shape: &[usize]| shape.iter().copied().filter(|&n| n != 1).collect();
            let (ours, theirs): (Vec<_>, Vec<_>) = (wide(&shape), wide(&tensor.shape));
            if !tensor.open && ours == theirs {
                continue;
            }
            if !tensor.open {
                return Err(self.graph.tensor_error(
                    output,
                    format!(
                        "its shape is {:?}, but operator {} {} writes {shape:?}",
                        tensor.shape, operator.index, operator.name
                    ),
                ));
            }
            self.shapes[output] = shape;
            self.check_size(output, limits)?;
        }
        Ok(())
    }

    fn check_size(&self, tensor: usize, limits: &Limits) -> Result<(), LoadError> {
        let elements = elements(&self.shapes[tensor])
            .map_err(|reason| self.graph.tensor_error(tensor, reason))?;
        let size = self.graph.tensors[tensor].dtype.map_or(1, DType::size);
        let needed = elements as u64 * size as u64;
        if needed > limits.memory_bytes {
            return Err(LoadError::Memory {
                needed,
                allowed: limits.memory_bytes,
                what: "one of its tensors",
            });
        }
        Ok(())
    }

    /// Bytes of a tensor.
    fn bytes(&self, tensor: usize) -> usize {
        let size = self.graph.tensors[tensor].dtype.map_or(1, DType::size);
        self.shapes[tensor].iter().product::<usize>() * size
    }

    fn place(
        &mut self,
        operator: &Operator<'a>,
        outcome: Outcome,
        steps: &mut Vec<(usize, Arc<Step>)>,
        folded_bytes: &mut u64,
    ) -> Result<Verdict, LoadError> {
        let output = operator.outputs[0];
        match outcome {
            Outcome::Same(input) => {
                self.home[output] = self.home[input];
                self.constants[output] = self.constants[input].clone();
                Ok(Verdict::Free)
            }
            Outcome::Known(bytes) => {
                *folded_bytes += bytes.len() as u64;
                self.constants[output] = Some(Cow::Owned(bytes));
                Ok(Verdict::Folded)
            }
            Outcome::Steps(list) => {
                let constant = list
                    .iter()
                    .all(|step| step.inputs.iter().all(|&i| self.constants[i].is_some()));
                if constant {
                    for step in &list {
                        *folded_bytes += self
                            .fold(step)
                            .map_err(|fault| self.graph.operator_error(operator, fault))?;
                    }
                    return Ok(Verdict::Folded);
                }
                let verdict = Verdict::Runs {
                    path: list.first().map_or("", |step| step.path),
                    macs: list.iter().map(|step| step.macs).sum(),
                };
                for mut step in list {
                    for input in &mut step.inputs {
                        *input = self.home[*input];
                    }
                    steps.push((operator.index, Arc::new(step)));
                }
                Ok(verdict)
            }
        }
    }

    /// Runs a step whose inputs are all constant. Returns the bytes of what it wrote.
    fn fold(&mut self, step: &Step) -> Result<u64, String> {
        let refused = || "no memory to compute it at load".to_string();
        let aligned = |bytes: &[u8]| {
            let mut copy = AlignedBytes::zeroed(bytes.len()).ok_or_else(refused)?;
            copy.bytes_mut().copy_from_slice(bytes);
            Ok::<_, String>(copy)
        };
        let inputs = step
            .inputs
            .iter()
            .map(|&input| aligned(self.constants[input].as_deref().unwrap_or_default()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut outputs = step
            .outputs
            .iter()
            .map(|&output| match self.constants[output].as_deref() {
                // A later step of the same operator goes on with what the first wrote.
                Some(begun) => aligned(begun),
                None => AlignedBytes::zeroed(self.bytes(output)).ok_or_else(refused),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut scratch = AlignedBytes::zeroed(step.scratch).ok_or_else(refused)?;
        let mut io = Io {
            scratch: scratch.bytes_mut(),
            ..Io::default()
        };
        for (slot, input) in io.inputs.iter_mut().zip(&inputs) {
            *slot = input.bytes();
        }
        for (slot, output) in io.outputs.iter_mut().zip(&mut outputs) {
            *slot = output.bytes_mut();
        }
        (step.work)(&mut io).map_err(|fault| fault.to_string())?;
        let mut total = 0;
        for (&tensor, output) in step.outputs.iter().zip(&outputs) {
            total += output.bytes().len() as u64;
            self.constants[tensor] = Some(Cow::Owned(output.bytes().to_vec()));
        }
        Ok(total)
    }

    /// Drops the steps nobody needs any more because others took over their work.
    fn finish(self, steps: Vec<(usize, Arc<Step>)>, mut verdicts: Vec<Verdict>) -> Program {
        let mut needed = vec![false; self.shapes.len()];
        for &output in &self.graph.outputs {
            needed[self.home[output]] = true;
        }
        let mut kept = Vec::with_capacity(steps.len());
        let mut executed = vec![false; verdicts.len()];
        for (operator, step) in steps.into_iter().rev() {
            debug_assert!(step.inputs.len() <= MOST && step.outputs.len() <= MOST);
            if step.outputs.iter().any(|&output| needed[output]) {
                for &input in &step.inputs {
                    needed[input] = true;
                }
                executed[operator] = true;
                kept.push((operator, step));
            }
        }
        kept.reverse();
        for (verdict, executed) in verdicts.iter_mut().zip(executed) {
            if matches!(verdict, Verdict::Runs { .. }) && !executed {
                *verdict = Verdict::Fused;
            }
        }
        let constants = self
            .constants
            .into_iter()
            .zip(&needed)
            .map(|(bytes, &needed)| bytes.filter(|_| needed).map(Cow::into_owned))
            .collect();
        Program {
            steps: kept,
            shapes: self.shapes,
            constants,
            home: self.home,
            verdicts,
        }
    }
}
