//! What can be wrong with a call.

use core::fmt;

/// Why an operator cannot be made or run. Kernels never panic and never read past a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A slice is not as long as its shape says.
    Length {
        /// Which slice.
        operand: Operand,
        /// How many elements the shape asks for (for scratch and packed weights: at least).
        needed: usize,
        /// How many there are.
        given: usize,
    },
    /// A stride or dilation is zero, or a shape has a zero where something must be computed.
    ZeroExtent,
    /// The channels do not divide into the groups, or input and output disagree on the batch.
    Channels,
    /// A size does not fit the address space.
    TooLarge,
    /// A zero point, clamp or multiplier lies outside its type's range.
    Quantisation,
    /// A tensor has more dimensions than [`crate::shape::RANK`], or not as many as the operator asks.
    Rank,
    /// An axis is not one of the tensor's.
    Axis,
    /// Two shapes do not broadcast, or an output's shape is not what the inputs make of it.
    Broadcast,
    /// An index points outside the tensor it selects from.
    Index,
}

/// The slices an operator is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operand {
    /// The (first) input tensor.
    Input,
    /// The second input tensor, of operators with two.
    Other,
    /// Weights as the model holds them.
    Weights,
    /// One bias for each output channel.
    Bias,
    /// One multiplier or scale for each output channel.
    Multipliers,
    /// Weights as the kernel wants them.
    Packed,
    /// Working memory.
    Scratch,
    /// The output tensor.
    Output,
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Other => "second input",
            Self::Weights => "weights",
            Self::Bias => "bias",
            Self::Multipliers => "multipliers",
            Self::Packed => "packed weights",
            Self::Scratch => "scratch",
            Self::Output => "output",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length {
                operand,
                needed,
                given,
            } => write!(
                f,
                "{operand} holds {given} elements where the shape asks for {needed}: give a slice of that length"
            ),
            Self::ZeroExtent => {
                f.write_str("a stride, dilation or extent is zero: all must be at least 1")
            }
            Self::Channels => f.write_str(
                "channels or batches of input, weights and output disagree: check the shapes and the number of groups",
            ),
            Self::TooLarge => {
                f.write_str("a tensor does not fit the address space: use a smaller shape")
            }
            Self::Quantisation => f.write_str(
                "a zero point, clamp or multiplier is out of range: check the quantisation parameters",
            ),
            Self::Rank => f.write_str(
                "a tensor has too many or too few dimensions for this operator: reshape it, to 6 at most",
            ),
            Self::Axis => f.write_str(
                "an axis is not one of the tensor's: it must be below the number of dimensions",
            ),
            Self::Broadcast => f.write_str(
                "the shapes do not fit each other: extents must be equal, or one of them 1",
            ),
            Self::Index => f.write_str(
                "an index points outside the tensor it selects from: check the indices",
            ),
        }
    }
}

impl core::error::Error for Error {}

/// Holds when `slice` has exactly `needed` elements.
pub(crate) fn exactly<T>(slice: &[T], needed: usize, operand: Operand) -> Result<(), Error> {
    if slice.len() == needed {
        return Ok(());
    }
    Err(Error::Length {
        operand,
        needed,
        given: slice.len(),
    })
}

/// The first `needed` elements of `slice`.
pub(crate) fn first<T>(slice: &[T], needed: usize, operand: Operand) -> Result<&[T], Error> {
    slice.get(..needed).ok_or(Error::Length {
        operand,
        needed,
        given: slice.len(),
    })
}

/// The first `needed` elements of `slice`, to be written.
pub(crate) fn first_mut<T>(
    slice: &mut [T],
    needed: usize,
    operand: Operand,
) -> Result<&mut [T], Error> {
    let given = slice.len();
    slice.get_mut(..needed).ok_or(Error::Length {
        operand,
        needed,
        given,
    })
}

/// The product of sizes, if it fits the address space.
pub(crate) fn product(sizes: &[usize]) -> Result<usize, Error> {
    sizes
        .iter()
        .try_fold(1_usize, |all, &size| all.checked_mul(size))
        .filter(|&all| all <= isize::MAX as usize / 16)
        .ok_or(Error::TooLarge)
}

/// Copies `input` to the begin of `scratch` and gives `needed` elements of it: for kernels that read
/// beyond the end, where the weights are zero.
pub(crate) fn copy_padded<'s>(
    input: &[i8],
    needed: usize,
    scratch: &'s mut [i8],
) -> Result<&'s [i8], Error> {
    let scratch = first_mut(scratch, needed, Operand::Scratch)?;
    let given = input.len();
    let (copy, beyond) = scratch.split_at_mut_checked(given).ok_or(Error::Length {
        operand: Operand::Scratch,
        needed: given,
        given: needed,
    })?;
    copy.copy_from_slice(input);
    beyond.fill(0);
    Ok(scratch)
}
