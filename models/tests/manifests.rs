//! What a person reads when a manifest or a family's file is wrong.

use std::fs;
use std::path::Path;

use scalebench_models::container::{Dtype, InputSpec, LabelKind, TensorSpec};
use scalebench_models::{
    Family, ManifestError, Metric, Precision, load_all, parse_manifest, root, write,
};
use sha2::{Digest, Sha256};

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn entry(file: &str, bytes: &[u8]) -> String {
    format!(
        "{{ file = \"{file}\", sha256 = \"{}\", bytes = {} }}",
        hex(bytes),
        bytes.len()
    )
}

fn dataset() -> Vec<u8> {
    let input = InputSpec {
        dtype: Dtype::U8,
        elements: 2,
        scale: 1.0,
        offset: 0.0,
    };
    let labels = [0u16, 2, 1].map(u16::to_le_bytes).concat();
    write::dataset(
        3,
        &[(input, &[1, 2, 3, 4, 5, 6])],
        LabelKind::Class { classes: 3 },
        &labels,
    )
}

fn golden() -> Vec<u8> {
    let float = |bytes| TensorSpec {
        dtype: Dtype::F32,
        bytes,
    };
    write::golden(&[float(8)], &[float(12)], &[vec![&[0; 8], &[0; 12]]])
}

fn model() -> Vec<u8> {
    b"\x1c\0\0\0TFL3 and the rest".to_vec()
}

fn manifest() -> String {
    format!(
        r#"schema = 1
name = "toy"
title = "A toy"
use_case = "classification"
licence = "MIT"
dimensions = ["width"]
classes = ["a", "b", "c"]

[quality]
metric = "top1"
direction = "higher"
baseline_rule = "the first class"
baseline = {{ top1 = 0.5 }}

[[origin]]
what = "data"
title = "made up"
source = "this test"
licence = "MIT"
copyright = "nobody"

[[dataset]]
name = "three"
artefact = {dataset}
samples = 3

[[dataset.input]]
name = "pair"
shape = [2]

[[variant]]
name = "w1"
dataset = "three"
parameters = 3
macs = 2
coordinates = {{ width = 1 }}

[variant.float32]
model = {model}
golden = {golden}
vectors = 1
tolerance = {{ absolute = 1e-5, relative = 1e-4 }}
quality = {{ top1 = 0.75 }}
"#,
        dataset = entry("data.sbds", &dataset()),
        model = entry("w1.tflite", &model()),
        golden = entry("w1.sbgv", &golden()),
    )
}

/// The sentence for the good manifest with `old` replaced by `new`.
fn sentence(old: &str, new: &str) -> String {
    let good = manifest();
    assert!(good.contains(old), "{old} is not in the good manifest");
    parse_manifest(&good.replacen(old, new, 1))
        .expect_err("accepted a broken manifest")
        .to_string()
}

#[test]
fn a_good_manifest_says_what_it_says() {
    let m = parse_manifest(&manifest()).unwrap();
    assert_eq!((m.name.as_str(), m.quality.metric), ("toy", Metric::Top1));
    let variant = &m.variants[0];
    assert_eq!(variant.coordinates["width"], 1.0);
    assert_eq!(
        variant
            .builds()
            .map(|(p, b)| (p, b.quality[&Metric::Top1]))
            .collect::<Vec<_>>(),
        [(Precision::Float32, 0.75)]
    );
}

#[test]
fn unknown_names_are_answered_with_the_nearest_known_one() {
    assert_eq!(
        sentence("licence =", "license ="),
        "line 5: unknown field `license`: did you mean `licence`?"
    );
    assert_eq!(
        sentence("macs = 2", "mac = 2"),
        "line 35: unknown field `mac`: did you mean `macs`?"
    );
    assert_eq!(
        sentence("baseline_rule", "basline_rule"),
        "line 12: unknown field `basline_rule`: did you mean `baseline_rule`?"
    );
    assert_eq!(
        sentence("samples = 3", "samples = 3\nxqj = 1"),
        "line 26: unknown field `xqj`: known here: name, artefact, samples, input"
    );
    assert_eq!(
        sentence("\"classification\"", "\"clasification\""),
        "line 4: unknown value `clasification`: did you mean `classification`?"
    );
    assert_eq!(
        sentence("metric = \"top1\"", "metric = \"top\""),
        "line 10: unknown value `top`: did you mean `top1`?"
    );
}

