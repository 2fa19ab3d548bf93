//! What samples are labelled with: classes, values or boxes; out of a CSV file, an array, or the names of folders.

use super::data::Samples;
use super::pictures;
use super::sizes::Size;
use super::table::Table;
use super::{AddError, Source, Wishes, npy};
use scalebench_models::Metric;
use scalebench_models::container::{LabelKind, NO_BOX};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Columns that hold labels where none is named.
const LABEL_COLUMNS: [&str; 4] = ["label", "class", "target", "category"];
/// Columns that hold file names; else the first does.
const FILE_COLUMNS: [&str; 5] = ["file", "filename", "path", "image", "picture"];
/// Columns of boxes, in pixels of the picture as it is in its file.
const EDGES: [&str; 4] = ["left", "top", "right", "bottom"];
/// Classes that the commonest five are of.
const FIVE: usize = 5;

/// The labels of all samples that are taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Labels {
    of: Of,
    /// The pictures, in the order of the labels; empty where the data are arrays.
    pub(super) files: Vec<PathBuf>,
    /// Samples that were labelled before some were left out.
    pub(super) given: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Of {
    Classes {
        each: Vec<u16>,
        names: Vec<String>,
    },
    Values {
        each: Vec<Vec<f32>>,
    },
    Boxes {
        each: Vec<Vec<PixelBox>>,
        names: Vec<String>,
    },
}

/// A box in pixels: left, top, right, bottom.
#[derive(Clone, Debug, PartialEq)]
struct PixelBox {
    class: u16,
    edges: [f32; 4],
}

impl Labels {
    /// Samples.
    pub(super) fn len(&self) -> usize {
        match &self.of {
            Of::Classes { each, .. } => each.len(),
            Of::Values { each } => each.len(),
            Of::Boxes { each, .. } => each.len(),
        }
    }

    /// Names of the classes.
    pub(super) fn names(&self) -> &[String] {
        match &self.of {
            Of::Classes { names, .. } | Of::Boxes { names, .. } => names,
            Of::Values { .. } => &[],
        }
    }

    /// How a dataset describes them.
    pub(super) fn kind(&self, [scale, offset]: [f32; 2]) -> LabelKind {
        match &self.of {
            Of::Classes { names, .. } => LabelKind::Class {
                classes: names.len() as u16,
            },
            Of::Values { each } => LabelKind::Values {
                count: each.first().map_or(1, Vec::len) as u32,
                scale,
                offset,
            },
            Of::Boxes { each, names } => LabelKind::Boxes {
                classes: names.len() as u16,
                slots: each.iter().map(Vec::len).max().unwrap_or(0).max(1) as u32,
            },
        }
    }

    /// The labels as a dataset holds them.
    pub(super) fn bytes(&self, samples: &Samples) -> Vec<u8> {
        match &self.of {
            Of::Classes { each, .. } => each.iter().flat_map(|class| class.to_le_bytes()).collect(),
            Of::Values { each } => each
                .iter()
                .flatten()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            Of::Boxes { each, .. } => {
                let slots = each.iter().map(Vec::len).max().unwrap_or(0).max(1);
                let mut bytes = Vec::new();
                for (boxes, &size) in each.iter().zip(&samples.originals) {
                    let empty = [NO_BOX, 0, 0, 0, 0, 0];
                    let used = boxes.iter().map(|found| found.slot(size));
                    let words = used.chain(std::iter::repeat(empty)).take(slots).flatten();
                    bytes.extend(words.flat_map(u16::to_le_bytes));
                }
                bytes
            }
        }
    }

    /// Metrics that can rank variants on such labels, the usual one first.
    pub(super) fn metrics(&self) -> &'static [Metric] {
        match &self.of {
            Of::Classes { .. } => &[Metric::Top1, Metric::MacroF1, Metric::Top5],
            Of::Values { .. } => &[Metric::R2, Metric::Rmse, Metric::Mae, Metric::Mse],
            Of::Boxes { .. } => &[Metric::Map50, Metric::Map50To95],
        }
    }

    /// In words what a baseline answers, and what that scores on these labels.
    pub(super) fn baseline(&self) -> (&'static str, BTreeMap<Metric, f64>) {
        match &self.of {
            Of::Classes { each, .. } => (
                "always the commonest class of the evaluation set",
                commonest(each),
            ),
            Of::Values { each } => ("always the mean of the evaluation set", mean(each)),
            Of::Boxes { .. } => (
                "no box at all",
                [(Metric::Map50, 0.0), (Metric::Map50To95, 0.0)].into(),
            ),
        }
    }

    fn shortened(mut self, most: Option<u32>) -> Self {
        self.given = self.len();
        let Some(most) = most else {
            return self;
        };
        let most = most as usize;
        self.files.truncate(most);
        match &mut self.of {
            Of::Classes { each, .. } => each.truncate(most),
            Of::Values { each } => each.truncate(most),
            Of::Boxes { each, .. } => each.truncate(most),
        }
        self
    }
}

