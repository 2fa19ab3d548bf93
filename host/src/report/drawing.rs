//! Every plot of a report as an SVG file of its own, for papers: in the light colours, without a script, and with
//! styles that programs other than browsers know.

use super::choice::Choice;
use super::{Row, family_names, of_family, plots, spread, strip};
use crate::store::RunFile;
use crate::table;
use maud::{Markup, PreEscaped};
use std::collections::BTreeSet;

pub(super) const STYLE: &str = include_str!("drawing.css");
/// Height of the title above a drawing.
const TITLE: f64 = 20.0;
const SERIES: [&str; 3] = ["float32", "int8", "dynamic"];

/// A plot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// What its file is called: letters, digits, `.`, `_` and `-`, and no other drawing of the run has it.
    pub name: String,
    /// The file.
    pub svg: String,
}

/// Every plot of a run.
#[must_use]
pub fn drawings(file: &RunFile) -> Vec<Drawing> {
    let rows = table::ordered(file);
    let style = style();
    // What must be said beside the figures is said in the drawings too.
    let caveat = table::caveat(file).unwrap_or_default();
    let mut taken = BTreeSet::new();
    let mut drawn = Vec::new();
    let mut add = |name: String, title: &str, svg: &Markup| {
        drawn.push(Drawing {
            name: free(&name, &mut taken),
            svg: alone(&svg.0, title, &style, caveat),
        });
    };
    for family in family_names(&rows) {
        let rows = of_family(&family, &rows);
        let choice = Choice::of(&rows);
        for (cost, chart) in plots::plots(&rows, &choice) {
            if let Some(svg) = chart.svg(true) {
                add(format!("{family}-{cost}"), &chart.title, &svg);
            }
        }
        for row in &rows {
            windows(row, &mut add);
        }
    }
    for (name, title, svg) in strip::over_the_run(file) {
        add(name.to_owned(), &title, &svg);
    }
    drawn
}

/// What happens inside the windows of one variant; power with what it is worth.
fn windows((planned, result): &Row<'_>, add: &mut dyn FnMut(String, &str, &Markup)) {
    let name = format!(
        "{}-{}-{}",
        planned.family, planned.variant, planned.precision
    );
    let label = planned.label();
    let title = format!("Latencies of {label}");
    if let Some(svg) = spread::drawing(result, &title) {
        add(format!("{name}-latencies"), &title, &svg);
    }
    if let Some((title, svg)) = strip::power_drawing(&label, result) {
        add(format!("{name}-power"), &title, &svg);
    }
}

/// A file name made of `name`, and of a number where that one is taken.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(120)
        .collect();
    let plain = plain.trim_start_matches(['.', '-']);
    let free = (1..)
        .map(|n| {
            if n == 1 {
                format!("{plain}.svg")
            } else {
                format!("{plain}-{n}.svg")
            }
        })
        .find(|name| !taken.contains(name))
        .unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// A drawing of the page as a file: name space, size, style, a white ground, and its title above it.
fn alone(svg: &str, title: &str, style: &str, caveat: &str) -> String {
    let (head, inside) = svg.split_once('>').unwrap_or((svg, ""));
    let (before, size, after) = view(head).unwrap_or((head, [400.0, 280.0], ""));
    let [width, height] = [size[0], size[1] + TITLE];
    let before = before.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1);
    let words = maud::html! {
        @if !caveat.is_empty() { desc { (caveat) } }
        style { (PreEscaped(style)) }
        rect y=(-TITLE) width=(width) height=(height) fill="#ffffff" {}
        text.label x="6" y="-6" { (title) }
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{before}viewBox=\"0 -{TITLE} {width} {height}\" \
         width=\"{width}\" height=\"{height}\"{after}>{}{inside}\n",
        words.0
    )
}

/// What stands before and after a drawing's view box, and its size.
fn view(head: &str) -> Option<(&str, [f64; 2], &str)> {
    let (before, rest) = head.split_once("viewBox=\"0 0 ")?;
    let (size, after) = rest.split_once('"')?;
    let (width, height) = size.split_once(' ')?;
    Some((before, [width.parse().ok()?, height.parse().ok()?], after))
}

/// The drawings' style in plain colours: not every program knows custom properties.
fn style() -> String {
    let light = super::palette::light();
    let mut style =
        String::from("svg { font-family: \"DejaVu Sans\", \"Noto Sans\", sans-serif; }\n");
    for rule in STYLE.lines() {
        let of_series = rule.contains("var(--c)");
        for series in if of_series { &SERIES[..] } else { &SERIES[..1] } {
            let mut rule = rule.to_owned();
            if of_series {
                rule = rule
                    .replacen(".point", &format!(".point.{series}"), 1)
                    .replace("var(--c)", &format!("var(--{series})"));
            }
            for (name, colour) in &light {
                rule = rule.replace(&format!("var(--{name})"), colour);
            }
            style += &rule;
            style.push('\n');
        }
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn drawings_stand_alone_and_keep_to_their_folder() {
        let mut file = example::run_file();
        for trial in &mut file.plan.trials {
            trial.family = "../<script>".to_owned();
        }
        let drawn = drawings(&file);
        assert!(drawn.len() >= 4, "{}", drawn.len());
        let names: BTreeSet<&str> = drawn.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names.len(), drawn.len());
        for Drawing { name, svg } in &drawn {
            assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
            assert!(
                svg.contains("xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n")
            );
            for forbidden in ["var(", "<script", "--c"] {
                assert!(!svg.contains(forbidden), "{name}: {forbidden}");
            }
            // The example ran on the virtual board.
            assert!(
                svg.contains("<desc>this was the local virtual board"),
                "{name}"
            );
        }
        assert!(names.contains("__script_-latency.svg"), "{names:?}");
    }

    #[test]
    fn no_two_files_have_one_name() {
        let mut taken = BTreeSet::new();
        assert_eq!(free("a/b", &mut taken), "a_b.svg");
        assert_eq!(free("a b", &mut taken), "a_b-2.svg");
        assert_eq!(free("../a", &mut taken), "_a.svg");
    }
}
