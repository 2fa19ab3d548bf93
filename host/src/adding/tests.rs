use super::npy::tests::npy;
use super::{AddError, Added, Normal, Source, Wishes, add};
use scalebench_models::container::{Dataset, Golden, Label, boxes};
use scalebench_models::{Answers, Family, Metric, UseCase, root};
use std::fs;
use std::path::{Path, PathBuf};

/// A shipped family and its first evaluation set.
fn shipped(name: &str) -> (Family, Vec<u8>) {
    let family = Family::load(&root(None).join(name)).unwrap();
    let data = family
        .artefact(&family.manifest.datasets[0].artefact)
        .read()
        .unwrap();
    (family, data)
}

fn weights(family: &Family, file: &str) -> PathBuf {
    family.dir.join("weights").join(file)
}

fn source(path: &Path) -> Source {
    path.to_str().unwrap().parse().unwrap()
}

fn wishes(name: &str, files: &[PathBuf], data: &Path) -> Wishes {
    Wishes {
        name: name.to_owned(),
        title: None,
        licence: None,
        files: files.to_vec(),
        data: vec![source(data)],
        labels: None,
        classes: None,
        range: None,
        normal: None,
        output: [1.0, 0.0],
        unit: String::new(),
        samples: None,
        metric: None,
        golden: None,
        coordinates: Default::default(),
    }
}

fn added(dir: &Path, wishes: &Wishes) -> (Family, Added) {
    let added = add(dir, wishes).unwrap();
    (Family::load(&added.folder).unwrap(), added)
}

fn sentence(dir: &Path, wishes: &Wishes) -> String {
    add(dir, wishes).unwrap_err().to_string()
}

fn png(path: &Path, side: u32, grey: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::GrayImage::from_raw(side, side, grey.to_vec())
        .unwrap()
        .save(path)
        .unwrap();
}

/// The first pictures of the shipped evaluation set as files, in folders of their classes.
fn garments(dir: &Path, count: u32) -> (Family, Vec<(u16, Vec<u8>)>) {
    let (family, data) = shipped("fashion-cnn");
    let set = Dataset::parse(&data).unwrap();
    let mut kept = Vec::new();
    for sample in 0..count {
        let Some(Label::Class(class)) = set.label(sample) else {
            panic!("no class");
        };
        let picture = set.sample(0, sample).unwrap().to_vec();
        let side = (picture.len() as f64).sqrt() as u32;
        let name = &family.manifest.classes[usize::from(class)];
        let folder = format!("{class}-{}", name.replace('/', "-"));
        png(
            &dir.join(folder).join(format!("{sample:03}.png")),
            side,
            &picture,
        );
        kept.push((class, picture));
    }
    // By folder, then by file, as they will be read.
    kept.sort_by_key(|(class, _)| *class);
    (family, kept)
}

/// A variant whose models take the pictures as they are.
fn whole_size(family: &Family) -> String {
    let first = &family.manifest.datasets[0].name;
    let variants = &family.manifest.variants;
    let variant = variants.iter().find(|variant| &variant.dataset == first);
    variant.unwrap().name.clone()
}

#[test]
fn folders_of_pictures_become_the_evaluation_set_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    let (family, kept) = garments(&photos, 60);
    let name = whole_size(&family);
    let files = ["int8", "float32"].map(|p| weights(&family, &format!("{name}.{p}.tflite")));
    let (own, said) = added(dir.path(), &wishes("clothes", &files, &photos));
    let manifest = &own.manifest;
    assert_eq!(manifest.use_case, UseCase::Classification);
    assert_eq!(manifest.quality.metric, Metric::Top1);
    assert_eq!(manifest.variants.len(), 1);
    let variant = &manifest.variants[0];
    let theirs = family
        .manifest
        .variants
        .iter()
        .find(|v| v.name == name)
        .unwrap();
    assert_eq!((variant.macs, &variant.name), (theirs.macs, &theirs.name));
    for (_, build) in variant.builds() {
        assert_eq!(build.answers, Answers::Engine);
        assert!(build.quality.is_empty());
    }
    assert!(said.remarks.iter().all(
        |remark| remark.contains("engine's own") || remark.starts_with("classes, in the order")
    ));
    // The int8 input tells the range; the pictures are bit for bit those of the shipped set.
    let data = own.artefact(&manifest.datasets[0].artefact).read().unwrap();
    let set = Dataset::parse(&data).unwrap();
    let spec = set.input(0).unwrap();
    assert_eq!((spec.scale, spec.offset), (1.0 / 255.0, 0.0));
    assert_eq!(set.samples(), 60);
    for (sample, (class, picture)) in kept.iter().enumerate() {
        assert_eq!(set.sample(0, sample as u32), Some(picture.as_slice()));
        assert_eq!(set.label(sample as u32), Some(Label::Class(*class)));
    }
    let most = (0..10)
        .map(|class| kept.iter().filter(|(c, _)| *c == class).count())
        .max();
    let share = most.unwrap() as f64 / 60.0;
    assert_eq!(manifest.quality.baseline[&Metric::Top1], share);
}

