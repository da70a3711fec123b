//! Numbers as elements of a list: taken out of a value where they are all that it writes, so that a list of them needs one mark.

use std::fmt;

use serde::ser::{Impossible, Serialize, Serializer};

use crate::own::tag;

/// A value that is one number.
#[derive(Clone, Copy)]
pub(super) enum Number {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    F32(f32),
    F64(f64),
    Char(char),
}

impl Number {
    #[inline(always)]
    pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Option<Self> {
        value.serialize(Taker).ok()
    }

    #[inline(always)]
    pub(super) fn is_odd_float(self) -> bool {
        match self {
            Self::F32(number) => !number.is_finite(),
            Self::F64(number) => !number.is_finite(),
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) | Self::U128(_) | Self::Char(_) => false,
            Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) | Self::I128(_) => false,
        }
    }
}

impl Number {
    #[inline(always)]
    pub(super) fn is_wide_integer(self) -> bool {
        match self {
            Self::U128(number) => u64::try_from(number).is_err(),
            Self::I128(number) => i64::try_from(number).is_err() && u64::try_from(number).is_err(),
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) | Self::Char(_) | Self::F32(_) => false,
            Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) | Self::F64(_) => false,
        }
    }
}

macro_rules! numbers {
    ($($variant:ident $tag:ident,)*) => {
        impl Number {
            #[inline(always)]
            pub(super) fn tag(self) -> u8 {
                match self {
                    $(Self::$variant(_) => tag::$tag,)*
                    Self::Char(_) => tag::CHAR,
                }
            }

            #[inline(always)]
            pub(super) fn write(self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(number) => out.extend_from_slice(&number.to_le_bytes()),)*
                    Self::Char(char) => out.extend_from_slice(&u32::from(char).to_le_bytes()),
                }
            }
        }
    };
}

numbers! {
    U8 U8, U16 U16, U32 U32, U64 U64, U128 U128, I8 I8, I16 I16, I32 I32, I64 I64, I128 I128, F32 F32, F64 F64,
}

/// Takes a number, and refuses all else before anything of it is looked at.
struct Taker;

#[derive(Debug)]
struct NotOne;

impl fmt::Display for NotOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number")
    }
}

impl std::error::Error for NotOne {}

impl serde::ser::Error for NotOne {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! take {
    ($($method:ident $kind:ty, $variant:ident;)*) => {$(
        #[inline(always)]
        fn $method(self, value: $kind) -> Result<Number, NotOne> {
            Ok(Number::$variant(value))
        }
    )*};
}

macro_rules! refuse {
    ($($method:ident($($kind:ty),*) -> $ok:ty;)*) => {$(
        #[inline(always)]
        fn $method(self, $(_: $kind),*) -> Result<$ok, NotOne> {
            Err(NotOne)
        }
    )*};
}

type No = Impossible<Number, NotOne>;

impl Serializer for Taker {
    type Ok = Number;
    type Error = NotOne;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    take! {
        serialize_u8 u8, U8;
        serialize_u16 u16, U16;
        serialize_u32 u32, U32;
        serialize_u64 u64, U64;
        serialize_u128 u128, U128;
        serialize_i8 i8, I8;
        serialize_i16 i16, I16;
        serialize_i32 i32, I32;
        serialize_i64 i64, I64;
        serialize_i128 i128, I128;
        serialize_f32 f32, F32;
        serialize_f64 f64, F64;
        serialize_char char, Char;
    }

    refuse! {
        serialize_bool(bool) -> Number;
        serialize_str(&str) -> Number;
        serialize_bytes(&[u8]) -> Number;
        serialize_none() -> Number;
        serialize_unit() -> Number;
        serialize_unit_struct(&'static str) -> Number;
        serialize_unit_variant(&'static str, u32, &'static str) -> Number;
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Number, NotOne> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Number, NotOne> {
        Err(NotOne)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<Number, NotOne> {
        Err(NotOne)
    }

    /// Without this the text would be made first.
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<Number, NotOne> {
        Err(NotOne)
    }
}
