//! `scalebench-engine` behind the harness's trait.

use crate::quarantine::{self, Quarantine};
use scalebench_core::board::{Engine, Tensor};
use scalebench_engine::{DType, Limits, LoadError, Model, RunError, TensorInfo};
use scalebench_wire::Digest;
use scalebench_wire::container::Dtype;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Engine and version, as reported to the host.
pub const NAME: &str = concat!(
    "scalebench-engine ",
    env!("CARGO_PKG_VERSION"),
    " on tract 0.23"
);

/// Why a model cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It crashed, hung or asked for too much where it could do no harm.
    #[error(transparent)]
    Quarantine(#[from] quarantine::QuarantineError),
    /// It was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An inference failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It made the engine panic.
    #[error("the engine panicked: {0}")]
    Panic(String),
    /// A tensor has a type the harness does not handle.
    #[error("tensor `{0}` has a type that the harness cannot fill or read")]
    Type(String),
    /// There is no model.
    #[error("no model is loaded")]
    Unloaded,
}

/// tract.
#[derive(Debug)]
pub struct Tract {
    quarantine: Quarantine,
    model: Option<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    model: Model,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl Tract {
    /// An engine that tries models in `quarantine` first.
    #[must_use]
    pub fn new(quarantine: Quarantine) -> Self {
        Self {
            quarantine,
            model: None,
        }
    }

    fn model(&self) -> Option<&Model> {
        self.model.as_ref().map(|loaded| &loaded.model)
    }
}

/// Loads a model; a panic is an error like any other.
///
/// # Errors
/// As the engine says.
pub fn load(bytes: &[u8], memory_bytes: u64) -> Result<Model, EngineError> {
    let mut limits = Limits::default();
    if memory_bytes > 0 {
        limits.memory_bytes = memory_bytes;
    }
    caught(|| Model::load(bytes, &limits).map_err(EngineError::Load))
}

/// One inference; a panic is an error like any other.
///
/// # Errors
/// As the engine says.
pub fn run(model: &mut Model) -> Result<(), EngineError> {
    caught(|| model.run().map_err(EngineError::Run))
}

fn caught<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(EngineError::Panic(message(&*payload))))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".into())
}

fn tensor(info: &TensorInfo) -> Result<Tensor, EngineError> {
    let dtype = match info.dtype {
        DType::F32 => Dtype::F32,
        DType::I8 => Dtype::I8,
        DType::U8 => Dtype::U8,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        _ => return Err(EngineError::Type(info.name.clone())),
    };
    let quantisation = info.quantization.map(|q| (q.scale, q.zero_point));
    Ok(Tensor {
        dtype,
        quantisation,
        bytes: info.bytes(),
    })
}

impl Engine for Tract {
    type Error = EngineError;

    fn vet(&mut self, digest: Digest, memory_bytes: u64) -> Result<(), EngineError> {
        self.model = None;
        self.quarantine
            .vet(digest, memory_bytes)
            .map_err(EngineError::Quarantine)
    }

    fn load(&mut self, bytes: &[u8], memory_bytes: u64) -> Result<(), EngineError> {
        self.model = None;
        let model = load(bytes, memory_bytes)?;
        let inputs = model
            .inputs()
            .iter()
            .map(tensor)
            .collect::<Result<_, _>>()?;
        let outputs = model
            .outputs()
            .iter()
            .map(tensor)
            .collect::<Result<_, _>>()?;
        self.model = Some(Loaded {
            model,
            inputs,
            outputs,
        });
        Ok(())
    }

    fn unload(&mut self) {
        self.model = None;
    }

    fn activation_bytes(&self) -> u64 {
        self.model()
            .map_or(0, |model| model.activation_bytes() as u64)
    }

    fn input(&self, index: usize) -> Option<Tensor> {
        self.model.as_ref()?.inputs.get(index).copied()
    }

    fn output(&self, index: usize) -> Option<Tensor> {
        self.model.as_ref()?.outputs.get(index).copied()
    }

    fn input_mut(&mut self, index: usize) -> &mut [u8] {
        match &mut self.model {
            Some(loaded) if index < loaded.inputs.len() => loaded.model.input_mut(index),
            _ => &mut [],
        }
    }

    fn infer(&mut self) -> Result<(), EngineError> {
        let loaded = self.model.as_mut().ok_or(EngineError::Unloaded)?;
        run(&mut loaded.model)
    }

    fn output_bytes(&self, index: usize) -> &[u8] {
        match &self.model {
            Some(loaded) if index < loaded.outputs.len() => loaded.model.output(index),
            _ => &[],
        }
    }

    fn profile(&mut self, now: &mut dyn FnMut() -> u64) -> Result<(), EngineError> {
        let loaded = self.model.as_mut().ok_or(EngineError::Unloaded)?;
        caught(|| loaded.model.profile(now).map_err(EngineError::Run))
    }

    fn profiled(&self, index: usize) -> Option<(u32, u64)> {
        let (operator, ticks) = self.model()?.profiled().nth(index)?;
        Some((u32::try_from(operator).ok()?, ticks))
    }
}
