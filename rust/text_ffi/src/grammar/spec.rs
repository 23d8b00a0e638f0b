//! What a request may ask for, turned into the compiler's own form.

use llguidance::api::TopLevelGrammar;
use serde_json::Value as Json;

use super::environment::Environment;
use super::{gbnf, lark, schema, tags};
use crate::border::{Failure, Outcome};

/// How the text of a grammar is written.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlxsGrammarKind {
    /// A JSON schema.
    JsonSchema = 0,
    /// Any JSON object; the text is empty.
    JsonObject = 1,
    /// A regular expression that the whole output matches.
    Regex = 2,
    /// A JSON list of strings, of which the output is one.
    Choice = 3,
    /// llguidance's Lark.
    Lark = 4,
    /// A JSON description of tagged parts within free text.
    StructuralTag = 5,
    /// llama.cpp's GBNF.
    Gbnf = 6,
}

const MAX_BYTES: usize = 128 << 10;
const MAX_REGEX_BYTES: usize = 16 << 10;
const MAX_CHOICES: usize = 2_000;
const MAX_NESTING: usize = 100;

pub fn to_grammar(environment: &Environment, kind: MlxsGrammarKind, text: &str) -> Outcome<TopLevelGrammar> {
    if kind != MlxsGrammarKind::JsonSchema && text.len() > MAX_BYTES {
        return Err(Failure::limit(format!("the grammar has {} bytes; the limit is {MAX_BYTES}", text.len())));
    }
    match kind {
        MlxsGrammarKind::JsonSchema => Ok(TopLevelGrammar::from_json_schema(schema::prepare(text)?)),
        MlxsGrammarKind::JsonObject => Ok(TopLevelGrammar::from_json_schema(schema::prepare(r#"{"type": "object"}"#)?)),
        MlxsGrammarKind::Regex => Ok(TopLevelGrammar::from_lark(format!("start: {}", regex_literal(text)?))),
        MlxsGrammarKind::Choice => Ok(TopLevelGrammar::from_lark(choice(text)?)),
        MlxsGrammarKind::Lark => Ok(TopLevelGrammar::from_lark(lark::prepare(text)?)),
        MlxsGrammarKind::StructuralTag => Ok(TopLevelGrammar::from_lark(tags::to_lark(environment, text)?)),
        MlxsGrammarKind::Gbnf => Ok(TopLevelGrammar::from_lark(gbnf::to_lark(text)?)),
    }
}

/// RETURNS: a regular expression as a Lark terminal; anchors around the whole are dropped, for the whole output matches.
pub fn regex_literal(regex: &str) -> Outcome<String> {
    if regex.len() > MAX_REGEX_BYTES {
        let what = format!("the regular expression has {} bytes; the limit is {MAX_REGEX_BYTES}", regex.len());
        return Err(Failure::limit(what));
    }
    check_nesting(regex, "the regular expression")?;
    let body = regex.strip_prefix('^').unwrap_or(regex);
    let num_escapes = body.strip_suffix('$').map(|rest| rest.chars().rev().take_while(|c| *c == '\\').count());
    let body = if num_escapes.is_some_and(|count| count % 2 == 0) { &body[..body.len() - 1] } else { body };
    if body.is_empty() {
        return Ok("\"\"".to_string());
    }
    // "^a|b$" anchors one side each; dropping the anchors would change what it means.
    if body.len() != regex.len() && has_bare_alternative(body) {
        return Err(Failure::unsupported("a regular expression with anchors inside alternatives is not supported"));
    }
    Ok(format!("/{}/", llguidance::regex_to_lark(body, "")))
}

fn has_bare_alternative(regex: &str) -> bool {
    let (mut depth, mut is_escaped, mut is_class) = (0i32, false, false);
    for c in regex.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' => is_class = false,
            _ if is_class => {}
            '[' => is_class = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// Brackets are counted wherever they stand: more than is needed, but nothing that recurses can be reached deeper.
pub fn check_nesting(text: &str, what: &str) -> Outcome<()> {
    let mut depth = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(Failure::limit(format!("{what} is nested more than {MAX_NESTING} deep")));
        }
    }
    Ok(())
}

fn choice(text: &str) -> Outcome<String> {
    let wrong = || Failure::argument("choice: it must be a list of at least one string");
    let list: Json = serde_json::from_str(text).map_err(|_| wrong())?;
    let choices = list.as_array().filter(|choices| !choices.is_empty()).ok_or_else(wrong)?;
    if choices.len() > MAX_CHOICES {
        return Err(Failure::limit(format!("{} choices; the limit is {MAX_CHOICES}", choices.len())));
    }
    let mut quoted = Vec::new();
    for choice in choices {
        quoted.push(Json::from(choice.as_str().ok_or_else(wrong)?).to_string());
    }
    Ok(format!("start: CHOICE\nCHOICE: {}", quoted.join(" | ")))
}
