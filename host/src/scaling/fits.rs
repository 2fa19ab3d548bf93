//! How figures grow with size.

use super::{Cost, Measured};
use crate::stats::regression::{PowerLaw, Saturation, breaking, power_law, saturation};
use scalebench_models::Precision;
use serde::{Deserialize, Serialize};

/// The fits of one family in one precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fits {
    /// Precision.
    pub precision: Precision,
    /// Names of the variants, in the order of all residuals.
    pub names: Vec<String>,
    /// Median latency in nanoseconds against multiply-accumulates.
    pub latency: Option<PowerLaw>,
    /// Names of the variants that break it.
    pub latency_breaks: Vec<String>,
    /// What is left to improve against multiply-accumulates.
    pub error: Option<Saturation>,
    /// Names of the variants that break it.
    pub error_breaks: Vec<String>,
}

/// The fits of each precision among the variants of a family; see [`power_law`] and [`saturation`] for
/// what they need.
#[must_use]
pub fn fits(variants: &[&Measured]) -> Vec<Fits> {
    Precision::ALL
        .iter()
        .filter_map(|&precision| {
            let of: Vec<&Measured> = variants
                .iter()
                .filter(|one| one.precision == precision)
                .copied()
                .collect();
            (!of.is_empty()).then(|| fit(precision, &of))
        })
        .collect()
}

fn fit(precision: Precision, variants: &[&Measured]) -> Fits {
    let names: Vec<String> = variants.iter().map(|one| one.variant.clone()).collect();
    let points = |y: &dyn Fn(&Measured) -> Option<f64>| -> Option<Vec<(f64, f64)>> {
        variants
            .iter()
            .map(|one| Some((one.cost(Cost::Macs)?, y(one)?)))
            .collect()
    };
    let latency = points(&|one| one.cost(Cost::Latency)).and_then(|points| power_law(&points));
    let error = points(&|one| Some(one.error())).and_then(|points| saturation(&points));
    let broken = |residuals: &[f64]| -> Vec<String> {
        let breaks = breaking(residuals);
        let named = names.iter().zip(breaks).filter(|(_, breaks)| *breaks);
        named.map(|(name, _)| name.clone()).collect()
    };
    Fits {
        precision,
        latency_breaks: latency
            .as_ref()
            .map_or(Vec::new(), |fit| broken(&fit.residuals)),
        error_breaks: error
            .as_ref()
            .map_or(Vec::new(), |fit| broken(&fit.residuals)),
        names,
        latency,
        error,
    }
}
