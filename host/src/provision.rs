//! Uploads: what a board does not hold yet goes there, from where an earlier upload ended.

use crate::plan::File;
use crate::progress::Progress;
use crate::receiver::Delivery;
use crate::session::{Observer, Session, SessionError, event};
use crate::text::escaped;
use scalebench_models::{Artefact, ModelsError};
use scalebench_wire::Digest;
use scalebench_wire::message::{ArtefactState, Event, Request};
use std::collections::BTreeMap;

/// Why a file is not on the board.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The session ended.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The file here is not what the plan says.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// No family here has it any more.
    #[error(
        "no family here has the file {sha256} of this run's plan: restore the models folder the run was begun with"
    )]
    Unknown {
        /// Its hash.
        sha256: String,
    },
    /// The board cannot take it.
    #[error(
        "the board cannot store {file} ({bytes} bytes): make room in its store, or choose fewer families"
    )]
    Refused {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
    },
    /// It arrived damaged again and again.
    #[error(
        "{file} arrived damaged on the board three times: test the cable with `scalebench link`, and the board's storage"
    )]
    Damaged {
        /// The file.
        file: String,
    },
}

const TRIES: usize = 3;

/// Where files of the plan are on this machine, by hash.
pub type Sources = BTreeMap<String, Artefact>;

/// Puts `file` on the board unless it is there.
///
/// # Errors
/// [`ProvisionError`].
pub fn provide<O: Observer>(
    session: &mut Session<O>,
    file: &File,
    sources: &Sources,
    tell: &mut dyn FnMut(&mut Session<O>, Progress),
) -> Result<(), ProvisionError> {
    let unknown = || ProvisionError::Unknown {
        sha256: escaped(&file.sha256),
    };
    let digest = Digest::from_hex(&file.sha256).ok_or_else(unknown)?;
    session.request(&Request::ArtefactStatus { digest })?;
    let (mut have, mut state) = answer(session, digest)?;
    let mut bytes = None;
    for _ in 0..TRIES {
        match state {
            ArtefactState::Complete => return Ok(()),
            ArtefactState::Refused => break,
            ArtefactState::WrongHash => have = 0,
            _ => {}
        }
        let source = sources.get(&file.sha256).ok_or_else(unknown)?;
        let bytes = match &mut bytes {
            Some(bytes) => bytes,
            none => none.insert(source.read()?),
        };
        let name = shown(&source.path);
        let mut offset = usize::try_from(have).unwrap_or(0);
        if offset > bytes.len() {
            offset = 0;
        }
        session.request(&Request::ArtefactBegin {
            digest,
            bytes: file.bytes,
            offset: offset as u64,
        })?;
        while offset < bytes.len() {
            let piece = &bytes[offset..bytes.len().min(offset + session.piece())];
            offset += piece.len();
            session.chunk(piece)?;
            tell(
                session,
                Progress::Upload {
                    done: offset as u64,
                    total: file.bytes,
                    file: name.clone(),
                },
            );
        }
        session.request(&Request::ArtefactCommit)?;
        (have, state) = answer(session, digest)?;
    }
    let file = sources
        .get(&file.sha256)
        .map_or_else(|| file.sha256.clone(), |source| shown(&source.path));
    match state {
        ArtefactState::Complete => Ok(()),
        ArtefactState::Refused => Err(ProvisionError::Refused {
            bytes: bytes.map_or(0, |bytes| bytes.len() as u64),
            file,
        }),
        _ => Err(ProvisionError::Damaged { file }),
    }
}

fn answer<O: Observer>(
    session: &mut Session<O>,
    wanted: Digest,
) -> Result<(u64, ArtefactState), SessionError> {
    session.wait(|delivery| match delivery {
        Delivery::Message(kind, body) => match event(*kind, body) {
            Some(Event::Artefact {
                digest,
                have,
                state,
            }) if digest == wanted => Some((have, state)),
            _ => None,
        },
        _ => None,
    })
}

/// The last two parts of a path: family and file.
fn shown(path: &std::path::Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    escaped(&parts[parts.len().saturating_sub(2)..].join("/"))
}
