//! Lists, maps and structs that are being written: the number of their items, and one mark for numbers of one kind.

use serde::ser::{self, Serialize};

use super::{TAKEN, Writer};
use crate::own::Error;
use crate::own::tag::{self, MIXED};

/// A list, a map or a struct that is being written.
pub(super) struct Items<'a> {
    pub(super) writer: &'a mut Writer,
    /// Where the number of items was written, in how many bytes, and which.
    pub(super) length_at: usize,
    pub(super) announced: u64,
    pub(super) count: u64,
    /// Where the mark of all elements is, in lists, and the mark.
    pub(super) tag_at: usize,
    pub(super) common: u8,
}

impl Items<'_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let at = self.writer.out.len();
        self.writer.expected = self.common;
        value.serialize(&mut *self.writer)?;
        let taken = self.writer.expected == TAKEN;
        self.writer.expected = MIXED;
        if self.count == 0 {
            self.begin(at);
        } else if self.common != MIXED && !taken {
            self.unpack(at);
        }
        self.count += 1;
        Ok(())
    }

    /// The first element: if it is a number, the list has its mark.
    fn begin(&mut self, at: usize) {
        let out = &mut self.writer.out;
        if let Some(tag) = out.get(at).copied()
            && tag::width(tag) == Some(out.len() - at - 1)
        {
            out[self.tag_at] = tag;
            self.common = tag;
            out.remove(at);
        }
    }

    /// An element of another kind has come: those before get their marks back.
    fn unpack(&mut self, at: usize) {
        let common = std::mem::replace(&mut self.common, MIXED);
        let out = &mut self.writer.out;
        out[self.tag_at] = MIXED;
        let last = out.split_off(at);
        let packed = out.split_off(self.tag_at + 1);
        for number in packed.chunks_exact(tag::width(common).unwrap_or(1)) {
            out.push(common);
            out.extend_from_slice(number);
        }
        out.extend_from_slice(&last);
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.writer.expected = MIXED;
        value.serialize(&mut *self.writer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.count += 1;
        self.writer.name(name);
        self.value(value)
    }

    fn finish(self) {
        let Self { writer, length_at, announced, count, .. } = self;
        writer.depth -= 1;
        writer.expected = MIXED;
        if count != announced {
            let (_, before) = tag::length_bytes(announced);
            let (bytes, after) = tag::length_bytes(count);
            writer.out.splice(length_at..length_at + before, bytes[..after].iter().copied());
        }
    }
}

macro_rules! elements {
    ($($of:ident $method:ident;)*) => {$(
        impl ser::$of for Items<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
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
        impl ser::$of for Items<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
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

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.count += 1;
        self.value(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}
