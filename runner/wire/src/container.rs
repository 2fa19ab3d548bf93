//! The two artefact containers a board reads besides models: datasets (`.sbds`) and golden vectors
//! (`.sbgv`). Runs on the board: no std, no heap, no panic; every length is checked before use.
//!
//! All numbers are little-endian. Reserved bytes are zero and refused otherwise, so that a later
//! version can give them a meaning. A file is exactly as long as its header says. Every section
//! and every tensor starts at a multiple of four bytes from the start of the file; the padding
//! between is zero when written and not looked at when read.
//!
//! # Dataset, version 1
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | 4 bytes | magic `SBDS` |
//! | 4 | u16 | version, 1 |
//! | 6 | u8 | model inputs, 1 to [`MAX_TENSORS`] |
//! | 7 | u8 | label kind: 0 none, 1 class, 2 values, 3 boxes |
//! | 8 | u32 | samples, at least 1 |
//! | 12 | u32 | classes (kinds 1 and 3; else 0), at most 65,535 |
//! | 16 | u32 | labels a sample: 1 for kind 1, values or box slots for kinds 2 and 3, 0 for kind 0 |
//! | 20 | f32 | output scale (kind 2; else 1) |
//! | 24 | f32 | output offset (kind 2; else 0) |
//! | 28 | u32 | reserved |
//! | 32 | 16 bytes an input | dtype u8, three reserved bytes, elements a sample u32, scale f32, offset f32 |
//! | then | one section an input | all samples one after another, without padding between samples |
//! | then | the labels | all samples one after another |
//!
//! Dtypes: 1 u8, 2 i8, 3 i16, 4 i32, 5 f32.
//!
//! An input's real value is `stored as f32 * scale + offset`, two f32 operations in that order.
//! What a model takes follows from its own input tensor: an f32 tensor takes the real value; an
//! integer tensor with scale `s` and zero point `z` takes [`quantise`]`(real, s, z)`; an i32 tensor
//! without a scale (token ids) takes the stored integer.
//!
//! Labels: a class is a u16 below `classes`. Values are f32 in natural units, the units in which the
//! errors come out; the model's real output `o` stands for `o * output scale + output offset` in those
//! units. A box slot is six u16: class (65,535 for an empty slot), left, top, right, bottom in 1/65535
//! of the image's width or height, and one reserved word.
//!
//! # Golden vectors, version 1
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | 4 bytes | magic `SBGV` |
//! | 4 | u16 | version, 1 |
//! | 6 | u8 | model inputs, 1 to [`MAX_TENSORS`] |
//! | 7 | u8 | model outputs, 1 to [`MAX_TENSORS`] |
//! | 8 | u32 | vectors, at least 1 |
//! | 12 | u32 | reserved |
//! | 16 | 8 bytes a tensor | dtype u8, three reserved bytes, bytes a vector u32; inputs first, then outputs |
//! | then | the vectors | for each vector its input tensors, then its output tensors, raw, each padded to four bytes |
//!
//! Tensors are exactly what the model takes and gives (already quantised for integer models), the
//! outputs as the TFLite *reference* kernels compute them.

/// First bytes of a dataset.
pub const DATASET_MAGIC: [u8; 4] = *b"SBDS";
/// First bytes of a golden vector file.
pub const GOLDEN_MAGIC: [u8; 4] = *b"SBGV";
/// Version of the dataset layout that this parser reads.
pub const DATASET_VERSION: u16 = 1;
/// Version of the golden vector layout that this parser reads.
pub const GOLDEN_VERSION: u16 = 1;
/// Most inputs, and most outputs, a model may have here.
pub const MAX_TENSORS: usize = 8;
/// Class number that marks an unused box slot.
pub const NO_BOX: u16 = u16::MAX;
/// Bytes of a dataset's fixed header.
pub const DATASET_HEADER: usize = 32;
/// Bytes of a golden vector file's fixed header.
pub const GOLDEN_HEADER: usize = 16;
/// Bytes of one box slot.
pub const BOX_BYTES: usize = 12;

const DATASET_INPUT: usize = 16;
const GOLDEN_TENSOR: usize = 8;

