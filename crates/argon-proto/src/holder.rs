//! Holders of keys: the name of a person, and the id of one of that person's keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{from_hex, to_hex};

/// Most characters of a name.
const NAME_MAX: usize = 32;
/// Owner of tasks that are submitted with the cluster's own keys.
const ADMIN: &str = "admin";

/// Owner of tasks: the name on a person's key, or `admin` for the cluster's own keys. 1 to 32 letters, digits and `._@-`,
/// of which the first is a letter or digit. Every other text is refused where it enters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerName(Box<str>);

/// Number of one key of a person, random, on the wire 16 hexadecimal digits. It is not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

/// Person that a key was made for, and which of that person's keys it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The person.
    pub name: OwnerName,
    /// The key.
    pub id: KeyId,
}

/// Text that is not the name of a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to 32 letters, digits and '._@-', and begins with a letter or digit; 'admin' is the name of the cluster's \
     own keys"
)]
pub struct ParseNameError;

/// Text that is not the id of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a key: expected 16 hexadecimal digits, as 'argon key list' prints them")]
pub struct ParseKeyIdError;

impl OwnerName {
    /// Owner of what is done with the cluster's own keys.
    #[must_use]
    pub fn admin() -> Self {
        Self(ADMIN.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the cluster's own keys.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        &*self.0 == ADMIN
    }

    /// The name of an owner as a store or a message has it: that of a person, or `admin`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text == ADMIN { Some(Self::admin()) } else { text.parse().ok() }
    }
}

impl Default for OwnerName {
    fn default() -> Self {
        Self::admin()
    }
}

impl FromStr for OwnerName {
    type Err = ParseNameError;

    /// Reads the name of a person. `admin`, in any case, is not one.
    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins_well
            && text.len() <= NAME_MAX
            && text.bytes().all(is_good)
            && !text.eq_ignore_ascii_case(ADMIN)
        {
            Ok(Self(text.into()))
        } else {
            Err(ParseNameError)
        }
    }
}

impl FromStr for KeyId {
    type Err = ParseKeyIdError;

    fn from_str(text: &str) -> Result<Self, ParseKeyIdError> {
        from_hex(text).map(Self).ok_or(ParseKeyIdError)
    }
}

impl fmt::Display for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}

impl Serialize for OwnerName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OwnerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| serde::de::Error::custom(ParseNameError))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // kind: keys | names of people: one letter, an address, 33 letters, `admin`, spaces, letters beyond ASCII | loud | only what every shell and log shows as it is
    #[test]
    fn a_name_is_one_word_that_nobody_can_take_for_another() {
        let longest = "x".repeat(32);
        for good in ["a", "ann", "7", "Ann.Lee@example-1.org", longest.as_str()] {
            assert_eq!(good.parse::<OwnerName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        let too_long = "x".repeat(33);
        for bad in ["", "admin", "ADMIN", "-a", ".a", "a b", "a\n", "ä", "a/b", "a\u{0}", too_long.as_str()]
        {
            assert_eq!(bad.parse::<OwnerName>(), Err(ParseNameError), "{bad:?}");
        }
        assert_eq!(OwnerName::read("admin"), Some(OwnerName::admin()));
        assert_eq!(OwnerName::read("Admin"), None);
    }
}
