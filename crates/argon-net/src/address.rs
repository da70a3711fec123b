//! Addresses of managers, as people write them.

/// A text that is not an address. The message shows how to write one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseAddressError(String);

/// Checks the form `HOST:PORT` and returns it as it was written. A host without a port gets `default_port`, if there is one.
///
/// # Errors
/// If there is no port, or it is not a number of one.
pub fn parse(text: &str, default_port: Option<u16>) -> Result<String, ParseAddressError> {
    let bad = |why: String| Err(ParseAddressError(why));
    // A host name or an IPv4 address, or an IPv6 address in brackets.
    let host_end = if text.starts_with('[') { text.find(']').map(|at| at + 1) } else { text.find(':') };
    let (host, after_host) = text.split_at(host_end.unwrap_or(text.len()));
    let port = match after_host.strip_prefix(':') {
        Some(port) => port,
        None if after_host.is_empty()
            && !host.is_empty()
            && (host.ends_with(']') || !host.starts_with('[')) =>
        {
            return match default_port {
                Some(port) => Ok(format!("{text}:{port}")),
                None => bad(format!("'{text}' has no port; write it as HOST:PORT, such as {text}:8000")),
            };
        }
        None => return bad(not_an_address(text)),
    };
    if host.is_empty() || port.contains(':') {
        return bad(not_an_address(text));
    }
    // A sign is not part of a port.
    match port.strip_prefix('+').map_or(port, |_| "").parse::<u16>() {
        Ok(0) | Err(_) => bad(format!("'{port}' in '{text}' is not a port between 1 and 65535")),
        Ok(_) => Ok(text.to_owned()),
    }
}

fn not_an_address(text: &str) -> String {
    format!("'{text}' is not HOST:PORT; write an IPv6 address as [::1]:8000")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, default_port: Option<u16>) -> Result<String, String> {
        parse(text, default_port).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_returned_as_it_was_written() {
        for text in ["mgr:8000", "[::1]:8000", "127.0.0.1:1"] {
            assert_eq!(parsed(text, None), Ok(text.to_owned()));
            assert_eq!(parsed(text, Some(9)), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_host_without_a_port_gets_the_default_or_the_advice_how_to_write_it() {
        assert_eq!(parsed("mgr", Some(8000)), Ok("mgr:8000".to_owned()));
        assert_eq!(parsed("[::1]", Some(8000)), Ok("[::1]:8000".to_owned()));
        assert!(parsed("mgr", None).is_err_and(|error| error.contains("mgr:8000")));
        assert!(parsed("[::1]", None).is_err_and(|error| error.contains("[::1]:8000")));
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused_whatever_the_default() {
        for text in [
            "mgr:none",
            "mgr:0",
            "mgr:70000",
            "mgr:",
            "mgr:+1",
            "::1:8000",
            "::1",
            ":8000",
            "",
            "[::1",
            "[::1]8000",
        ] {
            assert!(parsed(text, None).is_err(), "{text}");
            assert!(parsed(text, Some(8000)).is_err(), "{text}");
        }
        assert!(parsed("::1", Some(8000)).is_err_and(|error| error.contains("[::1]:8000")));
    }
}
