//! `#[derive(Config)]`: a struct as a function's configuration, with its JSON Schema.

use crate::names::{FieldOptions, doc, plain};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Expr, ExprLit, Fields, Lit};

/// The impl of `Config`.
pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let name = &input.ident;
    if let Some(param) = input.generics.params.first() {
        return Err(syn::Error::new(param.span(), "a configuration has no parameters: it outlives every batch"));
    }
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new(name.span(), "only a struct can be a configuration"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new(name.span(), "a configuration needs named fields: they name its keys"));
    };
    let (mut reads, mut properties) = (Vec::new(), Vec::new());
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let options = FieldOptions::read(&field.attrs, "config", true)?;
        let key = options.rename.map_or_else(|| plain(ident), |rename| rename.value());
        let (ty, doc, has_default) = (&field.ty, doc(&field.attrs), options.default.is_some());
        let default = match options.default {
            // Written as `"text"`, wanted as a `String`.
            Some(value @ Expr::Lit(ExprLit { lit: Lit::Str(_), .. })) => {
                quote! { ::core::option::Option::Some(::std::string::String::from(#value)) }
            }
            Some(value) => quote! { ::core::option::Option::Some(#value) },
            None => quote! { ::core::option::Option::None },
        };
        reads.push(quote_spanned! {ty.span()=> #ident: ::azora_guest::__private::config_field::<#ty>(json, #key, #default)? });
        properties.push(quote_spanned! {ty.span()=> ::azora_guest::__private::property_schema::<#ty>(#key, #doc, #has_default) });
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::azora_guest::__private::Config for #name {
            fn read(json: &::azora_guest::__private::Json) -> ::azora_guest::__private::Result<Self> {
                ::azora_guest::__private::Result::Ok(Self { #(#reads),* })
            }

            fn schema() -> ::std::string::String {
                ::azora_guest::__private::object_schema(&[#(#properties),*])
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_write() {
        for (item, expected) in [
            ("struct A<'a> { x: &'a str }", "a configuration has no parameters: it outlives every batch"),
            ("enum A { B }", "only a struct can be a configuration"),
            ("struct A(i64);", "a configuration needs named fields: they name its keys"),
            ("struct A { #[config(min = 1)] x: i64 }", "unknown option; there is `rename = \"…\"` and `default = …`"),
        ] {
            assert_eq!(expand(item.parse().unwrap()).unwrap_err().to_string(), expected, "{item}");
        }
    }
}
