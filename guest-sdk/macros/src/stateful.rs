//! `#[map_partitions]` and `#[aggregate]`: the impl block of a type that remembers.

use crate::names::{Options, doc, plain, snake};
use crate::signature::{Call, Source, config_ident};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, ImplItem, ImplItemFn, ItemImpl, ReturnType, Type};

/// Which attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MapPartitions,
    Aggregate,
}

/// The impl block as it was, and beside it how to call it.
pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    let mut block: ItemImpl = syn::parse2(item)?;
    if let Some(batch) = &options.batch {
        return Err(syn::Error::new(batch.span(), "only functions have a batch form"));
    }
    if !block.generics.params.is_empty() || block.trait_.is_some() {
        return Err(syn::Error::new(block.impl_token.span(), "this goes on the plain impl block of a type without parameters"));
    }
    let Type::Path(path) = block.self_ty.as_ref() else {
        return Err(syn::Error::new(block.self_ty.span(), "this goes on the impl block of a named type"));
    };
    let type_name = path.path.segments.last().map(|segment| plain(&segment.ident)).unwrap_or_default();
    let name = options.name.map_or_else(|| snake(&type_name), |name| name.value());
    let doc = doc(&block.attrs);
    let made = match kind {
        Kind::MapPartitions => map_partitions(&mut block, &name, &doc)?,
        Kind::Aggregate => aggregate(&mut block, &name, &doc)?,
    };
    Ok(quote! {
        #block

        #[automatically_derived]
        #made
    })
}

fn method<'a>(block: &'a mut ItemImpl, name: &str) -> Option<&'a mut ImplItemFn> {
    block.items.iter_mut().find_map(|item| match item {
        ImplItem::Fn(function) if function.sig.ident == name => Some(function),
        _ => None,
    })
}

fn required<'a>(block: &'a mut ItemImpl, signature: &str, name: &str) -> syn::Result<&'a mut ImplItemFn> {
    let span = block.impl_token.span();
    let method = method(block, name).ok_or_else(|| syn::Error::new(span, format!("there is no `fn {signature}`")))?;
    match method.sig.inputs.first() {
        Some(FnArg::Receiver(_)) => Ok(method),
        _ => Err(syn::Error::new(method.sig.ident.span(), format!("write it as `fn {signature}`"))),
    }
}

fn is_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    matches!(ty.as_ref(), Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Result"))
}