/// Why a container was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerError {
    /// The first four bytes are not the expected magic.
    Magic,
    /// The layout version is not one this parser reads.
    Version(u16),
    /// The file is not as long as its header says (lengths in bytes).
    Length {
        /// What the header asks for; `u64::MAX` if that overflows.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A header field has a value outside its range.
    Field(&'static str),
    /// A label names a class that the header does not have.
    Label {
        /// The sample, counted from zero.
        sample: u32,
    },
}

impl core::fmt::Display for ContainerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Magic => f.write_str("the first four bytes are not this container's magic"),
            Self::Version(v) => write!(f, "layout version {v} is not known here (version 1 is)"),
            Self::Length { expected, found } => {
                write!(
                    f,
                    "the header asks for {expected} bytes, the file has {found}"
                )
            }
            Self::Field(name) => write!(f, "the header's field `{name}` is out of range"),
            Self::Label { sample } => {
                write!(f, "the label of sample {sample} is outside the classes")
            }
        }
    }
}

impl core::error::Error for ContainerError {}

/// Element type of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Dtype {
    /// Unsigned byte.
    U8 = 1,
    /// Signed byte.
    I8 = 2,
    /// 16-bit signed.
    I16 = 3,
    /// 32-bit signed.
    I32 = 4,
    /// IEEE single.
    F32 = 5,
}

impl Dtype {
    /// The type with this code, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::U8,
            2 => Self::I8,
            3 => Self::I16,
            4 => Self::I32,
            5 => Self::F32,
            _ => return None,
        })
    }

    /// Bytes an element.
    pub const fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
        }
    }

    /// The first element of `bytes` as an f32 (i32 beyond 2^24 rounds), or `None` when too short.
    pub fn read(self, bytes: &[u8]) -> Option<f32> {
        Some(match self {
            Self::U8 => f32::from(*bytes.first()?),
            Self::I8 => f32::from(i8::from_le_bytes(*bytes.first_chunk()?)),
            Self::I16 => f32::from(i16::from_le_bytes(*bytes.first_chunk()?)),
            Self::I32 => i32::from_le_bytes(*bytes.first_chunk()?) as f32,
            Self::F32 => f32::from_le_bytes(*bytes.first_chunk()?),
        })
    }
}

/// A real value as the integer a quantised tensor holds: `real / scale` in f32, rounded half away
/// from zero, plus the zero point, held within i8 (what TFLite's QUANTIZE computes). NaN gives the
/// zero point.
pub fn quantise(real: f32, scale: f32, zero_point: i32) -> i8 {
    let ratio = real / scale;
    let whole = ratio as i32;
    let rest = ratio - whole as f32;
    let step = i32::from(rest >= 0.5) - i32::from(rest <= -0.5);
    let value = whole.saturating_add(step).saturating_add(zero_point);
    value.clamp(-128, 127) as i8
}

/// One input of a dataset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputSpec {
    /// How an element is stored.
    pub dtype: Dtype,
    /// Elements a sample.
    pub elements: u32,
    /// Real value of one stored step.
    pub scale: f32,
    /// Real value of a stored zero.
    pub offset: f32,
}

impl InputSpec {
    /// Bytes a sample.
    pub const fn sample_bytes(&self) -> u64 {
        self.elements as u64 * self.dtype.size() as u64
    }

    /// Real value of element `index` of a stored sample.
    pub fn real(&self, sample: &[u8], index: usize) -> Option<f32> {
        let at = index.checked_mul(self.dtype.size())?;
        Some(self.dtype.read(sample.get(at..)?)? * self.scale + self.offset)
    }
}

/// What a dataset's labels are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LabelKind {
    /// No labels: the dataset only feeds inputs.
    None,
    /// One class a sample.
    Class {
        /// Number of classes.
        classes: u16,
    },
    /// Values in natural units.
    Values {
        /// Values a sample.
        count: u32,
        /// Natural units of one unit of the model's output.
        scale: f32,
        /// Natural value of a zero output.
        offset: f32,
    },
    /// Boxes with a class each.
    Boxes {
        /// Number of classes.
        classes: u16,
        /// Slots a sample.
        slots: u32,
    },
}

impl LabelKind {
    /// Bytes of one sample's label.
    pub const fn sample_bytes(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Class { .. } => 2,
            Self::Values { count, .. } => *count as u64 * 4,
            Self::Boxes { slots, .. } => *slots as u64 * BOX_BYTES as u64,
        }
    }
}

/// The label of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Label<'a> {
    /// The dataset has no labels.
    None,
    /// The class, below the dataset's `classes`.
    Class(u16),
    /// Values in natural units: read them with [`value`].
    Values(&'a [u8]),
    /// Box slots: read them with [`boxes`].
    Boxes(&'a [u8]),
}

/// One labelled box, coordinates in 1/65535 of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoxLabel {
    /// Class, below the dataset's `classes`.
    pub class: u16,
    /// Left, top, right, bottom.
    pub corners: [u16; 4],
}

