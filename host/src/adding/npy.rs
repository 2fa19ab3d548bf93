//! Arrays in NumPy's files: `.npy`, and `.npz`, which is a ZIP archive of them.
//!
//! The format is NumPy Enhancement Proposal 1: a magic string, a version, the length of a header, the header as
//! the text of a Python dictionary with `descr`, `fortran_order` and `shape`, then the elements. Read here: crate `npyz`
//! would bring a generator of parsers, with C in it, for these three entries.

use super::{AddError, MAX_FILE, Source, npz};
use scalebench_models::container::Dtype;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read; NumPy's own are of some hundred bytes.
const MAX_HEADER: usize = 1 << 16;

/// An array in a type that a dataset can store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Little-endian elements, the last dimension fastest.
    pub(super) bytes: Vec<u8>,
}

impl Array {
    /// The elements as floats.
    pub(super) fn reals(&self) -> Vec<f32> {
        let elements = self.bytes.chunks_exact(self.dtype.size());
        elements
            .map(|element| self.dtype.read(element).unwrap_or(f32::NAN))
            .collect()
    }

    /// The first sample, along the first dimension, that holds a number which is not finite.
    pub(super) fn odd(&self) -> Option<usize> {
        let wide: usize = self.shape.iter().skip(1).product();
        if self.is_whole() || wide == 0 {
            return None;
        }
        let samples = self.bytes.chunks(wide * self.dtype.size());
        let mut finite = samples.map(|sample| {
            let mut elements = sample.chunks_exact(self.dtype.size());
            elements.all(|element| self.dtype.read(element).is_some_and(f32::is_finite))
        });
        finite.position(|finite| !finite)
    }

    /// Whether elements are integers.
    pub(super) fn is_whole(&self) -> bool {
        self.dtype != Dtype::F32
    }
}

/// Reads an array out of a `.npy` or `.npz` file.
pub(super) fn read(source: &Source) -> Result<Array, AddError> {
    let path = &source.path;
    let file = File::open(path).map_err(AddError::read(path))?;
    let bytes = bounded(file, path)?;
    let bytes = if source.ends("npz") {
        member(&bytes, source)?
    } else if let Some(part) = &source.part {
        let what = format!("holds one array only: leave out `:{part}`");
        return Err(AddError::file(path, what));
    } else {
        bytes
    };
    parse(&bytes).map_err(|what| AddError::file(path, what))
}

fn bounded(from: impl Read, path: &Path) -> Result<Vec<u8>, AddError> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(AddError::read(path))?;
    if bytes.len() as u64 > MAX_FILE {
        let what = format!("an array of more than {MAX_FILE} bytes: give fewer samples");
        return Err(AddError::file(path, what));
    }
    Ok(bytes)
}

/// The array of an archive that is meant: the named one, or the only one.
fn member(bytes: &[u8], source: &Source) -> Result<Vec<u8>, AddError> {
    let path = &source.path;
    let wrong = |what: String| AddError::file(path, format!("{what}: write it with numpy.savez"));
    let mut archive = npz::Archive::open(bytes).map_err(wrong)?;
    let names = &archive.names;
    let wanted = match &source.part {
        Some(part) => names.iter().position(|name| name == part),
        None => (names.len() == 1).then_some(0),
    };
    let Some(wanted) = wanted else {
        let names = names.iter().map(|name| crate::text::escaped(name));
        let what = format!(
            "holds the arrays {}: name one as {}:NAME",
            names.collect::<Vec<_>>().join(", "),
            path.display()
        );
        return Err(AddError::file(path, what));
    };
    archive.content(wanted, MAX_FILE).map_err(wrong)
}

/// Parses a whole `.npy` file.
fn parse(bytes: &[u8]) -> Result<Array, String> {
    let short = || "ends within its header: write it again with numpy.save".to_owned();
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("is no .npy file: write it with numpy.save")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (length, rest) = if version[0] == 1 {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    if length > MAX_HEADER || length > rest.len() {
        return Err(short());
    }
    let (header, elements) = rest.split_at(length);
    let header = String::from_utf8_lossy(header);
    let descr = value(&header, "descr").ok_or_else(short)?;
    if value(&header, "fortran_order") != Some("False") {
        return Err("is in Fortran order: save numpy.ascontiguousarray(array)".to_owned());
    }
    let shape: Option<Vec<usize>> = value(&header, "shape").and_then(|shape| {
        let sides = shape.trim_matches(['(', ')']).split(',').map(str::trim);
        sides
            .filter(|side| !side.is_empty())
            .map(|side| side.parse().ok())
            .collect()
    });
    let shape = shape.ok_or("its shape cannot be read: write it again with numpy.save")?;
    let count = shape
        .iter()
        .try_fold(1_usize, |count, &side| count.checked_mul(side));
    let descr = descr.trim_matches('\'');
    let width = descr.get(2..).and_then(|width| width.parse().ok());
    let due = count
        .zip(width)
        .and_then(|(count, width)| count.checked_mul(width));
    if descr.starts_with('>') {
        return Err("is big-endian: save array.astype('<f4')".to_owned());
    }
    if due != Some(elements.len()) {
        return Err(format!(
            "its shape {shape:?} of {} does not make the {} bytes it has: write it again with numpy.save",
            crate::text::escaped(descr),
            elements.len()
        ));
    }
    let (dtype, bytes) = stored(descr.trim_start_matches(['<', '|', '=']), elements)?;
    Ok(Array {
        dtype,
        shape,
        bytes,
    })
}

/// The value of a key in the header's dictionary.
fn value<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let quoted = format!("'{key}':");
    let at = header.find(&quoted)? + quoted.len();
    let rest = header.get(at..)?.trim_start();
    let end = if rest.starts_with('(') {
        rest.find(')')? + 1
    } else {
        rest.find([',', '}'])?
    };
    Some(rest.get(..end)?.trim())
}

