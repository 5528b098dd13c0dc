//! A function's parameters as arguments of a plugin function.

use crate::names::plain;
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, GenericArgument, GenericParam, Ident, Pat, PathArguments, ReturnType, Signature, Type};

/// Where a parameter's value comes from.
pub(crate) enum Source {
    /// A column.
    Column,
    /// The job's configuration, behind a reference to this type.
    Config,
}

/// One parameter.
pub(crate) struct Argument {
    pub(crate) name: String,
    /// The type that is read from the column (lifetimes left to inference), or that the configuration has.
    pub(crate) ty: Type,
    pub(crate) source: Source,
}

/// A function that can be called for rows.
pub(crate) struct Call {
    pub(crate) arguments: Vec<Argument>,
    /// Whether it returns a `Result`.
    pub(crate) is_fallible: bool,
    pub(crate) output: ReturnType,
    /// Whether columns come whole.
    pub(crate) is_batch: bool,
}

impl Call {
    /// Reads a signature, the receiver left out, and takes the SDK's attributes off its parameters.
    pub(crate) fn read(signature: &mut Signature, is_batch: bool) -> syn::Result<Self> {
        if let Some(token) = &signature.asyncness {
            return Err(syn::Error::new(token.span(), "a plugin function cannot be async: it has nothing to wait for"));
        }
        if let Some(token) = &signature.unsafety {
            return Err(syn::Error::new(token.span(), "a plugin function cannot be unsafe"));
        }
        let generic = signature.generics.params.iter().find(|param| !matches!(param, GenericParam::Lifetime(_)));
        if let Some(generic) = generic {
            return Err(syn::Error::new(generic.span(), "a plugin function cannot be generic: its types are those of its columns"));
        }
        let mut arguments = Vec::new();
        for input in &mut signature.inputs {
            if let FnArg::Typed(typed) = input {
                let is_config = typed.attrs.iter().any(|attribute| attribute.path().is_ident("config"));
                typed.attrs.retain(|attribute| !attribute.path().is_ident("config"));
                arguments.push(argument(&typed.pat, &typed.ty, is_config, is_batch)?);
            }
        }
        if !arguments.iter().any(|argument| matches!(argument.source, Source::Column)) {
            return Err(syn::Error::new(signature.ident.span(), "a plugin function takes at least one column"));
        }
        let is_fallible = matches!(&signature.output, ReturnType::Type(_, ty) if is_result(ty));
        Ok(Self { arguments, is_fallible, output: signature.output.clone(), is_batch })
    }

