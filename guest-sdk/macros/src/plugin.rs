//! `plugin!`: the crate's functions, or its connectors, under one name, exported.

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
    sources: Option<Vec<Path>>,
    sinks: Option<Vec<Path>>,
    capabilities: Option<Vec<Ident>>,
}

/// What connectors may ask for, as written here and as the SDK calls it.
const CAPABILITIES: [(&str, &str); 5] =
    [("http_client", "HttpClient"), ("clock", "Clock"), ("random", "Random"), ("key_value", "KeyValue"), ("secrets", "Secrets")];

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
                "sources" => found.sources.replace(paths(input)?).is_none(),
                "sinks" => found.sinks.replace(paths(input)?).is_none(),
                "capabilities" => found.capabilities.replace(capabilities(input)?).is_none(),
                other => {
                    let known = "`name`, `version`, `doc`, `functions`, `aggregates`, `sources`, `sinks` and `capabilities`";
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
        let (has_functions, has_connectors) =
            (found.functions.is_some() || found.aggregates.is_some(), found.sources.is_some() || found.sinks.is_some());
        match (has_functions, has_connectors) {
            (false, false) => Err(input.error("list the functions: `functions: [a, b]`, or the connectors: `sources: [A]`, `sinks: [B]`")),
            (true, true) => Err(input.error("functions run without capabilities: put connectors into a plugin of their own")),
            (true, false) if found.capabilities.is_some() => Err(input.error("only connectors can have capabilities")),
            _ => Ok(found),
        }
    }
}

fn paths(input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let list;
    bracketed!(list in input);
    Ok(Punctuated::<Path, Token![,]>::parse_terminated(&list)?.into_iter().collect())
}

fn capabilities(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let list;
    bracketed!(list in input);
    let words = Punctuated::<Ident, Token![,]>::parse_terminated(&list)?;
    words
        .into_iter()
        .map(|word| match CAPABILITIES.iter().find(|(known, _)| word == known) {
            Some((_, variant)) => Ok(Ident::new(variant, word.span())),
            None => {
                let known: Vec<String> = CAPABILITIES.iter().map(|(known, _)| format!("`{known}`")).collect();
                Err(syn::Error::new(word.span(), format!("unknown capability `{word}`; there are {}", known.join(", "))))
            }
        })
        .collect()
}

