//! CSV files with a line of column names, after RFC 4180: fields may be quoted, and hold commas, quotes and line ends
//! then. White space around unquoted fields is none of them.

use super::AddError;
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

impl<'p> Table<'p> {
    pub(super) fn read(path: &'p Path) -> Result<Self, AddError> {
        let text = fs::read_to_string(path).map_err(AddError::read(path))?;
        let wrong = |what: String| AddError::file(path, what);
        let mut rows = parse(text.strip_prefix('\u{feff}').unwrap_or(&text)).map_err(wrong)?;
        if rows.is_empty() {
            let what = "is empty: give a line of column names, then a line for each sample";
            return Err(AddError::file(path, what));
        }
        let columns = rows.remove(0).fields;
        if let Some(row) = rows.iter().find(|row| row.fields.len() != columns.len()) {
            return Err(wrong(format!(
                "line {}: {} fields, but {} columns are named: quote fields that hold commas",
                row.line,
                row.fields.len(),
                columns.len()
            )));
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

/// All rows that are not empty.
fn parse(text: &str) -> Result<Vec<Row>, String> {
    let (mut rows, mut line) = (Vec::new(), 1);
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let begin = line;
        let mut fields = Vec::new();
        loop {
            let (mut field, mut quoted) = (String::new(), false);
            let end = loop {
                match chars.next() {
                    Some('"') if !quoted && field.trim().is_empty() => {
                        quoted = true;
                        field.clear();
                        loop {
                            match chars.next() {
                                Some('"') if chars.peek() == Some(&'"') => {
                                    chars.next();
                                    field.push('"');
                                }
                                Some('"') => break,
                                Some(char) => {
                                    line += usize::from(char == '\n');
                                    field.push(char);
                                }
                                None => {
                                    return Err(format!(
                                        "line {begin}: a quoted field has no end: close its quotes"
                                    ));
                                }
                            }
                        }
                    }
                    Some(',') => break Some(','),
                    Some('\n') => {
                        line += 1;
                        break None;
                    }
                    None => break None,
                    Some(char) if quoted && char.is_whitespace() => {}
                    Some(_) if quoted => {
                        return Err(format!(
                            "line {begin}: text behind a quoted field: double the quotes within it"
                        ));
                    }
                    Some(char) => field.push(char),
                }
            };
            fields.push(if quoted {
                field
            } else {
                field.trim().to_owned()
            });
            if end.is_none() {
                break;
            }
        }
        if fields.iter().any(|field| !field.is_empty()) {
            rows.push(Row {
                line: begin,
                fields,
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let rows = parse("a, b\r\n\n\"x,\n\"\"y\"\"\" ,2\n3,").unwrap();
        let rows: Vec<_> = rows.into_iter().map(|row| (row.line, row.fields)).collect();
        let fields = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            rows,
            [
                (1, fields("a", "b")),
                (3, fields("x,\n\"y\"", "2")),
                (5, fields("3", "")),
            ]
        );
        assert!(parse("a\n\"b").unwrap_err().starts_with("line 2: "));
        assert!(parse("\"a\"b").unwrap_err().contains("double the quotes"));
    }

    #[test]
    fn rows_are_as_wide_as_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "file,label\nx.png,1\ny.png,2,3\n").unwrap();
        let error = Table::read(&path).err().unwrap().to_string();
        assert!(error.contains("line 3: 3 fields, but 2 columns"), "{error}");
    }
}
