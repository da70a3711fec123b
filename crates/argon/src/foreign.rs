//! Calls of functions in other languages, by name, with plain data: JSON both ways.

use argon_proto::{Payload, Runtime};
use argon_session::ErrorKind;
use serde::Serialize;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::Error;
use crate::own;

/// A call of a Perl function by its full name. The arguments are a tuple or a list; both they and the value are
/// what JSON can represent.
///
/// ```no_run
/// # async fn example(client: argon::Client) -> Result<(), argon::Error> {
/// let sum: u32 = client.call(argon::perl("List::Util::sum", (1, 2, 39))).await?;
/// assert_eq!(sum, 42);
/// # Ok(()) }
/// ```
pub fn perl<T>(function: &str, arguments: impl Serialize) -> Call<T> {
    call(Runtime::Perl, &json!({"call": function}), &arguments)
}

/// A call of a Perl task class: `My::Task->new(@arguments)->run`.
pub fn perl_class<T>(class: &str, arguments: impl Serialize) -> Call<T> {
    call(Runtime::Perl, &json!({"class": class}), &arguments)
}

/// A call of a Python function by `package.module:qualified.name`.
///
/// ```no_run
/// # async fn example(client: argon::Client) -> Result<(), argon::Error> {
/// let root: f64 = client.call(argon::python("math:sqrt", (2.0,))).await?;
/// # Ok(()) }
/// ```
pub fn python<T>(function: &str, arguments: impl Serialize) -> Call<T> {
    call(Runtime::Python, &json!({"call": function}), &arguments)
}

fn call<T>(runtime: Runtime, meta: &Value, arguments: &impl Serialize) -> Call<T> {
    Call::foreign(runtime, meta.to_string().into(), encode(runtime, arguments))
}

/// Python's integers have no end, Perl's have 64 bits.
fn encode(runtime: Runtime, arguments: &impl Serialize) -> Result<Payload, Error> {
    let json = own::to_json(arguments, runtime == Runtime::Perl).map_err(|error| {
        Error::new(ErrorKind::Data, format!("the arguments cannot be written as JSON: {error}"))
    })?;
    match json.first() {
        Some(b'[') => Ok(json.into()),
        // The unit: no arguments.
        _ if json == b"null" => Ok(b"[]".to_vec().into()),
        _ => Err(Error::new(
            ErrorKind::Data,
            "the arguments of a function in another language are a tuple or a list, such as (1, \"a\") or (value,)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_a_list() {
        let bytes = |payload: Result<Payload, Error>| payload.map(|payload| payload.to_contiguous());
        assert_eq!(&bytes(encode(Runtime::Perl, &(1, "a"))).expect("a tuple")[..], br#"[1,"a"]"#);
        assert_eq!(&bytes(encode(Runtime::Perl, &())).expect("nothing")[..], b"[]");
        assert_eq!(&bytes(encode(Runtime::Perl, &(None::<u8>, 0.5))).expect("finite")[..], b"[null,0.5]");
        for odd in [f64::NAN, f64::INFINITY] {
            assert!(
                bytes(encode(Runtime::Perl, &(1, [odd]))).is_err_and(|error| error.message().contains("NaN"))
            );
        }
        for wide in [i128::from(i64::MIN) - 1, i128::from(u64::MAX) + 1] {
            let refused = bytes(encode(Runtime::Perl, &([1, wide], "00000000000000000000")));
            assert!(refused.is_err_and(|error| error.message().contains("64 bits")), "{wide}");
            assert!(bytes(encode(Runtime::Python, &(wide,))).is_ok());
        }
        let narrow = (u128::from(u64::MAX), i128::from(i64::MIN), "00000000000000000000");
        assert!(bytes(encode(Runtime::Perl, &narrow)).is_ok());
        assert!(
            bytes(encode(Runtime::Perl, &"alone")).is_err_and(|error| error.message().contains("(value,)"))
        );
    }
}
