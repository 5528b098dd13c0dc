//! `plugin!`: the crate's functions under one name, exported.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, Path, Token, bracketed};

#[derive(Default)]
struct Input {
    name: Option<Expr>,
    version: Option<Expr>,
    doc: Option<Expr>,
    functions: Option<Vec<Path>>,
    aggregates: Option<Vec<Path>>,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut found = Self::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            let is_new = match key.to_string().as_str() {
                "name" => found.name.replace(input.parse()?).is_none(),
                "version" => found.version.replace(input.parse()?).is_none(),
                "doc" => found.doc.replace(input.parse()?).is_none(),
                "functions" => found.functions.replace(paths(input)?).is_none(),
                "aggregates" => found.aggregates.replace(paths(input)?).is_none(),
                other => {
                    let known = "`name`, `version`, `doc`, `functions` and `aggregates`";
                    return Err(syn::Error::new(key.span(), format!("unknown key `{other}`; there are {known}")));
                }
            };
            if !is_new {
                return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if found.functions.is_none() && found.aggregates.is_none() {
            return Err(input.error("list the functions: `functions: [a, b]`"));
        }
        Ok(found)
    }
}

fn paths(input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let list;
    bracketed!(list in input);
    Ok(Punctuated::<Path, Token![,]>::parse_terminated(&list)?.into_iter().collect())
}

/// The plugin's type, its exports on WebAssembly, and a test of its manifest elsewhere.
pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let Input { name, version, doc, functions, aggregates } = syn::parse2(input)?;
    let name = name.map_or_else(|| quote! { ::core::env!("CARGO_PKG_NAME") }, |name| quote! { #name });
    let version = version.map_or_else(|| quote! { ::core::env!("CARGO_PKG_VERSION") }, |version| quote! { #version });
    let doc = doc.map_or_else(|| quote! { ::core::env!("CARGO_PKG_DESCRIPTION") }, |doc| quote! { #doc });
    // A plugin without aggregates must not export them: the contract has a smaller world for it.
    let export = match &aggregates {
        None => quote! { export_transform_plugin },
        Some(_) => quote! { export_aggregate_plugin },
    };
    let (functions, aggregates) = (functions.unwrap_or_default(), aggregates.unwrap_or_default());
    Ok(quote! {
        #[doc(hidden)]
        #[derive(Debug)]
        pub struct AzoraPlugin;

        impl ::azora_guest::__private::Plugin for AzoraPlugin {
            const NAME: &'static str = #name;
            const VERSION: &'static str = #version;
            const DOC: &'static str = #doc;

            fn declarations() -> ::std::vec::Vec<::azora_guest::__private::Declaration> {
                ::std::vec![
                    #(<#functions as ::azora_guest::__private::Function>::declare(),)*
                    #(<#aggregates as ::azora_guest::__private::Aggregate>::declare(),)*
                ]
            }

            fn open(
                function: &str,
                input: &::azora_guest::__private::Schema,
                config: &str,
            ) -> ::core::option::Option<::azora_guest::__private::Result<::azora_guest::__private::Opened>> {
                #(if function == <#functions as ::azora_guest::__private::Function>::NAME {
                    return ::core::option::Option::Some(<#functions as ::azora_guest::__private::Function>::open(input, config));
                })*
                let _ = (function, input, config);
                ::core::option::Option::None
            }

            fn open_aggregate(
                function: &str,
                input: &::azora_guest::__private::Schema,
                config: &str,
            ) -> ::core::option::Option<::azora_guest::__private::Result<::azora_guest::__private::OpenedAggregate>> {
                #(if function == <#aggregates as ::azora_guest::__private::Aggregate>::NAME {
                    return ::core::option::Option::Some(<#aggregates as ::azora_guest::__private::Aggregate>::open(input, config));
                })*
                let _ = (function, input, config);
                ::core::option::Option::None
            }
        }

        #[cfg(target_arch = "wasm32")]
        type AzoraExported = ::azora_guest::__private::Exported<AzoraPlugin>;

        #[cfg(target_arch = "wasm32")]
        ::azora_guest::bindings::#export!(AzoraExported with_types_in ::azora_guest::bindings);

        #[cfg(test)]
        #[test]
        fn azora_manifest_is_accepted() {
            ::core::assert_eq!(::azora_guest::__private::check::<AzoraPlugin>(), ::core::result::Result::Ok(()));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_write() {
        for (input, expected) in [
            ("name: \"x\"", "list the functions: `functions: [a, b]`"),
            ("function: [a]", "unknown key `function`; there are `name`, `version`, `doc`, `functions` and `aggregates`"),
            ("functions: [a], functions: [b]", "`functions` is given twice"),
        ] {
            let error = expand(input.parse().unwrap()).map(|tokens| tokens.to_string()).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn aggregates_choose_the_world() {
        let world = |input: &str| expand(input.parse().unwrap()).unwrap().to_string();
        assert!(world("functions: [a]").contains("export_transform_plugin !"));
        assert!(world("functions: [a], aggregates: [b]").contains("export_aggregate_plugin !"));
    }
}