impl PixelBox {
    /// The box as a dataset's slot holds it, of a picture so wide and high.
    fn slot(&self, [width, height]: [u32; 2]) -> [u16; 6] {
        let share = |edge: f32, whole: u32| {
            (f64::from(edge) / f64::from(whole.max(1)) * 65_535.0)
                .round()
                .clamp(0.0, 65_535.0) as u16
        };
        let [left, top, right, bottom] = self.edges;
        [
            self.class,
            share(left, width),
            share(top, height),
            share(right, width),
            share(bottom, height),
            0,
        ]
    }
}

fn commonest(each: &[u16]) -> BTreeMap<Metric, f64> {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    each.iter()
        .for_each(|&class| *counts.entry(class).or_default() += 1);
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let (samples, most) = (each.len() as f64, counts[0] as f64);
    // Precision is the class's share, recall one; the other classes score zero.
    let f1 = 2.0 * most / (most + samples);
    [
        (Metric::Top1, most / samples),
        (
            Metric::Top5,
            counts.iter().take(FIVE).sum::<usize>() as f64 / samples,
        ),
        (Metric::MacroF1, f1 / counts.len() as f64),
    ]
    .into()
}

fn mean(each: &[Vec<f32>]) -> BTreeMap<Metric, f64> {
    let values: Vec<f64> = each.iter().flatten().map(|&value| value.into()).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let mse = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    let mae = values.iter().map(|value| (value - mean).abs()).sum::<f64>() / count;
    [
        (Metric::R2, 0.0),
        (Metric::Rmse, mse.sqrt()),
        (Metric::Mae, mae),
        (Metric::Mse, mse),
    ]
    .into()
}

/// Reads the labels, and says of pictures which they are of.
pub(super) fn load(wishes: &Wishes, sizes: &[Size]) -> Result<Labels, AddError> {
    let Some(first) = sizes.first() else {
        return Err(AddError::Option(
            "name at least one .tflite file".to_owned(),
        ));
    };
    let outputs = first.outputs();
    if let Some(other) = sizes.iter().find(|size| size.outputs() != outputs) {
        let what = format!(
            "its first output has {} values, that of {} has {outputs}: sizes of one family answer alike",
            other.outputs(),
            first.path.display()
        );
        return Err(AddError::file(&other.path, what));
    }
    let pictures = wishes.data.first().filter(|source| source.path.is_dir());
    let labels = match (&wishes.labels, pictures) {
        (None, Some(folder)) => by_folder(wishes, &folder.path, outputs)?,
        (None, None) => {
            return Err(AddError::Option(
                "samples without labels have no quality: give --labels FILE.csv, FILE.npy or FILE.npz:NAME".to_owned(),
            ));
        }
        (Some(source), folder) if source.ends("csv") => by_table(
            wishes,
            source,
            folder.map(|source| source.path.as_path()),
            outputs,
        )?,
        (Some(source), None) => by_array(wishes, source, outputs)?,
        (Some(source), Some(_)) => {
            let what =
                "labels of pictures are a CSV file with a column of file names and one of labels";
            return Err(AddError::file(&source.path, what));
        }
    };
    if labels.len() == 0 {
        let place = wishes.labels.as_ref().or(wishes.data.first());
        let path = place.map_or(Path::new("."), |source| &source.path);
        return Err(AddError::file(path, "labels no sample at all"));
    }
    Ok(labels.shortened(wishes.samples))
}

/// Each folder within `folder` is a class.
fn by_folder(wishes: &Wishes, folder: &Path, outputs: usize) -> Result<Labels, AddError> {
    let (mut words, mut files) = (Vec::new(), Vec::new());
    for class in pictures::listed(folder)? {
        let name = class
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if class.is_dir() && !name.starts_with('.') {
            for file in pictures::listed(&class)? {
                if pictures::is_picture(&file) {
                    words.push(name.clone());
                    files.push(file);
                }
            }
        }
    }
    if files.is_empty() {
        let what = "has no folders with .png, .jpg or .jpeg files: put each class into a folder of its name, or give --labels FILE.csv";
        return Err(AddError::file(folder, what));
    }
    let (each, names) = classes(wishes, folder, &words, Some(outputs))?;
    Ok(Labels {
        of: Of::Classes { each, names },
        files,
        given: 0,
    })
}

