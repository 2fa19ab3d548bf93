//! Parquet in Hive partitions: `trials/board=…/family=…/run=…/part.parquet` and `readings/…` beside it,
//! so that pandas, DuckDB, Polars, Spark or Trino read a folder of many runs as one table.

use super::columns::{Of, TRIAL};
use super::{Exported, Row};
use crate::aggregate::WindowReadings;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of readings that are written together.
const GROUP: usize = 1 << 20;
/// Columns that the folders' names tell.
const FOLDERS: [&str; 3] = ["board", "family", "run"];

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}: check the path, its permissions and the room on the disk", path.display())]
pub struct PartitionError {
    path: PathBuf,
    problem: String,
}

/// Writes the runs below `dir`; files of an earlier export of the same runs are replaced. Returns the
/// files.
///
/// # Errors
/// [`PartitionError`] names the file.
pub fn write(runs: &[Exported], dir: &Path) -> Result<Vec<PathBuf>, PartitionError> {
    let mut written = Vec::new();
    for run in runs {
        let rows: Vec<Row<'_>> = run.rows().collect();
        for family in rows.chunk_by(|a, b| a.planned.family == b.planned.family) {
            let place = Path::new(&format!("board={}", escaped(&run.file.plan.board)))
                .join(format!("family={}", escaped(&family[0].planned.family)))
                .join(format!("run={}", escaped(&run.id)))
                .join("part.parquet");
            written.push(file_at(&dir.join("trials").join(&place), &|file| {
                trials(file, family)
            })?);
            if !run.readings.is_empty() {
                let write = |file| readings(file, family, &run.readings);
                written.push(file_at(&dir.join("readings").join(&place), &write)?);
            }
        }
    }
    Ok(written)
}

type Write<'a> = dyn Fn(File) -> Result<(), ParquetError> + 'a;

fn file_at(path: &Path, write: &Write<'_>) -> Result<PathBuf, PartitionError> {
    let failed = |problem: String| PartitionError {
        path: path.to_owned(),
        problem,
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| failed(error.to_string()))?;
    }
    let file = File::create(path).map_err(|error| failed(error.to_string()))?;
    write(file).map_err(|error| failed(error.to_string()))?;
    Ok(path.to_owned())
}

/// A folder's name as Hive writes it: what is no letter, digit, dot, dash or underscore in percent.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    name.bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn trials(file: File, rows: &[Row<'_>]) -> Result<(), ParquetError> {
    let columns: Vec<_> = TRIAL
        .iter()
        .filter(|column| !FOLDERS.contains(&column.name))
        .collect();
    let field = |(name, of): (&str, Of)| match of {
        Of::Text(_) => text(name, Repetition::OPTIONAL),
        Of::Whole(_) => number(name, Physical::INT64, Repetition::OPTIONAL),
        Of::Real(_) => number(name, Physical::DOUBLE, Repetition::OPTIONAL),
    };
    let fields: Result<Vec<_>, _> = columns
        .iter()
        .map(|column| field((column.name, column.of)))
        .collect();
    let mut writer = writer(file, fields?)?;
    let mut group = writer.next_row_group()?;
    for column in columns {
        match column.of {
            Of::Text(of) => {
                let cells = rows
                    .iter()
                    .map(|row| of(row).map(|text| ByteArray::from(text.into_bytes())));
                optional::<ByteArrayType>(&mut group, cells)?;
            }
            Of::Whole(of) => optional::<Int64Type>(&mut group, rows.iter().map(of))?,
            Of::Real(of) => optional::<DoubleType>(&mut group, rows.iter().map(of))?,
        }
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

/// One row a reading: variant, precision, window, place in the window, nanoseconds.
fn readings(file: File, rows: &[Row<'_>], windows: &[WindowReadings]) -> Result<(), ParquetError> {
    let mut writer = writer(
        file,
        vec![
            text("variant", Repetition::REQUIRED)?,
            text("precision", Repetition::REQUIRED)?,
            number("window", Physical::INT64, Repetition::REQUIRED)?,
            number("reading", Physical::INT64, Repetition::REQUIRED)?,
            number("ns", Physical::DOUBLE, Repetition::REQUIRED)?,
        ],
    )?;
    for row in rows {
        for window in windows
            .iter()
            .filter(|window| window.trial == row.planned.trial)
        {
            for (at, part) in window.readings.chunks(GROUP).enumerate() {
                let count = part.len();
                let first = (at * GROUP) as i64;
                let mut group = writer.next_row_group()?;
                let same = |text: &str| vec![ByteArray::from(text.as_bytes().to_vec()); count];
                required::<ByteArrayType>(&mut group, &same(&row.planned.variant))?;
                required::<ByteArrayType>(&mut group, &same(row.planned.precision.word()))?;
                required::<Int64Type>(&mut group, &vec![i64::from(window.window); count])?;
                let places: Vec<i64> = (first..first + count as i64).collect();
                required::<Int64Type>(&mut group, &places)?;
                let ns: Vec<f64> = part
                    .iter()
                    .map(|&reading| f64::from(reading) * window.unit_ns)
                    .collect();
                required::<DoubleType>(&mut group, &ns)?;
                group.close()?;
            }
        }
    }
    writer.close()?;
    Ok(())
}

fn text(name: &str, repetition: Repetition) -> Result<Arc<Type>, ParquetError> {
    Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
        .with_repetition(repetition)
        .with_logical_type(Some(LogicalType::String))
        .build()
        .map(Arc::new)
}

fn number(name: &str, kind: Physical, repetition: Repetition) -> Result<Arc<Type>, ParquetError> {
    Type::primitive_type_builder(name, kind)
        .with_repetition(repetition)
        .build()
        .map(Arc::new)
}

fn writer(file: File, fields: Vec<Arc<Type>>) -> Result<SerializedFileWriter<File>, ParquetError> {
    let schema = Type::group_type_builder("schema")
        .with_fields(fields)
        .build()?;
    let properties = WriterProperties::builder()
        .set_created_by(concat!("scalebench version ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
}

/// The next column, of which some cells may be missing.
fn optional<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let cells: Vec<Option<T::T>> = cells.collect();
    let there: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    column::<T>(group, &values, Some(&there))
}

fn required<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    column::<T>(group, values, None)
}

fn column<T: parquet::data_type::DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    there: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = group
        .next_column()?
        .ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
    column.typed::<T>().write_batch(values, there, None)?;
    column.close()
}
