//! What can go wrong, told to a person.

/// Why a model was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are no TFLite flatbuffer, or a broken one.
    #[error("not a readable TFLite flatbuffer: {reason}; export or download the file again")]
    Flatbuffer {
        /// What the verifier or the reader met first.
        reason: String,
    },
    /// A tensor that contradicts itself or its buffer.
    #[error("tensor {index} `{name}`: {reason}; export the model again")]
    Tensor {
        /// Index in the main subgraph.
        index: usize,
        /// Name in the file, may be empty.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An operator that contradicts its tensors or the format.
    #[error("operator {index} {operator}, output `{output}`: {reason}; export the model again")]
    Operator {
        /// Index in the main subgraph.
        index: usize,
        /// Type of the operator as the schema names it.
        operator: String,
        /// Name of its first output tensor.
        output: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A sound operator that this engine does not execute.
    #[error(
        "operator {index} {operator} version {version}, output `{output}`: not yet executable on this engine ({reason}); `scalebench models inspect` lists every such operator"
    )]
    Unsupported {
        /// Index in the main subgraph.
        index: usize,
        /// Type of the operator as the schema names it.
        operator: String,
        /// Operator version in the file.
        version: i32,
        /// Name of its first output tensor.
        output: String,
        /// The option or type that is not covered.
        reason: String,
    },
    /// The model asks for more memory than the caller allows.
    #[error(
        "the model needs {needed} bytes for {what}, {allowed} are allowed: raise the limit or take a smaller variant"
    )]
    Memory {
        /// Bytes asked for.
        needed: u64,
        /// Bytes allowed by [`crate::Limits`].
        allowed: u64,
        /// What the bytes are for.
        what: &'static str,
    },
    /// tract refused the lowered graph.
    #[error("tract refuses the model: {reason}")]
    Plan {
        /// tract's own message.
        reason: String,
    },
}

/// Why an inference stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An operator met a value it must not act upon, such as an index out of range.
    #[error("operator {operator}, output `{output}`: {reason}; check the input values")]
    Operator {
        /// Type of the operator.
        operator: String,
        /// Name of its first output tensor.
        output: String,
        /// What happened.
        reason: String,
    },
}