fn as_result(call: TokenStream, output: &ReturnType) -> TokenStream {
    match is_result(output) {
        true => quote! { (#call).map_err(::azora_guest::__private::Failure::from) },
        false => quote! { ::azora_guest::__private::Result::Ok(#call) },
    }
}

fn map_partitions(block: &mut ItemImpl, name: &str, doc: &str) -> syn::Result<TokenStream> {
    let this = block.self_ty.clone();
    let start = start(block)?;
    let row = required(block, "row(&mut self, …) -> impl IntoIterator<Item = …>", "row")?;
    if matches!(row.sig.output, ReturnType::Default) {
        return Err(syn::Error::new(row.sig.ident.span(), "`row` returns the rows to give out, for example a `Vec`"));
    }
    let call = Call::read(&mut row.sig, false)?;
    if let Some(config) = call.arguments.iter().find(|argument| matches!(argument.source, Source::Config)) {
        return Err(syn::Error::new(config.ty.span(), "take the configuration in `fn new(config: &C)`"));
    }
    let result = row.sig.output.span();
    let row_type = call.call_for_type(&quote! { <#this>::row }, Some(quote! { ::azora_guest::__private::never() }));
    let finish = match method(block, "finish") {
        Some(finish) => {
            let rest = as_result(quote! { state.finish() }, &finish.sig.output);
            quote! { ::azora_guest::__private::rest(|| #row_type, #rest) }
        }
        None => quote! { { let _: &mut #this = state; ::azora_guest::__private::Result::Ok(::core::option::Option::None) } },
    };
    let (params, columns, each) = (call.params(), call.read_columns(), call.call(&quote! { state.row }));
    let schema = quote_spanned! {result=> ::azora_guest::__private::schema_of_items(|| #row_type, false) };
    let Start { read, make, schema: config_schema } = start;
    Ok(quote! {
        impl ::azora_guest::__private::Function for #this {
            const NAME: &'static str = #name;

            fn declare() -> ::azora_guest::__private::Declaration {
                ::azora_guest::__private::Declaration::new(
                    <Self as ::azora_guest::__private::Function>::NAME,
                    ::azora_guest::__private::Kind::MapPartitions, #doc, #params, #schema, #config_schema
                )
            }

            fn open(
                input: &::azora_guest::__private::Schema,
                config: &str,
            ) -> ::azora_guest::__private::Result<::azora_guest::__private::Opened> {
                let binding = ::azora_guest::__private::Binding::new(input, #params)?;
                #read
                let state: #this = #make;
                let process = |state: &mut #this, arguments: &::azora_guest::__private::Arguments<'_>| {
                    #columns
                    ::azora_guest::__private::flat_map(&live, |row| #each)
                };
                ::azora_guest::__private::Result::Ok(
                    ::azora_guest::__private::Opened::stateful(binding, #schema, state, process, |state| #finish)
                )
            }
        }
    })
}

/// The value of a call in a function that can fail.
fn made(call: TokenStream, output: &ReturnType) -> TokenStream {
    match is_result(output) {
        true => quote! { (#call).map_err(::azora_guest::__private::Failure::from)? },
        false => call,
    }
}

/// How a partition's memory starts.
struct Start {
    read: TokenStream,
    make: TokenStream,
    schema: TokenStream,
}

fn start(block: &mut ItemImpl) -> syn::Result<Start> {
    let this = block.self_ty.clone();
    let Some(new) = method(block, "new") else {
        return Ok(Start {
            read: quote! { let _ = config; },
            make: quote_spanned! {this.span()=> <#this as ::core::default::Default>::default() },
            schema: quote! { ::std::string::String::new() },
        });
    };
    let config = match new.sig.inputs.first() {
        Some(FnArg::Typed(typed)) if new.sig.inputs.len() == 1 => match typed.ty.as_ref() {
            Type::Reference(reference) => reference.elem.clone(),
            other => return Err(syn::Error::new(other.span(), "take a reference to the configuration")),
        },
        None => {
            let make = made(quote! { <#this>::new() }, &new.sig.output);
            let schema = quote! { ::std::string::String::new() };
            return Ok(Start { read: quote! { let _ = config; }, make, schema });
        }
        _ => return Err(syn::Error::new(new.sig.ident.span(), "`new` takes nothing, or the configuration: `fn new(config: &C)`")),
    };
    let ident = config_ident(0);
    Ok(Start {
        read: quote_spanned! {config.span()=> let #ident: #config = ::azora_guest::__private::read_config(config)?; },
        make: made(quote! { <#this>::new(&#ident) }, &new.sig.output),
        schema: quote_spanned! {config.span()=> <#config as ::azora_guest::__private::Config>::schema() },
    })
}

fn aggregate(block: &mut ItemImpl, name: &str, doc: &str) -> syn::Result<TokenStream> {
    let this = block.self_ty.clone();
    let merge = required(block, "merge(&mut self, other: Self)", "merge")?;
    if merge.sig.inputs.len() != 2 {
        return Err(syn::Error::new(merge.sig.ident.span(), "write it as `fn merge(&mut self, other: Self)`"));
    }
    let merge = as_result(quote! { state.merge(other) }, &merge.sig.output);
    let finish = required(block, "finish(self) -> …", "finish")?;
    let result = finish.sig.output.span();
    if matches!(finish.sig.output, ReturnType::Default) || finish.sig.inputs.len() != 1 {
        return Err(syn::Error::new(finish.sig.ident.span(), "`finish` takes the state alone and returns the group's answer"));
    }
    let finish = as_result(quote! { state.finish() }, &finish.sig.output);
    let update = required(block, "update(&mut self, …)", "update")?;
    let call = Call::read(&mut update.sig, false)?;
    let (params, read_config, config_schema) = (call.params(), call.read_config(), call.config_schema());
    let (columns, each) = (call.read_columns(), call.call(&quote! { state.update }));
    let schema = quote_spanned! {result=>
        ::azora_guest::__private::schema_of(|| { let state: #this = ::azora_guest::__private::never(); #finish }, false)
    };
    Ok(quote! {
        impl ::azora_guest::__private::Aggregate for #this {
            const NAME: &'static str = #name;

            fn declare() -> ::azora_guest::__private::Declaration {
                ::azora_guest::__private::Declaration::new(
                    <Self as ::azora_guest::__private::Aggregate>::NAME,
                    ::azora_guest::__private::Kind::Aggregate, #doc, #params, #schema, #config_schema
                )
            }

            fn open(
                input: &::azora_guest::__private::Schema,
                config: &str,
            ) -> ::azora_guest::__private::Result<::azora_guest::__private::OpenedAggregate> {
                let binding = ::azora_guest::__private::Binding::new(input, #params)?;
                let _ = config;
                #read_config
                ::azora_guest::__private::OpenedAggregate::new::<#this, _, _, _, _>(
                    input,
                    binding,
                    move |states, arguments, groups| {
                        #columns
                        ::azora_guest::__private::update(&live, states, groups, move |state: &mut #this, row| #each)
                    },
                    |states, arguments, groups| {
                        let array = arguments.argument(0)?;
                        let live = <#this as ::azora_guest::__private::Read<'_>>::validity(&array);
                        let column = <#this as ::azora_guest::__private::Read<'_>>::column(&array)?;
                        let view = <#this as ::azora_guest::__private::Read<'_>>::view(&column);
                        ::azora_guest::__private::update(&live, states, groups, move |state: &mut #this, row| {
                            let other = <#this as ::azora_guest::__private::Read<'_>>::get(view, row);
                            #merge
                        })
                    },
                    |state| #finish,
                )
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: Kind, item: &str) -> String {
        expand(kind, TokenStream::new(), item.parse().unwrap()).map(|tokens| tokens.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_what_to_write() {
        for (kind, item, expected) in [
            (Kind::MapPartitions, "impl A {}", "there is no `fn row(&mut self, …) -> impl IntoIterator<Item = …>`"),
            (Kind::MapPartitions, "impl A { fn row(&mut self, x: i64) {} }", "`row` returns the rows to give out, for example a `Vec`"),
            (Kind::MapPartitions, "impl<T> A<T> {}", "this goes on the plain impl block of a type without parameters"),
            (Kind::Aggregate, "impl A { fn merge(&mut self, other: A) {} }", "there is no `fn finish(self) -> …`"),
            (Kind::Aggregate, "impl A { fn merge(a: A, b: A) {} }", "write it as `fn merge(&mut self, other: Self)`"),
        ] {
            assert_eq!(refusal(kind, item), expected, "{item}");
        }
    }

    #[test]
    fn names_come_from_the_type() {
        let item = "impl MovingAverage { fn row(&mut self, x: f64) -> Vec<f64> { vec![x] } }";
        let made = expand(Kind::MapPartitions, TokenStream::new(), item.parse().unwrap()).unwrap().to_string();
        assert!(made.contains("const NAME : & 'static str = \"moving_average\""), "{made}");
    }
}
