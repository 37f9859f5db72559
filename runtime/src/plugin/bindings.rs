//! The bindings of `wit/tidegate.wit`: one world, on the host's side only, that exports every interface a component may
//! have. Worlds of their own would give unrelated types for the same batch.

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package tidegate:host;
        world host {
            import tidegate:plugin/log@0.1.0;
            export tidegate:plugin/plugin@0.1.0;
            export tidegate:plugin/filter@0.1.0;
            export tidegate:plugin/enrich@0.1.0;
            export tidegate:plugin/aggregate@0.1.0;
        }
    ",
    world: "tidegate:host/host",
    ownership: Borrowing { duplicate_if_necessary: true },
});