#[test]
fn a_table_labels_pictures_and_models_of_other_resolutions_get_their_own_set() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    let (family, _) = garments(&photos, 12);
    let mut table = "file,label\n".to_owned();
    for class in fs::read_dir(&photos).unwrap() {
        let class = class.unwrap().file_name().into_string().unwrap();
        for file in fs::read_dir(photos.join(&class)).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let number = class.split('-').next().unwrap();
            table += &format!("{class}/{file},{number}\n");
        }
    }
    let labels = dir.path().join("labels.csv");
    fs::write(&labels, &table).unwrap();
    let files: Vec<_> = family
        .manifest
        .datasets
        .iter()
        .map(|set| {
            let mut variants = family.manifest.variants.iter();
            let variant = variants
                .find(|variant| variant.dataset == set.name)
                .unwrap();
            weights(&family, &format!("{}.int8.tflite", variant.name))
        })
        .collect();
    assert!(
        files.len() > 1,
        "the shipped family has one resolution only"
    );
    let mut asked = wishes("clothes", &files, &photos);
    asked.labels = Some(source(&labels));
    asked.samples = Some(10);
    let (own, _) = added(dir.path(), &asked);
    assert_eq!(own.manifest.datasets.len(), files.len());
    assert!(own.manifest.datasets.iter().all(|set| set.samples == 10));
    assert!(own.manifest.preprocessing.contains("triangle"));
    asked.name = "again".to_owned();
    fs::write(&labels, table.replacen(".png,", ".png,17", 1)).unwrap();
    assert!(sentence(dir.path(), &asked).contains("is none of the 10 classes"));
    fs::write(&labels, table.replacen(".png", ".bmp", 1)).unwrap();
    assert!(sentence(dir.path(), &asked).contains(".bmp"));
    asked.labels = Some(format!("{}:kind", labels.display()).parse().unwrap());
    assert!(sentence(dir.path(), &asked).contains("has no column `kind`: it has file, label"));
    assert!(!dir.path().join("again").exists());
}

#[test]
fn channels_have_their_own_mean_and_jpeg_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    let (family, kept) = garments(&photos, 12);
    // One of them as JPEG.
    let first = kept[0].1.clone();
    let side = (first.len() as f64).sqrt() as u32;
    let mut folders: Vec<_> = fs::read_dir(&photos).unwrap().flatten().collect();
    folders.sort_by_key(|folder| folder.path());
    let mut files: Vec<_> = fs::read_dir(folders[0].path()).unwrap().flatten().collect();
    files.sort_by_key(|file| file.path());
    fs::remove_file(files[0].path()).unwrap();
    let grey = image::GrayImage::from_raw(side, side, first.clone()).unwrap();
    grey.save(files[0].path().with_extension("jpg")).unwrap();

    let name = whole_size(&family);
    let models = [weights(&family, &format!("{name}.float32.tflite"))];
    let mut asked = wishes("clothes", &models, &photos);
    asked.normal = Some(Normal {
        mean: vec![0.5],
        deviation: vec![0.25],
    });
    let (own, _) = added(dir.path(), &asked);
    assert!(own.manifest.preprocessing.contains("less [0.5], by [0.25]"));
    let entry = &own.manifest.datasets[0].artefact;
    let data = own.artefact(entry).read().unwrap();
    let set = Dataset::parse(&data).unwrap();
    let spec = set.input(0).unwrap();
    let shares = |sample: u32| -> Vec<f32> {
        let stored = set.sample(0, sample).unwrap();
        let reals = (0..first.len()).map(|at| spec.real(stored, at).unwrap());
        reals.map(|real| real * 0.25 + 0.5).collect()
    };
    for (sample, (_, picture)) in kept.iter().enumerate() {
        let pairs = shares(sample as u32).into_iter().zip(picture);
        let off: f32 = pairs
            .map(|(share, &byte)| (share * 255.0 - f32::from(byte)).abs())
            .sum();
        // JPEG loses something, PNG nothing.
        let mean = off / picture.len() as f32;
        assert!(
            if sample == 0 {
                0.01 < mean && mean < 8.0
            } else {
                mean < 1e-3
            },
            "{mean}"
        );
    }
    asked.name = "again".to_owned();
    asked.normal = Some(Normal {
        mean: vec![0.5; 3],
        deviation: vec![0.25; 3],
    });
    let said = sentence(dir.path(), &asked);
    assert!(
        said.contains("--mean has 3 numbers and --deviation 3, but pictures have 1"),
        "{said}"
    );
}

