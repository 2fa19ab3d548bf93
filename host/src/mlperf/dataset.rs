//! Inputs and labels in EEMBC's folder layout: `DIR/TASK/y_labels.csv` beside the `.bin` files it names.
//!
//! A line is `file,classes,class`; of anomaly detection `file,classes,class,width,stride`: the file is cut into
//! windows of `width` bytes, each `stride` bytes after the one before (`datasets/README.md` of
//! github.com/eembc/energyrunner).

use super::task::Task;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const LABELS: &str = "y_labels.csv";
/// No file of the benchmark is nearly as large.
const MOST_BYTES: u64 = 16 << 20;

/// Why a folder is no dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file.
    #[error("{}: {source}: name with --data the folder that holds ad01, ic01, kws01 and vww01", path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A line.
    #[error("{} line {line}: {what}: a line is `file,classes,class`, of ad01 `file,classes,class,width,stride`", path.display())]
    Label {
        /// The file of labels.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// No line.
    #[error("{}: no input is named in it: fetch the dataset again", path.display())]
    Empty {
        /// The file of labels.
        path: PathBuf,
    },
    /// A file of inputs.
    #[error("{}: {bytes} bytes, which {wants}: fetch the dataset again", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// What it should be.
        wants: String,
    },
}

/// A file and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The file's name.
    pub file: String,
    /// How many classes there are.
    pub classes: usize,
    /// The right one. Of anomaly detection: 1 for an anomaly.
    pub class: usize,
    /// Bytes of a window, and from one window to the next; `None`: the whole file is one input.
    pub windows: Option<(usize, usize)>,
}

/// The inputs of a task.
#[derive(Clone, Debug)]
pub struct Dataset {
    dir: PathBuf,
    /// In the order of the labels.
    pub samples: Vec<Sample>,
    /// SHA-256 of the labels, in hexadecimal.
    pub sha256: String,
    /// Bytes of the labels.
    pub bytes: u64,
}

impl Dataset {
    /// Reads the labels of `task` below `data`.
    ///
    /// # Errors
    /// [`DatasetError`].
    pub fn open(data: &Path, task: Task) -> Result<Self, DatasetError> {
        let dir = data.join(task.word());
        let path = dir.join(LABELS);
        let text = fs::read_to_string(&path).map_err(|source| DatasetError::Io {
            path: path.clone(),
            source,
        })?;
        let lines = text.lines().enumerate();
        let samples = lines
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(at, line)| {
                sample(line, task).map_err(|what| DatasetError::Label {
                    path: path.clone(),
                    line: at + 1,
                    what,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if samples.is_empty() {
            return Err(DatasetError::Empty { path });
        }
        let digest = Sha256::digest(text.as_bytes());
        Ok(Self {
            dir,
            samples,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: text.len() as u64,
        })
    }

    /// The inputs of a sample: one, or the windows of its file.
    ///
    /// # Errors
    /// [`DatasetError`].
    pub fn inputs(&self, sample: &Sample) -> Result<Vec<Vec<u8>>, DatasetError> {
        let path = self.dir.join(&sample.file);
        let io = |source| DatasetError::Io {
            path: path.clone(),
            source,
        };
        let bytes = fs::metadata(&path).map_err(io)?.len();
        let size = |wants: String| DatasetError::Size {
            path: path.clone(),
            bytes,
            wants,
        };
        if bytes == 0 || bytes > MOST_BYTES {
            return Err(size("is no input's length".to_owned()));
        }
        let content = fs::read(&path).map_err(io)?;
        let Some((width, stride)) = sample.windows else {
            return Ok(vec![content]);
        };
        let windows: Vec<Vec<u8>> = content
            .windows(width)
            .step_by(stride)
            .map(<[u8]>::to_vec)
            .collect();
        if windows.is_empty() {
            return Err(size(format!("hold no window of {width} bytes")));
        }
        Ok(windows)
    }
}

fn sample(line: &str, task: Task) -> Result<Sample, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let number = |at: usize, name: &str| -> Result<usize, String> {
        let field = fields.get(at).filter(|field| !field.is_empty());
        let field = field.ok_or_else(|| format!("there is no {name}"))?;
        let wrong = |_| format!("`{}` is no {name}", crate::text::escaped(field));
        field.parse().map_err(wrong)
    };
    let file = fields[0];
    // A name, never a path: the labels may come from anywhere.
    if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\']) {
        let file = crate::text::escaped(file);
        return Err(format!("`{file}` is no file of this folder"));
    }
    let (classes, class) = (number(1, "number of classes")?, number(2, "class")?);
    if class >= classes {
        return Err(format!("class {class} is none of {classes}"));
    }
    let windows = match task {
        Task::Ad01 => Some((number(3, "window width")?, number(4, "stride")?)),
        _ => None,
    };
    if windows.is_some_and(|(width, stride)| width == 0 || stride == 0) {
        return Err("width and stride of windows must not be zero".to_owned());
    }
    Ok(Sample {
        file: file.to_owned(),
        classes,
        class,
        windows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(task: Task, labels: &str, files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let of_task = dir.path().join(task.word());
        fs::create_dir(&of_task).unwrap();
        fs::write(of_task.join(LABELS), labels).unwrap();
        for (name, bytes) in files {
            fs::write(of_task.join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn files_are_inputs_and_those_of_anomaly_detection_are_cut() {
        let dir = folder(
            Task::Kws01,
            "a.bin,12,3\n\nb.bin, 12, 0\r\n",
            &[("a.bin", &[1, 2])],
        );
        let set = Dataset::open(dir.path(), Task::Kws01).unwrap();
        assert_eq!(set.samples.len(), 2);
        assert_eq!(set.inputs(&set.samples[0]).unwrap(), [[1, 2]]);
        let dir = folder(
            Task::Ad01,
            "a.bin,2,1,4,2\n",
            &[("a.bin", &[0, 1, 2, 3, 4, 5, 6])],
        );
        let set = Dataset::open(dir.path(), Task::Ad01).unwrap();
        assert_eq!(
            set.inputs(&set.samples[0]).unwrap(),
            [[0, 1, 2, 3], [2, 3, 4, 5]]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let refusal = |task, labels: &str| {
            let dir = folder(task, labels, &[]);
            Dataset::open(dir.path(), task).unwrap_err().to_string()
        };
        let said = refusal(Task::Ic01, "a.bin,10,1\nb.bin,10,10\n");
        assert!(
            said.contains("y_labels.csv line 2: class 10 is none of 10"),
            "{said}"
        );
        let said = refusal(Task::Ic01, "../../etc/passwd,2,1\n");
        assert!(said.contains("is no file of this folder"), "{said}");
        let said = refusal(Task::Ad01, "a.bin,2,1\n");
        assert!(said.contains("there is no window width"), "{said}");
        let said = refusal(Task::Ic01, "\n");
        assert!(said.contains("no input is named"), "{said}");
        let dir = tempfile::tempdir().unwrap();
        let said = Dataset::open(dir.path(), Task::Vww01)
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("vww01/y_labels.csv") && said.contains("--data"),
            "{said}"
        );
    }
}
