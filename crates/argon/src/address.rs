//! Addresses of managers, as people write them.

use argon_session::ErrorKind;

use crate::error::Error;

/// Port of a manager for which none is named.
const PORT: u16 = 8000;

/// One manager or several: what [`crate::Client::connect`] takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    texts: Vec<String>,
    /// True if no one has named an address.
    is_default: bool,
}

impl Addresses {
    /// True if neither the caller nor `ARGON_MANAGER` names a manager.
    pub(crate) fn is_default(&self) -> bool {
        self.is_default
    }

    /// Each as `host:port`.
    pub(crate) fn into_list(self) -> Result<Vec<String>, Error> {
        let list = self
            .texts
            .iter()
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| argon_net::address::parse(text, Some(PORT)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::new(ErrorKind::Option, error.to_string()))?;
        if list.is_empty() {
            return Err(Error::new(
                ErrorKind::Option,
                "no manager is named; name one as HOST:PORT, such as 127.0.0.1:8000",
            ));
        }
        Ok(list)
    }
}

impl Default for Addresses {
    /// The managers that the environment variable `ARGON_MANAGER` names. Without it, the worker of the task inside a task
    /// (see [`current_client`](crate::current_client)), and 127.0.0.1:8000 elsewhere.
    fn default() -> Self {
        let named = std::env::var("ARGON_MANAGER").ok().filter(|named| !named.trim().is_empty());
        let is_default = named.is_none();
        Self { texts: vec![named.unwrap_or_else(|| format!("127.0.0.1:{PORT}"))], is_default }
    }
}

impl From<&str> for Addresses {
    fn from(text: &str) -> Self {
        Self { texts: vec![text.to_owned()], is_default: false }
    }
}

impl From<String> for Addresses {
    fn from(text: String) -> Self {
        Self { texts: vec![text], is_default: false }
    }
}

impl From<&String> for Addresses {
    fn from(text: &String) -> Self {
        Self { texts: vec![text.clone()], is_default: false }
    }
}

impl<T: AsRef<str>, const N: usize> From<[T; N]> for Addresses {
    fn from(texts: [T; N]) -> Self {
        texts.iter().collect()
    }
}

impl<T: AsRef<str>> From<&[T]> for Addresses {
    fn from(texts: &[T]) -> Self {
        texts.iter().collect()
    }
}

impl<T: AsRef<str>> From<Vec<T>> for Addresses {
    fn from(texts: Vec<T>) -> Self {
        texts.iter().collect()
    }
}

impl<'a, T: AsRef<str> + 'a> FromIterator<&'a T> for Addresses {
    fn from_iter<I: IntoIterator<Item = &'a T>>(texts: I) -> Self {
        Self { texts: texts.into_iter().map(|text| text.as_ref().to_owned()).collect(), is_default: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let list = |addresses: Addresses| addresses.into_list().map_err(|error| error.to_string());
        assert_eq!(list("mgr".into()), Ok(vec!["mgr:8000".to_owned()]));
        assert_eq!(list("a:1, b:2".into()), Ok(vec!["a:1".to_owned(), "b:2".to_owned()]));
        assert_eq!(list(["[::1]", "b"].into()), Ok(vec!["[::1]:8000".to_owned(), "b:8000".to_owned()]));
        assert!(list("::1".into()).is_err_and(|error| error.contains("[::1]:8000")));
        assert!(list("mgr:http".into()).is_err_and(|error| error.contains("'http'")));
        assert!(list("".into()).is_err());
    }
}
