//! The trace that this process belongs to, in the form of W3C Trace Context: it goes on in the commands that are sent.

use std::ffi::OsString;

/// Longest state of vendors that travels, bytes: the recommendation asks for no more.
const STATE_BYTES: usize = 512;

/// The variables of a trace, as the caller's environment has them; none if the parent is not one.
pub fn variables(of: impl Fn(&str) -> Option<OsString>) -> Vec<(OsString, OsString)> {
    let Some(parent) = of("TRACEPARENT").filter(|parent| parent.to_str().is_some_and(is_parent)) else {
        return Vec::new();
    };
    let state = of("TRACESTATE").filter(|state| !state.is_empty() && state.len() <= STATE_BYTES);
    let named = |name: &'static str| move |value| (OsString::from(name), value);
    [Some(parent).map(named("TRACEPARENT")), state.map(named("TRACESTATE"))].into_iter().flatten().collect()
}

/// True for `00-<32 hex>-<16 hex>-<2 hex>` with ids that are not 0. Later versions may have more behind it.
fn is_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags, more @ ..] = parts.as_slice() else { return false };
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, length: usize| is_hex(text, length) && text.bytes().any(|byte| byte != b'0');
    is_hex(version, 2)
        && *version != "ff"
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_hex(flags, 2)
        && (more.is_empty() || *version != "00")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_has_a_trace_and_a_span() {
        assert!(is_parent(PARENT));
        assert!(is_parent(&PARENT.replacen("00", "01", 1)) && is_parent(&format!("01{}-more", &PARENT[2..])));
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for wrong in ["", "x", &PARENT[..54], &PARENT.to_uppercase(), &format!("{PARENT}-x"), zero] {
            assert!(!is_parent(wrong), "{wrong}");
        }
        assert!(!is_parent(&format!("ff{}", &PARENT[2..])));
    }

    #[test]
    fn a_state_travels_with_its_parent_only() {
        let given = |parent: &'static str, state: &'static str| {
            let of = |name: &str| match name {
                "TRACEPARENT" => Some(parent.into()),
                "TRACESTATE" => Some(state.into()),
                _ => None,
            };
            variables(of).len()
        };
        assert_eq!((given(PARENT, "a=1"), given(PARENT, ""), given("x", "a=1")), (2, 1, 0));
    }
}
