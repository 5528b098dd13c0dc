//! `#[map]`, `#[filter]` and `#[flat_map]`: a function of rows or columns.

use crate::names::{Options, doc, plain};
use crate::signature::Call;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, ItemFn, ReturnType};

/// Which attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Map,
    Filter,
    FlatMap,
}

/// The function as it was, and beside it a type of the same name that knows how to call it: functions and types have
/// names of their own, so that one path in `plugin!` finds both.
pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    let mut function: ItemFn = syn::parse2(item)?;
    if let Some(FnArg::Receiver(receiver)) = function.sig.inputs.first() {
        return Err(syn::Error::new(receiver.span(), "a plugin function stands alone; for one that remembers use #[map_partitions]"));
    }
    if let (Kind::FlatMap, Some(batch)) = (kind, &options.batch) {
        return Err(syn::Error::new(batch.span(), "a flat map has no batch form: use #[map_partitions]"));
    }
    if matches!(function.sig.output, ReturnType::Default) {
        let message = match kind {
            Kind::Map => "a map function returns the row's answer",
            Kind::Filter => "a filter returns whether the row stays",
            Kind::FlatMap => "a flat map returns the row's answers",
        };
        return Err(syn::Error::new(function.sig.paren_token.span.close(), message));
    }
    let call = Call::read(&mut function.sig, options.batch.is_some())?;
    let name = options.name.map_or_else(|| plain(&function.sig.ident), |name| name.value());
    let parts = Parts::new(kind, &call, &function);
    let (ident, vis, doc) = (&function.sig.ident, &function.vis, doc(&function.attrs));
    let cfgs: Vec<_> = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let (params, read_config, config_schema) = (call.params(), call.read_config(), call.config_schema());
    let Parts { kind, schema, open } = parts;
    Ok(quote! {
        #function

        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #[derive(Debug)]
        #vis struct #ident {}

        #(#cfgs)*
        #[automatically_derived]
        impl ::azora_guest::__private::Function for #ident {
            const NAME: &'static str = #name;

            fn declare() -> ::azora_guest::__private::Declaration {
                let nullable = false;
                ::azora_guest::__private::Declaration::new(Self::NAME, ::azora_guest::__private::Kind::#kind, #doc, #params, #schema, #config_schema)
            }

            fn open(
                input: &::azora_guest::__private::Schema,
                config: &str,
            ) -> ::azora_guest::__private::Result<::azora_guest::__private::Opened> {
                let binding = ::azora_guest::__private::Binding::new(input, #params)?;
                let nullable = binding.may_miss();
                #read_config
                let made = #schema;
                ::azora_guest::__private::Result::Ok(#open)
            }
        }
    })
}

struct Parts {
    kind: TokenStream,
    schema: TokenStream,
    open: TokenStream,
}

impl Parts {
    fn new(kind: Kind, call: &Call, function: &ItemFn) -> Self {
        let ident = &function.sig.ident;
        let callee = quote! { #ident };
        let (columns, each, typed) = (call.read_columns(), call.call(&callee), call.call_for_type(&callee, None));
        let result = match &call.output {
            ReturnType::Type(_, ty) => ty.span(),
            ReturnType::Default => function.sig.span(),
        };
        let making = |rows: TokenStream| {
            quote! {
                ::azora_guest::__private::Opened::making(binding, made, move |arguments| {
                    #columns
                    #rows
                })
            }
        };
        match (kind, call.is_batch) {
            (Kind::Map, false) => Self {
                kind: quote! { Map },
                schema: quote_spanned! {result=> ::azora_guest::__private::schema_of(|| #typed, nullable) },
                open: {
                    let (read, ahead, (arguments, each)) = (call.read_row(), call.is_ahead(), call.call_read(&callee));
                    making(quote! { ::azora_guest::__private::map(&live, nullable, #ahead, move |row| #read, move |#arguments| #each) })
                },
            },
            (Kind::Map, true) => Self {
                kind: quote! { Map },
                schema: quote_spanned! {result=> ::azora_guest::__private::schema_of_items(|| #typed, nullable) },
                open: making(quote! { ::azora_guest::__private::map_batch(&live, nullable, #each) }),
            },
            (Kind::FlatMap, _) => Self {
                kind: quote! { FlatMap },
                schema: quote_spanned! {result=> { let _ = nullable; ::azora_guest::__private::schema_of_items(|| #typed, false) } },
                open: making(quote! { ::azora_guest::__private::flat_map(&live, move |row| #each) }),
            },
            (Kind::Filter, is_batch) => {
                let rows = match is_batch {
                    true => quote_spanned! {result=> ::azora_guest::__private::filter_batch(&live, #each) },
                    false => quote_spanned! {result=> ::azora_guest::__private::filter(&live, move |row| #each) },
                };
                Self {
                    kind: quote! { Filter },
                    schema: quote! { { let _ = nullable; <::azora_guest::__private::Schema as ::core::default::Default>::default() } },
                    open: quote! {
                        {
                            let _: ::azora_guest::__private::Schema = made;
                            ::azora_guest::__private::Opened::dropping(binding, input, move |arguments| {
                                #columns
                                #rows
                            })
                        }
                    },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: Kind, options: &str, item: &str) -> String {
        let (options, item) = (options.parse().unwrap(), item.parse().unwrap());
        expand(kind, options, item).map(|tokens| tokens.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_what_to_write() {
        for (kind, options, item, expected) in [
            (Kind::Map, "", "fn f(x: f64) {}", "a map function returns the row's answer"),
            (Kind::Filter, "", "fn f(x: f64) {}", "a filter returns whether the row stays"),
            (Kind::Map, "", "fn f() -> f64 { 0.0 }", "a plugin function takes at least one column"),
            (Kind::Map, "", "fn f(#[config] c: &C) -> f64 { 0.0 }", "a plugin function takes at least one column"),
            (Kind::Map, "", "async fn f(x: f64) -> f64 { x }", "a plugin function cannot be async: it has nothing to wait for"),
            (Kind::Map, "", "fn f<T>(x: T) -> T { x }", "a plugin function cannot be generic: its types are those of its columns"),
            (Kind::Map, "", "fn f((a, b): (i64, i64)) -> i64 { a }", "a parameter needs a name: it is matched with a column of that name"),
            (
                Kind::Map,
                "",
                "fn f(&self, x: f64) -> f64 { x }",
                "a plugin function stands alone; for one that remembers use #[map_partitions]",
            ),
            (Kind::Map, "batch", "fn f(x: &[f64]) -> Vec<f64> { x.to_vec() }", "a batch function takes whole columns: write `Column<T>`"),
            (Kind::FlatMap, "batch", "fn f(x: f64) -> Vec<f64> { vec![x] }", "a flat map has no batch form: use #[map_partitions]"),
            (Kind::Map, "", "fn f(x: f64, #[config] c: C) -> f64 { x }", "a configuration is shared by all rows: take a reference to it"),
        ] {
            assert_eq!(refusal(kind, options, item), expected, "{item}");
        }
    }

    #[test]
    fn the_function_stays_and_lifetimes_go() {
        let item = "/// Words.\n fn first<'a>(text: &'a str, #[config] c: &C) -> &'a str { text }";
        let made = expand(Kind::Map, "name = \"first-word\"".parse().unwrap(), item.parse().unwrap()).unwrap().to_string();
        assert!(made.contains("fn first < 'a > (text : & 'a str , c : & C) -> & 'a str { text }"), "{made}");
        assert!(made.contains("Param :: of :: < & str > (\"text\")"), "{made}");
        assert!(made.contains("const NAME : & 'static str = \"first-word\""), "{made}");
        assert!(made.contains("\"Words.\""), "{made}");
    }
}