#[test]
fn boxes_in_pixels_become_a_detection_family() {
    let (family, data) = shipped("garment-detect");
    let set = Dataset::parse(&data).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let scenes = dir.path().join("scenes");
    let mut table = "file,class,left,top,right,bottom\n".to_owned();
    for sample in 0..6 {
        png(
            &scenes.join(format!("{sample}.png")),
            48,
            set.sample(0, sample).unwrap(),
        );
        let Some(Label::Boxes(slots)) = set.label(sample) else {
            panic!("no boxes");
        };
        for label in boxes(slots) {
            let edges = label.corners.map(|edge| f64::from(edge) / 65_535.0 * 48.0);
            let class = &family.manifest.classes[usize::from(label.class)];
            let [left, top, right, bottom] = edges;
            table += &format!("{sample}.png,{class},{left},{top},{right},{bottom}\n");
        }
    }
    let labels = dir.path().join("boxes.csv");
    fs::write(&labels, &table).unwrap();
    let classes = dir.path().join("classes.txt");
    fs::write(&classes, family.manifest.classes.join("\n")).unwrap();
    let file = weights(
        &family,
        &format!("{}.int8.tflite", family.manifest.variants[0].name),
    );
    let mut asked = wishes("things", &[file], &scenes);
    asked.labels = Some(source(&labels));
    asked.classes = Some(classes);
    let (own, _) = added(dir.path(), &asked);
    assert_eq!(own.manifest.use_case, UseCase::Detection);
    assert_eq!(own.manifest.quality.metric, Metric::Map50);
    let bytes = own
        .artefact(&own.manifest.datasets[0].artefact)
        .read()
        .unwrap();
    let ours = Dataset::parse(&bytes).unwrap();
    for sample in 0..6 {
        let (Some(Label::Boxes(ours)), Some(Label::Boxes(theirs))) =
            (ours.label(sample), set.label(sample))
        else {
            panic!("no boxes");
        };
        assert!(boxes(ours).eq(boxes(theirs)), "picture {sample}");
    }
    asked.name = "again".to_owned();
    fs::write(&labels, table.replace("left", "x")).unwrap();
    assert!(sentence(dir.path(), &asked).contains("names 5 classes, but the models answer"));
}

/// Stones of the shipped regression family as arrays.
fn stones(dir: &Path, count: u32) -> (Family, PathBuf, PathBuf) {
    let (family, data) = shipped("diamonds-mlp");
    let set = Dataset::parse(&data).unwrap();
    let spec = set.input(0).unwrap();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for sample in 0..count {
        let stored = set.sample(0, sample).unwrap();
        x.extend((0..9).flat_map(|at| spec.real(stored, at).unwrap().to_le_bytes()));
        let Some(Label::Values(values)) = set.label(sample) else {
            panic!("no values");
        };
        y.extend_from_slice(values);
    }
    let (in_x, in_y) = (dir.join("x.npy"), dir.join("y.npy"));
    fs::write(&in_x, npy("<f4", &format!("({count}, 9)"), &x)).unwrap();
    fs::write(&in_y, npy("<f4", &format!("({count},)"), &y)).unwrap();
    (family, in_x, in_y)
}

