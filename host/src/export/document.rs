//! Trials as JSON. The schema is `host/schema/export.v1.json`; `scalebench export --schema` prints it.

use super::columns::{Of, TRIAL};
use super::{Exported, Row, SCHEMA};
use serde_json::{Map, Value, json};

/// The published schema (JSON Schema, draft 2020-12).
pub const PUBLISHED: &str = include_str!("../../schema/export.v1.json");

/// The document of all trials.
#[must_use]
pub fn document(runs: &[Exported]) -> Value {
    let trials: Vec<Value> = runs
        .iter()
        .flat_map(Exported::rows)
        .map(|row| trial(&row))
        .collect();
    json!({ "schema": SCHEMA, "trials": trials })
}

fn trial(row: &Row<'_>) -> Value {
    let cells = TRIAL.iter().map(|column| {
        let value = match column.of {
            Of::Text(of) => of(row).map(Value::from),
            Of::Whole(of) => of(row).map(Value::from),
            Of::Real(of) => of(row).map(Value::from),
        };
        (column.name.to_owned(), value.unwrap_or(Value::Null))
    });
    Value::Object(cells.collect::<Map<_, _>>())
}
