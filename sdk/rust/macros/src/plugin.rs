//! What the three plugin macros share: methods by name, `new`, and the exports around the result.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, FnArg, ImplItem, ImplItemFn, ItemImpl, Result, ReturnType, Signature, Type};

use crate::types::with_lifetime;

/// The lifetime of a batch in the code that the macros write.
pub const ROW: &str = "'tidegate";

pub fn no_attributes(attributes: &TokenStream) -> Result<()> {
    if attributes.is_empty() { Ok(()) } else { Err(Error::new_spanned(attributes, "nothing is said here")) }
}

/// A method of the impl, if it is there.
pub fn method<'a>(block: &'a ItemImpl, name: &str) -> Option<&'a ImplItemFn> {
    block.items.iter().find_map(|item| match item {
        ImplItem::Fn(method) if method.sig.ident == name => Some(method),
        _ => None,
    })
}

pub fn needed<'a>(block: &'a ItemImpl, name: &str, shape: &str) -> Result<&'a ImplItemFn> {
    method(block, name).ok_or_else(|| Error::new_spanned(&block.self_ty, format!("`{shape}` is missing")))
}

/// An impl of a concrete type.
pub fn plain_impl(block: &ItemImpl) -> Result<()> {
    if !block.generics.params.is_empty() {
        return Err(Error::new_spanned(&block.generics, "a plugin is one type, without parameters"));
    }
    if let Some((_, path, _)) = &block.trait_ {
        return Err(Error::new_spanned(path, "a plain `impl` is wanted here, without a trait"));
    }
    Ok(())
}

/// The types of the arguments after `self`.
pub fn arguments(signature: &Signature) -> Vec<&Type> {
    let typed = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(&*argument.ty),
        FnArg::Receiver(_) => None,
    });
    typed.collect()
}

/// A method of `&self` with so many arguments besides.
pub fn shaped<'a>(signature: &'a Signature, arguments_wanted: usize, shape: &str) -> Result<Vec<&'a Type>> {
    let by_ref = match signature.receiver() {
        Some(receiver) => receiver.reference.is_some() && receiver.mutability.is_none(),
        None => false,
    };
    let found = arguments(signature);
    if !by_ref || found.len() != arguments_wanted {
        let hint = format!("`{shape}` is wanted: nothing is kept between records, so `self` does not change");
        return Err(Error::new_spanned(signature, hint));
    }
    Ok(found)
}

pub fn returned(signature: &Signature) -> Type {
    match &signature.output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, kind) => (**kind).clone(),
    }
}

/// What a struct is read or written by: its type, or a method that gives the fields.
pub enum Side {
    Struct(Box<Type>),
    Method(&'static str),
}

impl Side {
    /// The type that says what settings it needs.
    fn settings_of(&self) -> TokenStream {
        match self {
            Side::Struct(kind) => quote!(#kind),
            Side::Method(_) => quote!(()),
        }
    }

    fn slots_before(&self) -> Option<TokenStream> {
        match self {
            Side::Struct(kind) => Some(quote!(::tidegate_sdk::glue::slots_of::<#kind, _>(&settings)?)),
            Side::Method(_) => None,
        }
    }

    fn slots_after(&self, this: &Type) -> Option<TokenStream> {
        match self {
            Side::Struct(_) => None,
            Side::Method(name) => {
                let name = format_ident!("{name}");
                Some(quote!(::tidegate_sdk::glue::Slots::of(#this::#name(&plugin))))
            }
        }
    }
}

/// `type Settings` and the body of `configure`, which gives `(Self, slots of each side)`.
pub struct Configure {
    pub settings: TokenStream,
    pub body: TokenStream,
}

/// For a plugin that is a type: `new` is called with the settings.
pub fn configure_impl(block: &ItemImpl, sides: &[&Side; 2]) -> Result<Configure> {
    let this = &block.self_ty;
    let new = needed(block, "new", "fn new(settings: Settings) -> Result<Self, String>")?;
    let both = both(sides);
    let (settings, made) = match *arguments(&new.sig) {
        [] => (both, quote!(<#this>::new())),
        [Type::Reference(settings)] => {
            let settings = &settings.elem;
            (quote!(#settings), quote!(<#this>::new(&settings)))
        }
        [settings] => (quote!(#settings), quote!(<#this>::new(settings))),
        _ => return Err(Error::new_spanned(&new.sig, "`new` takes the settings, and nothing else")),
    };
    let names = [format_ident!("reads"), format_ident!("writes")];
    let before = sides.iter().zip(&names).filter_map(|(side, name)| {
        let slots = side.slots_before()?;
        Some(quote!(let #name = #slots;))
    });
    let after = sides.iter().zip(&names).filter_map(|(side, name)| {
        let slots = side.slots_after(this)?;
        Some(quote!(let #name = #slots;))
    });
    let body = quote! {
        #(#before)*
        let plugin: #this = ::tidegate_sdk::glue::IntoPlugin::into_plugin(#made)?;
        #(#after)*
        ::std::result::Result::Ok((Self(plugin), reads, writes))
    };
    Ok(Configure { settings, body })
}

/// For a plugin that is a function, or only a state.
pub fn configure_plain(sides: &[&Side; 2]) -> Configure {
    let [reads, writes] = sides.map(|side| side.slots_before().expect("a function has no methods"));
    let body = quote! {
        ::std::result::Result::Ok((Self, #reads, #writes))
    };
    Configure { settings: both(sides), body }
}

fn both(sides: &[&Side; 2]) -> TokenStream {
    let [reads, writes] = sides.map(Side::settings_of);
    quote!(::tidegate_sdk::glue::Both<#reads, #writes>)
}

/// The row's type in the glue, and how its fields are known.
pub fn row_side(block: Option<&ItemImpl>, row: &Type, this: Option<&Type>) -> Side {
    match block.and_then(|block| method(block, "reads")) {
        Some(_) => Side::Method("reads"),
        None => Side::Struct(Box::new(with_lifetime(row, "'static", this))),
    }
}

/// What a function gives back, and how its fields are known.
pub fn output_side(block: Option<&ItemImpl>, output: &Type, this: Option<&Type>) -> Side {
    match block.and_then(|block| method(block, "writes")) {
        Some(_) => Side::Method("writes"),
        None => {
            let output = with_lifetime(output, "'static", this);
            Side::Struct(Box::new(syn::parse_quote!(<#output as ::tidegate_sdk::glue::Outputs>::Row)))
        }
    }
}

/// A written struct can be written; said at compile time.
pub fn check_writable(side: &Side) -> TokenStream {
    match side {
        Side::Struct(kind) => quote! {
            const _: () = ::std::assert!(
                <#kind as ::tidegate_sdk::glue::Fields>::WRITABLE,
                "`Present` can be read, but not written"
            );
        },
        Side::Method(_) => quote!(),
    }
}

/// The component's exports, and the crate's `plugin` for native tests.
pub fn exports(kind: &str, report: &TokenStream) -> TokenStream {
    let kind = format_ident!("{kind}");
    quote! {
        #[cfg(target_family = "wasm")]
        ::tidegate_sdk::__component!(#kind, __TidegatePlugin);

        /// This crate's plugin, for `tidegate_sdk::test`.
        #[cfg(not(target_family = "wasm"))]
        #[allow(dead_code)]
        pub fn plugin() -> impl ::tidegate_sdk::test::Plugin<Report = #report> {
            ::tidegate_sdk::test::#kind::<__TidegatePlugin>()
        }
    }
}
