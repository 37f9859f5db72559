//! The macros of tidegate-sdk: a plain struct becomes fields of a record, a plain function or impl a plugin.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod aggregate;
mod enrich;
mod fields;
mod filter;
mod plugin;
mod types;

/// Makes a struct readable from a record and writable to one.
///
/// A field's path is its name, or `#[field(path = "order.total")]`, or an expression over the plugin's settings:
/// `#[field(path = settings.field)]`, where `settings` is a `&Settings`, the type of that name in scope
/// (`#[fields(settings = Other)]` on the struct names another). The expression is a text, or an `Option` of one, where
/// `None` switches the field off. `#[field(kind = "json")]` asks for another kind than the type's own.
#[proc_macro_derive(Fields, attributes(field, fields))]
pub fn derive_fields(item: TokenStream) -> TokenStream {
    fields::derive(&parse_macro_input!(item)).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a filter of a function, `fn f(row: Row) -> bool`, or of an impl with `new(settings)` and `filter(&self, row)`.
///
/// `Result<bool, Reject>` may be given back as well. Where the row is `Row<'_>`, `fn reads(&self) -> Vec<Field>` says
/// what it has.
#[proc_macro_attribute]
pub fn filter(attributes: TokenStream, item: TokenStream) -> TokenStream {
    filter::expand(attributes.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enricher of a function, `fn f(row: In) -> Out`, or of an impl with `new(settings)` and `enrich(&self, row)`.
///
/// `Option` (none drops the record), `Vec` (several split it) and `Result<_, Reject>` may be given back as well. Where
/// the row is `Row<'_>`, `fn reads(&self) -> Vec<Field>` says what it has; where `Values<'_>` come back, `fn writes(&self)`.
#[proc_macro_attribute]
pub fn enrich(attributes: TokenStream, item: TokenStream) -> TokenStream {
    enrich::expand(attributes.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an aggregate of `impl Aggregate for State`, or, where the logic needs settings, of an impl with `new(settings)`,
/// `add(&self, &mut State, row)`, `merge(&self, &mut State, State)` and `emit(&self, &State, &Window)`.
///
/// `#[aggregate(state = 1)]`: the version of the state's layout. `schema = "name"` names it where the package's name, which is the
/// default, may change.
#[proc_macro_attribute]
pub fn aggregate(attributes: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::expand(attributes.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
