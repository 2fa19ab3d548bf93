//! An inventory that stays empty. Runs on the board and on the host. No heap.
//!
//! tract registers its own runtime, and every kernel of its linear algebra, by constructors that run before a
//! program's `main`. No linker may leave out what a constructor names; and the runtime names all of tract's
//! optimiser, and by it all of tract's operators. The engine plans with tract and computes with kernels of its
//! own: none of that is ever called. Here a submission submits nothing, and the linker keeps what is used.
//!
//! The macros and names are those that tract 0.23 asks of the crate `inventory` 0.3.

#![no_std]

use core::convert::Infallible;
use core::fmt;
use core::iter::Empty;
use core::marker::PhantomData;
use core::ops::Deref;

/// A type of which there could be an inventory.
pub trait Collect: Sized + 'static {}

/// Makes a type one of which there could be an inventory.
#[macro_export]
macro_rules! collect {
    ($type:ty) => {
        impl $crate::Collect for $type {}
    };
}

/// Submits nothing.
#[macro_export]
macro_rules! submit {
    ($($value:tt)*) => {};
}

mod unit {
    use super::{Infallible, PhantomData};

    /// All that was submitted of a type: nothing. A value as well, which can be called or walked.
    #[expect(non_camel_case_types, reason = "it stands where a function could")]
    pub enum iter<T> {
        /// The value.
        iter,
        /// There is none; it has the type's parameter.
        Never(Infallible, PhantomData<T>),
    }
}

/// All that was submitted of a type: `for item in inventory::iter::<T>`, or `inventory::iter::<T>()`.
#[expect(non_camel_case_types, reason = "it stands where a function could")]
pub type iter<T> = unit::iter<T>;
// The value of the same name.
#[doc(hidden)]
pub use unit::iter::*;

impl<T> fmt::Debug for iter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("iter")
    }
}

fn nothing<T: Collect>() -> Empty<&'static T> {
    core::iter::empty()
}

impl<T: Collect> IntoIterator for iter<T> {
    type Item = &'static T;
    type IntoIter = Empty<&'static T>;

    fn into_iter(self) -> Self::IntoIter {
        nothing()
    }
}

impl<T: Collect> Deref for iter<T> {
    type Target = fn() -> Empty<&'static T>;

    fn deref(&self) -> &Self::Target {
        &(nothing as fn() -> Empty<&'static T>)
    }
}

#[cfg(test)]
mod tests {
    struct Kernel;

    crate::collect!(Kernel);
    crate::submit! { Kernel }

    #[test]
    fn what_is_submitted_is_not_there() {
        assert_eq!(crate::iter::<Kernel>().count(), 0);
        assert_eq!(crate::iter::<Kernel>.into_iter().count(), 0);
    }
}