#[test]
fn each_broken_manifest_gets_its_sentence() {
    let long = "x".repeat(65);
    let cases = [
        (
            "schema = 1",
            "schema = 2",
            "field `schema`: version 2 is not known here: this program reads 1",
        ),
        (
            "title = \"A toy\"",
            "title = \" \"",
            "field `title`: is empty: say it in words",
        ),
        (
            "title = \"A toy\"\n",
            "",
            "line 1: field `title` is missing from the table that starts here: add it",
        ),
        (
            "\"toy\"",
            "\"Toy\"",
            "field `name`: `Toy` is not a name: use 1 to 64 of a-z 0-9 . _ - and no dot in front",
        ),
        (
            "\"toy\"",
            "\"../toy\"",
            "field `name`: `../toy` is not a name: use 1 to 64 of a-z 0-9 . _ - and no dot in front",
        ),
        (
            "[\"width\"]",
            "[]",
            "field `dimensions`: has 0 entries: give 1 to 1024",
        ),
        (
            "\"b\", \"c\"",
            "\"a\", \"c\"",
            "field `classes`: `a` occurs twice: rename one",
        ),
        (
            "\"higher\"",
            "\"lower\"",
            "field `quality.direction`: top1 improves towards higher: write that",
        ),
        (
            "{ top1 = 0.5 }",
            "{ top5 = 0.5 }",
            "field `quality.baseline`: lacks top1: state what the baseline scores",
        ),
        (
            "{ top1 = 0.75 }",
            "{ top1 = 75.0 }",
            "field `variant w1 float32.quality.top1`: 75 is not a value that top1 can take: fractions are 0 to 1, not percent",
        ),
        (
            "{ top1 = 0.75 }",
            "{ top1 = nan }",
            "field `variant w1 float32.quality.top1`: NaN is not a value that top1 can take: fractions are 0 to 1, not percent",
        ),
        (
            "w1.tflite",
            "../w1.tflite",
            "field `variant w1 float32.model.file`: `../w1.tflite` is not a path inside the family's folder: \
             use at most four parts of a-z 0-9 . _ - joined by /",
        ),
        (
            "data.sbds",
            "/etc/passwd",
            "field `dataset three artefact.file`: `/etc/passwd` is not a path inside the family's folder: \
             use at most four parts of a-z 0-9 . _ - joined by /",
        ),
        (
            "dataset = \"three\"",
            "dataset = \"four\"",
            "field `variant w1 dataset`: no dataset is called `four`: name one of this manifest",
        ),
        (
            "macs = 2",
            "macs = 0",
            "field `variant w1 parameters, macs`: are zero: state what the graph has",
        ),
        (
            "{ width = 1 }",
            "{}",
            "field `variant w1 coordinates`: lack `width`: give a coordinate for every dimension",
        ),
        (
            "{ width = 1 }",
            "{ width = 1, depth = 2 }",
            "field `variant w1 coordinates`: `depth` is not a dimension: add it there",
        ),
        (
            "{ width = 1 }",
            "{ width = inf }",
            "field `variant w1 coordinates`: `width` is not a finite number: give one",
        ),
        (
            "vectors = 1",
            "vectors = 0",
            "field `variant w1 float32.vectors`: is zero: nothing would be compared with the reference",
        ),
        (
            "{ absolute = 1e-5, relative = 1e-4 }",
            "{ steps = 0 }",
            "field `variant w1 float32.tolerance`: float outputs need both parts: write { absolute = 1e-5, relative = 1e-4 }",
        ),
        (
            "[variant.float32]",
            "[variant.int8]",
            "field `variant w1 int8.tolerance`: integer outputs are compared in steps: write { steps = 0 }",
        ),
        (
            "shape = [2]",
            "shape = [0]",
            "field `dataset three input.shape`: is not a shape: give 1 to 8 positive dimensions without batch",
        ),
        (
            "shape = [2]",
            "shape = [65536, 65536]",
            "field `dataset three input.shape`: is not a shape: give 1 to 8 positive dimensions without batch",
        ),
        (
            "licence = \"MIT\"\n",
            "licence = \"MIT\"\nweights = \"seeded\"\n",
            "field `variant w1 float32.quality`: seeded weights have no quality: remove the figures",
        ),
        (
            "\"three\"\nartefact",
            &format!("\"{long}\"\nartefact"),
            &format!(
                "field `dataset.name`: `{long}` is not a name: use 1 to 64 of a-z 0-9 . _ - and no dot in front"
            ),
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(sentence(old, new), expected);
    }
    let no_build = manifest()
        .split("[variant.float32]")
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        parse_manifest(&no_build).unwrap_err().to_string(),
        "field `variant w1 float32`: no precision is given: add float32, int8 or dynamic"
    );
    let hash = hex(&model());
    assert_eq!(
        sentence(&hash, &hash.to_uppercase()),
        "line 39: a SHA-256 is 64 lowercase hexadecimal digits: write what `sha256sum` prints"
    );
}

