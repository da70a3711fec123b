//! `#[argon::task]`: the function becomes one that makes a call, a type of its name holds the body as `here`, and the
//! body is registered under its path for the runner.

mod refuse;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, ItemFn, Pat, PathArguments, PathSegment, ReturnType,
    Type,
};

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    if let Some(first) = options.into_iter().next() {
        let advice =
            "#[argon::task] takes no arguments; give options at the call: client.call(f(1).timeout(…))";
        return Err(Error::new(first.span(), advice));
    }
    let function: ItemFn = syn::parse2(item)?;
    refuse::function(&function)?;
    let (names, types) = parameters(&function)?;
    let ItemFn { attrs, vis, sig, block, .. } = &function;
    let name = &sig.ident;
    let inputs = &sig.inputs;
    // Conditions of the function apply to everything that is generated for it.
    let cfgs: Vec<&Attribute> = attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let docs: Vec<&Attribute> = attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
    // Its own name, whatever the function calls its parameters.
    let arguments = Ident::new("arguments", Span::mixed_site());
    let (value, returned) = returned(&sig.output, &arguments);
    let span = sig.output.span();
    let meta = quote!(concat!("{\"call\":\"", module_path!(), "::", stringify!(#name), "\"}"));
    let sent = names.iter().zip(&types).map(|(name, kind)| {
        if is_bytes(kind) { quote!(::argon::__private::Octets(#name)) } else { quote!(#name) }
    });
    let sent: Vec<TokenStream> = sent.collect();
    let make = quote_spanned!(span=> ::argon::__private::call::<#value, _>(META, (#(#sent,)*), again));
    let (patterns, read_as): (Vec<_>, Vec<_>) =
        names.iter().zip(&types).map(|(name, kind)| as_read(name, kind)).unzip();
    let read = if names.is_empty() {
        quote!()
    } else {
        quote!(let (#(#patterns,)*): (#(#read_as,)*) = #arguments.read()?;)
    };
    let asyncness = &sig.asyncness;
    let run = match asyncness {
        Some(_) => quote!(::argon::__private::run_async(#name::here(#(#names),*))),
        None => quote!(#name::here(#(#names),*)),
    };
    let here_docs = format!("Runs `{name}` here, in this process.");
    let runner = format_ident!("run");
    let output = &sig.output;
    Ok(quote! {
        #(#cfgs)*
        #(#docs)*
        #[doc = ""]
        #[doc = "This makes a call for [`argon::Client`](::argon::Client); its body runs on a worker."]
        #[must_use = "a call does nothing until a client queues it"]
        #vis fn #name(#(#names: #types),*) -> ::argon::Call<#value> {
            const META: &str = #meta;
            let again = {
                #[allow(unused_imports, reason = "which of them is used depends on the arguments")]
                use ::argon::__private::{IsPlain as _, NotPlain as _};
                if true #(&& (&&::argon::__private::Probe(&#names)).is_plain())* {
                    ::core::option::Option::None
                } else {
                    fn again(#arguments: &::argon::__private::Arguments<'_>) -> ::argon::__private::Returned {
                        #read
                        #arguments.value(&(#(#sent,)*))
                    }
                    ::core::option::Option::Some(again as ::argon::__private::Again)
                }
            };
            #make
        }

        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "it has the name of its function")]
        #vis struct #name {}

        #(#cfgs)*
        impl #name {
            #[doc = #here_docs]
            #(#attrs)*
            #[allow(dead_code, reason = "only the runner may need it")]
            #vis #asyncness fn here(#inputs) #output #block
        }

        #(#cfgs)*
        const _: () = {
            fn #runner(#arguments: &::argon::__private::Arguments<'_>) -> ::argon::__private::Returned {
                #read
                let returned = #run;
                #returned
            }

            ::argon::__private::inventory::submit! {
                ::argon::__private::Registered {
                    name: concat!(module_path!(), "::", stringify!(#name)),
                    run: #runner,
                }
            }
        };
    })
}

fn parameters(function: &ItemFn) -> Result<(Vec<Ident>, Vec<&Type>), Error> {
    let mut names = Vec::new();
    let mut types = Vec::new();
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                let advice = "a task is a free function: pass what it needs as an argument instead of `self`";
                return Err(Error::new(receiver.span(), advice));
            }
            FnArg::Typed(typed) => {
                let Pat::Ident(pattern) = &*typed.pat else {
                    let advice = "name this argument of the task, and take it apart in the body";
                    return Err(Error::new(typed.pat.span(), advice));
                };
                refuse::argument(&typed.ty)?;
                names.push(pattern.ident.clone());
                types.push(&*typed.ty);
            }
        }
    }
    Ok((names, types))
}

/// The parameter and the read of an argument: a `Vec<u8>` in one piece, a slice where it lies.
fn as_read(name: &Ident, kind: &Type) -> (TokenStream, TokenStream) {
    if is_bytes(kind) && !matches!(kind, Type::Reference(_)) {
        let octets = quote!(::argon::__private::Octets);
        (quote!(#octets(#name)), quote!(#octets<#kind>))
    } else {
        (quote!(#name), quote!(#kind))
    }
}

/// The type of the value that a call gives, and what the runner does with what the body returned.
fn returned(output: &ReturnType, arguments: &Ident) -> (TokenStream, TokenStream) {
    let write = quote!(
        #[allow(unused_imports, reason = "which of them is used depends on the value")]
        use ::argon::__private::{WriteChecked as _, WritePlain as _, WriteValue as _};
    );
    let written = quote!(::argon::__private::Written);
    let plain = quote!({ #write (&&&#written(&returned)).write(#arguments) });
    match output {
        ReturnType::Default => (quote!(()), plain),
        ReturnType::Type(_, kind) if is_bytes(kind) => {
            (quote!(#kind), quote!(#arguments.value(&::argon::__private::Octets(&returned))))
        }
        ReturnType::Type(_, kind) if is_result(kind) => {
            let told_value = match first_parameter(kind) {
                Some(value) if is_bytes(value) => quote!(&::argon::__private::Octets(&value)),
                Some(_) | None => quote!(&value),
            };
            let value = quote!(<#kind as ::argon::__private::TaskResult>::Value);
            let returned = quote! {
                match returned {
                    Ok(value) => { #write (&&&#written(#told_value)).write(#arguments) }
                    Err(error) => {
                        #[allow(unused_imports, reason = "which of them is used depends on the error")]
                        use ::argon::__private::{TellChecked as _, TellPlain as _, TellText as _, TellValue as _};
                        let own = (&&&&::argon::__private::Own(&error)).to_bytes();
                        Err(::argon::__private::Failure::own(&error, own))
                    }
                }
            };
            (value, returned)
        }
        ReturnType::Type(_, kind) => (quote!(#kind), plain),
    }
}

/// True if the last word of a type is `Result`.
fn is_result(kind: &Type) -> bool {
    is_named(kind, "Result")
}

/// True if a type is written as `Vec<u8>` or `&[u8]`.
#[allow(clippy::wildcard_enum_match_arm, reason = "no other kind of type is bytes")]
fn is_bytes(kind: &Type) -> bool {
    match kind {
        Type::Reference(reference) if reference.mutability.is_none() => {
            matches!(&*reference.elem, Type::Slice(slice) if is_named(&slice.elem, "u8"))
        }
        Type::Path(_) if is_named(kind, "Vec") => first_parameter(kind).is_some_and(|of| is_named(of, "u8")),
        _ => false,
    }
}

fn is_named(kind: &Type, name: &str) -> bool {
    last_word(kind).is_some_and(|segment| segment.ident == name)
}

/// The `T` of a `Name<T>`.
fn first_parameter(kind: &Type) -> Option<&Type> {
    let PathArguments::AngleBracketed(parameters) = &last_word(kind)?.arguments else {
        return None;
    };
    parameters.args.iter().find_map(
        |parameter| {
            if let GenericArgument::Type(of) = parameter { Some(of) } else { None }
        },
    )
}

/// The last word of a type's path: an alias such as `io::Result<T>` counts.
#[allow(clippy::wildcard_enum_match_arm, reason = "no other kind of type has a last word")]
fn last_word(kind: &Type) -> Option<&PathSegment> {
    match kind {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_word(&group.elem),
        Type::Paren(paren) => last_word(&paren.elem),
        _ => None,
    }
}
