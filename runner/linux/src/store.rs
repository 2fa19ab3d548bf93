//! Artefacts in a folder: `<sha256>` when complete, `<sha256>.part` while coming in.

use scalebench_core::board::Store;
use scalebench_wire::Digest;
use scalebench_wire::message::ArtefactState;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Artefacts larger than this are refused.
pub const MOST_BYTES: u64 = 1 << 30;

/// A folder of artefacts.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    coming: Option<Coming>,
    open: HashMap<Digest, Vec<u8>>,
}

#[derive(Debug)]
struct Coming {
    digest: Digest,
    file: File,
    bytes: u64,
    have: u64,
    /// Writing failed: the store is full, or broken.
    failed: bool,
}

impl Folder {
    /// Uses the folder `root`, making it if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self {
            root,
            coming: None,
            open: HashMap::new(),
        })
    }

    /// Where the complete artefact is or will be.
    #[must_use]
    pub fn path(&self, digest: Digest) -> PathBuf {
        path(&self.root, digest)
    }

    fn part(&self, digest: Digest) -> PathBuf {
        self.root.join(format!("{digest}.part"))
    }

    fn finish(&mut self) -> io::Result<(Digest, u64, ArtefactState)> {
        let Some(Coming {
            digest,
            file,
            bytes,
            have,
            failed,
        }) = self.coming.take()
        else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if failed {
            // Whatever of it is there takes the room of something else.
            fs::remove_file(self.part(digest))?;
            return Ok((digest, 0, ArtefactState::Refused));
        }
        if have != bytes {
            return Ok((digest, have, ArtefactState::Partial));
        }
        file.sync_all()?;
        let part = self.part(digest);
        if sha256(&fs::read(&part)?) != digest {
            fs::remove_file(&part)?;
            return Ok((digest, 0, ArtefactState::WrongHash));
        }
        fs::rename(&part, self.path(digest))?;
        Ok((digest, bytes, ArtefactState::Complete))
    }
}

/// Where the artefact `digest` is in the store at `root`.
#[must_use]
pub fn path(root: &Path, digest: Digest) -> PathBuf {
    root.join(digest.to_string())
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

impl Store for Folder {
    fn status(&mut self, digest: Digest) -> (u64, ArtefactState) {
        if let Ok(file) = fs::metadata(self.path(digest)) {
            return (file.len(), ArtefactState::Complete);
        }
        let have = fs::metadata(self.part(digest)).map_or(0, |file| file.len());
        (have, ArtefactState::Partial)
    }

    fn begin(&mut self, digest: Digest, bytes: u64, offset: u64) -> bool {
        self.coming = None;
        if bytes > MOST_BYTES || offset > bytes {
            return false;
        }
        let begun = || -> io::Result<File> {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(self.part(digest))?;
            // Two runners on one store must not write into the same file.
            file.try_lock()?;
            if file.metadata()?.len() < offset {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            file.set_len(offset)?;
            Ok(file)
        };
        self.coming = begun().ok().map(|file| Coming {
            digest,
            file,
            bytes,
            have: offset,
            failed: false,
        });
        self.coming.is_some()
    }

    fn append(&mut self, bytes: &[u8]) -> bool {
        let Some(coming) = &mut self.coming else {
            return false;
        };
        let have = coming.have + bytes.len() as u64;
        if have > coming.bytes {
            return false;
        }
        if coming.file.write_all(bytes).is_err() {
            coming.failed = true;
            return false;
        }
        coming.have = have;
        true
    }

    fn commit(&mut self) -> (Option<Digest>, u64, ArtefactState) {
        let coming = self
            .coming
            .as_ref()
            .map(|coming| (coming.digest, coming.have));
        match self.finish() {
            Ok((digest, have, state)) => (Some(digest), have, state),
            Err(_) => (
                coming.map(|(digest, _)| digest),
                coming.map_or(0, |(_, have)| have),
                ArtefactState::Refused,
            ),
        }
    }

    fn open(&mut self, digest: Digest) -> bool {
        if self.open.contains_key(&digest) {
            return true;
        }
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) if sha256(&bytes) == digest => {
                self.open.insert(digest, bytes);
                true
            }
            // A card that forgets: the host will send it again.
            Ok(_) => {
                let _ = fs::remove_file(path);
                false
            }
            Err(_) => false,
        }
    }

    fn bytes(&self, digest: Digest) -> Option<&[u8]> {
        self.open.get(&digest).map(Vec::as_slice)
    }

    fn close(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("store")).unwrap();
        (dir, folder)
    }

    #[test]
    fn an_upload_is_resumed_and_checked() {
        let (_dir, mut store) = folder();
        let digest = sha256(b"hello world");
        assert_eq!(store.status(digest), (0, ArtefactState::Partial));
        assert!(store.begin(digest, 11, 0));
        assert!(store.append(b"hello"));
        assert_eq!(store.commit(), (Some(digest), 5, ArtefactState::Partial));
        assert_eq!(store.status(digest), (5, ArtefactState::Partial));
        assert!(store.begin(digest, 11, 5));
        assert!(store.append(b" world"));
        assert!(!store.append(b"!"), "more than announced");
        assert_eq!(store.commit(), (Some(digest), 11, ArtefactState::Complete));
        assert!(store.open(digest));
        assert_eq!(store.bytes(digest), Some(&b"hello world"[..]));
    }

    #[test]
    fn a_wrong_hash_is_dropped() {
        let (_dir, mut store) = folder();
        let digest = sha256(b"right");
        assert!(store.begin(digest, 5, 0));
        assert!(store.append(b"wrong"));
        assert_eq!(store.commit(), (Some(digest), 0, ArtefactState::WrongHash));
        assert_eq!(store.status(digest), (0, ArtefactState::Partial));
        assert!(!store.open(digest));
    }

    #[test]
    fn a_decayed_artefact_is_not_opened() {
        let (_dir, mut store) = folder();
        let digest = sha256(b"x");
        assert!(store.begin(digest, 1, 0) && store.append(b"x"));
        assert_eq!(store.commit().2, ArtefactState::Complete);
        fs::write(store.path(digest), b"y").unwrap();
        assert!(!store.open(digest));
        assert_eq!(store.status(digest), (0, ArtefactState::Partial));
    }

    #[test]
    fn a_full_store_refuses_and_makes_room() {
        let (_dir, mut store) = folder();
        let digest = sha256(b"hello");
        assert!(store.begin(digest, 5, 0) && store.append(b"he"));
        store.coming.as_mut().unwrap().file = File::create("/dev/full").unwrap();
        assert!(!store.append(b"llo"));
        assert_eq!(store.commit(), (Some(digest), 0, ArtefactState::Refused));
        assert!(!store.part(digest).exists());
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let (dir, mut store) = folder();
        let digest = sha256(b"x");
        assert!(!store.begin(digest, MOST_BYTES + 1, 0));
        assert!(!store.begin(digest, 4, 2), "an offset beyond what is there");
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        assert!(!store.begin(digest, 4, 0));
        assert_eq!(store.commit().0, None);
    }
}