/// Value `index` of a [`Label::Values`].
pub fn value(values: &[u8], index: usize) -> Option<f32> {
    Dtype::F32.read(values.get(index.checked_mul(4)?..)?)
}

/// The used slots of a [`Label::Boxes`].
pub fn boxes(slots: &[u8]) -> impl Iterator<Item = BoxLabel> + '_ {
    slots.chunks_exact(BOX_BYTES).filter_map(|slot| {
        let word = |i: usize| Some(u16::from_le_bytes(*slot.get(2 * i..)?.first_chunk()?));
        let class = word(0)?;
        let corners = [word(1)?, word(2)?, word(3)?, word(4)?];
        (class != NO_BOX).then_some(BoxLabel { class, corners })
    })
}

/// A checked dataset over borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Dataset<'a> {
    bytes: &'a [u8],
    samples: u32,
    inputs: u8,
    label: LabelKind,
    labels_at: usize,
}

impl<'a> Dataset<'a> {
    /// Check a whole file.
    ///
    /// # Errors
    /// Says what is wrong first in file order: magic, version, header fields, length, labels.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ContainerError> {
        let inputs = header(bytes, DATASET_MAGIC, DATASET_VERSION, DATASET_HEADER)?;
        let samples = u32_at(bytes, 8)?;
        let classes = u32_at(bytes, 12)?;
        let count = u32_at(bytes, 16)?;
        let scale = f32_at(bytes, 20)?;
        let offset = f32_at(bytes, 24)?;
        require(samples > 0, "samples")?;
        require(u32_at(bytes, 28)? == 0, "reserved")?;
        let kind = byte_at(bytes, 7)?;
        let label = match kind {
            0 => LabelKind::None,
            1 | 3 => {
                let classes =
                    u16::try_from(classes).map_err(|_| ContainerError::Field("classes"))?;
                require(classes > 0, "classes")?;
                if kind == 1 {
                    LabelKind::Class { classes }
                } else {
                    LabelKind::Boxes {
                        classes,
                        slots: count,
                    }
                }
            }
            2 => LabelKind::Values {
                count,
                scale,
                offset,
            },
            _ => return Err(ContainerError::Field("label kind")),
        };
        let counted = match kind {
            0 => count == 0,
            1 => count == 1,
            _ => count > 0,
        };
        require(counted, "labels a sample")?;
        require(kind & 1 == 1 || classes == 0, "classes")?;
        require(
            scale.is_finite() && scale != 0.0 && (kind == 2 || scale == 1.0),
            "output scale",
        )?;
        require(
            offset.is_finite() && (kind == 2 || offset == 0.0),
            "output offset",
        )?;

