//! What compiling a component takes of the host, and what an instance takes beside its memories and tables, by the sections of the
//! component: nobody else bounds it, and a file of some megabytes can make gigabytes of it.

use wasmparser::{Encoding, FunctionBody, Parser, Payload};

use super::limits::{COMPONENT_DEPTH_MAX, FUNCTION_BYTES_MAX, FUNCTIONS_MAX, INSTANCE_BYTES_MAX};

/// What the engine keeps of an item of a core module for each instance. An entry of a segment of elements has a byte at least.
const IMPORT_BYTES: usize = 24;
const FUNCTION_BYTES: usize = 32;
const GLOBAL_BYTES: usize = 16;
const ELEMENT_BYTES: usize = 16;

/// Of what was seen of a component so far. Modules and components are defined before they are instantiated.
#[derive(Default)]
struct Seen {
    functions: usize,
    /// The heaviest module's bytes.
    module_bytes: usize,
    /// The core instances of the component that has most.
    instances: usize,
}

/// A module, or a component, of which not all is seen.
#[derive(Default)]
struct Open {
    bytes: usize,
    core_instances: usize,
    instances: usize,
}

/// An error where compiling the component, or an instance of it, may take more than it should. It is an upper bound: each core
/// instance counts as if it were of the heaviest module.
pub(super) fn judge(component: &[u8]) -> Result<(), String> {
    let (mut seen, mut open) = (Seen::default(), Vec::<Open>::new());
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| format!("it cannot be read: {error}"))?;
        if let Payload::Version { encoding, .. } = &payload {
            if *encoding == Encoding::Component && open.len() > COMPONENT_DEPTH_MAX {
                return Err(format!("components are nested in it deeper than {COMPONENT_DEPTH_MAX}"));
            }
            open.push(Open::default());
        }
        let Some(here) = open.last_mut() else { continue };
        let more = |count: u32, bytes: usize| (count as usize).saturating_mul(bytes);
        match payload {
            Payload::ImportSection(imports) => here.add(more(imports.count(), IMPORT_BYTES)),
            Payload::FunctionSection(functions) => here.add(more(functions.count(), FUNCTION_BYTES)),
            Payload::GlobalSection(globals) => here.add(more(globals.count(), GLOBAL_BYTES)),
            Payload::ElementSection(elements) => here.add(elements.range().len().saturating_mul(ELEMENT_BYTES)),
            Payload::CodeSectionEntry(body) => seen.function(&body)?,
            Payload::InstanceSection(instances) => {
                here.core_instances = here.core_instances.saturating_add(instances.count() as usize);
            }
            Payload::ComponentInstanceSection(instances) => {
                here.instances = here.instances.saturating_add(instances.count() as usize);
            }
            Payload::End(_) => seen.close(open.pop().unwrap_or_default()),
            _ => {}
        }
    }
    let bytes = seen.module_bytes.saturating_mul(seen.instances);
    if bytes > INSTANCE_BYTES_MAX {
        return Err(format!(
            "its modules are so large, and instantiated so often, that an instance may take {bytes} bytes beside its memory, the \
             limit is {INSTANCE_BYTES_MAX}"
        ));
    }
    Ok(())
}

impl Open {
    fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Seen {
    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), String> {
        self.functions += 1;
        let size = body.range().len();
        if size > FUNCTION_BYTES_MAX {
            return Err(format!("it has a function of {size} bytes, the limit is {FUNCTION_BYTES_MAX}"));
        }
        if self.functions > FUNCTIONS_MAX {
            return Err(format!("it has more than {FUNCTIONS_MAX} functions"));
        }
        Ok(())
    }

