//! Guests for tests: core modules in text form, whose answers lie in their memory beforehand.

use std::sync::OnceLock;

use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::Engine;
use super::limits::Limits;
use crate::record::{Field, Kind, Rejection, Verdicts};

/// Where the answers begin; the heap begins at 1 MiB.
const BASE: u32 = 1024;

pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().expect("an engine"))
}

/// Limits that are soon reached.
pub fn narrow() -> Limits {
    Limits {
        deadline: std::time::Duration::from_millis(20),
        start_deadline: std::time::Duration::from_millis(100),
        memory_bytes_max: 4 << 20,
        retire_at_bytes: 3 << 20,
        output_bytes_max: 1 << 20,
        output_rows_max: 16,
        states_bytes_max: 16,
        state_bytes_max: 12,
        ..Limits::default()
    }
}

pub fn field(path: &str, kind: Kind) -> Field {
    Field { path: path.into(), kind, required: false }
}

/// A core module with the type of `world` in it. `wit` is put in front of the package of `wit/tidegate.wit`.
pub fn module(text: &str, wit: Option<&str>, world: &str) -> Vec<u8> {
    let mut bytes = wat::parse_str(text).expect("valid text");
    let mut resolve = Resolve::default();
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/tidegate.wit");
    let mut package = resolve.push_path(ours).expect("the package parses").0;
    if let Some(wit) = wit {
        package = resolve.push_str("test.wit", wit).expect("the test's package parses");
    }
    let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
    wit_component::embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).expect("embeds");
    bytes
}

/// A guest under construction.
pub struct Guest {
    image: Vec<u8>,
    functions: String,
}

impl Guest {
    /// Describes itself as `test` 1.0, refuses settings that begin with `"`, and reads and writes these.
    pub fn new(reads: &[Field], writes: &[Field]) -> Self {
        let mut guest = Guest { image: Vec::new(), functions: String::new() };
        let (name, version) = (guest.bytes(b"test"), guest.bytes(b"1.0"));
        let describe = guest.words(&[name.0, name.1, version.0, version.1, 0, 0]);
        let (reads, writes) = (guest.fields(reads), guest.fields(writes));
        let ports = guest.words(&[0, reads.0, reads.1, writes.0, writes.1]);
        let words = guest.bytes(b"text is not an object");
        let refusal = guest.words(&[1, words.0, words.1, 0, 0]);
        guest.function("plugin", "describe", "(result i32)", &format!("(i32.const {describe})"));
        guest.function(
            "plugin",
            "configure",
            "(param i32 i32) (result i32)",
            &format!(
                "(select (i32.const {refusal}) (i32.const {ports})
                    (i32.eq (i32.load8_u (local.get 0)) (i32.const 34)))"
            ),
        );
        guest
    }

    /// A filter that answers `answer`, after `before`.
    pub fn filter(mut self, before: &str, answer: &Verdicts) -> Self {
        let (keep, rejected) = (self.bytes(&answer.keep), self.rejections(&answer.rejected));
        let answer = self.words(&[keep.0, keep.1, rejected.0, rejected.1]);
        let body = format!("{before} (i32.const {answer})");
        self.function("filter", "filter", "(param $rows i32) (param i32 i32) (result i32)", &body);
        self
    }

    pub fn function(&mut self, interface: &str, name: &str, signature: &str, body: &str) {
        let full = format!("tidegate:plugin/{interface}@0.1.0#{name}");
        self.functions.push_str(&format!(
            "(func (export \"{full}\") {signature} {body})
             (func (export \"cabi_post_{full}\") (param i32) (global.set $top (i32.const 0x100000)))\n"
        ));
    }

    /// The module's text; `imports` come first.
    pub fn text(&self, imports: &str) -> String {
        let image: String = self.image.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!(
            "(module {imports}
                (memory (export \"memory\") 32)
                (global $top (mut i32) (i32.const 0x100000))
                (func $alloc (export \"cabi_realloc\") (param i32 i32) (param $align i32) (param $size i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and
                        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get $align))))
                    (global.set $top (i32.add (local.get $at) (local.get $size)))
                    (local.get $at))
                {}
                (data (i32.const {BASE}) \"{image}\"))",
            self.functions
        )
    }

    pub fn build(&self, world: &str) -> Vec<u8> {
        module(&self.text(""), None, world)
    }

    pub fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.bytes(&bytes).0
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> (u32, u32) {
        self.image.resize(self.image.len().next_multiple_of(8), 0);
        let at = BASE + self.image.len() as u32;
        self.image.extend_from_slice(bytes);
        (at, bytes.len() as u32)
    }

    pub fn fields(&mut self, fields: &[Field]) -> (u32, u32) {
        let mut words = Vec::new();
        for field in fields {
            let path = self.bytes(field.path.as_bytes());
            words.extend([path.0, path.1, field.kind as u32 | u32::from(field.required) << 8]);
        }
        (self.words(&words), fields.len() as u32)
    }

    fn rejections(&mut self, rejections: &[Rejection]) -> (u32, u32) {
        let mut words = Vec::new();
        for rejection in rejections {
            let reason = self.bytes(rejection.reason.message.as_bytes());
            words.extend([rejection.row, reason.0, reason.1]);
        }
        (self.words(&words), rejections.len() as u32)
    }
}
