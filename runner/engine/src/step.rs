//! One step of an inference: a kernel with everything it needs but its activations.

use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;

/// Most tensors a step reads or writes at run time. tract keeps as many values inline, without a heap.
pub(crate) const MOST: usize = 4;

/// Why a kernel stopped, told without the operator's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The kernel's own words.
    #[error(transparent)]
    Kernel(#[from] scalebench_kernels::Error),
    /// A value it must not act upon, or memory that is not as planned.
    #[error("{0}")]
    Value(&'static str),
}

/// The activations of one step, raw.
#[derive(Default)]
pub(crate) struct Io<'a> {
    pub(crate) inputs: [&'a [u8]; MOST],
    pub(crate) outputs: [&'a mut [u8]; MOST],
    pub(crate) scratch: &'a mut [u8],
}

impl Io<'_> {
    /// Input 0 and output 0.
    #[inline]
    pub(crate) fn unary<A: Pod, Z: Pod>(&mut self) -> (&[A], &mut [Z]) {
        (
            bytemuck::cast_slice(self.inputs[0]),
            bytemuck::cast_slice_mut(self.outputs[0]),
        )
    }

    /// Inputs 0 and 1 and output 0.
    #[inline]
    pub(crate) fn binary<A: Pod, B: Pod, Z: Pod>(&mut self) -> (&[A], &[B], &mut [Z]) {
        (
            bytemuck::cast_slice(self.inputs[0]),
            bytemuck::cast_slice(self.inputs[1]),
            bytemuck::cast_slice_mut(self.outputs[0]),
        )
    }

    /// Input 0, scratch and output 0.
    #[inline]
    pub(crate) fn with_scratch<A: Pod, S: Pod, Z: Pod>(&mut self) -> (&[A], &mut [S], &mut [Z]) {
        (
            bytemuck::cast_slice(self.inputs[0]),
            elements(self.scratch),
            bytemuck::cast_slice_mut(self.outputs[0]),
        )
    }
}

/// Bytes as elements; none at all need not be aligned.
#[inline]
pub(crate) fn elements<T: Pod>(bytes: &mut [u8]) -> &mut [T] {
    if bytes.is_empty() {
        return &mut [];
    }
    bytemuck::cast_slice_mut(bytes)
}

/// A slice of elements cut off the front of scratch bytes, and the rest. `count` elements of padding keep the
/// next slice aligned.
#[inline]
pub(crate) fn cut<T: Pod>(
    scratch: &mut [u8],
    count: usize,
) -> Result<(&mut [T], &mut [u8]), Fault> {
    let bytes = count * size_of::<T>();
    let (own, rest) = scratch
        .split_at_mut_checked(aligned(bytes))
        .ok_or(Fault::Value("scratch memory is shorter than planned"))?;
    Ok((elements(&mut own[..bytes]), rest))
}

/// Bytes that [`cut`] takes for so many.
pub(crate) const fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(crate::tensor::AlignedBytes::ALIGNMENT)
}

/// What a step does with its activations.
pub(crate) type Work = Arc<dyn Fn(&mut Io<'_>) -> Result<(), Fault> + Send + Sync>;

/// One step of an inference.
#[derive(Clone)]
pub(crate) struct Step {
    /// Tensors read at run time; with the one changed in place at most [`MOST`].
    pub(crate) inputs: Vec<usize>,
    /// Tensors written, at most [`MOST`].
    pub(crate) outputs: Vec<usize>,
    /// Whether an earlier step began output 0 and this one goes on with it.
    pub(crate) in_place: bool,
    /// Bytes of scratch memory.
    pub(crate) scratch: usize,
    /// Multiplications with accumulation.
    pub(crate) macs: u64,
    /// Bytes of constants held by the step, as packed.
    pub(crate) weight_bytes: usize,
    /// Which kernel runs, for a person.
    pub(crate) path: &'static str,
    /// The kernel.
    pub(crate) work: Work,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} -> {:?}", self.path, self.inputs, self.outputs)
    }
}

impl Step {
    /// A step that reads `inputs` and writes `output`.
    pub(crate) fn new(
        path: &'static str,
        inputs: impl Into<Vec<usize>>,
        output: usize,
        work: impl Fn(&mut Io<'_>) -> Result<(), Fault> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inputs: inputs.into(),
            outputs: vec![output],
            in_place: false,
            scratch: 0,
            macs: 0,
            weight_bytes: 0,
            path,
            work: Arc::new(work),
        }
    }

    /// The same, with so many bytes of scratch memory.
    pub(crate) fn scratch(mut self, bytes: usize) -> Self {
        self.scratch = bytes;
        self
    }

    /// The same, known to take so many multiplications and to hold so many bytes of constants.
    pub(crate) fn costing(mut self, macs: u64, weight_bytes: usize) -> Self {
        self.macs = macs;
        self.weight_bytes = weight_bytes;
        self
    }
}
