//! Writing: a serde serializer.

mod items;
mod number;

use rustc_hash::FxHashMap;
use serde::ser::{self, Serialize};

use items::ItemWriter;
use number::Number;

use super::tag::{self, MIXED};
use super::{DEPTH_MAX, FormatError};

/// The bytes of a value.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, FormatError> {
    let mut writer = Writer::default();
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

/// A value as JSON. A float that JSON has no word for is refused: serde would write `null`. If the reader has numbers of
/// 64 bits only, so is a wider integer: it would be rounded there.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T, is_narrow: bool) -> Result<Vec<u8>, FormatError> {
    let json = serde_json::to_vec(value).map_err(|error| FormatError::new(error.to_string()))?;
    // Nothing that is not `null` in JSON can have been such a float, and nothing of fewer digits such an integer.
    let may_be_wide = is_narrow && json.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() >= 19);
    if may_be_wide || json.windows(4).any(|four| four == b"null") {
        let mut writer = Writer::default();
        value.serialize(&mut writer)?;
        if writer.has_odd_float {
            return Err(FormatError::new("JSON has no infinite numbers and no NaN; pass a text, or nothing"));
        }
        if is_narrow && writer.has_wide_integer {
            return Err(FormatError::new(
                "an integer of more than 64 bits would be rounded there; pass a text",
            ));
        }
    }
    Ok(json)
}

/// See the module.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    /// Names that were written, by place and length: they are all static.
    names: FxHashMap<(usize, usize), u64>,
    depth: u32,
    /// A number that is infinite or none has been written.
    has_odd_float: bool,
    /// An integer that has no place in 64 bits has been written.
    has_wide_integer: bool,
}

impl Writer {
    #[inline]
    fn tag(&mut self, tag: u8) {
        self.out.push(tag);
    }

    #[inline]
    fn number(&mut self, tag: u8, bytes: &[u8]) {
        self.tag(tag);
        self.out.extend_from_slice(bytes);
    }

    /// Notes a number that JSON cannot represent.
    #[inline(always)]
    fn note(&mut self, number: Number) {
        self.has_odd_float |= number.is_odd_float();
        self.has_wide_integer |= number.is_wide_integer();
    }

    fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.tag(tag);
        tag::push_length(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// 0 and the text, or one more than the number that it got when it was first written.
    fn name(&mut self, name: &'static str) {
        let next = self.names.len() as u64;
        match self.names.entry((name.as_ptr() as usize, name.len())) {
            std::collections::hash_map::Entry::Occupied(known) => {
                tag::push_length(&mut self.out, known.get() + 1);
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(next);
                self.out.push(0);
                tag::push_length(&mut self.out, name.len() as u64);
                self.out.extend_from_slice(name.as_bytes());
            }
        }
    }

    fn variant(&mut self, tag: u8, name: &'static str) {
        self.tag(tag);
        self.name(name);
    }

    fn down(&mut self) -> Result<(), FormatError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(FormatError::deep()) } else { Ok(()) }
    }

    fn inner<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
        self.down()?;
        value.serialize(&mut *self)?;
        self.depth -= 1;
        Ok(())
    }

    /// The announced number is a hint: what is right is written at the end.
    fn items(&mut self, announced: Option<usize>) -> Result<ItemWriter<'_>, FormatError> {
        self.down()?;
        let announced = announced.unwrap_or(0) as u64;
        let length_at = self.out.len();
        tag::push_length(&mut self.out, announced);
        Ok(ItemWriter { length_at, announced, count: 0, tag_at: 0, common: MIXED, writer: self })
    }

    fn list(&mut self, announced: Option<usize>) -> Result<ItemWriter<'_>, FormatError> {
        let mut items = self.items(announced)?;
        items.tag_at = items.writer.out.len();
        items.writer.out.push(MIXED);
        Ok(items)
    }
}

macro_rules! numbers {
    ($($method:ident $kind:ty, $tag:ident;)*) => {$(
        #[inline]
        fn $method(self, value: $kind) -> Result<(), FormatError> {
            self.number(tag::$tag, &value.to_le_bytes());
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = FormatError;
    type SerializeSeq = ItemWriter<'a>;
    type SerializeTuple = ItemWriter<'a>;
    type SerializeTupleStruct = ItemWriter<'a>;
    type SerializeTupleVariant = ItemWriter<'a>;
    type SerializeMap = ItemWriter<'a>;
    type SerializeStruct = ItemWriter<'a>;
    type SerializeStructVariant = ItemWriter<'a>;

    numbers! {
        serialize_u8 u8, U8;
        serialize_u16 u16, U16;
        serialize_u32 u32, U32;
        serialize_u64 u64, U64;
        serialize_i8 i8, I8;
        serialize_i16 i16, I16;
        serialize_i32 i32, I32;
        serialize_i64 i64, I64;
    }

    fn serialize_u128(self, value: u128) -> Result<(), FormatError> {
        self.note(Number::U128(value));
        self.number(tag::U128, &value.to_le_bytes());
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), FormatError> {
        self.note(Number::I128(value));
        self.number(tag::I128, &value.to_le_bytes());
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), FormatError> {
        self.note(Number::F32(value));
        self.number(tag::F32, &value.to_le_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), FormatError> {
        self.note(Number::F64(value));
        self.number(tag::F64, &value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), FormatError> {
        self.number(tag::CHAR, &u32::from(value).to_le_bytes());
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), FormatError> {
        self.tag(if value { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), FormatError> {
        self.bytes(tag::STR, value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), FormatError> {
        self.bytes(tag::BYTES, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), FormatError> {
        self.tag(tag::NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), FormatError> {
        self.tag(tag::SOME);
        self.inner(value)
    }

    fn serialize_unit(self) -> Result<(), FormatError> {
        self.tag(tag::UNIT);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), FormatError> {
        self.serialize_unit()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), FormatError> {
        self.inner(value)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), FormatError> {
        self.variant(tag::UNIT_VARIANT, variant);
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), FormatError> {
        self.variant(tag::NEWTYPE_VARIANT, variant);
        self.inner(value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<ItemWriter<'a>, FormatError> {
        self.tag(tag::LIST);
        self.list(length)
    }

    fn collect_seq<I>(self, list: I) -> Result<(), FormatError>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let list = list.into_iter();
        self.serialize_seq(Some(list.size_hint().0))?.all(list)
    }

    fn serialize_tuple(self, length: usize) -> Result<ItemWriter<'a>, FormatError> {
        self.tag(tag::TUPLE);
        self.list(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<ItemWriter<'a>, FormatError> {
        self.serialize_tuple(length)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<ItemWriter<'a>, FormatError> {
        self.variant(tag::TUPLE_VARIANT, variant);
        self.list(Some(length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<ItemWriter<'a>, FormatError> {
        self.tag(tag::MAP);
        self.items(length)
    }

    fn serialize_struct(self, _name: &'static str, length: usize) -> Result<ItemWriter<'a>, FormatError> {
        self.tag(tag::STRUCT);
        self.items(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<ItemWriter<'a>, FormatError> {
        self.variant(tag::STRUCT_VARIANT, variant);
        self.items(Some(length))
    }
}
