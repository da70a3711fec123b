//! Types with every attribute of serde that changes what is written, and values of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Any value of a type, with few elements.
pub(super) trait Shape: Clone + fmt::Debug + PartialEq + Sized + 'static {
    fn any_shape() -> BoxedStrategy<Self>;
}

macro_rules! of_proptest {
    ($($type:ty)*) => {$(
        impl Shape for $type {
            fn any_shape() -> BoxedStrategy<Self> {
                any::<$type>().boxed()
            }
        }
    )*};
}

of_proptest! { u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 bool char IpAddr Duration [u8; 0] }

impl Shape for () {
    fn any_shape() -> BoxedStrategy<Self> {
        Just(()).boxed()
    }
}

impl Shape for String {
    fn any_shape() -> BoxedStrategy<Self> {
        "\\PC{0,6}".boxed()
    }
}

impl Shape for Cow<'static, str> {
    fn any_shape() -> BoxedStrategy<Self> {
        String::any_shape().prop_map(Cow::Owned).boxed()
    }
}

impl<T: Shape> Shape for Option<T> {
    fn any_shape() -> BoxedStrategy<Self> {
        proptest::option::of(T::any_shape()).boxed()
    }
}

impl<T: Shape> Shape for Box<T> {
    fn any_shape() -> BoxedStrategy<Self> {
        T::any_shape().prop_map(Self::new).boxed()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn any_shape() -> BoxedStrategy<Self> {
        vec(T::any_shape(), 0..4).boxed()
    }
}

impl<T: Shape, E: Shape> Shape for Result<T, E> {
    fn any_shape() -> BoxedStrategy<Self> {
        proptest::result::maybe_ok(T::any_shape(), E::any_shape()).boxed()
    }
}

impl<A: Shape, B: Shape> Shape for (A, B) {
    fn any_shape() -> BoxedStrategy<Self> {
        (A::any_shape(), B::any_shape()).boxed()
    }
}

impl<K: Shape + Eq + Hash, V: Shape> Shape for HashMap<K, V> {
    fn any_shape() -> BoxedStrategy<Self> {
        Vec::<(K, V)>::any_shape().prop_map(|entries| entries.into_iter().collect()).boxed()
    }
}

impl<K: Shape + Ord, V: Shape> Shape for BTreeMap<K, V> {
    fn any_shape() -> BoxedStrategy<Self> {
        Vec::<(K, V)>::any_shape().prop_map(|entries| entries.into_iter().collect()).boxed()
    }
}

impl<T: Shape + Eq + Hash> Shape for HashSet<T> {
    fn any_shape() -> BoxedStrategy<Self> {
        Vec::<T>::any_shape().prop_map(|elements| elements.into_iter().collect()).boxed()
    }
}

/// A struct, and any value of it.
macro_rules! shape {
    ($(#[$meta:meta])* struct $name:ident { $($(#[$of:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        $(#[$meta])*
        pub(super) struct $name { $($(#[$of])* pub(super) $field: $type,)* }

        impl Shape for $name {
            fn any_shape() -> BoxedStrategy<Self> {
                (Just(()), $(<$type>::any_shape(),)*).prop_map(|((), $($field,)*)| Self { $($field,)* }).boxed()
            }
        }
    };
}

/// An enum of all four forms, and any value of it.
macro_rules! choice {
    ($(#[$meta:meta])* enum $name:ident { $($(#[$of:meta])* $variant:ident $(($($inner:ty),+))? $({$($field:ident: $type:ty),+})?,)* }) => {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        $(#[$meta])*
        pub(super) enum $name { $($(#[$of])* $variant $(($($inner),+))? $({$($field: $type),+})?,)* }

        impl Shape for $name {
            fn any_shape() -> BoxedStrategy<Self> {
                prop_oneof![$(choice!(@values $name $variant $(($($inner),+))? $({$($field: $type),+})?)),*].boxed()
            }
        }
    };
    (@values $name:ident $variant:ident) => { Just($name::$variant) };
    (@values $name:ident $variant:ident ($inner:ty)) => { <$inner>::any_shape().prop_map($name::$variant) };
    (@values $name:ident $variant:ident ($one:ty, $two:ty)) => {
        <($one, $two)>::any_shape().prop_map(|(one, two)| $name::$variant(one, two))
    };
    (@values $name:ident $variant:ident {$($field:ident: $type:ty),+}) => {
        ($(<$type>::any_shape(),)+).prop_map(|($($field,)+)| $name::$variant { $($field),+ })
    };
}

/// A number of which every bit counts.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Bits<T>(pub(super) T);

macro_rules! bits {
    ($($float:ident $whole:ident)*) => {$(
        impl PartialEq for Bits<$float> {
            fn eq(&self, other: &Self) -> bool {
                self.0.to_bits() == other.0.to_bits()
            }
        }

        impl fmt::Debug for Bits<$float> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?} of {:#x}", self.0, self.0.to_bits())
            }
        }

        impl Shape for Bits<$float> {
            fn any_shape() -> BoxedStrategy<Self> {
                $whole::any_shape().prop_map(|bits| Self($float::from_bits(bits))).boxed()
            }
        }
    )*};
}

bits! { f32 u32 f64 u64 }

/// Any JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Json(pub(super) Value);

impl Shape for Json {
    fn any_shape() -> BoxedStrategy<Self> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            String::any_shape().prop_map(Value::from),
        ];
        let whole = leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(Value::from),
                hash_map("[a-z]{0,3}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        whole.prop_map(Self).boxed()
    }
}

shape! {
    struct Numbers {
        a: u8, b: i16, c: u32, d: i64, e: u128, f: i128, g: Bits<f32>, h: Bits<f64>, i: char, j: bool,
    }
}
shape! { struct Empty {} }
shape! { struct Zero { unit: (), none: [u8; 0], units: Vec<()>, empty: Empty, option: Option<()>, } }
shape! {
    struct Options {
        twice: Option<Option<u8>>, thrice: Option<Option<Option<String>>>, unit: Option<Option<()>>,
        list: Vec<Option<i32>>, boxed: Box<Option<Box<u8>>>,
    }
}
shape! {
    struct SkipIf {
        #[serde(skip_serializing_if = "Option::is_none")] a: Option<u8>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")] b: Vec<u16>,
        #[serde(default, skip_serializing_if = "String::is_empty")] c: String,
        #[serde(default, skip_serializing_if = "Option::is_none")] d: Option<Option<u8>>,
        e: u8,
        #[serde(skip_serializing_if = "Option::is_none")] f: Option<u8>,
    }
}
shape! {
    #[serde(rename_all = "kebab-case", default)]
    struct Renamed {
        long_name: u8,
        #[serde(rename = "type")] kind: String,
        #[serde(rename = "")] empty: u8,
        #[serde(alias = "other")] with_alias: i8,
    }
}
impl Default for Renamed {
    fn default() -> Self {
        Self { long_name: 1, kind: "x".to_owned(), empty: 2, with_alias: 3 }
    }
}
shape! { struct Part { x: u32, y: Option<String>, } }
shape! { struct Flat { before: u8, #[serde(flatten)] part: Part, #[serde(flatten)] external: External, after: i64, } }
shape! { struct FlatOption { #[serde(flatten)] part: Option<Part>, z: u8, } }
shape! { struct FlatRest { known: u8, #[serde(flatten)] rest: HashMap<String, Json>, } }
shape! { struct FlatNumbers { #[serde(flatten)] by_number: BTreeMap<i32, Part>, } }
shape! { struct FlatTagged { #[serde(flatten)] tagged: Tagged, other: u8, } }
shape! {
    struct Maps {
        by_number: HashMap<u64, String>, by_tuple: BTreeMap<(u8, char), Vec<u8>>, by_option: HashMap<Option<bool>, ()>,
        by_choice: HashMap<Key, i8>, set: HashSet<u16>, nested: HashMap<String, HashMap<String, HashSet<String>>>,
    }
}
shape! {
    struct Times { address: IpAddr, wait: Duration, result: Result<u8, String>, text: Cow<'static, str>, }
}
shape! { struct Deep { trees: Vec<(u8, HashMap<String, Vec<Option<Part>>>)>, } }

choice! {
    #[derive(Eq, Hash)]
    enum Key { One, Two(u8), }
}
choice! { enum External { Unit, New(Option<u8>), Pair(u8, String), Named { a: u8, b: Bits<f64> }, } }
choice! { #[serde(tag = "kind")] enum Tagged { Unit, New(Part), Named { x: i16, list: Vec<Json> }, } }
choice! { #[serde(tag = "t", content = "c")] enum Adjacent { Unit, New(u128), Pair(u8, char), Named { x: Option<u8> }, } }
choice! { #[serde(untagged)] enum Untagged { Flag(bool), Text(String), Float(Bits<f64>), List(Vec<i32>), Named { x: u8 }, Unit, } }
choice! { #[serde(rename_all = "UPPERCASE")] enum Loud { FirstOne, #[serde(rename = "2")] Second(u8), #[serde(other)] Rest, } }

// Two variants that take what the other one has: what arrives must not be the other one.
choice! { #[serde(untagged)] enum Alike { Small(u8), Big(u64), Signed(i64), Text(char), Long(String), Some(Option<u8>), } }
choice! { #[serde(untagged)] enum Covering { Less { x: u8 }, More { x: u8, y: u8 }, } }
shape! { struct TupleSkips { inner: TupleSkip, more: Vec<TupleSkip>, } }
shape! {
    struct Lossy {
        #[serde(default, skip_serializing_if = "is_seven")] a: u8,
        #[serde(skip_deserializing)] b: bool,
        #[serde(skip_serializing_if = "Vec::is_empty")] d: Vec<u8>,
    }
}
fn is_seven(number: &u8) -> bool {
    *number == 7
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TupleSkip(
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<u8>,
);

impl Shape for TupleSkip {
    fn any_shape() -> BoxedStrategy<Self> {
        <(Option<u8>, Option<u8>)>::any_shape().prop_map(|(one, two)| Self(one, two)).boxed()
    }
}
