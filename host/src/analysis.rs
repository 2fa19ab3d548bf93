//! The analysis of a run as a whole: what `scalebench show` and the report say below the figures.

use crate::scaling::fits::{Fits, fits};
use crate::scaling::knee::knee;
use crate::scaling::pairs::{Pairs, precisions};
use crate::scaling::ranks::{Ranks, ranks};
use crate::scaling::steps::{Step, steps};
use crate::scaling::{Cost, Figure, Measured, families, family, front, measured};
use crate::stats::regression::Estimate;
use crate::store::RunFile;
use crate::units;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The analysis of all families of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// By family.
    pub families: Vec<FamilyAnalysis>,
}

/// The analysis of one family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FamilyAnalysis {
    /// Its name.
    pub name: String,
    /// All variants that have a latency and a quality, from small to large.
    pub variants: Vec<Measured>,
    /// Names of those that nothing beats in latency and quality.
    pub front: Vec<String>,
    /// Names of those that nothing beats in energy and quality; empty where no energy was measured.
    #[serde(default)]
    pub energy_front: Vec<String>,
    /// The steps along the front of latency.
    pub steps: Vec<Step>,
    /// The variant where more latency stops paying.
    pub knee: Option<String>,
    /// Whether quality ranks sizes as their cost does, a precision each.
    #[serde(default)]
    pub ranks: Vec<Ranks>,
    /// How figures grow with size, a precision each.
    pub fits: Vec<Fits>,
    /// Int8 against float32.
    pub precisions: Pairs,
}

impl Analysis {
    /// Of a run.
    #[must_use]
    pub fn of(file: &RunFile) -> Self {
        Self::of_measured(&measured(file))
    }

    /// Of variants that are measured.
    #[must_use]
    pub fn of_measured(all: &[Measured]) -> Self {
        let one = |name: &str| {
            let variants = family(all, name);
            FamilyAnalysis {
                name: name.to_owned(),
                front: front(&variants, &[Cost::Latency])
                    .iter()
                    .map(|one| one.name())
                    .collect(),
                energy_front: front(&variants, &[Cost::Energy])
                    .iter()
                    .map(|one| one.name())
                    .collect(),
                steps: steps(&variants, Cost::Latency),
                knee: knee(&variants, Cost::Latency).map(Measured::name),
                ranks: ranks(&variants),
                fits: fits(&variants),
                precisions: precisions(&variants),
                variants: variants.into_iter().cloned().collect(),
            }
        };
        Self {
            families: families(all).into_iter().map(one).collect(),
        }
    }
}

impl FamilyAnalysis {
    /// What it says, a sentence a finding.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut said = Vec::new();
        if !self.front.is_empty() {
            said.push(format!(
                "not beaten in latency and quality: {}",
                self.front.join(", ")
            ));
        }
        let tiers: BTreeSet<&str> = self
            .variants
            .iter()
            .filter_map(|one| one.energy_tier.as_deref())
            .collect();
        if !self.energy_front.is_empty() {
            said.push(format!(
                "not beaten in energy ({}) and quality: {}",
                tiers.into_iter().collect::<Vec<_>>().join(", "),
                self.energy_front.join(", ")
            ));
        }
        if let Some(knee) = &self.knee {
            said.push(format!("beyond {knee} more latency pays less (Kneedle)"));
        }
        let open = self.variants.first().map(|one| one.unstated);
        let operations = open.unwrap_or_default().operations();
        said.extend(
            self.ranks
                .iter()
                .map(|ranks| rank_sentence(ranks, operations)),
        );
        for fit in &self.fits {
            said.extend(fit_sentences(fit, operations));
        }
        if let Some(ratio) = self.precisions.latency {
            said.push(format!(
                "int8 takes {} of float32's time, geometric mean of {}",
                times(ratio),
                crate::text::counted(self.precisions.pairs.len(), "pair")
            ));
        }
        said
    }
}

fn rank_sentence(ranks: &Ranks, operations: &str) -> String {
    format!(
        "{}: of two sizes the one of more {operations} is better in {} of {}, beyond 95 % uncertainty in {}, and worse in {}, beyond it in {}",
        ranks.precision,
        ranks.better,
        crate::text::counted(ranks.pairs, "pair"),
        ranks.surely_better,
        ranks.worse,
        ranks.surely_worse,
    )
}

fn fit_sentences(fit: &Fits, operations: &str) -> Vec<String> {
    let broken = |names: &[String]| match names {
        [] => String::new(),
        [name] => format!("; {name} breaks it"),
        names => format!("; {} break it", names.join(", ")),
    };
    let mut said = Vec::new();
    if let Some(law) = &fit.latency {
        said.push(format!(
            "{}: latency grows as {operations}^{}, R² {:.3}{}",
            fit.precision,
            estimate(law.exponent),
            law.r2,
            broken(&fit.latency_breaks)
        ));
    }
    if let Some(curve) = &fit.error {
        said.push(format!(
            "{}: what is left to improve falls as {operations}^−{} towards {}{}",
            fit.precision,
            estimate(curve.rate),
            estimate(curve.limit),
            broken(&fit.error_breaks)
        ));
    }
    said
}

fn estimate(estimate: Estimate) -> String {
    format!("{:.3} ±{:.3}", estimate.value, estimate.interval.half())
}

fn times(ratio: Figure) -> String {
    match ratio.interval {
        Some(interval) => format!(
            "{}× ({} to {})",
            units::three(ratio.value),
            units::three(interval.low),
            units::three(interval.high)
        ),
        None => format!("{}×", units::three(ratio.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn an_analysis_is_the_same_after_json_and_says_sentences() {
        let analysis = Analysis::of(&example::run_file());
        let json = serde_json::to_vec(&analysis).unwrap();
        assert_eq!(serde_json::from_slice::<Analysis>(&json).unwrap(), analysis);
        let said = analysis.families[0].sentences().join("\n");
        assert_eq!(
            said,
            "not beaten in latency and quality: w8 float32, w16 float32"
        );
        assert_eq!(analysis.families[0].steps.len(), 1);
    }
}