#[test]
fn sizes_are_bounded() {
    let padded = manifest() + &"#".repeat(1 << 20);
    let expected = format!(
        "the manifest has {} bytes, at most 1048576 are read: split the family",
        padded.len()
    );
    assert_eq!(parse_manifest(&padded).unwrap_err().to_string(), expected);

    let text = format!("title = \"{}\"", "t".repeat(8193));
    assert_eq!(
        sentence("title = \"A toy\"", &text),
        "field `title`: 8193 bytes are too long: keep to 8192"
    );

    let model = model().len();
    assert_eq!(
        sentence(
            &format!("bytes = {model} }}\ngolden"),
            "bytes = 1073741825 }\ngolden"
        ),
        "field `variant w1 float32.model.bytes`: 1073741825 bytes is outside 1 to 1073741824: state the file's length"
    );

    let many: Vec<String> = (0..1025).map(|i| format!("\"c{i}\"")).collect();
    let classes = format!("[{}]", many.join(", "));
    assert_eq!(
        sentence("[\"a\", \"b\", \"c\"]", &classes),
        "field `classes`: has 1025 entries: give 0 to 1024"
    );
}

#[test]
fn a_hostile_name_reaches_no_terminal_unescaped() {
    let shown = sentence("\"toy\"", "\"a\\u001b[2Jb\"");
    assert!(shown.contains("`a\\u{1b}[2Jb`"), "{shown}");
    assert!(matches!(
        parse_manifest("\u{1b}[2J"),
        Err(ManifestError::Syntax { line: 1, .. })
    ));
    assert!(
        !parse_manifest("\"\\u001b\" = 1")
            .unwrap_err()
            .to_string()
            .contains('\u{1b}')
    );
}

/// A valid family on disk, in a folder of its own.
fn toy(parent: &Path) -> Family {
    let dir = parent.join("toy");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("family.toml"), manifest()).unwrap();
    fs::write(dir.join("data.sbds"), dataset()).unwrap();
    fs::write(dir.join("w1.tflite"), model()).unwrap();
    fs::write(dir.join("w1.sbgv"), golden()).unwrap();
    Family::load(&dir).unwrap()
}

/// What validation says, without the folder's own path.
fn complaint(family: &Family) -> String {
    let folder = format!("{}/", family.dir.display());
    family
        .validate()
        .expect_err("accepted a broken family")
        .to_string()
        .replace(&folder, "")
}

#[test]
fn a_family_with_the_files_it_names_validates() {
    let temp = tempfile::tempdir().unwrap();
    let family = toy(temp.path());
    family.validate().unwrap();
    assert_eq!(
        load_all(temp.path()).unwrap(),
        std::slice::from_ref(&family)
    );
    let artefact = family.artefact(&family.manifest.variants[0].float32.as_ref().unwrap().model);
    assert_eq!(artefact.read().unwrap(), model());
    assert_eq!(artefact.sha256, <[u8; 32]>::from(Sha256::digest(model())));
}

