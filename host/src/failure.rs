//! From an error to an exit code.

use scalebench::plan::PlanError;
use scalebench::port::PortError;
use scalebench::session::SessionError;
use scalebench::store::StoreError;
use scalebench_models::ModelsError;
use std::process::ExitCode;

/// The exit code of an error, as the help lists them.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    let is = |error: &(dyn std::error::Error + 'static)| -> Option<u8> {
        if let Some(error) = error.downcast_ref::<SessionError>() {
            return Some(match error {
                SessionError::Version(_) => 4,
                SessionError::Capture(_) => 5,
                SessionError::OtherBoard { .. } => 2,
                _ => 3,
            });
        }
        if error.is::<PortError>() {
            return Some(3);
        }
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Some(if matches!(error, StoreError::Io { .. }) {
                5
            } else {
                2
            });
        }
        let input = error.is::<PlanError>()
            || error.is::<ModelsError>()
            || error.is::<scalebench_boards::BoardError>()
            || error.is::<scalebench::logs::LogError>();
        input.then_some(2)
    };
    ExitCode::from(error.chain().find_map(is).unwrap_or(5))
}
