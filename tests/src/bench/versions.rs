//! Other versions of a component that do the same: what a compiler has to do for one.

use std::convert::Infallible;

use anyhow::Context;
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{CodeSection, Component, Instruction};
use wasmparser::{FunctionBody, Parser};

/// Which of its functions are others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// Nothing of it has been compiled before.
    All,
    /// As after a change of a line: one in the middle.
    One,
}

/// The component with this number at the beginning of functions, where it is dropped.
pub fn version(component: &[u8], changed: Changed, number: u32) -> anyhow::Result<Vec<u8>> {
    let functions = Parser::new(0).parse_all(component).filter(|payload| {
        payload.as_ref().is_ok_and(|payload| matches!(payload, wasmparser::Payload::CodeSectionEntry(_)))
    });
    let mut version = Version { changed, number, function: 0, middle: functions.count() / 2 };
    let mut other = Component::new();
    version.parse_component(&mut other, Parser::new(0), component).context("a component is written anew")?;
    Ok(other.finish())
}

struct Version {
    changed: Changed,
    number: u32,
    /// So many were there already.
    function: usize,
    middle: usize,
}

impl Reencode for Version {
    type Error = Infallible;

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error<Infallible>> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        if self.changed == Changed::All || self.function == self.middle {
            function.instruction(&Instruction::I32Const(self.number.cast_signed())).instruction(&Instruction::Drop);
        }
        self.function += 1;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            function.instruction(&self.parse_instruction(&mut operators)?);
        }
        code.function(&function);
        Ok(())
    }
}

impl ReencodeComponent for Version {}