#[test]
fn files_that_are_not_what_the_manifest_says_are_named() {
    let temp = tempfile::tempdir().unwrap();
    let family = toy(temp.path());
    let at = |name: &str| family.dir.join(name);

    let mut changed = model();
    changed[9] ^= 1;
    fs::write(at("w1.tflite"), &changed).unwrap();
    let (found, expected) = (hex(&changed), hex(&model()));
    assert_eq!(
        complaint(&family),
        format!(
            "w1.tflite: SHA-256 is {found}, but the manifest says {expected}: restore the file or rerun the recipe"
        )
    );

    fs::write(at("w1.tflite"), b"short").unwrap();
    let length = model().len();
    assert_eq!(
        complaint(&family),
        format!(
            "w1.tflite: 5 bytes long, but the manifest says {length}: restore the file or rerun the recipe"
        )
    );

    fs::remove_file(at("w1.tflite")).unwrap();
    assert_eq!(
        complaint(&family),
        "w1.tflite: No such file or directory (os error 2): check the path and its permissions"
    );
}

#[test]
fn files_with_the_right_hash_but_the_wrong_content_are_named() {
    let swap = |name: &str, good: &[u8], bad: &[u8]| {
        let temp = tempfile::tempdir().unwrap();
        let mut family = toy(temp.path());
        let text = manifest().replace(&entry(name, good), &entry(name, bad));
        fs::write(family.dir.join(name), bad).unwrap();
        family.manifest = parse_manifest(&text).unwrap();
        complaint(&family)
    };
    assert_eq!(
        swap("w1.tflite", &model(), b"a text file"),
        "w1.tflite: not a TensorFlow Lite model, though listed as float32: rerun the recipe"
    );
    let cut = &dataset()[..40];
    assert_eq!(
        swap("data.sbds", &dataset(), cut),
        "data.sbds: the header asks for 48 bytes, the file has 40: write it again with the recipe"
    );
    let input = InputSpec {
        dtype: Dtype::U8,
        elements: 1,
        scale: 1.0,
        offset: 0.0,
    };
    let labels = [0; 6];
    let narrow = write::dataset(
        3,
        &[(input, &[1, 2, 3])],
        LabelKind::Class { classes: 3 },
        &labels,
    );
    assert_eq!(
        swap("data.sbds", &dataset(), &narrow),
        "data.sbds: input 0 has 1 elements, but the manifest's shape 2: rerun the recipe"
    );
    let input = InputSpec {
        elements: 2,
        ..input
    };
    let fewer = write::dataset(
        3,
        &[(input, &[0; 6])],
        LabelKind::Class { classes: 2 },
        &labels,
    );
    assert_eq!(
        swap("data.sbds", &dataset(), &fewer),
        "data.sbds: 2 classes, but the manifest names 3: rerun the recipe"
    );
    let float = |bytes| TensorSpec {
        dtype: Dtype::F32,
        bytes,
    };
    let vector: Vec<&[u8]> = vec![&[0; 8], &[0; 12]];
    let two = write::golden(&[float(8)], &[float(12)], &[vector.clone(), vector]);
    assert_eq!(
        swap("w1.sbgv", &golden(), &two),
        "w1.sbgv: 2 vectors, but the manifest says 1: rerun the recipe"
    );
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let family = toy(temp.path());
    let outside = temp.path().join("outside.tflite");
    fs::write(&outside, model()).unwrap();
    fs::remove_file(family.dir.join("w1.tflite")).unwrap();
    std::os::unix::fs::symlink(&outside, family.dir.join("w1.tflite")).unwrap();
    assert_eq!(
        complaint(&family),
        "w1.tflite: leads out of the family's folder: put the file itself there"
    );
}

