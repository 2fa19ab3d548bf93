//! Operators timed one by one: what they are called, and what each took.

use crate::text::escaped;
use scalebench_engine::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An operator of a model, as a profile names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Its type, as the schema of TFLite names it.
    pub operator: String,
    /// The first tensor it writes.
    pub output: String,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
}

/// The operators of the model in `bytes`, in the order of the file; none if it cannot be read, which the board
/// will say as well.
#[must_use]
pub fn operators(bytes: &[u8]) -> Vec<Operator> {
    let Ok(report) = scalebench_engine::inspect(bytes, &Limits::default()) else {
        return Vec::new();
    };
    report
        .operators
        .iter()
        .map(|operator| Operator {
            operator: escaped(&operator.operator),
            output: operator
                .outputs
                .first()
                .map_or(String::new(), |tensor| escaped(&tensor.name)),
            macs: operator.macs,
        })
        .collect()
}

/// What the operators of a model took, the reading of the clock between them included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Inferences that were profiled.
    pub inferences: u32,
    /// Operators that took part, in the order of the file.
    pub operators: Vec<OperatorTime>,
}

/// What one operator took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorTime {
    /// Its index in the model's file.
    pub index: u32,
    /// Which it is.
    #[serde(flatten)]
    pub operator: Operator,
    /// Mean over the profiled inferences, in nanoseconds.
    pub mean_ns: f64,
}

impl Profile {
    /// All operators together, in nanoseconds.
    #[must_use]
    pub fn total_ns(&self) -> f64 {
        self.operators.iter().map(|one| one.mean_ns).sum()
    }

    /// Types of operators and their shares of the time, the greatest first.
    #[must_use]
    pub fn shares(&self) -> Vec<(&str, f64)> {
        let total = self.total_ns();
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for one in &self.operators {
            *sums.entry(&one.operator.operator).or_default() += one.mean_ns;
        }
        let mut shares: Vec<_> = sums
            .into_iter()
            .map(|(kind, ns)| (kind, if total > 0.0 { ns / total } else { 0.0 }))
            .collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(kind: &str, mean_ns: f64) -> OperatorTime {
        OperatorTime {
            index: 0,
            operator: Operator {
                operator: kind.into(),
                output: String::new(),
                macs: 0,
            },
            mean_ns,
        }
    }

    #[test]
    fn shares_are_by_type_and_add_up() {
        let profile = Profile {
            inferences: 1,
            operators: vec![time("ADD", 10.0), time("CONV_2D", 70.0), time("ADD", 20.0)],
        };
        assert_eq!(profile.shares(), [("CONV_2D", 0.7), ("ADD", 0.3)]);
        assert_eq!(Profile::default().shares(), []);
    }

    #[test]
    fn a_file_that_is_no_model_has_no_operators() {
        assert_eq!(operators(b"no model"), []);
    }
}
