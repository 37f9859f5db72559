//! Puppets: components that do and answer what a record's key says, whatever that is. No compiler would make them, so they are
//! core modules, written by hand.

mod image;
mod script;

use tidegate::record::{Column, Field, Kind, Slices, Values};
use wit_component::StringEncoding;
use wit_parser::Resolve;

use crate::workspace::root;
pub use image::Image;
pub use script::{Deed, SITES, Script, When};

/// What a puppet says of itself, and its scripts of old.
const DATA: u32 = 0x400;
const ANSWER: u32 = 0xf000;
const KEEP: u32 = 0x1_0000;
/// Where the script is that it follows.
pub const IMAGE: u32 = 0x2_0000;
const HEAP: u32 = 0x10_0000;
/// Memory without anything in it.
pub const ZEROS: u32 = 0x20_0000;
pub const ZEROS_LEN: u32 = 0x20_0000;
/// All its memory, in pages: 4 MiB.
const PAGES: u32 = 64;
pub const WORDS: &str = "index out of range";

/// A component in the making. It reads keys, and enriches or emits what its kind says.
#[derive(Clone)]
pub struct Puppet {
    world: &'static str,
    kind: &'static str,
    data: Image,
    /// Functions that answer the same each time.
    told: Vec<(&'static str, u32, u32)>,
    columns: (u32, usize),
}

impl Puppet {
    /// It keeps all.
    pub fn filter() -> Self {
        Puppet::new("filter-plugin", include_str!("puppet/filter.wat"), &[])
    }

    /// It writes a field of each kind, named like it.
    pub fn enrich() -> Self {
        let kinds = [Kind::Boolean, Kind::Integer, Kind::Float, Kind::Text, Kind::Timestamp, Kind::Json, Kind::Bytes];
        let writes: Vec<Field> = kinds.into_iter().map(|kind| field(kind.name(), kind)).collect();
        Puppet::new("enrich-plugin", include_str!("puppet/enrich.wat"), &writes)
    }

    /// It writes a `count`.
    pub fn aggregate() -> Self {
        let mut puppet =
            Puppet::new("aggregate-plugin", include_str!("puppet/aggregate.wat"), &[field("count", Kind::Integer)]);
        puppet.state("puppet", 1);
        puppet
    }

    fn new(world: &'static str, kind: &'static str, writes: &[Field]) -> Self {
        let mut data = Image::at(DATA);
        let columns: Vec<u32> = writes.iter().flat_map(|field| written(&mut data, field.kind)).collect();
        let columns = (data.words(&columns), writes.len());
        let mut puppet = Puppet { world, kind, data, told: Vec::new(), columns };
        puppet.tell("plugin@0.1.0#describe", &Script::answers(|image| image.identity("puppet", "1.0", "")));
        let reads = [field("$key", Kind::Bytes)];
        puppet.tell("plugin@0.1.0#configure", &Script::answers(|image| image.ports(&reads, writes)));
        puppet
    }

    fn tell(&mut self, function: &'static str, script: &Script) {
        let (at, len) = self.data.bytes(&script.to_bytes());
        self.told.retain(|(told, ..)| *told != function);
        self.told.push((function, at, len));
    }

    fn state(&mut self, name: &str, version: u32) {
        let script = Script::answers(|image| image.state_description(name, version, &[]));
        self.tell("aggregate@0.1.0#describe-state", &script);
    }

    /// Does this instead of saying who it is.
    pub fn describing(mut self, script: &Script) -> Self {
        self.tell("plugin@0.1.0#describe", script);
        self
    }

    /// Does this instead of saying what it reads and writes.
    pub fn configuring(mut self, script: &Script) -> Self {
        self.tell("plugin@0.1.0#configure", script);
        self
    }

    /// Does this instead of saying what its states are.
    pub fn describing_state(mut self, script: &Script) -> Self {
        self.tell("aggregate@0.1.0#describe-state", script);
        self
    }

    /// States of this schema, and this is done with older ones.
    pub fn migrating(mut self, name: &str, version: u32, script: &Script) -> Self {
        self.state(name, version);
        self.tell("migrate", script);
        self
    }

