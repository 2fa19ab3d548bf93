//! The figures of a run as tables for papers (LaTeX with booktabs) and pull requests (Markdown).

use super::{Row, family_names, of_family};
use crate::store::RunFile;
use crate::{table, text, units};

const HEADER: [&str; 9] = [
    "variant",
    "precision",
    "params",
    "MACs",
    "model",
    "quality",
    "latency",
    "p99",
    "energy",
];
/// Columns of words; the others are of figures.
const WORDS: usize = 2;

fn cells((planned, result): &Row<'_>) -> [String; 9] {
    let none = || "–".to_owned();
    let p99 = result.latency.and_then(|latency| latency.p99);
    [
        planned.variant.clone(),
        planned.precision.word().to_owned(),
        table::known(planned.parameters, units::count),
        planned.unstated.shown_operations(planned.macs),
        table::known(planned.model.bytes, units::bytes),
        table::quality(planned, result).unwrap_or_else(none),
        result
            .latency
            .map_or_else(none, |latency| table::median(planned, &latency)),
        p99.map_or_else(none, |p99| units::time(p99.value)),
        result
            .energy
            .as_ref()
            .map_or_else(none, |_| table::energy(result)),
    ]
}

/// What must be said beside the figures.
fn notes(file: &RunFile) -> Vec<String> {
    let board = file.results.board.as_ref();
    let machine = board.map_or(file.plan.board.as_str(), |board| board.machine.as_str());
    let mut notes = vec![format!(
        "Measured on {machine} with scalebench {}, plan {}, seed {}.",
        file.scalebench,
        file.plan.plan.word(),
        file.plan.seed
    )];
    if file.published.is_some() {
        notes.clear();
    }
    notes.extend(table::caveat(file).map(|caveat| format!("{}.", capital(caveat))));
    notes.push("± of a latency is half the distance between the extreme windows, of a quality half a 95 % interval, of an energy two standard uncertainties.".to_owned());
    notes
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// A table a family, for a document that uses the package booktabs.
#[must_use]
pub fn latex(file: &RunFile) -> String {
    let rows = table::ordered(file);
    let mut tables = String::from("% \\usepackage{booktabs}\n");
    for family in family_names(&rows) {
        let rows = of_family(&family, &rows);
        let title = rows.first().map_or("", |(planned, _)| &planned.title);
        let notes: Vec<String> = notes(file).iter().map(|note| escaped(note)).collect();
        tables += &format!(
            "\n\\begin{{table}}\n  \\centering\n  \\caption{{{} ({}). {}}}\n  \\label{{tab:{}}}\n  \\begin{{tabular}}{{{}{}}}\n    \\toprule\n",
            escaped(title),
            escaped(&family),
            notes.join(" "),
            label(&family),
            "l".repeat(WORDS),
            "r".repeat(HEADER.len() - WORDS)
        );
        tables += &line(HEADER.map(str::to_owned));
        tables += "    \\midrule\n";
        for row in &rows {
            tables += &line(cells(row));
        }
        tables += "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n";
    }
    tables
}

fn line(cells: [String; 9]) -> String {
    format!(
        "    {} \\\\\n",
        cells.map(|cell| escaped(&cell)).join(" & ")
    )
}

/// A name that `\ref` takes.
fn label(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '-'
            }
        })
        .collect()
}

/// Text with everything that means something in LaTeX written out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            // Two of them would become a dash or a quotation mark.
            '-' | '\'' if safe.ends_with(char) => {
                safe.push_str("{}");
                safe.push(char);
            }
            // Behind the end of a row these would belong to it.
            '[' | ']' | '*' => {
                safe.push('{');
                safe.push(char);
                safe.push('}');
            }
            '`' => safe.push_str("\\textasciigrave{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                safe.push('\\');
                safe.push(char);
            }
            '\\' => safe.push_str("\\textbackslash{}"),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '<' => safe.push_str("\\textless{}"),
            '>' => safe.push_str("\\textgreater{}"),
            '|' => safe.push_str("\\textbar{}"),
            // The straight one is in no font that LaTeX begins with.
            '"' => safe.push_str("\\textquotedblright{}"),
            '±' => safe.push_str("$\\pm$"),
            '×' => safe.push_str("$\\times$"),
            '²' => safe.push_str("\\textsuperscript{2}"),
            'µ' => safe.push_str("\\textmu{}"),
            '–' => safe.push_str("--"),
            '−' => safe.push_str("$-$"),
            char if char.is_control() => safe.push(' '),
            char => safe.push(char),
        }
    }
    safe
}

