//! A person's own files: added as a family, validated, run on the local board, shown.

use scalebench_models::container::{Dataset, Label};
use scalebench_models::{Family, Metric, Precision, root};
use scalebench_tests::lab::{said, scalebench};
use std::fs;
use std::path::Path;

/// A `.npy` file of floats, as NumPy writes it.
fn npy(path: &Path, shape: &str, values: &[f32]) {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    header += &" ".repeat(128 - 11 - header.len());
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    fs::write(path, file).unwrap();
}

/// The shipped evaluation set of diamonds as arrays, and what turns the models' answers into prices.
fn diamonds(dir: &Path) -> (Family, f32, f32) {
    let family = Family::load(&root(None).join("diamonds-mlp")).unwrap();
    let entry = &family.manifest.datasets[0];
    let bytes = family.artefact(&entry.artefact).read().unwrap();
    let set = Dataset::parse(&bytes).unwrap();
    let spec = set.input(0).unwrap();
    let (mut x, mut y) = (Vec::new(), "price\n".to_owned());
    for sample in 0..entry.samples {
        let stored = set.sample(0, sample).unwrap();
        x.extend((0..9).map(|at| spec.real(stored, at).unwrap()));
        let Some(Label::Values(values)) = set.label(sample) else {
            panic!("no values");
        };
        let price = scalebench_models::container::value(values, 0).unwrap();
        y += &format!("{price}\n");
    }
    npy(&dir.join("x.npy"), &format!("({}, 9)", entry.samples), &x);
    fs::write(dir.join("y.csv"), y).unwrap();
    let scalebench_models::container::LabelKind::Values { scale, offset, .. } = set.label_kind()
    else {
        panic!("no values");
    };
    (family, scale, offset)
}

#[test]
fn added_files_are_a_family_that_runs_and_says_where_its_golden_vectors_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let (shipped, scale, offset) = diamonds(dir.path());
    let models = dir.path().join("models");
    fs::create_dir(&models).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = scalebench(arguments);
        command
            .current_dir(dir.path())
            .env("SCALEBENCH_MODELS", &models);
        command
    };
    let file = |name: &str| shipped.dir.join("weights").join(name).display().to_string();
    let added = said(&mut command(&[
        "models",
        "add",
        &file("d1-w2.float32.tflite"),
        &file("d1-w2.int8.tflite"),
        &file("d1-w4.int8.tflite"),
        "--name",
        "stones",
        "--data",
        "x.npy",
        "--labels",
        "y.csv:price",
        "--output",
        &format!("{scale},{offset}"),
        "--unit",
        "USD",
    ]));
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(
        added.out.contains("golden vectors are this engine's own"),
        "{added:?}"
    );
    let validated = said(&mut command(&["models", "validate", "stones"]));
    assert_eq!(validated.code, Some(0), "{validated:?}");
    assert!(validated.out.contains("no reference's"), "{validated:?}");

    let ran = said(&mut command(&[
        "run", "--quiet", "--baud", "3000000", "--output", "run", "--store", "store",
    ]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("no reference's"), "{ran:?}");
    let run: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("run/run.json")).unwrap()).unwrap();
    let trials = run["plan"]["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 3);
    for (planned, result) in trials
        .iter()
        .zip(run["results"]["trials"].as_array().unwrap())
    {
        assert_eq!(planned["answers"], "engine");
        assert_eq!(result["golden"]["beyond"], 0, "{result}");
        // The same samples, so the same quality as the reference kernels measured for the shipped family.
        let name = planned["variant"].as_str().unwrap();
        let mut variants = shipped.manifest.variants.iter();
        let variant = variants.find(|variant| variant.name == name).unwrap();
        let precision = match planned["precision"].as_str().unwrap() {
            "int8" => Precision::Int8,
            _ => Precision::Float32,
        };
        let known = variant.build(precision).unwrap().quality[&Metric::R2];
        let measured = result["quality"]["value"].as_f64().unwrap();
        assert!(
            (known - measured).abs() < 2e-6,
            "{name}: {measured}, not {known}"
        );
        // From the outcomes of all samples, by the bootstrap.
        let end = |end: &str| result["quality"]["interval"][end].as_f64().unwrap();
        assert!(end("low") < measured && measured < end("high"), "{result}");
    }
    let page = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(page.contains("own answers met"), "the report does not tell");
    let exported = said(&mut command(&["export", "run"]));
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let mut rows = exported.out.lines().map(|row| row.split(','));
    let told = |name: &str| name == "golden_answers";
    let column = rows.next().unwrap().position(told).unwrap();
    let answers: Vec<_> = rows.map(|mut row| row.nth(column).unwrap()).collect();
    assert_eq!(answers, ["engine"; 3], "{exported:?}");
}

#[test]
fn what_cannot_be_added_is_said_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    fs::create_dir(&models).unwrap();
    let refused = said(
        scalebench(&[
            "models",
            "add",
            "none.tflite",
            "--name",
            "none",
            "--data",
            "x.npy",
        ])
        .current_dir(dir.path())
        .env("SCALEBENCH_MODELS", &models),
    );
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.starts_with("error: none.tflite: "),
        "{refused:?}"
    );
    assert_eq!(refused.err.trim_end().lines().count(), 1, "{refused:?}");
    assert_eq!(fs::read_dir(&models).unwrap().count(), 0);
}
