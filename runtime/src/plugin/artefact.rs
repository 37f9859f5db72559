//! A file's bytes, made into the bytes of a component: a core module that carries its component type is encoded as it loads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wit_component::ComponentEncoder;

/// Bytes 4 to 7 tell a component from a core module.
const MAGIC: &[u8] = b"\0asm";
const COMPONENT: &[u8] = &[0x0d, 0x00, 0x01, 0x00];
const CORE_MODULE: &[u8] = &[0x01, 0x00, 0x00, 0x00];

/// The component in `bytes`; none when they are one already.
pub fn encode(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    match (bytes.get(..4), bytes.get(4..8)) {
        (Some(MAGIC), Some(COMPONENT)) => whole(bytes).map(|()| None),
        (Some(MAGIC), Some(CORE_MODULE)) => whole(bytes).and_then(|()| encode_module(bytes)).map(Some),
        (Some(MAGIC), Some(version)) => Err(format!(
            "it says that it is WebAssembly of version {version:02x?}, which is neither a component nor a core module"
        )),
        (Some(MAGIC), None) => Err(format!("it is cut short: it has {} bytes", bytes.len())),
        _ => Err(format!("it is not WebAssembly: its {} bytes do not begin with `\\0asm`", bytes.len())),
    }
}

/// Whether the last section ends with the bytes. A file that is still being written is the commonest damage, and the
/// encoder panics on it.
fn whole(bytes: &[u8]) -> Result<(), String> {
    let mut at = 8;
    while at < bytes.len() {
        let section = at;
        at += 1;
        let (mut size, mut shift) = (0u64, 0);
        loop {
            let byte = bytes.get(at).copied();
            at += 1;
            match byte {
                Some(byte) if shift < 35 => {
                    size |= u64::from(byte & 0x7f) << shift;
                    shift += 7;
                    if byte & 0x80 == 0 {
                        break;
                    }
                }
                Some(_) => return Err(format!("its section at byte {section} has no size")),
                None => {
                    return Err(format!("it is cut short: it has {} bytes, and ends in a section's head", bytes.len()));
                }
            }
        }
        let end = (at as u64).saturating_add(size);
        match usize::try_from(end) {
            Ok(end) if end <= bytes.len() => at = end,
            Ok(_) | Err(_) => {
                return Err(format!(
                    "it is cut short: it has {} bytes, and its section at byte {section} ends at {end}",
                    bytes.len()
                ));
            }
        }
    }
    Ok(())
}

fn encode_module(bytes: &[u8]) -> Result<Vec<u8>, String> {
    // The encoder is made for a compiler's output, and asserts rather than doubts: on other bytes it may panic.
    let encoded = catch_unwind(AssertUnwindSafe(|| {
        let (stripped, _) = wit_component::metadata::decode(bytes)?;
        if stripped.is_none() {
            return Ok(None);
        }
        ComponentEncoder::default().validate(true).module(bytes)?.encode().map(Some)
    }));
    match encoded {
        Ok(Ok(Some(component))) => Ok(component),
        Ok(Ok(None)) => Err("it is a core module, and carries no component type; build it with the SDK, or with the \
                             linker `wasm-component-ld`, for the target wasm32-unknown-unknown"
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
        Err(_) => Err("it is a core module that cannot be made a component: its component type is damaged".into()),
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
                "it is a core module, and carries no component type; build it with the SDK, or with the linker `wasm-component-ld`, for the target wasm32-unknown-unknown"
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
