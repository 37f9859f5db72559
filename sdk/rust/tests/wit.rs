//! The crate's copy of the interfaces is the project's.

#[test]
fn the_copy_is_the_original() {
    let original = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/tidegate.wit");
    // Outside the project's tree, as a published crate, there is nothing to compare with.
    let Ok(original) = std::fs::read_to_string(original) else { return };
    assert!(original == include_str!("../wit/tidegate.wit"), "copy wit/tidegate.wit to sdk/rust/wit");
}
