use super::columns::{Of, TRIAL};
use super::{Exported, csv, document, partitions};
use crate::example;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value;
use std::fs::File;

fn exported(dir: &std::path::Path) -> Exported {
    let folder = example::folder(&dir.join("r1"));
    folder.save(&example::run_file()).unwrap();
    Exported::read(&folder, true).unwrap()
}

#[test]
fn csv_has_a_line_a_trial_and_says_nothing_it_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = exported(dir.path());
    run.file.plan.board = "=cmd(\"a\"),b".to_owned();
    let table = csv::csv(&[run]);
    let lines: Vec<&str> = table.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 6);
    assert!(lines[0].starts_with("run,started,"));
    assert!(
        lines[1].contains(",\"'=cmd(\"\"a\"\"),b\","),
        "{}",
        lines[1]
    );
    // The lost trial has a status and its weights' kind, and neither quality nor latency.
    let lost = lines.iter().find(|line| line.contains(",lost,")).unwrap();
    assert!(
        lost.ends_with(&format!("{}trained", ",".repeat(21))),
        "{lost}"
    );
}

#[test]
fn json_is_what_the_published_schema_says() {
    let dir = tempfile::tempdir().unwrap();
    let document = document::document(&[exported(dir.path())]);
    let schema: Value = serde_json::from_str(document::PUBLISHED).unwrap();
    assert_eq!(schema["properties"]["schema"]["const"], super::SCHEMA);
    let trial = &schema["$defs"]["trial"];
    let properties = trial["properties"].as_object().unwrap();
    let required = trial["required"].as_array().unwrap();
    assert_eq!(
        (properties.len(), required.len()),
        (TRIAL.len(), TRIAL.len())
    );
    for column in TRIAL {
        let word = match column.of {
            Of::Text(_) => "string",
            Of::Whole(_) => "integer",
            Of::Real(_) => "number",
        };
        let kinds = properties[column.name]["type"].as_array().unwrap();
        assert_eq!(
            kinds,
            &[Value::from(word), Value::from("null")],
            "{}",
            column.name
        );
        assert!(
            required.contains(&Value::from(column.name)),
            "{}",
            column.name
        );
        for trial in document["trials"].as_array().unwrap() {
            let value = &trial[column.name];
            let right = match column.of {
                Of::Text(_) => value.is_string(),
                Of::Whole(_) => value.is_i64(),
                Of::Real(_) => value.is_f64(),
            };
            assert!(right || value.is_null(), "{}: {value}", column.name);
        }
    }
}

#[test]
fn parquet_reads_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let run = exported(dir.path());
    let to = dir.path().join("lake");
    let files = partitions::write(&[run], &to).unwrap();
    let place = "board=local/family=digits/run=r1/part.parquet";
    assert_eq!(
        files,
        [
            to.join("trials").join(place),
            to.join("readings").join(place)
        ]
    );
    let open = |at: usize| SerializedFileReader::new(File::open(&files[at]).unwrap()).unwrap();
    let trials = open(0);
    let median = trials
        .metadata()
        .file_metadata()
        .schema()
        .get_fields()
        .iter()
        .position(|field| field.name() == "median_ns");
    let medians: Vec<Option<f64>> = trials
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_double(median.unwrap()).ok())
        .collect();
    assert_eq!(medians, [Some(12_002.0), None, Some(48_002.0), None, None]);
    let readings = open(1);
    let mut sorted: Vec<f64> = readings
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap())
        .filter(|row| row.get_string(0).unwrap() == "w16")
        .map(|row| row.get_double(4).unwrap())
        .collect();
    crate::stats::sort(&mut sorted);
    assert_eq!(sorted.len(), 1_000);
    assert!((crate::stats::median(&sorted).unwrap() - 48_002.0).abs() < 2.0);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let run = exported(dir.path());
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = partitions::write(&[run], &file).unwrap_err().to_string();
    assert!(
        error.contains("part.parquet") && error.contains("check the path"),
        "{error}"
    );
}