        let mut set = Self {
            bytes,
            samples,
            inputs,
            label,
            labels_at: 0,
        };
        let mut end = DATASET_HEADER as u64 + DATASET_INPUT as u64 * u64::from(inputs);
        need(bytes, end)?;
        for index in 0..usize::from(inputs) {
            let input = set.read_input(index)?;
            end = section(end, samples, input.sample_bytes())?;
        }
        let labels_at = end;
        end = section(end, samples, label.sample_bytes())?;
        exact(bytes, end)?;
        set.labels_at = usize::try_from(labels_at).map_err(|_| too_long(bytes))?;
        set.check_labels()?;
        Ok(set)
    }

    fn read_input(&self, index: usize) -> Result<InputSpec, ContainerError> {
        let at = DATASET_HEADER + DATASET_INPUT * index;
        let dtype =
            Dtype::from_code(byte_at(self.bytes, at)?).ok_or(ContainerError::Field("dtype"))?;
        require(u32_at(self.bytes, at)? >> 8 == 0, "reserved")?;
        let elements = u32_at(self.bytes, at + 4)?;
        let (scale, offset) = (f32_at(self.bytes, at + 8)?, f32_at(self.bytes, at + 12)?);
        require(elements > 0, "elements")?;
        require(scale.is_finite() && scale != 0.0, "scale")?;
        require(offset.is_finite(), "offset")?;
        Ok(InputSpec {
            dtype,
            elements,
            scale,
            offset,
        })
    }

    fn check_labels(&self) -> Result<(), ContainerError> {
        for sample in 0..self.samples {
            let fits = match (self.label, self.label(sample)) {
                (LabelKind::Class { classes }, Some(Label::Class(class))) => class < classes,
                (LabelKind::Boxes { classes, .. }, Some(Label::Boxes(slots))) => {
                    boxes(slots).all(|b| b.class < classes)
                }
                (LabelKind::None | LabelKind::Values { .. }, _) => return Ok(()),
                _ => false,
            };
            if !fits {
                return Err(ContainerError::Label { sample });
            }
        }
        Ok(())
    }

    /// Number of samples.
    pub const fn samples(&self) -> u32 {
        self.samples
    }

    /// Number of model inputs.
    pub const fn inputs(&self) -> usize {
        self.inputs as usize
    }

    /// What the labels are.
    pub const fn label_kind(&self) -> LabelKind {
        self.label
    }

    /// Description of input `index`, `None` beyond the last.
    pub fn input(&self, index: usize) -> Option<InputSpec> {
        if index >= self.inputs() {
            return None;
        }
        self.read_input(index).ok()
    }

    /// The stored bytes of one sample of input `index`, `None` beyond the last.
    pub fn sample(&self, index: usize, sample: u32) -> Option<&'a [u8]> {
        let wanted = self.input(index)?.sample_bytes();
        if sample >= self.samples {
            return None;
        }
        let mut at = DATASET_HEADER as u64 + DATASET_INPUT as u64 * u64::from(self.inputs);
        for before in 0..index {
            at = section(at, self.samples, self.input(before)?.sample_bytes()).ok()?;
        }
        at = at.checked_add(u64::from(sample).checked_mul(wanted)?)?;
        piece(self.bytes, at, wanted)
    }

    /// The label of one sample, `None` beyond the last.
    pub fn label(&self, sample: u32) -> Option<Label<'a>> {
        if sample >= self.samples {
            return None;
        }
        let wanted = self.label.sample_bytes();
        let at = (self.labels_at as u64).checked_add(u64::from(sample).checked_mul(wanted)?)?;
        let bytes = piece(self.bytes, at, wanted)?;
        Some(match self.label {
            LabelKind::None => Label::None,
            LabelKind::Class { .. } => Label::Class(u16::from_le_bytes(*bytes.first_chunk()?)),
            LabelKind::Values { .. } => Label::Values(bytes),
            LabelKind::Boxes { .. } => Label::Boxes(bytes),
        })
    }
}

/// One tensor of a golden vector file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Element type.
    pub dtype: Dtype,
    /// Bytes a vector, a multiple of the element's size.
    pub bytes: u32,
}

/// Checked golden vectors over borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'a> {
    bytes: &'a [u8],
    vectors: u32,
    inputs: u8,
    outputs: u8,
}

impl<'a> Golden<'a> {
    /// Check a whole file.
    ///
    /// # Errors
    /// Says what is wrong first in file order: magic, version, header fields, length.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ContainerError> {
        let inputs = header(bytes, GOLDEN_MAGIC, GOLDEN_VERSION, GOLDEN_HEADER)?;
        let outputs = byte_at(bytes, 7)?;
        let vectors = u32_at(bytes, 8)?;
        require((1..=MAX_TENSORS).contains(&usize::from(outputs)), "outputs")?;
        require(vectors > 0, "vectors")?;
        require(u32_at(bytes, 12)? == 0, "reserved")?;
        let golden = Self {
            bytes,
            vectors,
            inputs,
            outputs,
        };
        need(bytes, golden.first())?;
        let mut stride = 0u64;
        for index in 0..golden.tensors() {
            stride += padded(u64::from(golden.read_tensor(index)?.bytes));
        }
        let end = stride
            .checked_mul(u64::from(vectors))
            .and_then(|n| n.checked_add(golden.first()));
        exact(bytes, end.ok_or_else(|| too_long(bytes))?)?;
        Ok(golden)
    }

    const fn tensors(&self) -> usize {
        self.inputs as usize + self.outputs as usize
    }

    const fn first(&self) -> u64 {
        (GOLDEN_HEADER + GOLDEN_TENSOR * self.tensors()) as u64
    }

    fn read_tensor(&self, index: usize) -> Result<TensorSpec, ContainerError> {
        let at = GOLDEN_HEADER + GOLDEN_TENSOR * index;
        let dtype =
            Dtype::from_code(byte_at(self.bytes, at)?).ok_or(ContainerError::Field("dtype"))?;
        require(u32_at(self.bytes, at)? >> 8 == 0, "reserved")?;
        let bytes = u32_at(self.bytes, at + 4)?;
        require(
            bytes > 0 && (bytes as usize).is_multiple_of(dtype.size()),
            "bytes a vector",
        )?;
        Ok(TensorSpec { dtype, bytes })
    }

    /// Number of vectors.
    pub const fn vectors(&self) -> u32 {
        self.vectors
    }

    /// Number of model inputs.
    pub const fn inputs(&self) -> usize {
        self.inputs as usize
    }

    /// Number of model outputs.
    pub const fn outputs(&self) -> usize {
        self.outputs as usize
    }

    /// Description of input `index`, `None` beyond the last.
    pub fn input_spec(&self, index: usize) -> Option<TensorSpec> {
        (index < self.inputs()).then(|| self.read_tensor(index).ok())?
    }

    /// Description of output `index`, `None` beyond the last.
    pub fn output_spec(&self, index: usize) -> Option<TensorSpec> {
        (index < self.outputs()).then(|| self.read_tensor(self.inputs() + index).ok())?
    }

    /// Input tensor `index` of one vector, `None` beyond the last.
    pub fn input(&self, vector: u32, index: usize) -> Option<&'a [u8]> {
        (index < self.inputs()).then(|| self.tensor(vector, index))?
    }

    /// Output tensor `index` of one vector, `None` beyond the last.
    pub fn output(&self, vector: u32, index: usize) -> Option<&'a [u8]> {
        (index < self.outputs()).then(|| self.tensor(vector, self.inputs() + index))?
    }

    fn tensor(&self, vector: u32, index: usize) -> Option<&'a [u8]> {
        if vector >= self.vectors {
            return None;
        }
        let (mut stride, mut before, mut wanted) = (0u64, 0u64, 0u64);
        for i in 0..self.tensors() {
            let bytes = u64::from(self.read_tensor(i).ok()?.bytes);
            if i == index {
                (before, wanted) = (stride, bytes);
            }
            stride += padded(bytes);
        }
        let at = u64::from(vector)
            .checked_mul(stride)?
            .checked_add(before)?
            .checked_add(self.first())?;
        piece(self.bytes, at, wanted)
    }
}

