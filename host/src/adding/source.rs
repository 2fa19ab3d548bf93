//! A file, and what of it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file or folder, and the name of an array or column in it, written `PATH:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file or folder.
    pub path: PathBuf,
    /// What of it, if anything was said.
    pub part: Option<String>,
}

impl FromStr for Source {
    type Err = Infallible;

    /// Text after the last colon is a name, unless there is a file called like the whole.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (path, part) = match text.rsplit_once(':') {
            Some((path, part))
                if !Path::new(text).exists() && !part.contains('/') && !path.is_empty() =>
            {
                (path, Some(part.to_owned()))
            }
            _ => (text, None),
        };
        Ok(Self {
            path: path.into(),
            part,
        })
    }
}

impl Source {
    /// Whether the path ends like this, in any case.
    pub(super) fn ends(&self, ending: &str) -> bool {
        let own = self.path.extension();
        own.is_some_and(|own| own.eq_ignore_ascii_case(ending))
    }
}