/// The plugin's type, its exports on WebAssembly, and a test of its manifest elsewhere.
pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let Input { name, version, doc, functions, aggregates, sources, sinks, capabilities } = syn::parse2(input)?;
    let name = name.map_or_else(|| quote! { ::core::env!("CARGO_PKG_NAME") }, |name| quote! { #name });
    let version = version.map_or_else(|| quote! { ::core::env!("CARGO_PKG_VERSION") }, |version| quote! { #version });
    let doc = doc.map_or_else(|| quote! { ::core::env!("CARGO_PKG_DESCRIPTION") }, |doc| quote! { #doc });
    // What a plugin does not have it must not export: the contract has a world for each.
    let export = match (&aggregates, &sources, &sinks) {
        (None, None, None) => quote! { export_transform_plugin },
        (Some(_), ..) => quote! { export_aggregate_plugin },
        (None, Some(_), None) => quote! { export_source_plugin },
        (None, None, Some(_)) => quote! { export_sink_plugin },
        (None, Some(_), Some(_)) => quote! { export_connector_plugin },
    };
    let connectors = connectors(&sources.unwrap_or_default(), &sinks.unwrap_or_default(), &capabilities.unwrap_or_default());
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

            #connectors
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

/// The methods that know the connectors.
fn connectors(sources: &[Path], sinks: &[Path], capabilities: &[Ident]) -> TokenStream {
    quote! {
        fn connectors() -> ::std::vec::Vec<::azora_guest::__private::ConnectorDeclaration> {
            ::std::vec![
                #(::azora_guest::__private::ConnectorDeclaration::source::<#sources>(),)*
                #(::azora_guest::__private::ConnectorDeclaration::sink::<#sinks>(),)*
            ]
        }

        fn capabilities() -> ::std::vec::Vec<::azora_guest::__private::Capability> {
            ::std::vec![#(::azora_guest::__private::Capability::#capabilities,)*]
        }

        fn plan_source(
            connector: &str,
            config: &str,
            parallelism: usize,
        ) -> ::core::option::Option<
            ::azora_guest::__private::Result<(
                ::azora_guest::__private::Schema,
                ::std::vec::Vec<::azora_guest::__private::Split>,
            )>,
        > {
            #(if connector == <#sources as ::azora_guest::Source>::NAME {
                return ::core::option::Option::Some(::azora_guest::__private::plan_source::<#sources>(config, parallelism));
            })*
            let _ = (connector, config, parallelism);
            ::core::option::Option::None
        }

        fn open_source(
            connector: &str,
            config: &str,
            split: &str,
            position: ::core::option::Option<&str>,
        ) -> ::core::option::Option<::azora_guest::__private::Result<::azora_guest::__private::OpenedSource>> {
            #(if connector == <#sources as ::azora_guest::Source>::NAME {
                return ::core::option::Option::Some(::azora_guest::__private::open_source::<#sources>(config, split, position));
            })*
            let _ = (connector, config, split, position);
            ::core::option::Option::None
        }

        fn open_sink(
            connector: &str,
            config: &str,
            input: ::azora_guest::__private::Schema,
            writer: ::azora_guest::__private::Writer,
        ) -> ::core::option::Option<::azora_guest::__private::Result<::azora_guest::__private::OpenedSink>> {
            #(if connector == <#sinks as ::azora_guest::Sink>::NAME {
                return ::core::option::Option::Some(::azora_guest::__private::open_sink::<#sinks>(config, input, writer));
            })*
            let _ = (connector, config, input, writer);
            ::core::option::Option::None
        }

        fn end_sink(
            connector: &str,
            config: &str,
            tokens: &[::std::string::String],
            end: ::azora_guest::__private::End,
        ) -> ::core::option::Option<::azora_guest::__private::Result<()>> {
            #(if connector == <#sinks as ::azora_guest::Sink>::NAME {
                return ::core::option::Option::Some(::azora_guest::__private::end_sink::<#sinks>(config, tokens, end));
            })*
            let _ = (connector, config, tokens, end);
            ::core::option::Option::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_write() {
        for (input, expected) in [
            ("name: \"x\"", "list the functions: `functions: [a, b]`, or the connectors: `sources: [A]`, `sinks: [B]`"),
            (
                "function: [a]",
                "unknown key `function`; there are `name`, `version`, `doc`, `functions`, `aggregates`, `sources`, `sinks` and `capabilities`",
            ),
            ("functions: [a], sources: [B]", "functions run without capabilities: put connectors into a plugin of their own"),
            ("functions: [a], capabilities: [clock]", "only connectors can have capabilities"),
            (
                "sources: [B], capabilities: [network]",
                "unknown capability `network`; there are `http_client`, `clock`, `random`, `key_value`, `secrets`",
            ),
            ("functions: [a], functions: [b]", "`functions` is given twice"),
        ] {
            let error = expand(input.parse().unwrap()).map(|tokens| tokens.to_string()).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn what_there_is_chooses_the_world() {
        let world = |input: &str| expand(input.parse().unwrap()).unwrap().to_string();
        assert!(world("functions: [a]").contains("export_transform_plugin !"));
        assert!(world("functions: [a], aggregates: [b]").contains("export_aggregate_plugin !"));
        assert!(world("sources: [A]").contains("export_source_plugin !"));
        assert!(world("sinks: [B], capabilities: [key_value]").contains("Capability :: KeyValue"));
        assert!(world("sources: [A], sinks: [B]").contains("export_connector_plugin !"));
    }
}
