//! `#[aggregate]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{Error, ImplItem, ItemImpl, LitInt, LitStr, Result, Type};

use crate::plugin::{
    Configure, ROW, Side, check_writable, configure_impl, configure_plain, exports, method, needed, output_side,
    plain_impl, returned, row_side, shaped,
};
use crate::types::with_lifetime;

const ADD: &str = "fn add(&self, state: &mut State, row: Row<'_>) -> Result<(), Reject>";
const MERGE: &str = "fn merge(&self, state: &mut State, later: State)";
const EMIT: &str = "fn emit(&self, state: &State, window: &Window) -> Vec<Out>";

/// What stands in the brackets.
struct Schema {
    name: Option<LitStr>,
    version: LitInt,
}

/// The parts in which the two forms differ.
struct Form {
    declared: TokenStream,
    state: Type,
    row: Type,
    output: Side,
    configure: Configure,
    add: TokenStream,
    merge: TokenStream,
    emit: TokenStream,
    migrate: TokenStream,
}

pub fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let Schema { name, version } = schema(attributes)?;
    let name = name.map_or_else(|| quote!(env!("CARGO_PKG_NAME")), |name| quote!(#name));
    let block: ItemImpl = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), "`#[aggregate]` stands before `impl Aggregate for …`, or before an impl")
    })?;
    let Form { declared, state, row, output, configure, add, merge, emit, migrate } =
        if block.trait_.is_some() { of_state(&block)? } else { of_plugin(&block)? };
    let Configure { settings, body } = configure;
    let writable = check_writable(&output);
    let exports = exports("aggregate", &quote!(::tidegate_sdk::test::Folded));
    Ok(quote! {
        #block

        #[doc(hidden)]
        #declared

        #writable

        impl ::tidegate_sdk::glue::AggregateGlue for __TidegatePlugin {
            const STATE_NAME: &'static str = #name;
            const STATE_VERSION: u32 = #version;
            type Settings = #settings;
            type State = #state;
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
            fn add(
                &self,
                state: &mut Self::State,
                row: Self::Row<'_>,
            ) -> ::std::result::Result<(), ::tidegate_sdk::Reject> {
                ::tidegate_sdk::glue::Added::added(#add)
            }

            fn merge(&self, state: &mut Self::State, later: Self::State) {
                #merge
            }

            fn emit(
                &self,
                state: &Self::State,
                window: &::tidegate_sdk::Window,
                out: &mut ::tidegate_sdk::glue::OutputRow<'_, '_>,
            ) -> ::std::result::Result<(), ::tidegate_sdk::Reject> {
                ::tidegate_sdk::glue::Outputs::put(#emit, out)
            }

            fn migrate(
                &self,
                state: ::tidegate_sdk::OldState<'_>,
            ) -> ::std::result::Result<Self::State, ::std::string::String> {
                #migrate
            }
        }

        #exports
    })
}

fn schema(attributes: TokenStream) -> Result<Schema> {
    let (mut name, mut version) = (None, None);
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("state") {
            let number: LitInt = meta.value()?.parse()?;
            number.base10_parse::<u32>()?;
            version = Some(number);
        } else if meta.path.is_ident("schema") {
            let text: LitStr = meta.value()?.parse()?;
            if text.value().is_empty() {
                return Err(Error::new(text.span(), "a schema has a name"));
            }
            name = Some(text);
        } else {
            return Err(meta.error("known here: state = 1, schema = \"name\""));
        }
        Ok(())
    });
    parser.parse2(attributes)?;
    let version = version.ok_or_else(|| {
        Error::new(
            proc_macro2::Span::call_site(),
            "the version of the state is missing: `#[aggregate(state = 1)]`; count it up when the state's fields change",
        )
    })?;
    Ok(Schema { name, version })
}

/// `impl Aggregate for State`.
fn of_state(block: &ItemImpl) -> Result<Form> {
    if !block.generics.params.is_empty() {
        return Err(Error::new_spanned(&block.generics, "a state is one type, without parameters"));
    }
    let state: Type = (*block.self_ty).clone();
    let row = associated(block, "Row", "type Row<'a> = …;")?;
    let out = associated(block, "Out", "type Out = …;")?;
    let output = Side::Struct(Box::new(with_lifetime(out, "'static", Some(&state))));
    let row_side = row_side(None, row, Some(&state));
    Ok(Form {
        declared: quote!(
            struct __TidegatePlugin;
        ),
        row: with_lifetime(row, ROW, Some(&state)),
        configure: configure_plain(&[&row_side, &output]),
        output,
        add: quote!(<#state as ::tidegate_sdk::Aggregate>::add(state, row)),
        merge: quote!(<#state as ::tidegate_sdk::Aggregate>::merge(state, later)),
        emit: quote!(<#state as ::tidegate_sdk::Aggregate>::emit(state, window)),
        migrate: quote!(<#state as ::tidegate_sdk::Aggregate>::migrate(state)),
        state,
    })
}

fn associated<'a>(block: &'a ItemImpl, name: &str, shape: &str) -> Result<&'a Type> {
    let found = block.items.iter().find_map(|item| match item {
        ImplItem::Type(item) if item.ident == name => Some(&item.ty),
        _ => None,
    });
    found.ok_or_else(|| Error::new_spanned(&block.self_ty, format!("`{shape}` is missing")))
}

/// An impl of a plugin that keeps something of its settings.
fn of_plugin(block: &ItemImpl) -> Result<Form> {
    plain_impl(block)?;
    let this: &Type = &block.self_ty;
    let add = &needed(block, "add", ADD)?.sig;
    let merge = &needed(block, "merge", MERGE)?.sig;
    let emit = &needed(block, "emit", EMIT)?.sig;
    let add_types = shaped(add, 2, ADD)?;
    shaped(merge, 2, MERGE)?;
    shaped(emit, 2, EMIT)?;
    let Type::Reference(state) = add_types[0] else {
        return Err(Error::new_spanned(add_types[0], format!("`{ADD}` is wanted")));
    };
    let row = add_types[1];
    let output = output_side(Some(block), &returned(emit), Some(this));
    let migrate = match method(block, "migrate") {
        Some(_) => quote!(<#this>::migrate(&self.0, state)),
        None => quote!(::std::result::Result::Err(state.refuse())),
    };
    Ok(Form {
        declared: quote!(struct __TidegatePlugin(#this);),
        state: with_lifetime(&state.elem, "'static", Some(this)),
        row: with_lifetime(row, ROW, Some(this)),
        configure: configure_impl(block, &[&row_side(Some(block), row, Some(this)), &output])?,
        output,
        add: quote!(<#this>::add(&self.0, state, row)),
        merge: quote!(<#this>::merge(&self.0, state, later)),
        emit: quote!(<#this>::emit(&self.0, state, window)),
        migrate,
    })
}
