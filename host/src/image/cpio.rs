//! Archives in the format "newc", as Linux unpacks them into its first file system.
//!
//! Every field that could differ from one making to the next (time, owner, inode) is fixed, so equal
//! entries give equal bytes. The format: `Documentation/driver-api/early-userspace/buffer-format.rst` in
//! the kernel's sources.

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;
const ALIGNMENT: usize = 4;

/// An archive being written.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A directory. Those above it must have been added before, as for every entry.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY, (0, 0), &[]);
    }

    /// A file that can be run.
    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.entry(path, PROGRAM, (0, 0), content);
    }

    /// A file that can be read.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, FILE, (0, 0), content);
    }

    /// A character device with its major and minor number.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE, (major, minor), &[]);
    }

    /// The whole archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let links = if mode == DIRECTORY { 2 } else { 1 };
        let fields = [
            self.entries, // inode
            mode,
            0, // user
            0, // group
            links,
            0, // time
            u32::try_from(content.len()).unwrap_or(u32::MAX),
            0, // device the file is on
            0,
            device.0,
            device.1,
            path.len() as u32 + 1,
            0, // check sum, of another variant of the format
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_what_the_kernel_documents() {
        let mut archive = Archive::new();
        archive.device("dev/null", 1, 3);
        archive.file("a", b"hello");
        let bytes = archive.finish();
        let expected = "\
            070701000000010000218000000000000000000000000100000000000000000000000000000000\
            00000001000000030000000900000000dev/null\0";
        assert_eq!(&bytes[..expected.len()], expected.as_bytes());
        let second = &bytes[(expected.len()).next_multiple_of(4)..];
        assert_eq!(&second[..14], b"07070100000002");
        assert_eq!(&second[110..112], b"a\0");
        assert_eq!(&second[112..120], b"hello\0\0\0");
        assert!(second[120..].starts_with(b"070701"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn equal_entries_give_equal_bytes() {
        let make = || {
            let mut archive = Archive::new();
            archive.directory("dev");
            archive.program("init", &[1, 2, 3]);
            archive.finish()
        };
        assert_eq!(make(), make());
    }
}
