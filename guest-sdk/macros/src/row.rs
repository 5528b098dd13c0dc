//! `#[derive(Row)]`: a struct as a row or a struct column, read and written.

use crate::names::{FieldOptions, plain};
use crate::signature::set_lifetimes;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, GenericParam, Ident, Lifetime, Type};

struct Part {
    ident: Ident,
    column: String,
    /// The field's type with the lifetime of the batch.
    read: Type,
    /// The same for builders, which borrow nothing.
    write: Type,
    /// Its name in the made structs, where the author's own names would need escaping.
    slot: Ident,
}

/// The impls of `Read`, `Write` and `Item`.
pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let name = &input.ident;
    let mut own = None;
    for param in &input.generics.params {
        match param {
            GenericParam::Lifetime(lifetime) if own.is_none() => own = Some(lifetime.lifetime.clone()),
            other => return Err(syn::Error::new(other.span(), "a row has at most one lifetime and no other parameter")),
        }
    }
    let lifetime = own.clone().unwrap_or_else(|| Lifetime::new("'azora", name.span()));
    let parts = parts(&input, &lifetime)?;
    let (reading, writing) = (reading(name, own.as_ref(), &lifetime, &parts), writing(name, own.as_ref(), &parts));
    let recording = own.is_none().then(|| recording(name));
    Ok(quote! {
        #[automatically_derived]
        const _: () = {
            #reading
            #writing
            #recording
        };
    })
}

fn parts(input: &DeriveInput, lifetime: &Lifetime) -> syn::Result<Vec<Part>> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new(input.ident.span(), "only a struct can be a row"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new(input.ident.span(), "a row needs named fields: they name its columns; a tuple needs no derive"));
    };
    if fields.named.is_empty() {
        return Err(syn::Error::new(input.ident.span(), "a row needs at least one field"));
    }
    let mut parts: Vec<Part> = Vec::new();
    for (at, field) in fields.named.iter().enumerate() {
        let Some(ident) = field.ident.clone() else { continue };
        let options = FieldOptions::read(&field.attrs, "row", false)?;
        let column = options.rename.map_or_else(|| plain(&ident), |rename| rename.value());
        if parts.iter().any(|part| part.column == column) {
            return Err(syn::Error::new(ident.span(), format!("there are two columns `{column}`")));
        }
        let (mut read, mut write) = (field.ty.clone(), field.ty.clone());
        set_lifetimes(&mut read, Some(lifetime));
        set_lifetimes(&mut write, Some(&Lifetime::new("'static", ident.span())));
        parts.push(Part { ident, column, read, write, slot: format_ident!("field_{at}") });
    }
    Ok(parts)
}

fn reading(name: &Ident, own: Option<&Lifetime>, lifetime: &Lifetime, parts: &[Part]) -> TokenStream {
    let generics = own.map(|own| quote! { <#own> });
    let (idents, columns): (Vec<_>, Vec<_>) = parts.iter().map(|part| (&part.ident, &part.column)).unzip();
    let slots: Vec<_> = parts.iter().map(|part| &part.slot).collect();
    // Each stands at its field, so that a type that fits no column is reported there.
    let read: Vec<_> = parts
        .iter()
        .map(|Part { read, .. }| quote_spanned! {read.span()=> <#read as ::azora_guest::__private::Read<#lifetime>> })
        .collect();
    quote! {
        #[doc(hidden)]
        pub struct Columns<#lifetime> {
            #(#slots: #read::Column,)*
        }

        #[doc(hidden)]
        pub struct Views<#lifetime> {
            #(#slots: #read::View,)*
        }

        impl ::core::clone::Clone for Views<'_> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl ::core::marker::Copy for Views<'_> {}

        impl<#lifetime> ::azora_guest::__private::Read<#lifetime> for #name #generics {
            type Column = Columns<#lifetime>;
            type View = Views<#lifetime>;

            fn data_type() -> ::azora_guest::__private::DataType {
                ::azora_guest::__private::DataType::Struct(::std::vec![#(
                    ::azora_guest::__private::Field::new(
                        #columns,
                        #read::data_type(),
                        true,
                    )
                ),*])
            }

            fn accepts(data_type: &::azora_guest::__private::DataType) -> bool {
                let ::azora_guest::__private::DataType::Struct(fields) = data_type else {
                    return *data_type == ::azora_guest::__private::DataType::Null;
                };
                true #(&& fields.iter().any(|field| {
                    field.name == #columns && #read::accepts(&field.data_type)
                }))*
            }

            fn row_fields() -> ::core::option::Option<::std::vec::Vec<::azora_guest::__private::Field>> {
                let data_type = <Self as ::azora_guest::__private::Read<#lifetime>>::data_type();
                ::core::option::Option::Some(data_type.children().to_vec())
            }

            fn column(
                array: &::azora_guest::__private::Array<#lifetime>,
            ) -> ::azora_guest::__private::Result<Columns<#lifetime>> {
                ::azora_guest::__private::Result::Ok(Columns {
                    #(#slots: #read::column(&array.child(#columns)?)?,)*
                })
            }

            fn validity(array: &::azora_guest::__private::Array<#lifetime>) -> ::azora_guest::__private::Validity<#lifetime> {
                let mut validity = array.validity();
                #(if let ::azora_guest::__private::Result::Ok(child) = array.child(#columns) {
                    validity = validity.and(&#read::validity(&child));
                })*
                validity
            }

            fn may_miss(field: &::azora_guest::__private::Field) -> bool {
                let parts = field.data_type.children();
                field.nullable #(|| parts.iter().any(|part| {
                    part.name == #columns && #read::may_miss(part)
                }))*
            }

            fn view(column: &#lifetime Columns<#lifetime>) -> Views<#lifetime> {
                Views { #(#slots: #read::view(&column.#slots),)* }
            }

            fn get(view: Views<#lifetime>, row: usize) -> Self {
                Self { #(#idents: #read::get(view.#slots, row),)* }
            }
        }
    }
}

