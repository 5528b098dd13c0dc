//! Names, comments and options that all macros read alike.

use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Token};

/// What stands in the brackets of an attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) batch: Option<Ident>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            if key == "batch" {
                options.batch = Some(key);
            } else if key == "name" {
                input.parse::<Token![=]>()?;
                options.name = Some(function_name(input.parse()?)?);
            } else {
                return Err(syn::Error::new(key.span(), format!("unknown option `{key}`; there are `batch` and `name = \"…\"`")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// Checks the characters of a name that jobs use.
pub(crate) fn function_name(name: LitStr) -> syn::Result<LitStr> {
    let text = name.value();
    let is_right = (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_right {
        Ok(name)
    } else {
        Err(syn::Error::new(name.span(), "a function's name has 1 to 64 letters, digits, `_` or `-`, a letter first"))
    }
}

/// The name of an identifier, without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}

/// `MovingAverage` as `moving_average`.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut is_after_lower = false;
    for each in name.chars() {
        if each.is_uppercase() && is_after_lower {
            snake.push('_');
        }
        is_after_lower = !each.is_uppercase() && each != '_';
        snake.extend(each.to_lowercase());
    }
    snake
}

/// The `///` comment as Markdown.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        if let Meta::NameValue(pair) = &attribute.meta
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
        {
            let text = text.value();
            lines.extend(text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()));
        }
    }
    lines.join("\n").trim().to_owned()
}

/// What stands in `#[row(…)]` or `#[config(…)]` on a field.
#[derive(Default)]
pub(crate) struct FieldOptions {
    pub(crate) rename: Option<LitStr>,
    pub(crate) default: Option<Expr>,
}

impl FieldOptions {
    /// Reads the attribute of that name; `default` only where it is allowed.
    pub(crate) fn read(attributes: &[Attribute], of: &str, has_default: bool) -> syn::Result<Self> {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(of)) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    options.rename = Some(meta.value()?.parse()?);
                    Ok(())
                } else if has_default && meta.path.is_ident("default") {
                    options.default = Some(meta.value()?.parse()?);
                    Ok(())
                } else {
                    let known = if has_default { "`rename = \"…\"` and `default = …`" } else { "`rename = \"…\"`" };
                    Err(meta.error(format!("unknown option; there is {known}")))
                }
            })?;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_snake_case() {
        for (name, expected) in [("Dedupe", "dedupe"), ("MovingAverage", "moving_average"), ("HTTPLog", "httplog"), ("p50", "p50")] {
            assert_eq!(snake(name), expected);
        }
    }

    #[test]
    fn unknown_options_are_named() {
        let error = syn::parse_str::<Options>("batches").err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("unknown option `batches`; there are `batch` and `name = \"…\"`"));
        assert!(syn::parse_str::<Options>("batch, name = \"a-b\"").is_ok());
        assert!(syn::parse_str::<Options>("name = \"1a\"").is_err());
    }
}
