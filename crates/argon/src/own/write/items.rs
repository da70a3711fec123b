//! Lists, maps and structs that are being written: the number of their items, and one mark for numbers of one kind.

use serde::ser::{self, Serialize};

use super::Writer;
use super::number::Number;
use crate::own::FormatError;
use crate::own::tag::{self, MIXED};

/// A list, a map or a struct that is being written.
pub(super) struct ItemWriter<'a> {
    pub(super) writer: &'a mut Writer,
    /// Offset of the number of items; its length and value follow.
    pub(super) length_at: usize,
    pub(super) announced: u64,
    pub(super) count: u64,
    /// Offset of the mark of all elements of a list; the mark follows.
    pub(super) tag_at: usize,
    pub(super) common: u8,
}

impl ItemWriter<'_> {
    /// Writes a whole list. While its elements are numbers of one kind, the loop does nothing but copy them.
    pub(super) fn all<I: Iterator>(mut self, mut list: I) -> Result<(), FormatError>
    where
        I::Item: Serialize,
    {
        while let Some(element) = list.next() {
            self.element(&element)?;
            if self.common != MIXED
                && let Some(odd) = self.numbers(&mut list)
            {
                self.element(&odd)?;
            }
        }
        self.finish();
        Ok(())
    }

    /// Copies numbers of the list's kind; returns the first element that is something else.
    fn numbers<I: Iterator>(&mut self, list: &mut I) -> Option<I::Item>
    where
        I::Item: Serialize,
    {
        let common = self.common;
        let mut out = std::mem::take(&mut self.writer.out);
        let (mut count, mut has_odd_float, mut has_wide_integer) = (0, false, false);
        let odd = list.find(|element| match Number::of(element) {
            Some(number) if number.tag() == common => {
                count += 1;
                has_odd_float |= number.is_odd_float();
                has_wide_integer |= number.is_wide_integer();
                number.write(&mut out);
                false
            }
            Some(_) | None => true,
        });
        self.count += count;
        self.writer.has_odd_float |= has_odd_float;
        self.writer.has_wide_integer |= has_wide_integer;
        self.writer.out = out;
        odd
    }

    /// A list whose first element is a number has the mark of all, until another kind comes. The compiler sees in most types
    /// what a number is, so that little more than the copy is left.
    #[inline(always)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
        if self.common != MIXED
            && let Some(number) = Number::of(value)
            && number.tag() == self.common
        {
            self.number(number);
            return Ok(());
        }
        self.other(value)
    }

    #[inline(never)]
    fn other<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
        if self.count == 0
            && let Some(number) = Number::of(value)
        {
            self.common = number.tag();
            self.writer.out[self.tag_at] = self.common;
            self.number(number);
            return Ok(());
        }
        self.unpack();
        self.count += 1;
        value.serialize(&mut *self.writer)
    }

    #[inline(always)]
    fn number(&mut self, number: Number) {
        self.count += 1;
        self.writer.note(number);
        number.write(&mut self.writer.out);
    }

    /// An element of another kind has come: those before get their marks back, from the last to the first.
    fn unpack(&mut self) {
        let common = std::mem::replace(&mut self.common, MIXED);
        let Some(width) = tag::width(common) else {
            return;
        };
        let out = &mut self.writer.out;
        let begin = self.tag_at + 1;
        let count = (out.len() - begin) / width;
        out[self.tag_at] = MIXED;
        out.resize(out.len() + count, 0);
        for index in (0..count).rev() {
            let (from, to) = (begin + index * width, begin + index * (width + 1));
            out.copy_within(from..from + width, to + 1);
            out[to] = common;
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
        value.serialize(&mut *self.writer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), FormatError> {
        self.count += 1;
        self.writer.name(name);
        self.value(value)
    }

    fn finish(self) {
        let Self { writer, length_at, announced, count, .. } = self;
        writer.depth -= 1;
        if count != announced {
            let (_, before) = tag::length_bytes(announced);
            let (bytes, after) = tag::length_bytes(count);
            writer.out.splice(length_at..length_at + before, bytes[..after].iter().copied());
        }
    }
}

macro_rules! elements {
    ($($of:ident $method:ident;)*) => {$(
        impl ser::$of for ItemWriter<'_> {
            type Ok = ();
            type Error = FormatError;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
                self.element(value)
            }

            fn end(self) -> Result<(), FormatError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($of:ident;)*) => {$(
        impl ser::$of for ItemWriter<'_> {
            type Ok = ();
            type Error = FormatError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), FormatError> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), FormatError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for ItemWriter<'_> {
    type Ok = ();
    type Error = FormatError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), FormatError> {
        self.count += 1;
        self.value(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
        self.value(value)
    }

    fn end(self) -> Result<(), FormatError> {
        self.finish();
        Ok(())
    }
}