#[test]
fn folders_without_families_and_misnamed_ones_are_named() {
    let temp = tempfile::tempdir().unwrap();
    let here = temp.path().display().to_string();
    assert_eq!(
        load_all(temp.path()).unwrap_err().to_string(),
        format!(
            "{here}: no family here (a family is a folder with a family.toml): \
             point SCALEBENCH_MODELS at the models folder"
        )
    );
    let family = toy(temp.path());
    let renamed = temp.path().join("plaything");
    fs::rename(&family.dir, &renamed).unwrap();
    assert_eq!(
        Family::load(&renamed).unwrap_err().to_string(),
        format!(
            "{here}/plaything/family.toml: field `name`: the family is called `toy` but its folder is not: rename one"
        )
    );
    let absent = temp.path().join("absent");
    assert!(
        load_all(&absent)
            .unwrap_err()
            .to_string()
            .starts_with(&format!("{here}/absent: No such file"))
    );
    fs::write(renamed.join("family.toml"), "schema = 1\nnmae = 2").unwrap();
    assert_eq!(
        Family::load(&renamed).unwrap_err().to_string(),
        format!("{here}/plaything/family.toml: line 2: unknown field `nmae`: did you mean `name`?")
    );
}

#[test]
fn an_explicit_folder_comes_first() {
    assert_eq!(root(Some(Path::new("elsewhere"))), Path::new("elsewhere"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,400}") {
        let _ = parse_manifest(&text);
    }

    #[test]
    fn no_edit_of_a_manifest_makes_the_parser_panic(at in 0usize..1400, cut in 0usize..40, put in "[\\PC]{0,12}") {
        let text: Vec<char> = manifest().chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        let edited: String = text[..at].iter().copied().chain(put.chars()).chain(text[end..].iter().copied()).collect();
        if let Err(error) = parse_manifest(&edited) {
            proptest::prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn a_begun_family_parses_and_says_what_is_missing() {
    let temp = tempfile::tempdir().unwrap();
    let path = scalebench_models::begin(temp.path(), "my-nets").unwrap();
    let family = Family::load(path.parent().unwrap()).unwrap();
    assert_eq!(family.manifest.name, "my-nets");
    let missing = family.validate().unwrap_err().to_string();
    assert!(missing.contains("data/test.sbds"), "{missing}");
    let again = scalebench_models::begin(temp.path(), "my-nets").unwrap_err();
    assert!(again.to_string().contains("exists"), "{again}");
    assert_eq!(
        scalebench_models::begin(temp.path(), "../up")
            .unwrap_err()
            .to_string(),
        "`../up` is not a family's name: use 1 to 64 of a-z 0-9 . _ - and no dot in front"
    );
}

#[test]
fn a_written_manifest_is_read_back_as_it_was() {
    for family in load_all(&root(None)).unwrap() {
        let text = write::manifest(&family.manifest);
        assert_eq!(parse_manifest(&text).unwrap(), family.manifest);
    }
    let text = manifest().replacen("vectors = 1", "vectors = 1\nanswers = \"engine\"", 1);
    let odd = parse_manifest(&text.replacen("A toy", "\\\"A\\\"\\n\\u0007 toy", 1)).unwrap();
    assert!(odd.variants.iter().any(|variant| {
        variant
            .builds()
            .any(|(_, build)| !build.answers.are_references())
    }));
    assert_eq!(parse_manifest(&write::manifest(&odd)).unwrap(), odd);
}

#[test]
fn only_a_family_without_a_recipe_may_not_know_its_quality() {
    let unknown = manifest().replacen("quality = { top1 = 0.75 }", "", 1);
    assert!(parse_manifest(&unknown).is_ok());
    let error = parse_manifest(&with_recipe(&unknown)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field `variant w1 float32.quality`: lacks top1: measure it with the recipe"
    );
}

fn with_recipe(manifest: &str) -> String {
    let recipe = "[recipe]\ncommand = \"make\"\nseed = 1\nrun_time = \"none\"\n\n[[origin]]";
    manifest.replacen("[[origin]]", recipe, 1)
}
