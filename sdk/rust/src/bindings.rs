//! The bindings; the macros export through them, and authors never see them. Each exported interface has a world of its
//! own here (a plugin's component is the union of two), because the macros that export one are global names.

#![allow(unsafe_code, missing_docs, unused_imports, clippy::all)]

/// What every component exports, and the types that cross the border: all others share these.
pub mod plugin {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package tidegate:sdk; world plugin-exports {
            import tidegate:plugin/data@0.1.0; import tidegate:plugin/log@0.1.0; export tidegate:plugin/plugin@0.1.0;
        }",
        pub_export_macro: true,
        export_macro_name: "export_plugin",
        generate_unused_types: true,
        additional_derives: [Clone, PartialEq],
        generate_all,
    });
}

pub mod filter {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package tidegate:sdk; world filter-exports { export tidegate:plugin/filter@0.1.0; }",
        pub_export_macro: true,
        export_macro_name: "export_filter",
        with: { "tidegate:plugin/data@0.1.0": crate::bindings::data },
        generate_all,
    });
}

pub mod enrich {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package tidegate:sdk; world enrich-exports { export tidegate:plugin/enrich@0.1.0; }",
        pub_export_macro: true,
        export_macro_name: "export_enrich",
        with: { "tidegate:plugin/data@0.1.0": crate::bindings::data },
        generate_all,
    });
}

pub mod aggregate {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package tidegate:sdk; world aggregate-exports { export tidegate:plugin/aggregate@0.1.0; }",
        pub_export_macro: true,
        export_macro_name: "export_aggregate",
        with: { "tidegate:plugin/data@0.1.0": crate::bindings::data },
        generate_all,
    });
}

pub use plugin::tidegate::plugin::{data, log};
