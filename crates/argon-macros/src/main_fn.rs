//! `#[argon::main]`: before anything else the program looks whether a worker started it as a runner; an `async` main
//! gets a runtime.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemFn};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    if let Some(first) = arguments.into_iter().next() {
        return Err(Error::new(first.span(), "#[argon::main] takes no arguments"));
    }
    let mut function: ItemFn = syn::parse2(item)?;
    if !function.sig.inputs.is_empty() {
        return Err(Error::new(function.sig.inputs.span(), "main takes no arguments"));
    }
    let body = &function.block;
    let block = if function.sig.asyncness.take().is_some() {
        let output = match &function.sig.output {
            syn::ReturnType::Default => quote!(()),
            syn::ReturnType::Type(_, kind) => quote!(#kind),
        };
        quote!({
            ::argon::serve_if_runner();
            // The name of the type helps `?` in the body to find its error.
            let main = async { let value: #output = async #body.await; value };
            ::argon::__private::block_on(main)
        })
    } else {
        quote!({
            ::argon::serve_if_runner();
            #body
        })
    };
    *function.block = syn::parse2(block)?;
    Ok(quote!(#function))
}
