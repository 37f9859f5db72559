//! `#[filter]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Item, Result, Type};

use crate::plugin::{
    Configure, ROW, Side, arguments, configure_impl, configure_plain, exports, needed, no_attributes, plain_impl,
    row_side, shaped,
};
use crate::types::with_lifetime;

const SHAPE: &str = "fn filter(&self, row: Row<'_>) -> bool";

pub fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    no_attributes(&attributes)?;
    let nothing = Side::Struct(Box::new(syn::parse_quote!(())));
    let item: Item = syn::parse2(item)?;
    let (declared, row, configure, call) = match &item {
        Item::Fn(function) => {
            let [row] = *arguments(&function.sig) else {
                return Err(Error::new_spanned(&function.sig, "a filter takes one struct of fields"));
            };
            let name = &function.sig.ident;
            let configure = configure_plain(&[&row_side(None, row, None), &nothing]);
            (
                quote!(
                    struct __TidegatePlugin;
                ),
                with_lifetime(row, ROW, None),
                configure,
                quote!(#name(row)),
            )
        }
        Item::Impl(block) => {
            plain_impl(block)?;
            let this: &Type = &block.self_ty;
            let filter = needed(block, "filter", SHAPE)?;
            let row = shaped(&filter.sig, 1, SHAPE)?[0];
            let configure = configure_impl(block, &[&row_side(Some(block), row, Some(this)), &nothing])?;
            let declared = quote!(struct __TidegatePlugin(#this););
            (declared, with_lifetime(row, ROW, Some(this)), configure, quote!(<#this>::filter(&self.0, row)))
        }
        _ => return Err(Error::new_spanned(item, "`#[filter]` stands before a function or an impl")),
    };
    let Configure { settings, body } = configure;
    let exports = exports("filter", &quote!(::std::vec::Vec<::tidegate_sdk::test::Verdict>));
    Ok(quote! {
        #item

        #[doc(hidden)]
        #declared

        impl ::tidegate_sdk::glue::FilterGlue for __TidegatePlugin {
            type Settings = #settings;
            type Row<'tidegate> = #row;

            fn configure(
                settings: Self::Settings,
            ) -> ::std::result::Result<(Self, ::tidegate_sdk::glue::Slots), ::std::string::String> {
                let configured: ::std::result::Result<_, ::std::string::String> = (move || { #body })();
                let (plugin, reads, _writes): (Self, _, ::tidegate_sdk::glue::Slots) = configured?;
                ::std::result::Result::Ok((plugin, reads))
            }

            #[inline]
            fn filter<'tidegate>(
                &'tidegate self,
                row: Self::Row<'tidegate>,
            ) -> ::std::result::Result<bool, ::tidegate_sdk::Reject> {
                ::tidegate_sdk::glue::Verdict::verdict(#call)
            }
        }

        #exports
    })
}
