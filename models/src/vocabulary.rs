//! The fixed words of a manifest: use cases, precisions, metrics.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fixed word enum: its serde names and its `Display` are the same list.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, in the order of the definition.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word a manifest uses.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What a family is for.
    UseCase {
        /// Predict numbers.
        Regression = "regression",
        /// Pick one class.
        Classification = "classification",
        /// Find boxes.
        Detection = "detection",
        /// Understand text.
        Language = "language",
    }
}

words! {
    /// How a model's numbers are held.
    Precision {
        /// IEEE single throughout.
        Float32 = "float32",
        /// Full integer: int8 weights, activations, input and output.
        Int8 = "int8",
        /// Dynamic range: int8 weights, float activations.
        Dynamic = "dynamic",
    }
}

words! {
    /// Which way a metric improves.
    Direction {
        /// More is better.
        Higher = "higher",
        /// Less is better.
        Lower = "lower",
    }
}

words! {
    /// Where a family's weights come from.
    #[derive(Default)]
    Weights {
        /// Trained: quality figures mean something.
        #[default]
        Trained = "trained",
        /// Drawn from a seed to measure cost only: quality is not measured.
        Seeded = "seeded",
    }
}

words! {
    /// Whose answers golden vectors hold.
    #[derive(Default)]
    Answers {
        /// The TFLite reference kernels', or others' that the engine has nothing to do with.
        #[default]
        Reference = "reference",
        /// The engine's own, on the machine where the family was added: they show that boards agree with that
        /// machine, and nothing about a reference.
        Engine = "engine",
    }
}

impl Weights {
    /// Whether they were trained.
    pub fn are_trained(&self) -> bool {
        *self == Self::Trained
    }
}

impl Answers {
    /// Whether they are a reference's.
    pub fn are_references(&self) -> bool {
        *self == Self::Reference
    }
}

words! {
    /// A quality figure. Fractions are in 0 to 1, never percent.
    Metric {
        /// Fraction of samples whose highest output is the labelled class; of equal outputs the first counts.
        Top1 = "top1",
        /// Fraction of samples whose label is among the five highest outputs; of equal outputs the first count.
        Top5 = "top5",
        /// Mean of `-ln(max(p, 1e-7))`, `p` the output for the labelled class.
        LogLoss = "log_loss",
        /// Area under the receiver operating characteristic.
        Auc = "auc",
        /// Unweighted mean over classes of F1.
        MacroF1 = "macro_f1",
        /// `1 - sum of squared errors / sum of squared deviations from the evaluation set's mean`.
        R2 = "r2",
        /// Root of the mean squared error, in the family's unit.
        Rmse = "rmse",
        /// Mean absolute error, in the family's unit.
        Mae = "mae",
        /// Mean squared error, in the family's unit squared.
        Mse = "mse",
        /// Mean average precision at IoU 0.5.
        Map50 = "map50",
        /// Mean average precision over IoU 0.50, 0.55, ... 0.95.
        Map50To95 = "map50_95",
        /// True among reported detections.
        DetectionPrecision = "precision",
        /// Reported among true objects.
        DetectionRecall = "recall",
    }
}

impl Metric {
    /// Which way the metric improves.
    pub const fn direction(self) -> Direction {
        match self {
            Self::LogLoss | Self::Rmse | Self::Mae | Self::Mse => Direction::Lower,
            _ => Direction::Higher,
        }
    }

    /// The smallest and largest value the metric can take.
    pub const fn range(self) -> (f64, f64) {
        match self {
            Self::LogLoss | Self::Rmse | Self::Mae | Self::Mse => (0.0, f64::MAX),
            Self::R2 => (f64::MIN, 1.0),
            _ => (0.0, 1.0),
        }
    }
}
