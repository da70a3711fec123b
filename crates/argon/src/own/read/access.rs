//! Access of visitors to elements of a list, entries of a map, fields of a struct, content of a variant.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::Reader;
use crate::own::{FormatError, tag};

pub(super) struct ItemReader<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) left: u64,
    pub(super) given: u8,
}

impl<'de> ItemReader<'_, 'de> {
    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FormatError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.reader.given = self.given;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> SeqAccess<'de> for &mut ItemReader<'_, 'de> {
    type Error = FormatError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, FormatError> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }
}

pub(super) struct Entries<'i, 'r, 'de>(pub(super) &'i mut ItemReader<'r, 'de>);

impl<'de> MapAccess<'de> for Entries<'_, '_, 'de> {
    type Error = FormatError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FormatError> {
        self.0.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FormatError> {
        seed.deserialize(&mut *self.0.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.0.left).ok()
    }
}

pub(super) struct Fields<'i, 'r, 'de>(pub(super) &'i mut ItemReader<'r, 'de>);

impl<'de> MapAccess<'de> for Fields<'_, '_, 'de> {
    type Error = FormatError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FormatError> {
        if self.0.left == 0 {
            return Ok(None);
        }
        self.0.left -= 1;
        let name = self.0.reader.name()?;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FormatError> {
        seed.deserialize(&mut *self.0.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.0.left).ok()
    }
}

/// A variant for those who take any data.
pub(super) struct Held<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) name: Option<&'de str>,
    pub(super) tag: u8,
    pub(super) is_read: bool,
}

impl<'de> MapAccess<'de> for &mut Held<'_, 'de> {
    type Error = FormatError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FormatError> {
        self.name.take().map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FormatError> {
        self.is_read = true;
        seed.deserialize(Content { reader: self.reader, tag: self.tag })
    }
}

/// Content of a variant.
pub(super) struct Content<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) tag: u8,
}

impl<'de> Deserializer<'de> for Content<'_, 'de> {
    type Error = FormatError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        self.reader.held(self.tag, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FormatError> {
        if self.tag == tag::NEWTYPE_VARIANT {
            self.reader.deserialize_option(visitor)
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FormatError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

pub(super) struct Variant<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) name: &'de str,
    pub(super) tag: u8,
}

impl Variant<'_, '_> {
    fn expect(&self, tag: u8) -> Result<(), FormatError> {
        if self.tag == tag {
            return Ok(());
        }
        Err(FormatError::new(format!(
            "the variant {} was written in another form than it is read in",
            self.name
        )))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = FormatError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), FormatError> {
        let variant = seed.deserialize(BorrowedStrDeserializer::<FormatError>::new(self.name))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = FormatError;

    fn unit_variant(self) -> Result<(), FormatError> {
        self.expect(tag::UNIT_VARIANT)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, FormatError> {
        self.expect(tag::NEWTYPE_VARIANT)?;
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, FormatError> {
        self.expect(tag::TUPLE_VARIANT)?;
        self.reader.expect_length(self.reader.bytes, length)?;
        self.reader.list(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FormatError> {
        self.expect(tag::STRUCT_VARIANT)?;
        self.reader.fields(visitor)
    }
}
