//! A file's bytes, made into the bytes of a component: a core module that carries its component type is encoded as it loads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wit_component::ComponentEncoder;

/// Bytes 4 to 7 tell a component from a core module.
const MAGIC: &[u8] = b"\0asm";
const COMPONENT: &[u8] = &[0x0d, 0x00, 0x01, 0x00];
const CORE_MODULE: &[u8] = &[0x01, 0x00, 0x00, 0x00];
/// The id of a custom section.
const CUSTOM: u8 = 0;

/// The component in `bytes`; none when they are one already.
pub fn encode(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(MAGIC), Some(COMPONENT)) => sections(bytes).map(|_| None),
        (Some(MAGIC), Some(CORE_MODULE)) => {
            sections(bytes).and_then(|sections| encode_module(bytes, &sections)).map(Some)
        }
        (Some(MAGIC), Some(version)) => Err(format!(
            "it says that it is WebAssembly of version {version:02x?}, which is neither a component nor a core module"
        )),
        (Some(MAGIC), None) => Err(format!("it is cut short: it has {} bytes", bytes.len())),
        _ => Err(format!("it is not WebAssembly: its {} bytes do not begin with `\\0asm`", bytes.len())),
    }
}

/// The sections, by id; an error where the last one does not end with the bytes. A file that is still being written is the
/// commonest damage, and the encoder panics on it.
fn sections(bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, String> {
    let (mut sections, mut at) = (Vec::new(), 8);
    while at < bytes.len() {
        let (id, begin) = (bytes[at], at);
        let Some((size, content)) = number(bytes, at + 1)? else {
            return Err(format!("it is cut short: it has {} bytes, and ends in a section's head", bytes.len()));
        };
        let end = (content as u64).saturating_add(size);
        match usize::try_from(end).ok().and_then(|end| bytes.get(content..end)) {
            Some(section) => {
                sections.push((id, section));
                at = content + section.len();
            }
            None => {
                return Err(format!(
                    "it is cut short: it has {} bytes, and its section at byte {begin} ends at {end}",
                    bytes.len()
                ));
            }
        }
    }
    Ok(sections)
}

/// A number of variable length (LEB128) and where it ends; none where the bytes do before it.
fn number(bytes: &[u8], begin: usize) -> Result<Option<(u64, usize)>, String> {
    let mut value = 0;
    for (place, byte) in bytes.get(begin..).unwrap_or_default().iter().enumerate() {
        if place == 5 {
            return Err(format!("its section at byte {} has no size", begin - 1));
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((value, begin + place + 1)));
        }
    }
    Ok(None)
}

/// Whether packages of a component type depend on each other, which damage can bring about: the encoder, which looks for
/// an order of them, would never come to an end.
fn is_circular(section: &[u8]) -> bool {
    let Ok(Some((length, begin))) = number(section, 0) else { return false };
    let end = begin.saturating_add(length as usize);
    let (Some(name), Some(data)) = (section.get(begin..end), section.get(end..)) else { return false };
    if !name.starts_with(b"component-type") {
        return false;
    }
    // What is wrong otherwise is the encoder's to say.
    let Ok((resolve, _)) = wit_parser::decoding::decode_world(data) else { return false };
    let mut unordered: Vec<_> = resolve.packages.iter().map(|(id, _)| id).collect();
    loop {
        let (waiting, free): (Vec<_>, Vec<_>) =
            unordered.iter().partition(|id| resolve.package_direct_deps(**id).any(|dep| unordered.contains(&dep)));
        if free.is_empty() {
            return !waiting.is_empty();
        }
        unordered = waiting;
    }
}

fn encode_module(bytes: &[u8], sections: &[(u8, &[u8])]) -> Result<Vec<u8>, String> {
    let damaged = || "it is a core module that cannot be made a component: its component type is damaged".to_owned();
    // The encoder is made for a compiler's output, and asserts rather than doubts: on other bytes it may panic.
    let circular = || sections.iter().any(|(id, section)| *id == CUSTOM && is_circular(section));
    if catch_unwind(AssertUnwindSafe(circular)).unwrap_or(true) {
        return Err(damaged());
    }
    let encoded = catch_unwind(AssertUnwindSafe(|| {
        let (stripped, _) = wit_component::metadata::decode(bytes)?;
        if stripped.is_none() {
            return Ok(None);
        }
        ComponentEncoder::default().validate(true).module(bytes)?.encode().map(Some)
    }));
    match encoded {
        Ok(Ok(Some(component))) => Ok(component),
        Ok(Ok(None)) => Err("it is a core module, and carries no component type; build it with the SDK (is there a \
                             `#[filter]`, `#[enrich]` or `#[aggregate]` in it?), or with the linker `wasm-component-ld`, for \
                             the target wasm32-unknown-unknown"
            .into()),
        Ok(Err(error)) => {
            let error = format!("{error:#}");
            let hint = if error.contains("wasi_snapshot_preview1") {
                "; build it for wasm32-unknown-unknown, or encode it with an adapter for WASI"
            } else {
                ""
            };
            Err(format!("it is a core module that cannot be made a component: {error}{hint}"))
        }
        Err(_) => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(bytes: &[u8], expected: Expect) {
        expected.assert_eq(&encode(bytes).expect_err("refused"));
    }

    #[test]
    fn bytes_that_are_no_component_are_told_apart() {
        check(b"", expect![[r#"it is not WebAssembly: its 0 bytes do not begin with `\0asm`"#]]);
        check(b"(module)", expect![[r#"it is not WebAssembly: its 8 bytes do not begin with `\0asm`"#]]);
        check(b"\0asm\x0d", expect!["it is cut short: it has 5 bytes"]);
        check(
            b"\0asm\x02\0\0\0",
            expect![
                "it says that it is WebAssembly of version [02, 00, 00, 00], which is neither a component nor a core module"
            ],
        );
        check(
            b"\0asm\x01\0\0\0",
            expect![
                "it is a core module, and carries no component type; build it with the SDK (is there a `#[filter]`, `#[enrich]` or `#[aggregate]` in it?), or with the linker `wasm-component-ld`, for the target wasm32-unknown-unknown"
            ],
        );
        check(b"\0asm\x01\0\0\0\x01\xff", expect!["it is cut short: it has 10 bytes, and ends in a section's head"]);
        check(
            b"\0asm\x01\0\0\0\x01\x05\0",
            expect!["it is cut short: it has 11 bytes, and its section at byte 8 ends at 15"],
        );
        check(b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\xff\x01", expect!["its section at byte 8 has no size"]);
    }
}
