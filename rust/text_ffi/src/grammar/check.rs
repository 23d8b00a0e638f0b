//! What a server can tell of a schema without a model: whether it is supported, how long it takes, and an instance.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{json, Value as Json};

use super::environment::Environment;
use super::matcher::{Grammar, Matcher};
use super::spec::MlxsGrammarKind;
use crate::border::{MlxsStatus, Outcome};

const MAX_TOKENS: usize = 2_000;
/// What to write first where there is a choice: ends before beginnings, so that the instance is short.
const PREFERRED: &[u8] = b"}]\",:0123456789ntfabcdefghijklmnopqrstuvwxyz-.@/ABCDEFGHIJKLMNOPQRSTUVWXYZ_[{";

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

/// Follows the grammar with the preferred byte at each step; letters take turns, so that no repetition goes on for ever.
fn example(environment: &Environment, mut matcher: Matcher) -> Json {
    let trie = environment.trie();
    let mut words = vec![0u32; trie.vocab_size().div_ceil(32)];
    let mut bytes = Vec::new();
    for step in 0..MAX_TOKENS {
        if matcher.may_stop() {
            return std::str::from_utf8(&bytes).ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        }
        if matcher.mask(&mut words).is_err() {
            return Json::Null;
        }
        let is_allowed = |id: u32| words[id as usize / 32] >> (id % 32) & 1 == 1;
        let letter = b'a' + (step % 26) as u8;
        let preferred = PREFERRED[..18].iter().chain([&letter]).chain(PREFERRED);
        let byte = preferred.filter_map(|byte| trie.token_id(&[*byte])).find(|id| is_allowed(*id));
        let Some(id) = byte.or_else(|| (0..trie.vocab_size() as u32).find(|id| is_allowed(*id))) else {
            return Json::Null;
        };
        if !matcher.advance(id).unwrap_or(false) {
            return Json::Null;
        }
        bytes.extend_from_slice(trie.token(id));
    }
    Json::Null
}
