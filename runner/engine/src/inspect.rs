//! What a model holds and how it would be executed, without running it.

use serde::Serialize;

use crate::graph::{Graph, Operator};
use crate::lower::{Program, Verdict, lower};
use crate::session::Session;
use crate::{Limits, LoadError, Quantization, reader};

/// A tensor an operator reads or writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorReport {
    /// Name in the file.
    pub name: String,
    /// Element type as the schema names it.
    pub dtype: String,
    /// Dimensions, those the file leaves open worked out.
    pub shape: Vec<usize>,
    /// Per-tensor quantisation.
    pub quantization: Option<Quantization>,
    /// How many scales it has; more than one if it is quantised along an axis.
    pub scales: usize,
    /// Whether it is a constant of the file.
    pub constant: bool,
}

/// How an operator is executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Execution {
    /// By the named kernel.
    Kernel(String),
    /// Once, when the model is loaded.
    Load,
    /// Not at all, because it moves no byte.
    Free,
    /// By another operator's kernel, into which it was fused.
    Fused,
    /// It cannot be: why.
    Unsupported(String),
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperatorReport {
    /// Position in the file.
    pub index: usize,
    /// Type as the schema names it.
    pub operator: String,
    /// Version in the file.
    pub version: i32,
    /// Tensors it reads.
    pub inputs: Vec<TensorReport>,
    /// Tensors it writes.
    pub outputs: Vec<TensorReport>,
    /// Multiplications with accumulation.
    pub macs: u64,
    /// Bytes of its constants in the file.
    pub weight_bytes: u64,
    /// How it is executed.
    pub execution: Execution,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// Bytes of the file.
    pub model_bytes: u64,
    /// Elements of constants that are weights: of floats and of quantised integers, biases included.
    pub parameters: u64,
    /// Multiplications with accumulation of one inference.
    pub macs: u64,
    /// Planned peak of activation memory, scratch included; `None` if something is unsupported.
    pub activation_bytes: Option<u64>,
    /// All operators in execution order.
    pub operators: Vec<OperatorReport>,
}

impl ModelReport {
    /// Operators that cannot be executed.
    pub fn unsupported(&self) -> impl Iterator<Item = &OperatorReport> {
        self.operators
            .iter()
            .filter(|operator| matches!(operator.execution, Execution::Unsupported(_)))
    }
}

/// Looks at the model in `bytes`.
///
/// # Errors
/// When the file is broken or asks for more memory than allowed. An operator that is not covered is no error
/// here; the report says so.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<ModelReport, LoadError> {
    let graph = reader::read(bytes)?;
    let program = lower(&graph, limits, true)?;
    let operators: Vec<_> = graph
        .operators
        .iter()
        .zip(&program.verdicts)
        .map(|(operator, verdict)| describe(&graph, &program, operator, verdict))
        .collect();
    let whole = !operators
        .iter()
        .any(|operator| matches!(operator.execution, Execution::Unsupported(_)));
    let parameters = graph
        .tensors
        .iter()
        .filter(|tensor| tensor.data.is_some())
        .filter(|tensor| {
            tensor.scales.is_some() || tensor.dtype.is_ok_and(|dtype| dtype.is_float())
        })
        .map(|tensor| tensor.shape.iter().product::<usize>() as u64)
        .sum();
    let macs = operators.iter().map(|operator| operator.macs).sum();
    let activation_bytes = if whole {
        Some(Session::new(&graph, program, limits)?.arena_bytes() as u64)
    } else {
        None
    };
    Ok(ModelReport {
        model_bytes: bytes.len() as u64,
        parameters,
        macs,
        activation_bytes,
        operators,
    })
}

fn describe(
    graph: &Graph<'_>,
    program: &Program,
    operator: &Operator<'_>,
    verdict: &Verdict,
) -> OperatorReport {
    let tensor = |&index: &usize| {
        let tensor = &graph.tensors[index];
        TensorReport {
            name: tensor.name.into(),
            dtype: match tensor.dtype {
                Ok(dtype) => dtype.to_string(),
                Err(other) => other.variant_name().unwrap_or("unknown").into(),
            },
            shape: program.shapes[index].clone(),
            quantization: tensor
                .scales
                .as_ref()
                .and_then(|scales| scales.per_tensor()),
            scales: tensor
                .scales
                .as_ref()
                .map_or(0, |scales| scales.scales.len()),
            constant: tensor.data.is_some(),
        }
    };
    let weight_bytes = operator
        .inputs
        .iter()
        .flatten()
        .filter_map(|&input| graph.tensors[input].data.as_deref())
        .map(|data| data.len() as u64)
        .sum();
    let (execution, macs) = match verdict {
        Verdict::Runs { path, macs } => (Execution::Kernel((*path).into()), *macs),
        Verdict::Folded => (Execution::Load, 0),
        Verdict::Free => (Execution::Free, 0),
        Verdict::Fused => (Execution::Fused, 0),
        Verdict::Refused(reason) => (Execution::Unsupported(reason.clone()), 0),
    };
    OperatorReport {
        index: operator.index,
        operator: operator.name.to_string(),
        version: operator.version,
        inputs: operator.inputs.iter().flatten().map(tensor).collect(),
        outputs: operator.outputs.iter().map(tensor).collect(),
        macs,
        weight_bytes,
        execution,
    }
}
