//! Reading: a serde deserializer. What a type asks for is a hint, what was written decides; the visitor accepts or refuses it.

mod access;

use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};

use access::{Entries, Fields, Held, ItemReader, Variant};

use super::tag::{self, MIXED};
use super::{DEPTH_MAX, FormatError};

/// Reads values one after another.
pub(crate) struct Reader<'de> {
    pub(super) bytes: &'de [u8],
    names: Vec<&'de str>,
    /// The mark of the next value, if its list has it.
    given: u8,
    depth: u32,
}

impl<'de> Reader<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, names: Vec::new(), given: MIXED, depth: 0 }
    }

    /// Refuses what is left.
    pub(crate) fn end(&self) -> Result<(), FormatError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(FormatError::new(format!("{left} bytes are left behind the value"))),
        }
    }

    #[inline]
    fn peek(&self) -> Result<u8, FormatError> {
        if self.given == MIXED { self.bytes.first().copied().ok_or_else(tag::cut) } else { Ok(self.given) }
    }

    #[inline]
    pub(super) fn tag(&mut self) -> Result<u8, FormatError> {
        if self.given != MIXED {
            return Ok(std::mem::replace(&mut self.given, MIXED));
        }
        let (tag, rest) = self.bytes.split_first().ok_or_else(tag::cut)?;
        self.bytes = rest;
        Ok(*tag)
    }

    pub(super) fn length(&mut self) -> Result<u64, FormatError> {
        tag::take_length(&mut self.bytes)
    }

    pub(super) fn take(&mut self) -> Result<&'de [u8], FormatError> {
        let length = self.length()?;
        tag::take(&mut self.bytes, length)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (array, rest) = self.bytes.split_first_chunk::<N>().ok_or_else(tag::cut)?;
        self.bytes = rest;
        Ok(*array)
    }

    fn text(&mut self) -> Result<&'de str, FormatError> {
        std::str::from_utf8(self.take()?).map_err(FormatError::custom)
    }

    pub(super) fn name(&mut self) -> Result<&'de str, FormatError> {
        match self.length()? {
            0 => {
                let name = self.text()?;
                self.names.push(name);
                Ok(name)
            }
            number => {
                let known = usize::try_from(number - 1).ok().and_then(|index| self.names.get(index));
                known.copied().ok_or_else(|| FormatError::custom("a name is not there"))
            }
        }
    }

    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FormatError>,
    ) -> Result<T, FormatError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(FormatError::deep());
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, FormatError> {
        let left = self.length()?;
        let given = self.array::<1>()?[0];
        if given != MIXED && tag::width(given).is_none() {
            return Err(FormatError::new(format!("{given} is not the mark of a number")));
        }
        self.items(left, given, |items| visitor.visit_seq(items))
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, FormatError> {
        let left = self.length()?;
        self.items(left, MIXED, |items| visitor.visit_map(Entries(items)))
    }

    fn fields<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, FormatError> {
        let left = self.length()?;
        self.items(left, MIXED, |items| visitor.visit_map(Fields(items)))
    }

    fn items<T>(
        &mut self,
        left: u64,
        given: u8,
        visit: impl FnOnce(&mut ItemReader<'_, 'de>) -> Result<T, FormatError>,
    ) -> Result<T, FormatError> {
        self.nested(|reader| {
            let mut items = ItemReader { reader, left, given };
            let value = visit(&mut items)?;
            match items.left {
                0 => Ok(value),
                left => Err(FormatError::new(format!(
                    "{left} elements or fields more were written than are read"
                ))),
            }
        })
    }

    /// A variant as the data model of JSON has it: its name, or a map from its name to what it holds.
    fn variant_as_data<V: Visitor<'de>>(&mut self, tag: u8, visitor: V) -> Result<V::Value, FormatError> {
        let name = self.name()?;
        if tag == tag::UNIT_VARIANT {
            return visitor.visit_borrowed_str(name);
        }
        self.nested(|reader| {
            let mut held = Held { reader, name: Some(name), tag, is_read: false };
            let value = visitor.visit_map(&mut held)?;
            if held.is_read {
                Ok(value)
            } else {
                Err(FormatError::new(format!("what {name} holds was not read")))
            }
        })
    }

    /// The content of a variant, after its name.
    fn held<V: Visitor<'de>>(&mut self, tag: u8, visitor: V) -> Result<V::Value, FormatError> {
        match tag {
            tag::TUPLE_VARIANT => self.list(visitor),
            tag::STRUCT_VARIANT => self.fields(visitor),
            _ => self.nested(|reader| reader.deserialize_any(visitor)),
        }
    }

    /// A plain value where the writer had an option of it.
    #[inline]
    fn unwrap_options(&mut self) -> Result<(), FormatError> {
        while self.peek()? == tag::SOME {
            self.tag()?;
        }
        Ok(())
    }

    #[inline(never)]
    fn marked<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, FormatError> {
        self.unwrap_options()?;
        self.deserialize_any(visitor)
    }

    /// The length of a tuple is part of its type; another one would shift what its places mean.
    fn expect_length(&self, after_tag: &[u8], length: usize) -> Result<(), FormatError> {
        let written = tag::take_length(&mut &*after_tag)?;
        if written == length as u64 {
            return Ok(());
        }
        Err(FormatError::new(format!(
            "{written} elements of a tuple were written and {length} are read: \
             serde cannot skip an element of a tuple for some values only"
        )))
    }
}