#[test]
fn whole_numbers_are_classes_however_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let (family, data) = shipped("fashion-cnn");
    let set = Dataset::parse(&data).unwrap();
    let spec = set.input(0).unwrap();
    let file = weights(&family, &format!("{}.int8.tflite", whole_size(&family)));
    let side = family.manifest.datasets[0].inputs[0].shape[0];
    let mut x = Vec::new();
    for sample in 0..4 {
        let stored = set.sample(0, sample).unwrap();
        x.extend((0..stored.len()).flat_map(|at| spec.real(stored, at).unwrap().to_le_bytes()));
    }
    let (pictures, labels) = (dir.path().join("x.npy"), dir.path().join("y.csv"));
    let shape = format!("(4, {side}, {side}, 1)");
    fs::write(&pictures, npy("<f4", &shape, &x)).unwrap();
    let mut asked = wishes("clothes", &[file], &pictures);
    asked.labels = Some(source(&labels));
    fs::write(&labels, "label\n9.0\n2\n1.0\n0\n").unwrap();
    let (own, said) = added(dir.path(), &asked);
    assert_eq!(own.manifest.classes[9], "9");
    assert!(
        said.remarks
            .iter()
            .any(|remark| remark.contains("give --classes FILE")),
        "{said:?}"
    );
    let bytes = own
        .artefact(&own.manifest.datasets[0].artefact)
        .read()
        .unwrap();
    let ours = Dataset::parse(&bytes).unwrap();
    let classes: Vec<_> = (0..4).map(|sample| ours.label(sample)).collect();
    let wanted = [9, 2, 1, 0].map(|class| Some(Label::Class(class)));
    assert_eq!(format!("{classes:?}"), format!("{wanted:?}"));
    asked.name = "again".to_owned();
    fs::write(&labels, "label\n-1\n2\n1\n0\n").unwrap();
    assert!(sentence(dir.path(), &asked).contains("label -1: classes are counted from 0"));
    fs::write(&labels, "label\n1\n2\n1\n0\n").unwrap();
    x[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&pictures, npy("<f4", &shape, &x)).unwrap();
    assert!(sentence(dir.path(), &asked).contains("sample 0 holds a value that is not finite"));
}

#[test]
fn each_wrong_choice_gets_its_sentence_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (family, x, y) = stones(dir.path(), 20);
    let file = weights(&family, "d1-w2.float32.tflite");
    let mut good = wishes("homes", std::slice::from_ref(&file), &x);
    good.labels = Some(source(&y));
    let short = dir.path().join("short.npy");
    fs::write(&short, npy("<f4", "(2,)", &[0; 8])).unwrap();
    let words = dir.path().join("words.csv");
    fs::write(&words, "price\n".to_owned() + &"cheap\n".repeat(20)).unwrap();
    let nonsense = dir.path().join("nonsense.tflite");
    fs::write(&nonsense, b"not a model").unwrap();
    let other = weights(&shipped("fashion-cnn").0, "");
    let picture_model = fs::read_dir(other).unwrap().next().unwrap().unwrap().path();
    type Change<'c> = &'c dyn Fn(&mut Wishes);
    let cases: [(Change<'_>, &str); 13] = [
        (&|w| w.name = "Homes!".to_owned(), "is not a family's name"),
        (&|w| w.labels = None, "give --labels"),
        (
            &|w| w.labels = Some(source(&short)),
            "20 samples, but 2 are labelled",
        ),
        (
            &|w| w.labels = Some(source(&words)),
            "line 2: `cheap` is not a number",
        ),
        (&|w| w.files = vec![nonsense.clone()], "nonsense.tflite: "),
        (
            &|w| w.files = vec![file.clone(), file.clone()],
            "rename one of the files",
        ),
        (
            &|w| w.files = vec![file.clone(), picture_model.clone()],
            "sizes of one family",
        ),
        (
            &|w| w.data = vec![source(&x), source(&x)],
            "takes 1 inputs, but --data names 2",
        ),
        (&|w| w.data = vec![source(&y)], "a sample has the shape []"),
        (&|w| w.range = Some([0.0, 1.0]), "--range is for bytes"),
        (
            &|w| w.metric = Some(Metric::Map50),
            "choose r2, rmse, mae, mse",
        ),
        (
            &|w| w.golden = Some(dir.path().into()),
            "holds no golden vectors of `d1-w2.float32`",
        ),
        (
            &|w| {
                drop(
                    w.coordinates
                        .insert("d9".into(), [("depth".into(), 1.0)].into()),
                )
            },
            "variant `d1-w2` has no coordinates along depth",
        ),
    ];
    for (change, piece) in cases {
        let mut asked = good.clone();
        change(&mut asked);
        let said = sentence(dir.path(), &asked);
        assert!(said.contains(piece), "`{piece}` is not in: {said}");
        assert!(!dir.path().join("homes").exists());
    }
    add(dir.path(), &good).unwrap();
    assert!(sentence(dir.path(), &good).contains("is there already"));
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 6, "x, y, short, words, nonsense, homes");
}

