//! What each command does.

pub(crate) mod link;
pub(crate) mod lists;
mod out;
mod place;
pub(crate) mod replay;
pub(crate) mod run;
mod show;
