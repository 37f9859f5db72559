//! What compiling a component takes of the host, and what an instance takes beside its memories and tables, by the sections of the
//! component: nobody else bounds it, and a file of some megabytes can make gigabytes of it.

use super::artefact::{number, sections};
use super::limits::{COMPONENT_DEPTH_MAX, FUNCTION_BYTES_MAX, FUNCTIONS_MAX, INSTANCE_BYTES_MAX};

/// Sections of a core module, and what the engine keeps of one of their items for each instance.
const IMPORTS: (u8, usize) = (2, 24);
const FUNCTIONS: (u8, usize) = (3, 32);
const GLOBALS: (u8, usize) = (6, 16);
/// Segments of elements: an entry has a byte at least.
const ELEMENTS: u8 = 9;
const ELEMENT_BYTES: usize = 16;
const CODE: u8 = 10;
/// Sections of a component.
const CORE_MODULE: u8 = 1;
const CORE_INSTANCES: u8 = 2;
const COMPONENT: u8 = 4;
const INSTANCES: u8 = 5;

/// Of what was seen of a component so far. Modules and components are defined before they are instantiated.
#[derive(Default)]
struct Seen {
    /// The heaviest module's bytes.
    module_bytes: usize,
    /// The core instances of the component that has most.
    instances: usize,
}

/// An error where compiling the component takes more than it should. What is damaged is the compiler's to say.
pub(super) fn judge_code(component: &[u8]) -> Result<(), String> {
    let mut functions = 0;
    code(component, 0, &mut functions)
}

fn code(component: &[u8], depth: usize, functions: &mut usize) -> Result<(), String> {
    for (id, section) in sections(component).unwrap_or_default() {
        match id {
            CORE_MODULE => {
                let sections = sections(section).unwrap_or_default().into_iter();
                sections.filter(|(id, _)| *id == CODE).try_for_each(|(_, code)| bodies(code, functions))?;
            }
            COMPONENT if depth < COMPONENT_DEPTH_MAX => code(section, depth + 1, functions)?,
            _ => {}
        }
    }
    Ok(())
}

/// Looks at the bodies of a module's functions.
fn bodies(code: &[u8], functions: &mut usize) -> Result<(), String> {
    let Ok(Some((_, mut at))) = number(code, 0) else { return Ok(()) };
    while let Ok(Some((size, begin))) = number(code, at) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        *functions += 1;
        if size > FUNCTION_BYTES_MAX {
            return Err(format!("it has a function of {size} bytes, the limit is {FUNCTION_BYTES_MAX}"));
        }
        if *functions > FUNCTIONS_MAX {
            return Err(format!("it has more than {FUNCTIONS_MAX} functions"));
        }
        at = begin.saturating_add(size);
    }
    Ok(())
}

/// An error where an instance of this component, which is a valid one, may take more than it should. It is an upper bound: each core
/// instance counts as if it were of the heaviest module.
pub(super) fn judge(component: &[u8]) -> Result<(), String> {
    let mut seen = Seen::default();
    look(component, 0, &mut seen)?;
    let bytes = seen.module_bytes.saturating_mul(seen.instances);
    if bytes > INSTANCE_BYTES_MAX {
        return Err(format!(
            "its modules are so large, and instantiated so often, that an instance may take {bytes} bytes beside its memory, the \
             limit is {INSTANCE_BYTES_MAX}"
        ));
    }
    Ok(())
}

fn look(component: &[u8], depth: usize, seen: &mut Seen) -> Result<(), String> {
    if depth > COMPONENT_DEPTH_MAX {
        return Err(format!("components are nested in it deeper than {COMPONENT_DEPTH_MAX}"));
    }
    let (mut own, mut nested) = (0_usize, 0_usize);
    for (id, section) in sections(component)? {
        match id {
            CORE_MODULE => seen.module_bytes = seen.module_bytes.max(module_bytes(section)?),
            COMPONENT => look(section, depth + 1, seen)?,
            CORE_INSTANCES => own = own.saturating_add(count(section)?),
            INSTANCES => nested = nested.saturating_add(count(section)?),
            _ => {}
        }
    }
    let all = own.saturating_add(nested.saturating_mul(seen.instances));
    seen.instances = seen.instances.max(all);
    Ok(())
}

fn module_bytes(module: &[u8]) -> Result<usize, String> {
    let mut bytes = 0_usize;
    for (id, section) in sections(module)? {
        let of_items = [IMPORTS, FUNCTIONS, GLOBALS].into_iter().find(|(known, _)| *known == id);
        let more = match of_items {
            Some((_, item_bytes)) => count(section)?.saturating_mul(item_bytes),
            None if id == ELEMENTS => section.len().saturating_mul(ELEMENT_BYTES),
            None => 0,
        };
        bytes = bytes.saturating_add(more);
    }
    Ok(bytes)
}

/// How many items a section has.
fn count(section: &[u8]) -> Result<usize, String> {
    Ok(number(section, 0)?.map_or(0, |(count, _)| usize::try_from(count).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        section(CORE_MODULE, &[b"\0asm\x01\0\0\0".to_vec(), section(GLOBALS.0, &leb(globals))].concat())
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
            let code = section(CODE, &[leb(bodies.len()), bodies.concat()].concat());
            section(CORE_MODULE, &[b"\0asm\x01\0\0\0".to_vec(), code].concat())
        };
        let body = |bytes: usize| [leb(bytes), vec![0; bytes]].concat();
        let judged = |modules: &[Vec<u8>]| judge_code(&component(modules));
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