fn by_array(wishes: &Wishes, source: &Source, outputs: usize) -> Result<Labels, AddError> {
    let array = npy::read(source)?;
    let path = &source.path;
    let count = array.shape.first().copied().unwrap_or(0);
    let reals = array.reals();
    let width = reals.len().checked_div(count).unwrap_or(0);
    let of = if wants_values(wishes, width, outputs) {
        let rows = reals.chunks(width.max(1)).map(<[f32]>::to_vec);
        let each: Vec<_> = rows.collect();
        if let Some(row) = each
            .iter()
            .position(|row| row.iter().any(|v| !v.is_finite()))
        {
            let what = format!("row {row} holds a value that is not finite: leave that sample out");
            return Err(AddError::file(path, what));
        }
        Of::Values { each }
    } else {
        if width != 1 || !array.is_whole() {
            let what = format!(
                "its shape is {:?}, but a class is one whole number a sample: save labels.argmax(1), or give --metric r2 if these are values",
                array.shape
            );
            return Err(AddError::file(path, what));
        }
        let words: Vec<String> = reals.iter().map(|real| format!("{real}")).collect();
        let (each, names) = classes(wishes, path, &words, Some(outputs))?;
        Of::Classes { each, names }
    };
    fits(path, &of, outputs)?;
    Ok(Labels {
        of,
        files: Vec::new(),
        given: 0,
    })
}

/// Whether labels are numbers to be met, rather than classes.
fn wants_values(wishes: &Wishes, width: usize, outputs: usize) -> bool {
    match wishes.metric {
        Some(Metric::R2 | Metric::Rmse | Metric::Mae | Metric::Mse) => true,
        Some(Metric::Top1 | Metric::Top5 | Metric::MacroF1) => false,
        _ => width > 1 || outputs == 1,
    }
}

fn fits(path: &Path, of: &Of, outputs: usize) -> Result<(), AddError> {
    let wrong = match of {
        Of::Values { each } => each
            .first()
            .map(Vec::len)
            .filter(|&width| width != outputs)
            .map(|width| {
                format!("labels have {width} values a sample, the models answer {outputs}")
            }),
        Of::Boxes { names, .. } => {
            let each = 5 + names.len();
            let side = (1..=16).find(|side| side * side * each == outputs);
            side.is_none().then(|| {
                format!(
                    "with {} classes a grid head has {each} values a cell, which the models' {outputs} are not the square grid of",
                    names.len()
                )
            })
        }
        Of::Classes { .. } => None,
    };
    wrong.map_or(Ok(()), |what| {
        Err(AddError::file(
            path,
            what + ": give the labels of these models",
        ))
    })
}

/// The columns of the labels: those named, or one that is called so, or the last.
fn label_columns(table: &Table<'_>, part: Option<&str>) -> Result<Vec<usize>, AddError> {
    match part {
        Some(part) => part.split(',').map(|name| table.column(name)).collect(),
        None => {
            let last = table.width().saturating_sub(1);
            Ok(vec![table.find(&LABEL_COLUMNS).unwrap_or(last)])
        }
    }
}

fn by_table(
    wishes: &Wishes,
    source: &Source,
    folder: Option<&Path>,
    outputs: usize,
) -> Result<Labels, AddError> {
    let table = Table::read(&source.path)?;
    let columns = label_columns(&table, source.part.as_deref())?;
    let mut files = Vec::new();
    if let Some(folder) = folder {
        let column = table.find(&FILE_COLUMNS).unwrap_or(0);
        files = table
            .words(column)
            .iter()
            .map(|file| folder.join(file))
            .collect();
        if EDGES.iter().all(|edge| table.find(&[edge]).is_some()) {
            return boxes(wishes, &table, &files, columns[0], outputs);
        }
    }
    let of = if wants_values(wishes, columns.len(), outputs) {
        let row = |row| {
            columns
                .iter()
                .map(|&column| table.number(row, column))
                .collect()
        };
        let each: Result<Vec<Vec<f32>>, AddError> = table.rows.iter().map(row).collect();
        Of::Values { each: each? }
    } else {
        let words = table.words(columns[0]);
        let (each, names) = classes(wishes, &source.path, &words, Some(outputs))?;
        Of::Classes { each, names }
    };
    fits(&source.path, &of, outputs)?;
    Ok(Labels {
        of,
        files,
        given: 0,
    })
}