/// A table a family.
#[must_use]
pub fn markdown(file: &RunFile) -> String {
    let rows = table::ordered(file);
    let mut tables = String::new();
    for family in family_names(&rows) {
        let rows = of_family(&family, &rows);
        let title = rows.first().map_or("", |(planned, _)| &planned.title);
        let name = format!("{} ({})", text::markdown(title), text::markdown(&family));
        tables += &format!("### {name}\n\n| {} |\n", HEADER.join(" | "));
        tables += &format!(
            "|{}{}\n",
            "---|".repeat(WORDS),
            "---:|".repeat(HEADER.len() - WORDS)
        );
        for row in &rows {
            tables += &format!(
                "| {} |\n",
                cells(row).map(|cell| text::markdown(&cell)).join(" | ")
            );
        }
        tables.push('\n');
    }
    for note in notes(file) {
        tables += &format!("{}\n", text::markdown(&note));
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn latex_shows_what_it_is_given() {
        assert_eq!(
            escaped("50 % & $x_1 #{a}"),
            "50 \\% \\& \\$x\\_1 \\#\\{a\\}"
        );
        assert_eq!(escaped("\\input{x}"), "\\textbackslash{}input\\{x\\}");
        assert_eq!(
            escaped("~^<|>\n"),
            "\\textasciitilde{}\\textasciicircum{}\\textless{}\\textbar{}\\textgreater{} "
        );
        assert_eq!(escaped("1.5 µs ±2"), "1.5 \\textmu{}s $\\pm$2");
        assert_eq!(escaped("[a] --*"), "{[}a{]} -{}-{*}");
    }

    #[test]
    fn a_latex_table_has_a_row_a_variant_and_says_what_the_board_was() {
        let mut file = example::run_file();
        for trial in &mut file.plan.trials {
            trial.family = "a_b \\end{table}".to_owned();
        }
        let text = latex(&file);
        for environment in ["table", "tabular"] {
            assert_eq!(
                text.matches(&format!("\\begin{{{environment}}}")).count(),
                1
            );
            assert_eq!(text.matches(&format!("\\end{{{environment}}}")).count(), 1);
        }
        let body = text
            .split("\\midrule")
            .nth(1)
            .unwrap()
            .split("\\bottomrule")
            .next()
            .unwrap();
        let lines: Vec<&str> = body.trim().lines().collect();
        assert_eq!(lines.len(), file.plan.trials.len());
        assert!(
            lines
                .iter()
                .all(|line| line.matches(" & ").count() == 8 && line.ends_with("\\\\"))
        );
        assert!(
            text.contains("a\\_b \\textbackslash{}end\\{table\\}")
                && text.contains("\\label{tab:a-b--end-table-}")
        );
        assert!(text.contains("This was the local virtual board"));
        assert!(
            lines
                .iter()
                .any(|line| line.contains("48.0 \\textmu{}s $\\pm$")),
            "{body}"
        );
    }

    #[test]
    #[ignore = "needs pdflatex (Debian: texlive-latex-base)"]
    fn a_document_with_the_tables_compiles() {
        let special = "\\ { } $ & # ^ _ ~ % < > | \" ' '' ` [x] * -- --- 5 ± 2 × 3² µ – − / @ ? ! , ; : = + ( )";
        let mut file = example::run_file();
        for trial in &mut file.plan.trials {
            trial.family = special.to_owned();
            trial.title = format!("Title {special}");
            trial.variant = format!("{special} {}", trial.variant);
        }
        // What stands first in a row or behind its end is read in its own way.
        file.plan.trials[0].variant = "[1cm] a".to_owned();
        file.plan.trials[1].variant = "* a".to_owned();
        let dir = tempfile::tempdir().unwrap();
        // booktabs is not in Debian's smallest LaTeX; its three rules are all that is used of it.
        let document = format!(
            "\\documentclass{{article}}\n\\IfFileExists{{booktabs.sty}}{{\\usepackage{{booktabs}}}}{{\\let\\toprule\\hline\n\
             \\let\\midrule\\hline\\let\\bottomrule\\hline}}\n\\begin{{document}}\n{}\nTable~\\ref{{tab:{}}}.\n\\end{{document}}\n",
            latex(&file),
            label(special)
        );
        std::fs::write(dir.path().join("paper.tex"), document).unwrap();
        let mut log = String::new();
        // Twice, for the reference.
        for _ in 0..2 {
            let compiled = std::process::Command::new("pdflatex")
                .args(["-interaction=nonstopmode", "-halt-on-error", "paper.tex"])
                .current_dir(dir.path())
                .output()
                .expect("pdflatex starts");
            log = String::from_utf8_lossy(&compiled.stdout).into_owned();
            assert!(compiled.status.success(), "{log}");
        }
        for trouble in ["Missing character", "undefined", "LaTeX Error"] {
            assert!(!log.contains(trouble), "{log}");
        }
        assert!(dir.path().join("paper.pdf").is_file());
    }

    #[test]
    fn a_markdown_table_has_a_row_a_variant_and_escapes_names() {
        let mut file = example::run_file();
        file.plan.trials[0].variant = "a|b<i>".to_owned();
        let text = markdown(&file);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), file.plan.trials.len() + 2);
        assert!(text.contains("| a\\|b&lt;i> |") && text.contains("local virtual board"));
    }
}
