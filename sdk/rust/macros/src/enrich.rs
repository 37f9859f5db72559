//! `#[enrich]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Item, Result, Type};

use crate::plugin::{
    Configure, ROW, arguments, check_writable, configure_impl, configure_plain, exports, needed, no_attributes,
    output_side, plain_impl, returned, row_side, shaped,
};
use crate::types::with_lifetime;

const SHAPE: &str = "fn enrich(&self, row: Row<'_>) -> Values<'_>";

pub fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    no_attributes(&attributes)?;
    let item: Item = syn::parse2(item)?;
    let (declared, row, output, configure, call) = match &item {
        Item::Fn(function) => {
            let [row] = *arguments(&function.sig) else {
                return Err(Error::new_spanned(&function.sig, "an enricher takes one struct of fields"));
            };
            let name = &function.sig.ident;
            let output = output_side(None, &returned(&function.sig), None);
            let configure = configure_plain(&[&row_side(None, row, None), &output]);
            (
                quote!(
                    struct __TidegatePlugin;
                ),
                with_lifetime(row, ROW, None),
                output,
                configure,
                quote!(#name(row)),
            )
        }
        Item::Impl(block) => {
            plain_impl(block)?;
            let this: &Type = &block.self_ty;
            let enrich = needed(block, "enrich", SHAPE)?;
            let row = shaped(&enrich.sig, 1, SHAPE)?[0];
            let output = output_side(Some(block), &returned(&enrich.sig), Some(this));
            let configure = configure_impl(block, &[&row_side(Some(block), row, Some(this)), &output])?;
            let declared = quote!(struct __TidegatePlugin(#this););
            let call = quote!(<#this>::enrich(&self.0, row));
            (declared, with_lifetime(row, ROW, Some(this)), output, configure, call)
        }
        _ => return Err(Error::new_spanned(item, "`#[enrich]` stands before a function or an impl")),
    };
    let Configure { settings, body } = configure;
    let writable = check_writable(&output);
    let exports = exports("enrich", &quote!(::std::vec::Vec<::tidegate_sdk::test::Verdict>));
    Ok(quote! {
        #item

        #[doc(hidden)]
        #declared

        #writable

        impl ::tidegate_sdk::glue::EnrichGlue for __TidegatePlugin {
            type Settings = #settings;
            type Row<'tidegate> = #row;

            fn configure(
                settings: Self::Settings,
            ) -> ::std::result::Result<
                (Self, ::tidegate_sdk::glue::Slots, ::tidegate_sdk::glue::Slots),
                ::std::string::String,
            > {
                #body
            }

            #[inline]
            fn enrich<'tidegate>(
                &'tidegate self,
                row: Self::Row<'tidegate>,
                out: &mut ::tidegate_sdk::glue::OutputRow<'_, '_>,
            ) -> ::std::result::Result<(), ::tidegate_sdk::Reject> {
                ::tidegate_sdk::glue::Outputs::put(#call, out)
            }
        }

        #exports
    })
}
