//! Compiles a template and exchanges the engine's unbounded instructions for calls into `ops`. The instruction
//! stream is the engine's internal form; the crate's exact version pin and the tests below hold it still.

use std::collections::BTreeMap;

use minijinja::machinery::{ast, parse, tokenize, CodeGenerator, Instruction, Instructions, Token, WhitespaceConfig};
use minijinja::{Error, ErrorKind, Value};

use super::{constants, ops};

/// Tokens in one `{{ }}` or `{% %}`: bounds the depth of the syntax tree, which recursive code walks.
const MAX_EXPRESSION_TOKENS: usize = 4096;

pub struct Program<'source> {
    pub main: Instructions<'source>,
    pub blocks: BTreeMap<&'source str, Instructions<'source>>,
}

/// ERRORS: a syntax error; a template nested too deeply; constants that would be folded into something huge.
pub fn compile(source: &str) -> Result<Program<'_>, Error> {
    let whitespace = WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };
    check_lengths(source, whitespace)?;
    let tree: ast::Stmt<'_> = parse(source, "chat_template", Default::default(), whitespace)?;
    constants::check(&tree)?;
    let mut generator = CodeGenerator::new("chat_template", source);
    generator.compile_stmt(&tree);
    let (main, blocks) = generator.finish();
    let blocks: Result<_, Error> = blocks.iter().map(|(name, block)| Ok((*name, rewrite(block)?))).collect();
    Ok(Program { main: rewrite(&main)?, blocks: blocks? })
}

fn check_lengths(source: &str, whitespace: WhitespaceConfig) -> Result<(), Error> {
    let mut length = 0;
    for token in tokenize(source, false, Default::default(), whitespace) {
        length = match token?.0 {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => 0,
            _ => length + 1,
        };
        if length > MAX_EXPRESSION_TOKENS {
            return Err(Error::new(
                ErrorKind::SyntaxError,
                format!("an expression has more than {MAX_EXPRESSION_TOKENS} tokens"),
            ));
        }
    }
    Ok(())
}

fn rewrite<'s>(old: &Instructions<'s>) -> Result<Instructions<'s>, Error> {
    let mut expanded = Vec::with_capacity(old.len());
    let mut starts = Vec::with_capacity(old.len() + 1);
    let mut position = 0u32;
    for index in 0..old.len() as u32 {
        let Some(instruction) = old.get(index) else { break };
        let replacement = replace(instruction)?;
        starts.push(position);
        position += replacement.len() as u32;
        expanded.push((index, replacement));
    }
    starts.push(position);

    let mut new = Instructions::new(old.name(), old.source());
    for (index, replacement) in expanded {
        for mut instruction in replacement {
            relocate(&mut instruction, &starts);
            match (old.get_span(index), old.get_line(index)) {
                (Some(span), _) => new.add_with_span(instruction, span),
                (None, Some(line)) => new.add_with_line(instruction, line as u16),
                (None, None) => new.add(instruction),
            };
        }
    }
    Ok(new)
}

fn relocate(instruction: &mut Instruction<'_>, starts: &[u32]) {
    match instruction {
        Instruction::Iterate(target)
        | Instruction::Jump(target)
        | Instruction::JumpIfFalse(target)
        | Instruction::JumpIfFalseOrPop(target)
        | Instruction::JumpIfTrueOrPop(target)
        | Instruction::BuildMacro(_, target, _) => *target = starts[*target as usize],
        _ => {}
    }
}

fn replace<'s>(instruction: &Instruction<'s>) -> Result<Vec<Instruction<'s>>, Error> {
    let call = |name, count| Instruction::CallFunction(name, Some(count));
    let compare = |comparison: &Instruction<'s>| {
        let charge = || Instruction::CallFunction(ops::CHARGE, Some(1));
        vec![Instruction::Swap, charge(), Instruction::Swap, charge(), comparison.clone()]
    };
    Ok(match instruction {
        // Raw text goes through the formatter, too: inside a capture nothing else would count it.
        Instruction::EmitRaw(text) => vec![Instruction::LoadConst(Value::from(*text)), Instruction::Emit],
        Instruction::StringConcat => vec![call(ops::CONCAT, 2)],
        Instruction::Add => vec![call(ops::ADD, 2)],
        Instruction::Mul => vec![call(ops::MULTIPLY, 2)],
        Instruction::IntDiv => vec![call(ops::FLOOR_DIVIDE, 2)],
        Instruction::Rem => vec![call(ops::REMAINDER, 2)],
        Instruction::Slice => vec![call(ops::SLICE, 4)],
        Instruction::GetItem => vec![call(ops::ITEM, 2)],
        Instruction::BuildList(count) => vec![Instruction::CallFunction(ops::LIST, small(*count)?)],
        Instruction::BuildMap(pairs) => vec![Instruction::CallFunction(ops::DICT, small(pairs.checked_mul(2))?)],
        Instruction::LoadConst(value) => vec![Instruction::LoadConst(super::value::own_constant(value)?)],
        Instruction::SetAttr(name) => {
            vec![Instruction::Swap, call(ops::STORABLE, 1), Instruction::Swap, Instruction::SetAttr(name)]
        }
        Instruction::PushLoop(flags) => vec![call(ops::CHARGE, 1), Instruction::PushLoop(*flags)],
        Instruction::Eq
        | Instruction::Ne
        | Instruction::Gt
        | Instruction::Gte
        | Instruction::Lt
        | Instruction::Lte
        | Instruction::In
        | Instruction::CompareAndPreserve(_) => compare(instruction),
        other => vec![other.clone()],
    })
}

fn small(count: Option<usize>) -> Result<Option<u16>, Error> {
    count
        .map(u16::try_from)
        .transpose()
        .map_err(|_| Error::new(ErrorKind::SyntaxError, "a list or dictionary in the template is too long"))
}
