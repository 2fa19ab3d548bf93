//! CSV files with a line of column names. White space around fields is none of them, and lines without any field are
//! passed over.

use super::AddError;
use csv::{ReaderBuilder, Trim};
use std::fs;
use std::path::Path;

/// A table.
pub(super) struct Table<'p> {
    pub(super) path: &'p Path,
    columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// A row, and the line of the file on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: usize,
    fields: Vec<String>,
}

impl Row {
    /// A field; empty where the row has none.
    pub(super) fn field(&self, column: usize) -> &str {
        self.fields.get(column).map_or("", String::as_str)
    }
}

/// Counts lines up to places that do not go back.
struct Lines<'b> {
    rest: &'b [u8],
    passed: usize,
    line: usize,
}

impl<'b> Lines<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            rest: bytes,
            passed: 0,
            line: 1,
        }
    }

    /// The line of the first byte from `at` on that ends no line: the reader's own count of a row is taken before the
    /// ends of lines that it passes over.
    fn of(&mut self, at: usize) -> usize {
        let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let at = at.saturating_sub(self.passed).min(self.rest.len());
        let begin = at + self.rest[at..].iter().take_while(|byte| ends(byte)).count();
        let (before, rest) = self.rest.split_at(begin);
        self.line += before.iter().filter(|&&byte| byte == b'\n').count();
        self.passed += begin;
        self.rest = rest;
        self.line
    }
}

impl<'p> Table<'p> {
    pub(super) fn read(path: &'p Path) -> Result<Self, AddError> {
        let bytes = fs::read(path).map_err(AddError::read(path))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(bytes);
        let (mut rows, mut lines) = (Vec::new(), Lines::new(bytes));
        for record in reader.records() {
            let record = record.map_err(|error| {
                AddError::file(path, format!("{error}: save it as CSV in UTF-8"))
            })?;
            let line = lines.of(record.position().map_or(0, |at| at.byte() as usize));
            if record.iter().any(|field| !field.is_empty()) {
                rows.push(Row {
                    line,
                    fields: record.iter().map(str::to_owned).collect(),
                });
            }
        }
        if rows.is_empty() {
            let what = "is empty: give a line of column names, then a line for each sample";
            return Err(AddError::file(path, what));
        }
        let columns = rows.remove(0).fields;
        if let Some(row) = rows.iter().find(|row| row.fields.len() != columns.len()) {
            let what = format!(
                "line {}: {} fields, but {} columns are named: quote fields that hold commas, and close quotes",
                row.line,
                row.fields.len(),
                columns.len()
            );
            return Err(AddError::file(path, what));
        }
        Ok(Self {
            path,
            columns,
            rows,
        })
    }

    /// How many columns.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The first column that is called like one of `names`, in any case.
    pub(super) fn find(&self, names: &[&str]) -> Option<usize> {
        let at = |name: &&str| {
            let mut columns = self.columns.iter();
            columns.position(|column| column.eq_ignore_ascii_case(name))
        };
        names.iter().find_map(at)
    }

    /// The column called `name`.
    pub(super) fn column(&self, name: &str) -> Result<usize, AddError> {
        self.find(&[name]).ok_or_else(|| {
            let columns = self.columns.iter().map(|name| crate::text::escaped(name));
            let what = format!(
                "has no column `{}`: it has {}",
                crate::text::escaped(name),
                columns.collect::<Vec<_>>().join(", ")
            );
            AddError::file(self.path, what)
        })
    }

    /// A field that must be a finite number.
    pub(super) fn number(&self, row: &Row, column: usize) -> Result<f32, AddError> {
        let text = row.field(column);
        let number = text.parse().ok().filter(|number: &f32| number.is_finite());
        number.ok_or_else(|| {
            let what = format!(
                "line {}: `{}` is not a number: give one, or leave the line out",
                row.line,
                crate::text::escaped(text)
            );
            AddError::file(self.path, what)
        })
    }

    /// All fields of a column.
    pub(super) fn words(&self, column: usize) -> Vec<String> {
        let fields = self.rows.iter().map(|row| row.field(column).to_owned());
        fields.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, text).unwrap();
        Table::read(&path).err().unwrap().to_string()
    }

    #[test]
    fn fields_may_be_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "\u{feff}a, b\r\n\n\"x,\n\"\"y\"\"\",2\n,\n3,").unwrap();
        let table = Table::read(&path).unwrap();
        assert_eq!(table.column("B").unwrap(), 1);
        assert_eq!(table.words(0), ["x,\n\"y\"", "3"]);
        assert_eq!(table.words(1), ["2", ""]);
        let lines: Vec<usize> = table.rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [3, 6]);
    }

    #[test]
    fn what_is_no_table_gets_its_sentence() {
        let ragged = refused(b"file,label\nx.png,1\ny.png,2,3\n");
        assert!(
            ragged.contains("line 3: 3 fields, but 2 columns"),
            "{ragged}"
        );
        let open = refused(b"file,label\n\"x.png,1\ny.png,2\n");
        assert!(open.contains("line 2: 1 fields, but 2 columns"), "{open}");
        assert!(refused(b"\n\n").contains("is empty"));
        assert!(refused(b"a,b\n\xff,1\n").contains("save it as CSV in UTF-8"));
    }
}
