//! The benchmark's tasks.

use scalebench_models::{Metric, UseCase};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Anomaly detection.
    Ad01,
    /// Image classification.
    Ic01,
    /// Keyword spotting.
    Kws01,
    /// Visual wake words.
    Vww01,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ad01, Self::Ic01, Self::Kws01, Self::Vww01];

    /// Its name on the line, and that of its folder of inputs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ad01 => "ad01",
            Self::Ic01 => "ic01",
            Self::Kws01 => "kws01",
            Self::Vww01 => "vww01",
        }
    }

    /// The task of that name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.word() == word)
    }

    /// What a person calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Ad01 => "MLPerf Tiny: anomaly detection",
            Self::Ic01 => "MLPerf Tiny: image classification",
            Self::Kws01 => "MLPerf Tiny: keyword spotting",
            Self::Vww01 => "MLPerf Tiny: visual wake words",
        }
    }

    /// What it is for.
    #[must_use]
    pub fn use_case(self) -> UseCase {
        UseCase::Classification
    }

    /// What ranks its models.
    #[must_use]
    pub fn metric(self) -> Metric {
        match self {
            Self::Ad01 => Metric::Auc,
            _ => Metric::Top1,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