/// A row a box; rows of one picture need not be together. A row without a class is a picture without boxes.
fn boxes(
    wishes: &Wishes,
    table: &Table<'_>,
    files: &[PathBuf],
    column: usize,
    outputs: usize,
) -> Result<Labels, AddError> {
    let words = table.words(column);
    let used: Vec<String> = words
        .iter()
        .filter(|word| !word.is_empty())
        .cloned()
        .collect();
    let (numbers, names) = classes(wishes, table.path, &used, None)?;
    let mut numbers = numbers.into_iter();
    let mut order: Vec<PathBuf> = Vec::new();
    let mut each: Vec<Vec<PixelBox>> = Vec::new();
    let mut places: BTreeMap<&Path, usize> = BTreeMap::new();
    for ((row, word), file) in table.rows.iter().zip(&words).zip(files) {
        let place = *places.entry(file).or_insert_with(|| {
            order.push(file.clone());
            each.push(Vec::new());
            each.len() - 1
        });
        if word.is_empty() {
            continue;
        }
        let Some(class) = numbers.next() else {
            continue;
        };
        let mut edges = [0.0; 4];
        for (edge, name) in edges.iter_mut().zip(EDGES) {
            *edge = table.number(row, table.column(name)?)?;
        }
        if edges[0] >= edges[2] || edges[1] >= edges[3] {
            let line = row.line;
            let what =
                format!("line {line}: a box without area: left and top are the smaller numbers");
            return Err(AddError::file(table.path, what));
        }
        each[place].push(PixelBox { class, edges });
    }
    let of = Of::Boxes { each, names };
    fits(table.path, &of, outputs)?;
    Ok(Labels {
        of,
        files: order,
        given: 0,
    })
}

/// Words to class numbers. Names come from `--classes`, else numbers stand for themselves, else words are put in
/// the order of the alphabet, as Keras and torchvision do with folders. Of `outputs` there are as many as classes.
fn classes(
    wishes: &Wishes,
    path: &Path,
    words: &[String],
    outputs: Option<usize>,
) -> Result<(Vec<u16>, Vec<String>), AddError> {
    // `3.0`, as pandas writes a column that lacks a value somewhere, is the class 3.
    let whole = |word: &String| {
        let number = word.parse::<f64>().ok()?;
        (number.fract() == 0.0 && number.abs() < 65_536.0).then_some(number as i64)
    };
    let numbers: Option<Vec<i64>> = words.iter().map(whole).collect();
    let numbers = numbers.filter(|_| wishes.classes.is_none());
    if let Some(below) = numbers.iter().flatten().find(|&&number| number < 0) {
        let what = format!("label {below}: classes are counted from 0, or named");
        return Err(AddError::file(path, what));
    }
    let canonical: Vec<String>;
    let words = match &numbers {
        Some(numbers) => {
            canonical = numbers.iter().map(i64::to_string).collect();
            &canonical
        }
        None => words,
    };
    let different: BTreeSet<&String> = words.iter().collect();
    let names: Vec<String> = match (&wishes.classes, outputs) {
        (Some(file), _) => {
            let text = fs::read_to_string(file).map_err(AddError::read(file))?;
            let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        }
        (None, Some(outputs)) if numbers.is_some() => {
            (0..outputs).map(|class| class.to_string()).collect()
        }
        _ => different.iter().map(|&word| word.clone()).collect(),
    };
    if let Some(outputs) = outputs.filter(|&outputs| outputs != names.len()) {
        let (named, remedy) = match &wishes.classes {
            Some(file) => (file.as_path(), "name every output of the models once"),
            None => (
                path,
                "give --classes FILE with a name for every output, in their order",
            ),
        };
        let what = format!(
            "names {} classes, but the models answer {outputs} values: {remedy}",
            names.len()
        );
        return Err(AddError::file(named, what));
    }
    let places: BTreeMap<&str, u16> = names.iter().map(String::as_str).zip(0..).collect();
    let number = |word: &String| {
        let named = places.get(word.as_str()).copied();
        let number = || {
            word.parse()
                .ok()
                .filter(|&n: &u16| usize::from(n) < names.len())
        };
        named.or_else(number).ok_or_else(|| {
            let what = format!(
                "label `{}` is none of the {} classes: correct it, or add it to --classes",
                crate::text::escaped(word),
                names.len()
            );
            AddError::file(path, what)
        })
    };
    let each: Result<Vec<u16>, AddError> = words.iter().map(number).collect();
    Ok((each?, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_are_those_of_hand() {
        let found = commonest(&[0, 0, 0, 1]);
        assert_eq!(found[&Metric::Top1], 0.75);
        assert_eq!(found[&Metric::Top5], 1.0);
        // F1 of class 0 is 6/7, of class 1 zero.
        assert!((found[&Metric::MacroF1] - 3.0 / 7.0).abs() < 1e-12);
        let found = mean(&[vec![1.0], vec![3.0]]);
        assert_eq!((found[&Metric::Rmse], found[&Metric::Mae]), (1.0, 1.0));
    }

    #[test]
    fn boxes_become_shares_of_their_picture() {
        let found = PixelBox {
            class: 2,
            edges: [10.0, 0.0, 20.0, 50.0],
        };
        assert_eq!(found.slot([20, 100]), [2, 32_768, 0, 65_535, 32_768, 0]);
    }
}
