//! Types as they stand in a signature, rewritten to stand elsewhere.

use proc_macro2::Span;
use syn::visit_mut::{self, VisitMut};
use syn::{Lifetime, Type, TypePath, TypeReference};

/// The type with every lifetime, elided ones included, replaced by `lifetime`, and `Self` by `this`.
pub fn with_lifetime(kind: &Type, lifetime: &str, this: Option<&Type>) -> Type {
    let mut kind = kind.clone();
    Rewrite { lifetime: Lifetime::new(lifetime, Span::call_site()), this }.visit_type_mut(&mut kind);
    kind
}

struct Rewrite<'a> {
    lifetime: Lifetime,
    this: Option<&'a Type>,
}

impl VisitMut for Rewrite<'_> {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident != "static" {
            *lifetime = self.lifetime.clone();
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| self.lifetime.clone());
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_type_mut(&mut self, kind: &mut Type) {
        match (&*kind, self.this) {
            (Type::Path(TypePath { qself: None, path }), Some(this)) if path.is_ident("Self") => *kind = this.clone(),
            _ => visit_mut::visit_type_mut(self, kind),
        }
    }
}