/// Magic, version and input count, in that order; the fixed header is then known to be there.
fn header(bytes: &[u8], magic: [u8; 4], version: u16, fixed: usize) -> Result<u8, ContainerError> {
    if bytes.first_chunk() != Some(&magic) {
        return Err(ContainerError::Magic);
    }
    need(bytes, 6)?;
    let found = u32_at(bytes, 2)? >> 16;
    if found != u32::from(version) {
        return Err(ContainerError::Version(found as u16));
    }
    need(bytes, fixed as u64)?;
    let inputs = byte_at(bytes, 6)?;
    require((1..=MAX_TENSORS).contains(&usize::from(inputs)), "inputs")?;
    Ok(inputs)
}

fn require(holds: bool, field: &'static str) -> Result<(), ContainerError> {
    if holds {
        Ok(())
    } else {
        Err(ContainerError::Field(field))
    }
}

fn need(bytes: &[u8], expected: u64) -> Result<(), ContainerError> {
    let found = bytes.len() as u64;
    if found < expected {
        Err(ContainerError::Length { expected, found })
    } else {
        Ok(())
    }
}

fn exact(bytes: &[u8], expected: u64) -> Result<(), ContainerError> {
    let found = bytes.len() as u64;
    if found == expected {
        Ok(())
    } else {
        Err(ContainerError::Length { expected, found })
    }
}

fn too_long(bytes: &[u8]) -> ContainerError {
    ContainerError::Length {
        expected: u64::MAX,
        found: bytes.len() as u64,
    }
}

const fn padded(bytes: u64) -> u64 {
    // Only called with values below 2^36 or after a checked multiplication, see `section`.
    bytes.saturating_add(3) & !3
}

/// Where a section ends that starts at `start` and holds `samples` times `each` bytes.
fn section(start: u64, samples: u32, each: u64) -> Result<u64, ContainerError> {
    each.checked_mul(u64::from(samples))
        .and_then(|bytes| start.checked_add(padded(bytes)))
        .ok_or(ContainerError::Length {
            expected: u64::MAX,
            found: start,
        })
}

fn piece(bytes: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..)?.get(..usize::try_from(length).ok()?)
}

fn byte_at(bytes: &[u8], at: usize) -> Result<u8, ContainerError> {
    bytes.get(at).copied().ok_or_else(|| too_long(bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ContainerError> {
    let word = bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .ok_or_else(|| too_long(bytes))?;
    Ok(u32::from_le_bytes(*word))
}

fn f32_at(bytes: &[u8], at: usize) -> Result<f32, ContainerError> {
    u32_at(bytes, at).map(f32::from_bits)
}
