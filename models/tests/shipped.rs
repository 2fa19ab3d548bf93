//! Every family that ships loads, and every file of it is what its manifest says.

use std::path::Path;

use scalebench_models::container::{Dataset, Dtype, Golden};
use scalebench_models::{Family, Precision, UseCase, load_all};

fn shipped() -> Vec<Family> {
    load_all(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn all_shipped_families_validate() {
    let families = shipped();
    let names: Vec<&str> = families.iter().map(|f| f.manifest.name.as_str()).collect();
    for needed in [
        "diamonds-mlp",
        "fashion-cnn",
        "garment-detect",
        "gloss-bert",
    ] {
        assert!(
            names.contains(&needed),
            "{needed} is missing from {names:?}"
        );
    }
    for family in &families {
        family.validate().unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn no_file_lies_there_that_no_manifest_names() {
    for family in shipped() {
        let m = &family.manifest;
        let builds = m.variants.iter().flat_map(|variant| variant.builds());
        let mut named: Vec<&str> = builds
            .flat_map(|(_, build)| [&build.model, &build.golden])
            .chain(m.datasets.iter().map(|dataset| &dataset.artefact))
            .chain(m.attachments.iter().map(|attachment| &attachment.artefact))
            .map(|artefact| artefact.file.as_str())
            .collect();
        let mut there = Vec::new();
        for folder in ["weights", "golden", "data"] {
            for file in std::fs::read_dir(family.dir.join(folder)).unwrap() {
                let file = file.unwrap().file_name();
                there.push(format!("{folder}/{}", file.to_str().unwrap()));
            }
        }
        named.sort_unstable();
        named.dedup();
        there.sort_unstable();
        assert_eq!(there, named, "{}", m.name);
    }
}

#[test]
fn every_variant_ships_in_float_and_int8_and_beats_the_baseline() {
    for family in shipped() {
        let m = &family.manifest;
        let metric = m.quality.metric;
        assert!(
            m.variants.len() >= 5,
            "{} has {} variants",
            m.name,
            m.variants.len()
        );
        for v in &m.variants {
            let figure = |p| {
                v.build(p)
                    .unwrap_or_else(|| panic!("{} {} lacks {p}", m.name, v.name))
                    .quality[&metric]
            };
            let (float, int8) = (figure(Precision::Float32), figure(Precision::Int8));
            assert!(
                float > m.quality.baseline[&metric] + 0.1,
                "{} {}: {float}",
                m.name,
                v.name
            );
            assert!(
                (float - int8).abs() < 0.03,
                "{} {}: float {float}, int8 {int8}",
                m.name,
                v.name
            );
        }
        assert!(
            m.variants.windows(2).all(|w| w[0].macs <= w[1].macs),
            "{}: not in order of MACs",
            m.name
        );
    }
}

#[test]
fn golden_vectors_have_the_tensors_of_their_variant() {
    for family in shipped() {
        for v in &family.manifest.variants {
            let data = family
                .artefact(&family.dataset(v).unwrap().artefact)
                .read()
                .unwrap();
            let elements = Dataset::parse(&data).unwrap().input(0).unwrap().elements;
            for (precision, build) in v.builds() {
                let bytes = family.artefact(&build.golden).read().unwrap();
                let golden = Golden::parse(&bytes).unwrap();
                let spec = golden.input_spec(0).unwrap();
                let expected = match (family.manifest.use_case, precision) {
                    (UseCase::Language, _) => Dtype::I32,
                    (_, Precision::Int8) => Dtype::I8,
                    _ => Dtype::F32,
                };
                assert_eq!(spec.dtype, expected, "{} {precision}", v.name);
                assert_eq!(
                    spec.bytes,
                    elements * expected.size() as u32,
                    "{} {precision}",
                    v.name
                );
                let first = golden.output(0, 0).unwrap();
                let differs = (1..golden.vectors()).any(|n| golden.output(n, 0).unwrap() != first);
                assert!(
                    differs,
                    "{} {precision}: all golden outputs are equal",
                    v.name
                );
            }
        }
    }
}

#[test]
fn the_folder_stays_small() {
    let mut total = 0;
    for family in shipped() {
        let m = &family.manifest;
        total += m.datasets.iter().map(|d| d.artefact.bytes).sum::<u64>();
        total += m
            .variants
            .iter()
            .flat_map(|v| v.builds())
            .map(|(_, b)| b.model.bytes + b.golden.bytes)
            .sum::<u64>();
    }
    assert!(
        total < 12_000_000,
        "{total} bytes of artefacts: keep the repository quick to clone"
    );
}
