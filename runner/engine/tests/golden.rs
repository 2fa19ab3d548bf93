//! Golden vectors, which the TFLite reference kernels answered: those of the shipped families, and of a folder
//! `SCALEBENCH_GOLDEN=DIR` with `NAME.tflite` beside `NAME.sbgv`. Integers to the bit, floats nearly.

use std::path::{Path, PathBuf};

use scalebench_engine::{DType, Limits, Model};
use scalebench_wire::container::Golden;

/// A file of vectors and its model.
fn pairs() -> Vec<(PathBuf, PathBuf)> {
    let vectors = |folder: &Path| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = files.map(|entry| entry.path());
        let mut files: Vec<_> = files
            .filter(|file| file.extension().is_some_and(|end| end == "sbgv"))
            .collect();
        files.sort();
        files
    };
    let mut pairs = Vec::new();
    if let Some(folder) = std::env::var_os("SCALEBENCH_GOLDEN") {
        for file in vectors(Path::new(&folder)) {
            pairs.push((file.clone(), file.with_extension("tflite")));
        }
        return pairs;
    }
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    for family in std::fs::read_dir(families).unwrap().flatten() {
        for file in vectors(&family.path().join("golden")) {
            let name = file.with_extension("tflite");
            let model = family
                .path()
                .join("weights")
                .join(name.file_name().unwrap());
            pairs.push((file, model));
        }
    }
    pairs
}

/// How far floats may be apart, relative to the greatest of the tensor. Dynamic-range layers round activations, so
/// that the last place of a float may become a step: what that comes to is measured for each file by
/// `models/recipe/perturbation.py` and stated in its manifest, for shipped ones at most this. A folder has no manifest:
/// of its files this is a warning to look at theirs.
fn tolerance(file: &Path) -> f32 {
    let dynamic = file.to_str().is_some_and(|name| name.contains(".dynamic."));
    if dynamic { 4e-4 } else { 1e-4 }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Elements that are not the reference's.
fn wrong(dtype: DType, ours: &[u8], theirs: &[u8], tolerance: f32) -> usize {
    if dtype != DType::F32 {
        let pairs = ours.iter().zip(theirs);
        return pairs.filter(|(a, b)| a != b).count();
    }
    let (ours, theirs) = (floats(ours), floats(theirs));
    let most = theirs
        .iter()
        .fold(0.0, |most: f32, value| most.max(value.abs()));
    let near = |a: f32, b: f32| (a - b).abs() <= tolerance * most;
    let pairs = ours.iter().zip(&theirs);
    pairs.filter(|&(&a, &b)| !near(a, b)).count()
}

#[test]
fn golden_vectors_come_out() {
    let pairs = pairs();
    assert!(!pairs.is_empty(), "no golden vectors");
    let mut failures = Vec::new();
    for (file, model) in pairs {
        let name = model.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).unwrap();
        let golden = Golden::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = std::fs::read(&model).unwrap();
        let mut model = Model::load(&bytes, &Limits::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut vector = 0;
        while let Some(first) = golden.input(vector, 0) {
            model.input_mut(0).copy_from_slice(first);
            for index in 1..model.inputs().len() {
                let given = golden.input(vector, index).unwrap();
                model.input_mut(index).copy_from_slice(given);
            }
            model.run().unwrap();
            for (index, info) in model.outputs().iter().enumerate() {
                let due = golden.output(vector, index).unwrap();
                let own = model.output(index);
                assert_eq!(own.len(), due.len(), "{name}");
                let wrong = wrong(info.dtype, own, due, tolerance(&file));
                if wrong > 0 {
                    failures.push(format!(
                        "{name}, vector {vector}: {wrong} of {}",
                        info.elements()
                    ));
                }
            }
            vector += 1;
        }
        assert!(vector > 0, "{name}: no vectors");
        println!("{name}: {vector} vectors");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