/// All rows at once, for a struct that borrows nothing. Written out for the type: in generic code a column could not be
/// dropped before what is read of it.
fn recording(name: &Ident) -> TokenStream {
    quote! {
        impl ::azora_guest::__private::Record for #name {
            fn param() -> ::azora_guest::__private::Param {
                ::azora_guest::__private::Param::of::<Self>("row")
            }

            fn read(
                arguments: &::azora_guest::__private::Arguments<'_>,
            ) -> ::azora_guest::__private::Result<::std::vec::Vec<::core::option::Option<Self>>> {
                let array = arguments.argument(0)?;
                let live = <#name as ::azora_guest::__private::Read<'_>>::validity(&array);
                let column = <#name as ::azora_guest::__private::Read<'_>>::column(&array)?;
                let view = <#name as ::azora_guest::__private::Read<'_>>::view(&column);
                let rows = (0..arguments.rows())
                    .map(|row| live.is_valid(row).then(|| <#name as ::azora_guest::__private::Read<'_>>::get(view, row)))
                    .collect();
                ::azora_guest::__private::Result::Ok(rows)
            }
        }
    }
}

fn writing(name: &Ident, own: Option<&Lifetime>, parts: &[Part]) -> TokenStream {
    let generics = own.map(|_| quote! { <'_> });
    let (idents, columns): (Vec<_>, Vec<_>) = parts.iter().map(|part| (&part.ident, &part.column)).unzip();
    let slots: Vec<_> = parts.iter().map(|part| &part.slot).collect();
    let write: Vec<_> =
        parts.iter().map(|Part { write, .. }| quote_spanned! {write.span()=> <#write as ::azora_guest::__private::Write> }).collect();
    quote! {
        impl ::azora_guest::__private::Item for #name #generics {}

        #[doc(hidden)]
        pub struct Builder {
            validity: ::azora_guest::__private::ValidityBuilder,
            #(#slots: #write::Builder,)*
        }

        impl ::azora_guest::__private::Builder for Builder {
            fn push_null(&mut self) {
                self.validity.push(false);
                #(::azora_guest::__private::Builder::push_null(&mut self.#slots);)*
            }

            fn finish(self, nullable: bool, into: &mut ::azora_guest::__private::Parts) {
                into.node(self.validity, nullable);
                #(::azora_guest::__private::Builder::finish(
                    self.#slots,
                    #write::NULLABLE,
                    into,
                );)*
            }

            fn finish_columns(self, nullable: bool, into: &mut ::azora_guest::__private::Parts) {
                #(::azora_guest::__private::Builder::finish(
                    self.#slots,
                    nullable || #write::NULLABLE,
                    into,
                );)*
            }
        }

        impl ::azora_guest::__private::Write for #name #generics {
            type Builder = Builder;

            fn data_type() -> ::azora_guest::__private::DataType {
                ::azora_guest::__private::DataType::Struct(::std::vec![
                    #(#write::field(#columns)),*
                ])
            }

            fn element() -> ::azora_guest::__private::Element {
                ::azora_guest::__private::Element::Object
            }

            fn builder(rows: usize) -> Builder {
                Builder {
                    validity: ::core::default::Default::default(),
                    #(#slots: #write::builder(rows),)*
                }
            }

            fn append(self, builder: &mut Builder) {
                builder.validity.push(true);
                #(::azora_guest::__private::Write::append(self.#idents, &mut builder.#slots);)*
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_write() {
        for (item, expected) in [
            ("enum A { B }", "only a struct can be a row"),
            ("struct A(i64);", "a row needs named fields: they name its columns; a tuple needs no derive"),
            ("struct A {}", "a row needs at least one field"),
            ("struct A<T> { x: T }", "a row has at most one lifetime and no other parameter"),
            ("struct A { x: i64, #[row(rename = \"x\")] y: i64 }", "there are two columns `x`"),
            ("struct A { #[row(skip)] y: i64 }", "unknown option; there is `rename = \"…\"`"),
        ] {
            assert_eq!(expand(item.parse().unwrap()).unwrap_err().to_string(), expected, "{item}");
        }
    }
}