/// The golden vectors of a shipped file as files in a folder; their container, and how many there are.
fn references(family: &Family, stem: &str, folder: &Path) -> (Vec<u8>, u32) {
    let bytes = fs::read(family.dir.join(format!("golden/{stem}.sbgv"))).unwrap();
    let golden = Golden::parse(&bytes).unwrap();
    fs::create_dir(folder).unwrap();
    for vector in 0..golden.vectors() {
        let path = |end: &str| folder.join(format!("{stem}.{vector}.{end}.bin"));
        fs::write(path("in"), golden.input(vector, 0).unwrap()).unwrap();
        fs::write(path("out"), golden.output(vector, 0).unwrap()).unwrap();
    }
    let vectors = golden.vectors();
    (bytes, vectors)
}

#[test]
fn dynamic_range_is_allowed_what_its_last_places_do() {
    let dir = tempfile::tempdir().unwrap();
    let (family, data) = shipped("gloss-bert");
    let set = Dataset::parse(&data).unwrap();
    let (mut ids, mut classes) = (Vec::new(), Vec::new());
    for sample in 0..20 {
        ids.extend_from_slice(set.sample(0, sample).unwrap());
        let Some(Label::Class(class)) = set.label(sample) else {
            panic!("no class");
        };
        classes.extend_from_slice(&class.to_le_bytes());
    }
    let (x, y) = (dir.path().join("x.npy"), dir.path().join("y.npy"));
    fs::write(&x, npy("<i2", "(20, 24)", &ids)).unwrap();
    fs::write(&y, npy("<u2", "(20,)", &classes)).unwrap();
    let folder = dir.path().join("reference");
    references(&family, "l1-h32.dynamic", &folder);
    let mut asked = wishes("words", &[weights(&family, "l1-h32.dynamic.tflite")], &x);
    asked.labels = Some(source(&y));
    let tolerance = |asked: &Wishes| {
        let (own, _) = added(dir.path(), asked);
        let build = own.manifest.variants[0].dynamic.clone().unwrap();
        build.tolerance.absolute.unwrap()
    };
    let own = tolerance(&asked);
    asked.name = "referred".to_owned();
    asked.golden = Some(folder);
    let referred = tolerance(&asked);
    // Probabilities: more than plain floats are allowed, and not a hundredth.
    for tolerance in [own, referred] {
        assert!((1e-5..1e-2).contains(&tolerance), "{tolerance}");
    }
}

#[test]
fn reference_answers_are_kept_as_such_and_wrong_ones_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (family, x, y) = stones(dir.path(), 20);
    let file = weights(&family, "d1-w2.int8.tflite");
    let folder = dir.path().join("reference");
    let (bytes, vectors) = references(&family, "d1-w2.int8", &folder);
    let mut asked = wishes("homes", &[file], &x);
    asked.labels = Some(source(&y));
    asked.golden = Some(folder.clone());
    asked.coordinates = [("d1-w2".to_owned(), [("width".to_owned(), 2.0)].into())].into();
    let (own, _) = added(dir.path(), &asked);
    let build = own.manifest.variants[0].int8.as_ref().unwrap();
    assert_eq!(
        (build.answers, build.vectors),
        (Answers::Reference, vectors)
    );
    assert_eq!(own.manifest.dimensions, ["width"]);
    let ours = own.artefact(&build.golden).read().unwrap();
    assert_eq!(ours, bytes, "the vectors are not those that were given");
    let first = folder.join("d1-w2.int8.0.out.bin");
    let mut wrong = fs::read(&first).unwrap();
    wrong[0] ^= 1;
    fs::write(first, wrong).unwrap();
    asked.name = "again".to_owned();
    let error = add(dir.path(), &asked).unwrap_err();
    assert!(matches!(error, AddError::Unfaithful { .. }), "{error}");
    assert!(error.to_string().contains("1 of 1 elements"), "{error}");
}
