//! A loaded model: inputs in, one inference, outputs out.

use tract_core::internal::{Framework, SimplePlan, TValue, Tensor, TypedFact, TypedOp, tvec};
use tract_core::plan::SimpleState;
use tract_tflite::tflite;

use crate::tensor::AlignedBytes;
use crate::{DType, LoadError, RunError, TensorInfo};

/// What a model may ask for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes for activations, scratch and packed weights together.
    pub memory_bytes: u64,
}

impl Default for Limits {
    /// One gibibyte.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
        }
    }
}

/// Time one operator took.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OperatorTime {
    /// Type of the operator as the schema names it.
    pub operator: String,
    /// Name of the tensor it writes.
    pub output: String,
    /// Ticks of the given clock over all runs.
    pub ticks: u64,
}

/// A loaded, planned, ready-to-run model.
#[derive(Debug)]
pub struct Model {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    buffers: Vec<AlignedBytes>,
    results: Vec<AlignedBytes>,
    state: SimpleState<TypedFact, Box<dyn TypedOp>>,
}

fn flatbuffer(reason: impl ToString) -> LoadError {
    LoadError::Flatbuffer {
        reason: reason.to_string(),
    }
}

fn plan(reason: impl ToString) -> LoadError {
    LoadError::Plan {
        reason: reason.to_string(),
    }
}

fn info(subgraph: &tflite::SubGraph<'_>, index: i32) -> Result<TensorInfo, LoadError> {
    let tensors = subgraph.tensors().ok_or_else(|| flatbuffer("no tensors"))?;
    let index = usize::try_from(index)
        .ok()
        .filter(|&i| i < tensors.len())
        .ok_or_else(|| flatbuffer("tensor index out of range"))?;
    let tensor = tensors.get(index);
    let name = tensor.name().unwrap_or_default().to_string();
    let shape: Option<Vec<usize>> = tensor.shape().map_or(Some(vec![]), |shape| {
        shape.iter().map(|d| usize::try_from(d).ok()).collect()
    });
    let dtype = match tensor.type_() {
        tflite::TensorType::FLOAT32 => DType::F32,
        tflite::TensorType::INT32 => DType::I32,
        tflite::TensorType::INT64 => DType::I64,
        tflite::TensorType::BOOL => DType::Bool,
        other => {
            return Err(LoadError::Tensor {
                index,
                name,
                reason: format!("{other:?} not yet executable on this engine"),
            });
        }
    };
    let shape = shape.ok_or_else(|| LoadError::Tensor {
        index,
        name: name.clone(),
        reason: "negative dimension".into(),
    })?;
    Ok(TensorInfo {
        name,
        dtype,
        shape,
        quantization: None,
    })
}

impl Model {
    /// Checks and prepares the model in `bytes`.
    pub fn load(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let root = tflite::root_as_model(bytes).map_err(flatbuffer)?;
        let subgraph = root
            .subgraphs()
            .filter(|s| !s.is_empty())
            .ok_or_else(|| flatbuffer("no subgraph"))?
            .get(0);
        for (index, tensor) in subgraph.tensors().into_iter().flatten().enumerate() {
            if matches!(
                tensor.type_(),
                tflite::TensorType::INT8 | tflite::TensorType::UINT8 | tflite::TensorType::INT16
            ) {
                return Err(LoadError::Tensor {
                    index,
                    name: tensor.name().unwrap_or_default().to_string(),
                    reason: format!("{:?} not yet executable on this engine", tensor.type_()),
                });
            }
        }
        let infos = |list: Option<flatbuffers::Vector<'_, i32>>| {
            list.into_iter()
                .flatten()
                .map(|i| info(&subgraph, i))
                .collect::<Result<Vec<_>, _>>()
        };
        let (inputs, outputs) = (infos(subgraph.inputs())?, infos(subgraph.outputs())?);
        let buffers = |infos: &[TensorInfo]| {
            infos
                .iter()
                .map(|i| {
                    let needed = i.bytes() as u64;
                    let refused = LoadError::Memory {
                        needed,
                        allowed: limits.memory_bytes,
                        what: "its inputs and outputs",
                    };
                    if needed > limits.memory_bytes {
                        Err(refused)
                    } else {
                        AlignedBytes::zeroed(i.bytes()).ok_or(refused)
                    }
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let framework = tract_tflite::tflite();
        let state = framework
            .model_for_read(&mut &bytes[..])
            .and_then(|model| model.into_optimized())
            .and_then(SimplePlan::new)
            .and_then(|plan| SimpleState::new(&plan))
            .map_err(|e| plan(format!("{e:#}")))?;
        Ok(Self {
            buffers: buffers(&inputs)?,
            results: buffers(&outputs)?,
            inputs,
            outputs,
            state,
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
        self.buffers[index].bytes_mut()
    }

    /// One inference.
    pub fn run(&mut self) -> Result<(), RunError> {
        let failed = |reason: String| RunError::Operator {
            operator: "graph".into(),
            output: String::new(),
            reason,
        };
        let mut values = tvec!();
        for (info, buffer) in self.inputs.iter().zip(&self.buffers) {
            let mut tensor =
                Tensor::zero_aligned_dt(info.dtype.datum(), &info.shape, AlignedBytes::ALIGNMENT)
                    .map_err(|e| failed(e.to_string()))?;
            tensor.as_bytes_mut().copy_from_slice(buffer.bytes());
            values.push(TValue::from(tensor));
        }
        let results = self
            .state
            .run(values)
            .map_err(|e| failed(format!("{e:#}")))?;
        for (result, buffer) in results.iter().zip(&mut self.results) {
            if result.as_bytes().len() != buffer.bytes().len() {
                return Err(failed(
                    "an output has another size than the file says".into(),
                ));
            }
            buffer.bytes_mut().copy_from_slice(result.as_bytes());
        }
        Ok(())
    }

    /// Raw little-endian bytes of output `index` after [`Model::run`]. Panics if there is no such output.
    pub fn output(&self, index: usize) -> &[u8] {
        self.results[index].bytes()
    }

    /// Planned peak of activation memory in bytes, inputs and outputs included.
    pub fn activation_bytes(&self) -> usize {
        self.inputs
            .iter()
            .chain(&self.outputs)
            .map(TensorInfo::bytes)
            .sum()
    }

    /// Time per operator, summed over `runs` inferences, in ticks of `clock`.
    pub fn profile(
        &mut self,
        runs: u32,
        clock: &mut dyn FnMut() -> u64,
    ) -> Result<Vec<OperatorTime>, RunError> {
        let start = clock();
        for _ in 0..runs {
            self.run()?;
        }
        Ok(vec![OperatorTime {
            operator: "graph".into(),
            output: String::new(),
            ticks: clock().wrapping_sub(start),
        }])
    }
}
