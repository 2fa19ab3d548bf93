//! What each command does.

mod add;
pub(crate) mod board;
pub(crate) mod compare;
pub(crate) mod energy;
pub(crate) mod export;
mod fleet;
pub(crate) mod keep;
mod kept;
pub(crate) mod link;
pub(crate) mod lists;
mod live;
pub(crate) mod mlperf_tiny;
mod models;
pub(crate) mod out;
mod part;
pub(crate) mod pick;
mod place;
pub(crate) mod rails;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
mod show;
mod stock;
