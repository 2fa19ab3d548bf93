//! From an error to an exit code.

use scalebench::adding::AddError;
use scalebench::catalogue::CatalogueError;
use scalebench::meter::live::LiveError;
use scalebench::mlperf::line::LineError;
use scalebench::mlperf::measure::MeasureError;
use scalebench::mlperf::trouble::BoardError as FirmwareError;
use scalebench::plan::PlanError;
use scalebench::port::PortError;
use scalebench::session::SessionError;
use scalebench::ssh::SshError;
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
        if let Some(error) = error.downcast_ref::<SshError>() {
            return Some(match error {
                SshError::Destination(_) | SshError::Models(_) => 2,
                _ => 3,
            });
        }
        if let Some(error) = error.downcast_ref::<FirmwareError>() {
            return Some(firmware(error));
        }
        if let Some(error) = error.downcast_ref::<MeasureError>() {
            return Some(match error {
                MeasureError::Board(error) => firmware(error),
                MeasureError::Unsteady => 1,
                _ => 2,
            });
        }
        if error.is::<PortError>() {
            return Some(3);
        }
        if let Some(error) = error.downcast_ref::<LiveError>() {
            return Some(match error {
                LiveError::Supply { .. } => 2,
                LiveError::Io { .. } => 5,
                _ => 3,
            });
        }
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Some(if matches!(error, StoreError::Io { .. }) {
                5
            } else {
                2
            });
        }
        if let Some(error) = error.downcast_ref::<AddError>() {
            return Some(match error {
                AddError::Write { .. } => 5,
                AddError::Unfaithful { .. } => 1,
                _ => 2,
            });
        }
        if let Some(error) = error.downcast_ref::<CatalogueError>() {
            return Some(match error {
                CatalogueError::Store(StoreError::Io { .. }) | CatalogueError::Database { .. } => 5,
                _ => 2,
            });
        }
        if error.is::<scalebench::export::partitions::PartitionError>() {
            return Some(5);
        }
        let input = error.is::<Wrong>()
            || error.is::<scalebench::compare::Unlike>()
            || error.is::<PlanError>()
            || error.is::<ModelsError>()
            || error.is::<scalebench::published::PublishedError>()
            || error.is::<scalebench::mlperf::dataset::DatasetError>()
            || error.is::<scalebench::meter::MeterError>()
            || error.is::<scalebench_boards::BoardError>()
            || error.is::<scalebench_engine::LoadError>()
            || error.is::<scalebench_engine::RunError>()
            || error.is::<scalebench_engine::check::CheckError>()
            || error.is::<scalebench::logs::LogError>()
            || error.is::<scalebench::cross::CrossError>();
        input.then_some(2)
    };
    ExitCode::from(error.chain().find_map(is).unwrap_or(5))
}

fn firmware(error: &FirmwareError) -> u8 {
    match error {
        FirmwareError::Line(LineError::Record(_)) => 5,
        _ => 3,
    }
}

/// An argument, or a file, that is not what it should be; says the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Wrong(pub(crate) String);
