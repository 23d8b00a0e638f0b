//! What a server can tell of a schema without a model: whether it is supported, how long it takes, and an instance.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{json, Value as Json};

use super::environment::Environment;
use super::matcher::{Grammar, Matcher};
use super::spec::MlxsGrammarKind;
use crate::border::{MlxsStatus, Outcome};

const MAX_TOKENS: usize = 600;

/// RETURNS: a JSON object: `supported`, `compile_ms`, and either `example` (null when none of moderate length was found)
/// or `error` and `error_kind` ("unsupported", "invalid" or "limit").
/// ERRORS: Internal.
pub fn check_schema(environment: &Arc<Environment>, schema: &str) -> Outcome<String> {
    let start = Instant::now();
    let outcome = Grammar::compile(environment, MlxsGrammarKind::JsonSchema, schema);
    let compile_ms = start.elapsed().as_secs_f64() * 1e3;
    let report = match outcome {
        Ok(grammar) => {
            json!({"supported": true, "compile_ms": compile_ms, "example": example(environment, grammar.matcher())})
        }
        Err(failure) if failure.status == MlxsStatus::Internal => return Err(failure),
        Err(failure) => {
            let kind = match failure.status {
                MlxsStatus::Unsupported => "unsupported",
                MlxsStatus::LimitExceeded => "limit",
                _ => "invalid",
            };
            json!({"supported": false, "compile_ms": compile_ms, "error": failure.message, "error_kind": kind})
        }
    };
    Ok(report.to_string())
}

/// In which order letters are tried: where one order runs into a repetition without end, another gets out of it.
#[derive(Clone, Copy)]
enum Letters {
    Forwards,
    Backwards,
    Turning,
}

fn example(environment: &Environment, matcher: Matcher) -> Json {
    let attempts = [Letters::Forwards, Letters::Backwards, Letters::Turning];
    attempts.into_iter().find_map(|letters| write_example(environment, matcher.clone(), letters)).unwrap_or_default()
}

/// Follows the grammar byte by byte, ends before beginnings, so that the instance is short.
fn write_example(environment: &Environment, mut matcher: Matcher, letters: Letters) -> Option<Json> {
    let trie = environment.trie();
    let mut words = vec![0u32; trie.vocab_size().div_ceil(32)];
    let mut bytes: Vec<u8> = Vec::new();
    for step in 0..MAX_TOKENS {
        if matcher.may_stop() {
            return std::str::from_utf8(&bytes).ok().and_then(|text| serde_json::from_str(text).ok());
        }
        matcher.mask(&mut words).ok()?;
        let is_allowed = |id: &u32| words[*id as usize / 32] >> (id % 32) & 1 == 1;
        let order = order(is_in_string(&bytes), letters, step);
        let byte = order.iter().filter_map(|byte| trie.token_id(&[*byte])).find(is_allowed);
        let id = byte.or_else(|| (0..trie.vocab_size() as u32).find(is_allowed))?;
        if !matcher.advance(id).unwrap_or(false) {
            return None;
        }
        bytes.extend_from_slice(trie.token(id));
    }
    None
}

fn is_in_string(json: &[u8]) -> bool {
    let (mut is_inside, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_inside,
            b'"' => is_inside = !is_inside,
            _ => {}
        }
    }
    is_inside
}

fn order(is_in_string: bool, letters: Letters, step: usize) -> Vec<u8> {
    let mut alphabet: Vec<u8> = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z').collect();
    match letters {
        Letters::Forwards => {}
        Letters::Backwards => alphabet.reverse(),
        Letters::Turning => {
            let length = alphabet.len();
            alphabet.rotate_left(step * 7 % length);
        }
    }
    let first: &[u8] = if is_in_string { b"\"" } else { b"}],:\"0123456789" };
    [first, &alphabet, b"-_.@:/+[{"].concat()
}
