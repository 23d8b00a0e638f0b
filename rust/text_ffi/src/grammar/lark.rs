//! Lark grammars as requests write them: what would work only half, or reach behind the limits, is refused, and the
//! schemas within are held to the same rules as others.

use serde_json::Value as Json;

use super::{schema, spec};
use crate::border::{Failure, Outcome};

/// Attributes of rules that this engine does not carry out: hidden stop texts and sampling by rule.
const REFUSED: [&str; 3] = ["stop", "stop_capture", "temperature"];

/// Deeper chains of rules than this take seconds.
const MAX_RULES: usize = 2_000;

/// RETURNS: an equal grammar that may be compiled.
pub fn prepare(text: &str) -> Outcome<String> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    let mut outside = String::new();
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("%json") {
            let (value, tail) = take_json(after)?;
            made.push_str("%json ");
            made.push_str(&schema::prepare_value(&value)?.to_string());
            rest = tail;
            continue;
        }
        if let Some(after) = rest.strip_prefix("%llguidance") {
            let (options, tail) = take_json(after)?;
            if options.as_object().is_none_or(|options| !options.is_empty()) {
                return Err(Failure::unsupported("the grammar's %llguidance options are not supported; only {} is"));
            }
            rest = tail;
            continue;
        }
        let length = match character {
            '"' | '/' => literal_length(rest, character),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            _ => {
                outside.push(character);
                character.len_utf8()
            }
        };
        made.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    if outside.matches(':').count() > MAX_RULES {
        return Err(Failure::limit(format!("the grammar has more than {MAX_RULES} rules")));
    }
    spec::check_nesting(&outside, "the grammar")?;
    check_attributes(&outside)?;
    Ok(made)
}

fn take_json(text: &str) -> Outcome<(Json, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Json>();
    match values.next() {
        Some(Ok(value)) => {
            let used = values.byte_offset();
            Ok((value, &text[used..]))
        }
        _ => Err(Failure::argument("the grammar has a % directive that is not followed by JSON")),
    }
}

/// RETURNS: the bytes of the string or regular expression that `text` starts with, or of a `//` comment.
fn literal_length(text: &str, quote: char) -> usize {
    let line_end = text.find('\n').unwrap_or(text.len());
    if text.starts_with("//") {
        return line_end;
    }
    let mut is_escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            '\n' => break,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return index + 1,
            _ => {}
        }
    }
    // Unclosed: the compiler says so.
    line_end.max(1)
}

fn check_attributes(text: &str) -> Outcome<()> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (index, _) in text.match_indices('=') {
        let before = text[..index].trim_end();
        let start = before.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
        let name = &before[start..];
        if REFUSED.contains(&name) {
            return Err(Failure::unsupported(format!("the grammar's rule attribute {name:?} is not supported")));
        }
    }
    Ok(())
}
