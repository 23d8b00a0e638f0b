//! A tokenizer from the text of a tokenizer.json.

use std::panic::catch_unwind;

use super::pieces::Style;
use super::{affixes, Tokenizer};
use crate::border::{panic_text, Failure, Outcome};

const MAX_FILE_BYTES: usize = 128 << 20;

pub fn load(text: &str) -> Outcome<Tokenizer> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Failure::model(format!("tokenizer.json has {} bytes; the limit is {MAX_FILE_BYTES}", text.len())));
    }
    // Some inconsistent files panic in the library; that is the file's fault, and said so.
    let parsed = catch_unwind(|| tokenizers::Tokenizer::from_bytes(text.as_bytes()))
        .map_err(|payload| Failure::model(format!("tokenizer.json is inconsistent: {}", panic_text(payload))))?;
    let inner = parsed.map_err(|error| Failure::model(format!("tokenizer.json: {error}")))?;
    let decoder = serde_json::to_value(inner.get_decoder())
        .map_err(|error| Failure::model(format!("tokenizer.json: decoder: {error}")))?;
    let style = Style::from_decoder(Some(&decoder))?;
    let (prefix, suffix) = affixes(inner.get_post_processor())?;
    Tokenizer::new(inner, style, prefix, suffix)
}
