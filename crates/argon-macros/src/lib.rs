//! The attributes of the crate `argon`, which re-exports and documents them. Nothing here runs in a task.

mod main_fn;
mod task;

use proc_macro::TokenStream;

/// See `argon::task`.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// See `argon::main`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    main_fn::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