    /// Its text, with these imports beside the log.
    pub fn text(&self, imports: &str) -> String {
        let mut functions = [include_str!("puppet/puppet.wat"), self.kind].concat();
        let perform = |at: u32, len: u32| format!("(call $perform (i32.const {at}) (i32.const {len}))");
        let mut migrate = "(i32.const 0)".to_owned();
        for (function, at, len) in &self.told {
            if *function == "migrate" {
                migrate = perform(*at, *len);
                continue;
            }
            let takes = if function.ends_with("configure") { "(param i32 i32)" } else { "" };
            functions.push_str(&format!(
                "(func (export \"tidegate:plugin/{function}\") {takes} (result i32) {})
                 (func (export \"cabi_post_tidegate:plugin/{function}\") (param i32) (global.set $top (i32.const HEAP)))\n",
                perform(*at, *len)
            ));
        }
        let mut data = self.data.clone();
        let words = data.bytes(WORDS.as_bytes());
        let numbers = [
            ("COLUMN_COUNT", self.columns.1 as u32),
            ("COLUMNS_4", self.columns.0 + 4),
            ("COLUMNS", self.columns.0),
            ("ANSWER_16", ANSWER + 16),
            ("ANSWER_12", ANSWER + 12),
            ("ANSWER_8", ANSWER + 8),
            ("ANSWER_4", ANSWER + 4),
            ("ANSWER", ANSWER),
            ("KEEP", KEEP),
            ("IMAGE", IMAGE),
            ("HEAP", HEAP),
            ("ZEROS_LEN", ZEROS_LEN),
            ("ZEROS", ZEROS),
            ("WORDS_LEN", words.1),
            ("WORDS", words.0),
        ];
        let sites = |deed: &str| -> String {
            (0..SITES)
                .map(|site| format!("(if (i32.eq (local.get $site) (i32.const {site})) (then {deed}))\n"))
                .collect()
        };
        let mut functions = functions.replace("MIGRATE", &migrate);
        functions =
            functions.replace("SPIN_SITES", &sites("(loop (br 0))")).replace("TRAP_SITES", &sites("unreachable"));
        for (name, number) in numbers {
            functions = functions.replace(name, &number.to_string());
        }
        let bytes: String = data.as_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
        assert!(DATA as usize + data.as_bytes().len() <= ANSWER as usize, "what it is told fits its memory");
        format!(
            "(module {imports}
                (import \"tidegate:plugin/log@0.1.0\" \"write\" (func $log (param i32 i32 i32)))
                (memory (export \"memory\") {PAGES})
                {functions}
                (data (i32.const {DATA}) \"{bytes}\"))"
        )
    }

    /// A core module that carries its component type, which the runtime makes a component as it loads.
    pub fn build(&self) -> Vec<u8> {
        module(&self.text(""), &wit(), "", self.world)
    }
}

/// The text of `wit/tidegate.wit`.
pub fn wit() -> String {
    std::fs::read_to_string(root().join("wit/tidegate.wit")).expect("the interface is there")
}

/// A core module of a text, with the type of a world in it, which is one of `ours` or of another package.
pub fn module(text: &str, ours: &str, other: &str, world: &str) -> Vec<u8> {
    let mut bytes = wat::parse_str(text).expect("valid text");
    let mut resolve = Resolve::default();
    let mut package = resolve.push_str("tidegate.wit", ours).expect("the package parses");
    if !other.is_empty() {
        package = resolve.push_str("other.wit", other).expect("the other package parses");
    }
    let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
    wit_component::embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).expect("embeds");
    bytes
}

pub fn field(path: &str, kind: Kind) -> Field {
    Field { path: path.into(), kind, required: false }
}

/// A column of zeros, whose lengths come with the rows. Empty text is no JSON, so there is none.
fn written(data: &mut Image, kind: Kind) -> [u32; 7] {
    let values = match kind {
        Kind::Presence => Values::Presence,
        Kind::Boolean => Values::Booleans(Vec::new()),
        Kind::Integer | Kind::Timestamp => Values::Integers(Vec::new()),
        Kind::Float => Values::Floats(Vec::new()),
        Kind::Text | Kind::Json | Kind::Bytes => Values::Slices(Slices::default()),
    };
    let mut column = data.column(&Column { values, present: Vec::new() });
    column[1] = ZEROS;
    column[5] = if kind == Kind::Json { ZEROS } else { 0 };
    column
}