    fn columns(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| matches!(argument.source, Source::Column))
    }

    /// `&[Param…]`.
    pub(crate) fn params(&self) -> TokenStream {
        let params = self.columns().map(|Argument { name, ty, .. }| {
            quote_spanned! {ty.span()=> ::azora_guest::__private::Param::of::<#ty>(#name) }
        });
        quote! { &[#(#params),*] }
    }

    /// Statements that read the configuration.
    pub(crate) fn read_config(&self) -> TokenStream {
        let reads = self.arguments.iter().enumerate().filter(|(_, argument)| matches!(argument.source, Source::Config));
        let reads = reads.map(|(at, Argument { ty, .. })| {
            let config = config_ident(at);
            quote_spanned! {ty.span()=> let #config: #ty = ::azora_guest::__private::read_config(config)?; }
        });
        quote! { #(#reads)* }
    }

    /// The JSON Schema of the configuration.
    pub(crate) fn config_schema(&self) -> TokenStream {
        match self.arguments.iter().find(|argument| matches!(argument.source, Source::Config)) {
            Some(Argument { ty, .. }) => quote_spanned! {ty.span()=> <#ty as ::azora_guest::__private::Config>::schema() },
            None => quote! { ::std::string::String::new() },
        }
    }

    /// Statements that make the columns ready and say which rows have all arguments. What a row needs can then be moved
    /// into a closure: views and references, which the compiler keeps at hand where they are not behind another reference.
    pub(crate) fn read_columns(&self) -> TokenStream {
        let mut arrays = Vec::new();
        let mut columns = Vec::new();
        let mut views = Vec::new();
        let mut validities = Vec::new();
        for (at, Argument { ty, .. }) in self.columns().enumerate() {
            let (array, column, validity) = (format_ident!("array_{at}"), column_ident(at), validity_ident(at));
            arrays.push(quote! { let #array = arguments.argument(#at)?; });
            columns.push(quote_spanned! {ty.span()=>
                let #validity = <#ty as ::azora_guest::__private::Read<'_>>::validity(&#array);
                let #column = <#ty as ::azora_guest::__private::Read<'_>>::column(&#array)?;
            });
            if !self.is_batch {
                let view = view_ident(at);
                views.push(quote_spanned! {ty.span()=> let #view = <#ty as ::azora_guest::__private::Read<'_>>::view(&#column); });
            }
            validities.push(validity);
        }
        let borrowed = self.arguments.iter().enumerate().filter(|(_, argument)| matches!(argument.source, Source::Config));
        let borrowed = borrowed.map(|(at, _)| config_ident(at));
        quote! {
            #(let #borrowed = &#borrowed;)*
            #(#arrays)*
            #(#columns)*
            #(#views)*
            let live = ::azora_guest::__private::Validity::all(arguments.rows()) #(.and(&#validities))*;
        }
    }

    /// The call for `row` (or the batch) as a `Result`.
    pub(crate) fn call(&self, function: &TokenStream) -> TokenStream {
        let mut column = 0;
        let values = self.arguments.iter().enumerate().map(|(at, Argument { ty, source, .. })| match source {
            Source::Config => {
                let config = config_ident(at);
                quote! { #config }
            }
            Source::Column => {
                let (ready, view, validity) = (column_ident(column), view_ident(column), validity_ident(column));
                column += 1;
                match self.is_batch {
                    true => quote! { ::azora_guest::__private::Column::new(&#ready, &#validity) },
                    false => quote! { <#ty as ::azora_guest::__private::Read<'_>>::get(#view, row) },
                }
            }
        });
        let values: Vec<_> = values.collect();
        self.as_result(quote! { #function(#(#values),*) })
    }

    /// What a call reads of `row`, as a tuple.
    pub(crate) fn read_row(&self) -> TokenStream {
        let values = self.columns().enumerate().map(|(at, Argument { ty, .. })| {
            let view = view_ident(at);
            quote! { <#ty as ::azora_guest::__private::Read<'_>>::get(#view, row) }
        });
        quote! { (#(#values,)*) }
    }

    /// Whether rows are to be read ahead of the calls.
    pub(crate) fn is_ahead(&self) -> TokenStream {
        let types = self.columns().map(|Argument { ty, .. }| ty);
        quote! { false #(|| <#types as ::azora_guest::__private::Read<'_>>::AHEAD)* }
    }

    /// The pattern of what [`Self::read_row`] gives, and the call with it as a `Result`.
    pub(crate) fn call_read(&self, function: &TokenStream) -> (TokenStream, TokenStream) {
        let mut names = Vec::new();
        let values = self.arguments.iter().enumerate().map(|(at, argument)| match argument.source {
            Source::Config => config_ident(at),
            Source::Column => {
                let name = format_ident!("argument_{}", names.len());
                names.push(name.clone());
                name
            }
        });
        let values: Vec<_> = values.collect();
        (quote! { (#(#names,)*) }, self.as_result(quote! { #function(#(#values),*) }))
    }

    /// A call that is only looked at for its type. Its span is the result type's, so that a type that fits no column is
    /// reported there.
    pub(crate) fn call_for_type(&self, callee: &TokenStream, leading: Option<TokenStream>) -> TokenStream {
        let never = self.arguments.iter().map(|_| quote! { ::azora_guest::__private::never() });
        let values = leading.into_iter().chain(never);
        self.as_result(quote! { #callee(#(#values),*) })
    }

    fn as_result(&self, call: TokenStream) -> TokenStream {
        match self.is_fallible {
            // At the result's type, where an error that turns into no failure is to be mended.
            true => quote_spanned! {self.output.span()=> (#call).map_err(::azora_guest::__private::Failure::from) },
            false => quote! { ::azora_guest::__private::Result::Ok(#call) },
        }
    }
}

/// The name of a configuration's variable.
pub(crate) fn config_ident(at: usize) -> Ident {
    format_ident!("config_{at}")
}

fn column_ident(at: usize) -> Ident {
    format_ident!("column_{at}")
}

fn view_ident(at: usize) -> Ident {
    format_ident!("view_{at}")
}

fn validity_ident(at: usize) -> Ident {
    format_ident!("validity_{at}")
}

fn argument(pattern: &Pat, ty: &Type, is_config: bool, is_batch: bool) -> syn::Result<Argument> {
    let Pat::Ident(ident) = pattern else {
        return Err(syn::Error::new(pattern.span(), "a parameter needs a name: it is matched with a column of that name"));
    };
    let name = plain(&ident.ident);
    if is_config {
        let Type::Reference(reference) = ty else {
            return Err(syn::Error::new(ty.span(), "a configuration is shared by all rows: take a reference to it"));
        };
        return Ok(Argument { name, ty: inferred(&reference.elem), source: Source::Config });
    }
    let ty = if is_batch { column_item(ty)? } else { inferred(ty) };
    Ok(Argument { name, ty, source: Source::Column })
}

/// The `T` of `Column<'_, T>`.
fn column_item(ty: &Type) -> syn::Result<Type> {
    let error = || syn::Error::new(ty.span(), "a batch function takes whole columns: write `Column<T>`");
    let Type::Path(path) = ty else { return Err(error()) };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Column").ok_or_else(error)?;
    let PathArguments::AngleBracketed(generics) = &last.arguments else { return Err(error()) };
    let item = generics.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(item) => Some(inferred(item)),
        _ => None,
    });
    item.ok_or_else(error)
}

fn is_result(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Result"))
}

/// The same type with every lifetime left to inference, to be named outside of its signature.
pub(crate) fn inferred(ty: &Type) -> Type {
    let mut ty = ty.clone();
    set_lifetimes(&mut ty, None);
    ty
}

/// Sets every lifetime of a type; none leaves them to inference.
pub(crate) fn set_lifetimes(ty: &mut Type, lifetime: Option<&syn::Lifetime>) {
    match ty {
        Type::Reference(reference) => {
            reference.lifetime = lifetime.cloned();
            set_lifetimes(&mut reference.elem, lifetime);
        }
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(generics) = &mut segment.arguments {
                    for argument in &mut generics.args {
                        match argument {
                            GenericArgument::Type(inner) => set_lifetimes(inner, lifetime),
                            GenericArgument::Lifetime(own) => {
                                *own = lifetime.cloned().unwrap_or_else(|| syn::Lifetime::new("'_", own.span()));
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|part| set_lifetimes(part, lifetime)),
        Type::Slice(slice) => set_lifetimes(&mut slice.elem, lifetime),
        Type::Array(array) => set_lifetimes(&mut array.elem, lifetime),
        Type::Paren(paren) => set_lifetimes(&mut paren.elem, lifetime),
        Type::Group(group) => set_lifetimes(&mut group.elem, lifetime),
        _ => {}
    }
}
