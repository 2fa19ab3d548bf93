//! Trials as CSV (RFC 4180): a header, then a line a trial; what is not known is empty.

use super::Exported;
use super::columns::{Of, TRIAL};

/// The table of all trials.
#[must_use]
pub fn csv(runs: &[Exported]) -> String {
    let names: Vec<&str> = TRIAL.iter().map(|column| column.name).collect();
    let mut table = names.join(",") + "\r\n";
    for row in runs.iter().flat_map(Exported::rows) {
        let cells = TRIAL.iter().map(|column| {
            let cell = match column.of {
                Of::Text(of) => of(&row).map(|text| quoted(&text)),
                Of::Whole(of) => of(&row).map(|number| number.to_string()),
                Of::Real(of) => of(&row).map(|number| number.to_string()),
            };
            cell.unwrap_or_default()
        });
        table += &(cells.collect::<Vec<_>>().join(",") + "\r\n");
    }
    table
}

/// Quoted where it must be, and where a spreadsheet would take it for a formula made text.
fn quoted(text: &str) -> String {
    let text = match text.chars().next() {
        Some('=' | '+' | '-' | '@') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}