macro_rules! plain {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
            self.marked(visitor)
        }
    )*};
}

/// Readers of lists of numbers: the mark is the list's, and the type asks for that number.
macro_rules! numbers {
    ($($method:ident $visit:ident $kind:ident, $tag:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
            if self.given == tag::$tag {
                self.given = MIXED;
                return visitor.$visit($kind::from_le_bytes(self.array()?));
            }
            self.marked(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = FormatError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        match self.tag()? {
            tag::NONE => visitor.visit_none(),
            tag::SOME => self.nested(|reader| visitor.visit_some(reader)),
            tag::UNIT => visitor.visit_unit(),
            tag::FALSE => visitor.visit_bool(false),
            tag::TRUE => visitor.visit_bool(true),
            tag::STR => visitor.visit_borrowed_str(self.text()?),
            tag::BYTES => visitor.visit_borrowed_bytes(self.take()?),
            tag::LIST | tag::TUPLE => self.list(visitor),
            tag::MAP => self.map(visitor),
            tag::STRUCT => self.fields(visitor),
            tag @ tag::UNIT_VARIANT..=tag::STRUCT_VARIANT => self.variant_as_data(tag, visitor),
            tag::U8 => visitor.visit_u8(u8::from_le_bytes(self.array()?)),
            tag::U16 => visitor.visit_u16(u16::from_le_bytes(self.array()?)),
            tag::U32 => visitor.visit_u32(u32::from_le_bytes(self.array()?)),
            tag::U64 => visitor.visit_u64(u64::from_le_bytes(self.array()?)),
            tag::U128 => visitor.visit_u128(u128::from_le_bytes(self.array()?)),
            tag::I8 => visitor.visit_i8(i8::from_le_bytes(self.array()?)),
            tag::I16 => visitor.visit_i16(i16::from_le_bytes(self.array()?)),
            tag::I32 => visitor.visit_i32(i32::from_le_bytes(self.array()?)),
            tag::I64 => visitor.visit_i64(i64::from_le_bytes(self.array()?)),
            tag::I128 => visitor.visit_i128(i128::from_le_bytes(self.array()?)),
            tag::F32 => visitor.visit_f32(f32::from_le_bytes(self.array()?)),
            tag::F64 => visitor.visit_f64(f64::from_le_bytes(self.array()?)),
            tag::CHAR => {
                let number = u32::from_le_bytes(self.array()?);
                visitor
                    .visit_char(char::from_u32(number).ok_or_else(|| FormatError::custom("not a character"))?)
            }
            other => Err(FormatError::new(format!("{other} marks no value"))),
        }
    }

    plain! {
        deserialize_bool deserialize_char deserialize_str deserialize_string deserialize_map deserialize_identifier
    }

    numbers! {
        deserialize_u8 visit_u8 u8, U8;
        deserialize_u16 visit_u16 u16, U16;
        deserialize_u32 visit_u32 u32, U32;
        deserialize_u64 visit_u64 u64, U64;
        deserialize_u128 visit_u128 u128, U128;
        deserialize_i8 visit_i8 i8, I8;
        deserialize_i16 visit_i16 i16, I16;
        deserialize_i32 visit_i32 i32, I32;
        deserialize_i64 visit_i64 i64, I64;
        deserialize_i128 visit_i128 i128, I128;
        deserialize_f32 visit_f32 f32, F32;
        deserialize_f64 visit_f64 f64, F64;
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormatError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FormatError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        self.deserialize_any(visitor)
    }

    /// Bytes may have been written as a list of them.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        self.unwrap_options()?;
        let is_list = matches!(self.peek()?, tag::LIST | tag::TUPLE);
        let mut ahead = self.bytes.get(1..).unwrap_or_default();
        if is_list && let Ok(length) = tag::take_length(&mut ahead) {
            let is_bytes = length == 0 || ahead.first() == Some(&tag::U8);
            if is_bytes && let Some(rest) = ahead.get(1..) {
                self.bytes = rest;
                return visitor.visit_borrowed_bytes(tag::take(&mut self.bytes, length)?);
            }
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        self.deserialize_bytes(visitor)
    }

    /// A list may have been written as bytes.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        self.unwrap_options()?;
        if self.peek()? != tag::BYTES {
            return self.deserialize_any(visitor);
        }
        self.tag()?;
        let left = self.length()?;
        self.items(left, tag::U8, |items| visitor.visit_seq(items))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        match self.peek()? {
            tag::NONE | tag::UNIT => {
                self.tag()?;
                visitor.visit_none()
            }
            tag::SOME => self.deserialize_any(visitor),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FormatError> {
        self.nested(|reader| visitor.visit_newtype_struct(reader))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, FormatError> {
        self.unwrap_options()?;
        if self.peek()? == tag::TUPLE {
            self.expect_length(&self.bytes[1..], length)?;
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, FormatError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormatError> {
        self.unwrap_options()?;
        match self.tag()? {
            tag @ tag::UNIT_VARIANT..=tag::STRUCT_VARIANT => {
                let name = self.name()?;
                self.nested(|reader| visitor.visit_enum(Variant { reader, name, tag }))
            }
            tag::STR => visitor.visit_enum(self.text()?.into_deserializer()),
            _ => Err(FormatError::custom("what was written is not a variant of an enum")),
        }
    }
}