/// Elements in a type that a dataset can store, the value of each kept or, of f64, rounded.
fn stored(kind: &str, bytes: &[u8]) -> Result<(Dtype, Vec<u8>), String> {
    fn each<const N: usize, const M: usize>(
        bytes: &[u8],
        into: impl Fn([u8; N]) -> Option<[u8; M]>,
    ) -> Option<Vec<u8>> {
        let elements = bytes.as_chunks::<N>().0;
        let elements: Option<Vec<[u8; M]>> =
            elements.iter().map(|&element| into(element)).collect();
        Some(elements?.concat())
    }
    let whole = |value: i64| i32::try_from(value).ok().map(i32::to_le_bytes);
    let (dtype, converted) = match kind {
        "u1" | "b1" => (Dtype::U8, Some(bytes.to_vec())),
        "i1" => (Dtype::I8, Some(bytes.to_vec())),
        "i2" => (Dtype::I16, Some(bytes.to_vec())),
        "i4" => (Dtype::I32, Some(bytes.to_vec())),
        "f4" => (Dtype::F32, Some(bytes.to_vec())),
        "u2" => (
            Dtype::I32,
            each(bytes, |e| whole(u16::from_le_bytes(e).into())),
        ),
        "u4" => (
            Dtype::I32,
            each(bytes, |e| whole(u32::from_le_bytes(e).into())),
        ),
        "i8" => (Dtype::I32, each(bytes, |e| whole(i64::from_le_bytes(e)))),
        "f8" => (
            Dtype::F32,
            each(bytes, |e| {
                Some((f64::from_le_bytes(e) as f32).to_le_bytes())
            }),
        ),
        _ => {
            return Err(format!(
                "elements of type {} are not read here: save array.astype('float32')",
                crate::text::escaped(kind)
            ));
        }
    };
    let converted =
        converted.ok_or("an integer is beyond 32 bits: save array.astype('float32')")?;
    Ok((dtype, converted))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A `.npy` file as NumPy writes it.
    pub(crate) fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while !(MAGIC.len() + 4 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let mut file = MAGIC.to_vec();
        file.extend([1, 0]);
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(elements);
        file
    }

    #[test]
    fn arrays_are_read_in_types_that_datasets_store() {
        let floats = [1.5_f32, -2.0].map(f32::to_le_bytes).concat();
        let array = parse(&npy("<f4", "(2, 1)", &floats)).unwrap();
        assert_eq!(
            (array.dtype, array.shape.as_slice()),
            (Dtype::F32, &[2, 1][..])
        );
        assert_eq!(array.reals(), [1.5, -2.0]);
        let wide = [7_i64, -1].map(i64::to_le_bytes).concat();
        let array = parse(&npy("<i8", "(2,)", &wide)).unwrap();
        assert_eq!((array.dtype, array.reals()), (Dtype::I32, vec![7.0, -1.0]));
        let doubles = [0.25_f64].map(f64::to_le_bytes).concat();
        let array = parse(&npy("<f8", "(1,)", &doubles)).unwrap();
        assert_eq!((array.dtype, array.reals()), (Dtype::F32, vec![0.25]));
        assert_eq!(parse(&npy("|u1", "()", &[9])).unwrap().shape, [0; 0]);
    }

    #[test]
    fn each_broken_array_gets_its_sentence() {
        let broken = [
            (b"PK".to_vec(), "is no .npy file"),
            (MAGIC.to_vec(), "ends within its header"),
            (npy(">f4", "(1,)", &[0; 4]), "big-endian"),
            (npy("<f4", "(2,)", &[0; 4]), "does not make the 4 bytes"),
            (npy("<c8", "(1,)", &[0; 8]), "type c8"),
            (
                npy("<i8", "(1,)", &i64::MAX.to_le_bytes()),
                "beyond 32 bits",
            ),
            (
                npy("<f4", "(99999999999999999999,)", &[]),
                "shape cannot be read",
            ),
        ];
        for (bytes, piece) in broken {
            let sentence = parse(&bytes).unwrap_err();
            assert!(sentence.contains(piece), "{sentence}");
        }
        let mut fortran = npy("<f4", "(0,)", &[]);
        let at = fortran.windows(5).position(|w| w == b"False").unwrap();
        fortran[at..at + 5].copy_from_slice(b"True ");
        assert!(parse(&fortran).unwrap_err().contains("Fortran order"));
    }
}
