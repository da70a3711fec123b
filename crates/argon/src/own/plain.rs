//! Types whose values always arrive as they are: they need not be read back. Numbers, text, and the standard library's
//! containers of them; no type with serde's attributes is among them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::octets::Octets;

/// A type of which serde loses nothing.
pub trait Plain {}

macro_rules! plain {
    ($($type:ty)*) => {$(impl Plain for $type {})*};
}

plain! {
    bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64
    String str PathBuf Duration
}

impl Plain for () {}

macro_rules! containers {
    ($($type:ident)*) => {$(impl<T: Plain> Plain for $type<T> {})*};
}

containers! { Option Vec VecDeque BTreeSet Octets }

impl<T: Plain + ?Sized> Plain for &T {}
impl<T: Plain + ?Sized> Plain for Box<T> {}
impl<T: Plain + ?Sized> Plain for Rc<T> {}
impl<T: Plain + ?Sized> Plain for Arc<T> {}
impl<T: Plain> Plain for [T] {}
impl<T: Plain, const N: usize> Plain for [T; N] {}
impl<T: Plain + ToOwned + ?Sized> Plain for Cow<'_, T> {}
impl<K: Plain, V: Plain> Plain for BTreeMap<K, V> {}
impl<K: Plain + Eq + Hash, V: Plain, S: BuildHasher> Plain for HashMap<K, V, S> {}
impl<T: Plain + Eq + Hash, S: BuildHasher> Plain for HashSet<T, S> {}
/// Its bytes were read back when it was made.
impl<T> Plain for crate::Shared<T> {}

macro_rules! tuples {
    ($($($name:ident)+,)*) => {$(impl<$($name: Plain),+> Plain for ($($name,)+) {})*};
}

tuples! { A, A B, A B C, A B C D, A B C D E, A B C D E F, }

/// Asks the compiler whether a type is `Plain`: the macro calls `(&&Probe(&value)).is_plain()`.
#[derive(Debug)]
pub struct Probe<'a, T: ?Sized>(pub &'a T);

/// The answer for plain types.
pub trait IsPlain {
    /// Yes.
    fn is_plain(&self) -> bool;
}

/// The answer for all others.
pub trait NotPlain {
    /// No.
    fn is_plain(&self) -> bool;
}

impl<T: Plain + ?Sized> IsPlain for &Probe<'_, T> {
    fn is_plain(&self) -> bool {
        true
    }
}

impl<T: ?Sized> NotPlain for Probe<'_, T> {
    fn is_plain(&self) -> bool {
        false
    }
}
