//! `#[derive(Fields)]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{Data, DeriveInput, Error, Expr, ExprLit, Field, GenericParam, Ident, Lit, LitStr, Result, Type};

use crate::types::with_lifetime;

/// One field of the struct.
struct Slot<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    path: Expr,
    kind: Option<TokenStream>,
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "only a struct's fields are fields of a record"));
    };
    let lifetime = one_lifetime(input)?;
    let settings = settings_type(input)?;
    let slots = data.fields.iter().map(slot).collect::<Result<Vec<_>>>()?;

    let name = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    let row = lifetime.clone().unwrap_or_else(|| syn::Lifetime::new("'tidegate", Span::call_site()));
    let reads_generics = if lifetime.is_some() { quote!(#impl_generics) } else { quote!(<#row>) };

    let uses_settings = slots.iter().any(|slot| mentions_settings(slot.path.to_token_stream()));
    let uses = if uses_settings {
        quote!(::tidegate_sdk::glue::With<#settings>)
    } else {
        quote!(::tidegate_sdk::glue::NoSettings)
    };
    let types: Vec<_> = slots.iter().map(|slot| slot.ty).collect();
    let idents: Vec<_> = slots.iter().map(|slot| slot.ident).collect();
    let numbers: Vec<_> = (0..slots.len()).collect();
    let indices: Vec<_> = numbers.iter().map(|&number| syn::Index::from(number)).collect();
    let added = slots.iter().map(|Slot { ident, ty, path, kind }| {
        let ident = ident.to_string();
        let kind = option(kind.as_ref());
        quote!(slots.add::<#ty>(#ident, &(#path), #kind)?;)
    });
    let checks = slots.iter().filter_map(|slot| {
        let kind = slot.kind.as_ref()?;
        let ty = with_lifetime(slot.ty, "'static", None);
        Some(quote! {
            const _: () = ::std::assert!(
                ::tidegate_sdk::glue::allows(<#ty as ::tidegate_sdk::glue::FieldType<'static>>::KINDS, #kind),
                "a field of this type cannot be asked for in this kind"
            );
        })
    });
    let fields_lifetime = if lifetime.is_some() { quote!(#row) } else { quote!('static) };

    Ok(quote! {
        const _: () = {
            #(#checks)*

            #[automatically_derived]
            impl #impl_generics ::tidegate_sdk::glue::Fields for #name #ty_generics #where_clause {
                type Uses = #uses;
                const WRITABLE: bool = true #(&& <#types as ::tidegate_sdk::glue::FieldType<#fields_lifetime>>::WRITABLE)*;

                fn slots(
                    settings: &<Self::Uses as ::tidegate_sdk::glue::Uses>::Settings,
                ) -> ::std::result::Result<::tidegate_sdk::glue::Slots, ::std::string::String> {
                    let _ = settings;
                    let mut slots = ::tidegate_sdk::glue::Slots::default();
                    #(#added)*
                    ::std::result::Result::Ok(slots)
                }
            }

            #[automatically_derived]
            impl #reads_generics ::tidegate_sdk::glue::Reads<#row> for #name #ty_generics #where_clause {
                type Views = (#(<#types as ::tidegate_sdk::glue::FieldType<#row>>::View,)*);

                fn views(columns: &::tidegate_sdk::glue::Columns<#row>) -> Self::Views {
                    let _ = columns;
                    (#(<#types as ::tidegate_sdk::glue::FieldType<#row>>::view(columns.get(#numbers)),)*)
                }

                #[inline]
                fn read(
                    views: &Self::Views,
                    row: usize,
                ) -> ::std::result::Result<Self, ::tidegate_sdk::glue::Misfit> {
                    let _ = (views, row);
                    ::std::result::Result::Ok(#name {
                        #(#idents: <#types as ::tidegate_sdk::glue::FieldType<#row>>::get(&views.#indices, row)
                            .map_err(|misfit| misfit.at(#numbers))?,)*
                    })
                }
            }

            #[automatically_derived]
            impl #impl_generics ::tidegate_sdk::glue::Writes for #name #ty_generics #where_clause {
                #[inline]
                fn write(
                    self,
                    writer: &mut ::tidegate_sdk::glue::Writer<'_>,
                ) -> ::std::result::Result<(), ::tidegate_sdk::glue::Misfit> {
                    let _ = &writer;
                    #(writer.put(#numbers, self.#idents)?;)*
                    ::std::result::Result::Ok(())
                }
            }
        };
    })
}

fn option(kind: Option<&TokenStream>) -> TokenStream {
    match kind {
        Some(kind) => quote!(::std::option::Option::Some(#kind)),
        None => quote!(::std::option::Option::None),
    }
}

fn one_lifetime(input: &DeriveInput) -> Result<Option<syn::Lifetime>> {
    let mut lifetime = None;
    for parameter in &input.generics.params {
        match parameter {
            GenericParam::Lifetime(parameter) if lifetime.is_none() => lifetime = Some(parameter.lifetime.clone()),
            GenericParam::Lifetime(_) | GenericParam::Type(_) | GenericParam::Const(_) => {
                return Err(Error::new_spanned(
                    parameter,
                    "a struct of fields has one lifetime at most, and no other parameters",
                ));
            }
        }
    }
    Ok(lifetime)
}

/// `#[fields(settings = Type)]`, else the type named `Settings`.
fn settings_type(input: &DeriveInput) -> Result<Type> {
    let mut settings: Type = syn::parse_quote!(Settings);
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("fields")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("settings") {
                return Err(meta.error("known here: settings = Type"));
            }
            settings = meta.value()?.parse()?;
            Ok(())
        })?;
    }
    Ok(settings)
}

fn slot(field: &Field) -> Result<Slot<'_>> {
    let Some(ident) = &field.ident else {
        return Err(Error::new_spanned(field, "fields need names: they are the paths in the record"));
    };
    let name = ident.to_string();
    let name = LitStr::new(name.strip_prefix("r#").unwrap_or(&name), ident.span());
    let mut path: Expr = syn::parse_quote!(#name);
    let mut kind = None;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("field")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("path") {
                path = meta.value()?.parse()?;
                match &path {
                    Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value().is_empty() => {
                        Err(Error::new_spanned(text, "a path is not empty"))
                    }
                    _ => Ok(()),
                }
            } else if meta.path.is_ident("kind") {
                kind = Some(kind_of(&meta.value()?.parse()?)?);
                Ok(())
            } else {
                Err(meta.error("known here: path = \"…\" or an expression over settings, and kind = \"…\""))
            }
        })?;
    }
    Ok(Slot { ident, ty: &field.ty, path, kind })
}

fn kind_of(name: &LitStr) -> Result<TokenStream> {
    let variant = match name.value().as_str() {
        "presence" => "Presence",
        "boolean" => "Boolean",
        "integer" => "Integer",
        "float" => "Float",
        "text" => "Text",
        "timestamp" => "Timestamp",
        "json" => "Json",
        "bytes" => "Bytes",
        _ => {
            let known = "presence, boolean, integer, float, text, timestamp, json, bytes";
            return Err(Error::new_spanned(name, format!("unknown kind; known: {known}")));
        }
    };
    let variant = format_ident!("{variant}");
    Ok(quote!(::tidegate_sdk::Kind::#variant))
}

fn mentions_settings(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "settings",
        TokenTree::Group(group) => mentions_settings(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
