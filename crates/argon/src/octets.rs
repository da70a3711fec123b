//! Bytes as one piece: serde takes a list of bytes one by one otherwise, which for big ones costs more than all the rest of
//! their way.
//!
//! Owns that shortcut and nothing else: what is written with it is read without it, and the other way, in both codecs.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::own;

/// A `Vec<u8>` or `&[u8]`, or one that is read.
#[derive(Debug)]
pub struct Octets<T>(pub T);

impl<T: AsRef<[u8]>> Serialize for Octets<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_ref())
    }
}

impl<'de, T: From<Vec<u8>>> Deserialize<'de> for Octets<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Bytes(PhantomData))
    }
}

struct Bytes<T>(PhantomData<T>);

impl<'de, T: From<Vec<u8>>> Visitor<'de> for Bytes<T> {
    type Value = Octets<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        self.visit_byte_buf(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
        Ok(Octets(T::from(bytes)))
    }

    /// JSON has no bytes, but lists of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(Octets(T::from(bytes)))
    }
}

/// Reads a value; in one piece if it is bytes.
pub(crate) fn read<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, own::FormatError> {
    let mut value: Option<T> = None;
    match (&mut value as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>() {
        Some(place) => *place = Some(own::from_slice::<Octets<Vec<u8>>>(bytes)?.0),
        None => value = Some(own::from_slice(bytes)?),
    }
    value.ok_or_else(|| serde::de::Error::custom("nothing was read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_with_it_is_read_without_it_and_the_other_way() {
        let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let slow = own::to_vec(&(1, &bytes)).expect("plain data");
        let (_, Octets(read)) = own::from_slice::<(i32, Octets<Vec<u8>>)>(&slow).expect("a list of bytes");
        assert_eq!(read, bytes);
        assert_eq!(own::from_slice::<(i32, &[u8])>(&slow).expect("where they lie").1, bytes);
        let fast = own::to_vec(&(1, Octets(&bytes))).expect("plain data");
        assert_eq!(own::from_slice::<(i32, Vec<u8>)>(&fast).expect("bytes").1, bytes);
        assert_eq!(own::from_slice::<(i32, &[u8])>(&fast).expect("where they lie").1, bytes);

        let json = serde_json::to_vec(&(1, &bytes)).expect("plain data");
        assert_eq!(serde_json::to_vec(&(1, Octets(&bytes))).expect("plain data"), json);
        let (_, Octets(read)) = serde_json::from_slice::<(i32, Octets<Vec<u8>>)>(&json).expect("the same");
        assert_eq!(read, bytes);
    }

    #[test]
    fn values_of_every_type_are_read() {
        let bytes = vec![7_u8; 1000];
        let written = own::to_vec(&bytes).expect("plain data");
        assert_eq!(read::<Vec<u8>>(&written), Ok(bytes));
        let written = own::to_vec(&("x", 7)).expect("plain data");
        assert_eq!(read::<(String, i32)>(&written), Ok(("x".to_owned(), 7)));
        assert!(read::<Vec<u8>>(&[200, 1, 2]).is_err());
    }
}
