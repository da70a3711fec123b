//! Functions and arguments that cannot be a task: the reason is given here, not by a trait far from the function.

use syn::spanned::Spanned;
use syn::{Error, ItemFn, Type};

use super::{is_named, last_word};

pub(super) fn function(function: &ItemFn) -> Result<(), Error> {
    let sig = &function.sig;
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        let advice =
            "a task is found by its name and cannot be generic; write one for each type that you need";
        return Err(Error::new(sig.generics.span(), advice));
    }
    if let syn::Safety::Unsafe(token) = &sig.safety {
        return Err(Error::new(
            token.span(),
            "a task cannot be unsafe: the runner could not vouch for its caller",
        ));
    }
    if let Some(token) = &sig.variadic {
        return Err(Error::new(token.span(), "a task has a fixed number of arguments"));
    }
    Ok(())
}

/// Types of arguments that compile nowhere: the reason is here, not in a trait of serde.
#[allow(clippy::wildcard_enum_match_arm, reason = "all other kinds of types are judged by their traits")]
pub(super) fn argument(kind: &Type) -> Result<(), Error> {
    match kind {
        Type::Group(group) => argument(&group.elem),
        Type::Paren(paren) => argument(&paren.elem),
        Type::ImplTrait(_) => Err(Error::new(
            kind.span(),
            "a task is found by its name and cannot be generic: name one type; a closure cannot travel",
        )),
        Type::FnPtr(_) => Err(Error::new(
            kind.span(),
            "a function pointer cannot travel: pass data that names the function, such as an enum",
        )),
        Type::Reference(reference) if reference.mutability.is_some() => Err(Error::new(
            kind.span(),
            "a task has a copy of its arguments, so what it changes does not come back: take the value, return the new one",
        )),
        Type::Reference(reference) => match owner(&reference.elem) {
            Some(advice) => Err(Error::new(
                kind.span(),
                format!("arguments borrow as `&str`, `&[u8]` or `&Path` only: {advice}"),
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The type to take instead of a reference to this one, if serde is known not to read such a reference.
#[allow(clippy::wildcard_enum_match_arm, reason = "all other kinds of types are judged by their traits")]
fn owner(kind: &Type) -> Option<String> {
    const BY_VALUE: [&str; 25] = [
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64",
        "bool", "char", "Vec", "Option", "Box", "HashMap", "HashSet", "BTreeMap", "BTreeSet", "Arc", "Rc",
    ];
    match kind {
        Type::Slice(slice) if is_named(&slice.elem, "u8") => None,
        Type::Slice(_) => Some("take a `Vec` instead of this slice".to_owned()),
        Type::Array(_) | Type::Tuple(_) => Some("take this by value".to_owned()),
        Type::TraitObject(_) => Some("a trait object cannot travel; name its type".to_owned()),
        _ if is_named(kind, "String") => Some("take `&str` or `String`".to_owned()),
        _ if is_named(kind, "PathBuf") => Some("take `&Path` or `PathBuf`".to_owned()),
        _ => {
            let name = &last_word(kind)?.ident;
            BY_VALUE.iter().any(|known| name == known).then(|| format!("take this `{name}` by value"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;

    use crate::task::expand;

    fn message(item: &str) -> String {
        let item = item.parse().expect("tokens");
        expand(TokenStream::new(), item).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_a_task_is_refused_in_words() {
        let refused = [
            ("fn f<T>(value: T) {}", "cannot be generic"),
            ("fn f(work: impl Fn() -> u8) {}", "a closure cannot travel"),
            ("fn f(work: fn() -> u8) {}", "a function pointer cannot travel"),
            ("unsafe fn f() {}", "cannot be unsafe"),
            ("fn f(&self) {}", "instead of `self`"),
            ("fn f((a, b): (u8, u8)) {}", "name this argument"),
            ("fn f(list: &mut Vec<u8>) {}", "does not come back"),
            ("fn f(list: &Vec<u8>) {}", "take this `Vec` by value"),
            ("fn f(list: &[u32]) {}", "take a `Vec`"),
            ("fn f(text: &String) {}", "take `&str` or `String`"),
            ("fn f(number: &std::primitive::u64) {}", "take this `u64` by value"),
            ("fn f(error: &dyn std::error::Error) {}", "a trait object cannot travel"),
        ];
        for (item, words) in refused {
            assert!(message(item).contains(words), "{item}: {}", message(item));
        }
        for item in [
            "fn f(a: &str, b: &[u8], c: &Path, d: &mine::Borrowed, e: Vec<&str>) {}",
            "fn f() -> u8 { 1 }",
            "async fn f() {}",
        ] {
            assert_eq!(message(item), "", "{item}");
        }
    }
}