    fn close(&mut self, all: Open) {
        self.module_bytes = self.module_bytes.max(all.bytes);
        let instances = all.core_instances.saturating_add(all.instances.saturating_mul(self.instances));
        self.instances = self.instances.max(instances);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE_MODULE: u8 = 1;
    const CORE_INSTANCES: u8 = 2;
    const COMPONENT: u8 = 4;
    const INSTANCES: u8 = 5;
    const FUNCTIONS: u8 = 3;
    const GLOBALS: u8 = 6;
    const CODE: u8 = 10;

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id];
        bytes.extend(leb(content.len()));
        bytes.extend(content);
        bytes
    }

    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(number as u8 & 0x7f | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    fn component(sections: &[Vec<u8>]) -> Vec<u8> {
        [b"\0asm\x0d\0\x01\0".to_vec(), sections.concat()].concat()
    }

    /// A module that has so many globals.
    fn module(globals: usize) -> Vec<u8> {
        section(CORE_MODULE, &[b"\0asm\x01\0\0\0".to_vec(), section(GLOBALS, &leb(globals))].concat())
    }

    fn instances(count: usize) -> Vec<u8> {
        section(CORE_INSTANCES, &leb(count))
    }

    fn nested(sections: &[Vec<u8>]) -> Vec<u8> {
        section(COMPONENT, &component(sections))
    }

    fn of_nested(count: usize) -> Vec<u8> {
        section(INSTANCES, &leb(count))
    }

    #[test]
    fn a_large_module_or_many_instances_are_nothing_bad() {
        assert_eq!(judge(&component(&[module(100_000), instances(3)])), Ok(()));
        assert_eq!(judge(&component(&[module(10), instances(500)])), Ok(()));
    }

    #[test]
    fn many_instances_of_a_large_module_are_refused() {
        let error = judge(&component(&[module(100_000), instances(400)])).expect_err("640 MB");
        assert!(error.contains("640000000 bytes beside its memory"), "{error}");
    }

    /// Here ten each, in a component that is instantiated forty times.
    #[test]
    fn instances_of_nested_components_count() {
        let inner = nested(&[module(100_000), instances(10)]);
        assert_eq!(judge(&component(&[inner.clone(), of_nested(2)])), Ok(()));
        assert!(judge(&component(&[inner.clone(), of_nested(40)])).is_err());
        // By another nested one, which knows the first by an alias.
        assert!(judge(&component(&[inner, nested(&[of_nested(40)])])).is_err());
    }

    #[test]
    fn code_that_takes_too_much_to_compile_is_refused() {
        let module = |bodies: &[Vec<u8>]| {
            let types = section(FUNCTIONS, &[leb(bodies.len()), vec![0; bodies.len()]].concat());
            let code = section(CODE, &[leb(bodies.len()), bodies.concat()].concat());
            section(CORE_MODULE, &[b"\0asm\x01\0\0\0".to_vec(), types, code].concat())
        };
        let body = |bytes: usize| [leb(bytes), vec![0; bytes]].concat();
        let judged = |modules: &[Vec<u8>]| judge(&component(modules));
        assert_eq!(judged(&[module(&[body(10), body(FUNCTION_BYTES_MAX), body(0)])]), Ok(()));
        let error = judged(&[module(&[body(10)]), module(&[body(FUNCTION_BYTES_MAX + 1)])]).expect_err("refused");
        assert!(error.contains("a function of 1048577 bytes"), "{error}");
        let half = module(&vec![body(2); FUNCTIONS_MAX / 2]);
        assert_eq!(judged(&[half.clone(), half.clone()]), Ok(()));
        let inner = section(COMPONENT, &component(&[half.clone(), half]));
        assert!(judged(&[inner, module(&[body(2)])]).is_err(), "those of all modules count");
    }

    #[test]
    fn components_nest_only_so_deep() {
        let deep = |depth| (0..depth).fold(component(&[]), |inner, _| component(&[section(COMPONENT, &inner)]));
        assert_eq!(judge(&deep(COMPONENT_DEPTH_MAX)), Ok(()));
        assert!(judge(&deep(COMPONENT_DEPTH_MAX + 1)).is_err());
    }
}
