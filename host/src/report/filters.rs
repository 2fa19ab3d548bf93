//! The controls that leave families, precisions and boards out of plots and tables. Hidden until the script
//! shows them: without it they would do nothing.

use crate::store::RunFile;
use maud::{Markup, html};
use std::collections::BTreeSet;

/// Controls for what the runs differ in; nothing where they differ in nothing.
pub(crate) fn filters(files: &[&RunFile], boards: &[&str]) -> Markup {
    let trials = || files.iter().flat_map(|file| &file.plan.trials);
    let families: BTreeSet<&str> = trials().map(|planned| planned.family.as_str()).collect();
    let precisions: BTreeSet<&str> = trials().map(|planned| planned.precision.word()).collect();
    let groups = [
        ("board", boards.to_vec()),
        ("family", families.into_iter().collect()),
        ("precision", precisions.into_iter().collect()),
    ];
    let groups: Vec<(&str, Vec<&str>)> = groups
        .into_iter()
        .filter(|(_, values)| values.len() > 1)
        .collect();
    html! {
        @if !groups.is_empty() {
            form id="filters" hidden aria-label="What plots and tables show" {
                @for (name, values) in &groups {
                    fieldset {
                        legend { (name) }
                        @for value in values {
                            label { input type="checkbox" name=(name) value=(value) checked; (value) }
                        }
                    }
                }
                button type="reset" { "all" }
                output aria-live="polite" {}
            }
        }
    }
}
