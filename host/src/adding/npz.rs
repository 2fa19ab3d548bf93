//! Arrays in NumPy's `.npz` files, which are ZIP archives of `.npy` files, stored or deflated.

use std::io::{Cursor, Read};
use zip::ZipArchive;

/// An archive in memory.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Names of its arrays, in their order.
    pub(super) names: Vec<String>,
}

impl<'a> Archive<'a> {
    /// Reads what an archive holds.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let broken = |error| format!("is no whole ZIP archive ({error})");
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        let names = zip.file_names().map(|name| {
            let name = name.map_err(broken)?;
            Ok(name.strip_suffix(".npy").unwrap_or(&name).to_owned())
        });
        let names = names.collect::<Result<_, String>>()?;
        Ok(Self { zip, names })
    }

    /// The file of an array by its place in `names`, of at most `most` bytes.
    pub(super) fn content(&mut self, array: usize, most: u64) -> Result<Vec<u8>, String> {
        let damaged = |error: String| format!("holds an array that cannot be read ({error})");
        let file = self.zip.by_index(array);
        let file = file.map_err(|error| damaged(error.to_string()))?;
        if file.size() > most {
            return Err("holds an array that is too long".to_owned());
        }
        let mut content = Vec::new();
        // One byte more than allowed: what the directory says of the length need not be so.
        file.take(most + 1)
            .read_to_end(&mut content)
            .map_err(|error| damaged(error.to_string()))?;
        if content.len() as u64 > most {
            return Err("holds an array that is too long".to_owned());
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::CompressionMethod;
    use zip::write::{SimpleFileOptions, ZipWriter};

    /// An archive of one stored and one deflated array.
    fn archive(first: &[u8], second: &[u8]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, method, content) in [
            ("x.npy", CompressionMethod::Stored, first),
            ("y.npy", CompressionMethod::Deflated, second),
        ] {
            let options = SimpleFileOptions::default().compression_method(method);
            writer.start_file(name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn arrays_come_out_as_they_went_in() {
        let (first, second) = (vec![7; 100], b"abcabcabcabcabc".to_vec());
        let bytes = archive(&first, &second);
        let mut found = Archive::open(&bytes).unwrap();
        assert_eq!(found.names, ["x", "y"]);
        assert_eq!(found.content(0, 1_000).unwrap(), first);
        assert_eq!(found.content(1, 1_000).unwrap(), second);
        assert!(found.content(1, 3).unwrap_err().contains("too long"));
    }

    #[test]
    fn damage_is_told() {
        let bytes = archive(&[1, 2, 3], b"something to deflate, to deflate");
        assert!(Archive::open(&bytes[..bytes.len() / 2]).is_err());
        let at = bytes.windows(3).position(|window| window == [1, 2, 3]);
        let mut damaged = bytes.clone();
        damaged[at.unwrap()] ^= 1;
        let mut found = Archive::open(&damaged).unwrap();
        let said = found.content(0, 1_000).unwrap_err();
        assert!(said.contains("cannot be read"), "{said}");
    }
}
