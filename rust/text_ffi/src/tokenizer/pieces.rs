//! What each token id stands for in bytes, and how bytes become text: the facts that a detokenizer needs to work
//! token by token. Decoders whose output for a token depends on its neighbours in other ways are refused.

use serde_json::Value as Json;

use crate::border::{Failure, Outcome};

/// Ids a tokenizer may use; far beyond any vocabulary, far below what an allocation for a hostile id would need.
pub const MAX_IDS: usize = 1 << 22;

/// How the bytes of consecutive tokens become text.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlxsInvalidBytes {
    /// Each maximal part of a broken character becomes one U+FFFD (byte-level vocabularies).
    ReplaceParts = 0,
    /// Each byte that belongs to no character becomes one U+FFFD (SentencePiece's byte tokens).
    ReplaceBytes = 1,
}

/// What is taken from the front of a text.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlxsLeading {
    Nothing = 0,
    /// One space, if the text starts with one.
    OneSpace = 1,
    /// All word marks of the first token.
    FirstTokenSpaces = 2,
}

#[derive(Clone, Debug)]
pub struct Style {
    pub invalid_bytes: MlxsInvalidBytes,
    pub leading: MlxsLeading,
    is_byte_level: bool,
    has_byte_tokens: bool,
    replacements: Vec<(String, String)>,
}

/// All tokens' bytes in one piece of memory.
#[derive(Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    flags: Vec<u8>,
}

pub const IS_KNOWN: u8 = 1;
pub const IS_SPECIAL: u8 = 2;

impl Pieces {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, id: usize) -> Option<(&[u8], u8)> {
        let end = *self.ends.get(id)? as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        Some((&self.bytes[start..end], self.flags[id]))
    }

    /// Adds the next id. ERRORS: more than MAX_IDS ids or 4 GiB of text.
    pub fn push(&mut self, piece: &[u8], flags: u8) -> Outcome<()> {
        self.bytes.extend_from_slice(piece);
        let end = u32::try_from(self.bytes.len()).ok().filter(|_| self.ends.len() < MAX_IDS);
        self.ends.push(end.ok_or_else(|| Failure::model("the vocabulary is too large"))?);
        self.flags.push(flags);
        Ok(())
    }
}

impl Style {
    /// `decoder` as tokenizer.json writes it. ERRORS: Unsupported for one that is not of a known form.
    pub fn from_decoder(decoder: Option<&Json>) -> Outcome<Style> {
        let unsupported = |what: &str| {
            Err(Failure::unsupported(format!(
                "the tokenizer's decoder ({what}) is not supported; supported are ByteLevel, Metaspace, and Replace, \
                 ByteFallback, Fuse and Strip in SentencePiece's order"
            )))
        };
        let Some(decoder) = decoder.filter(|decoder| !decoder.is_null()) else {
            return unsupported("none");
        };
        let steps = match decoder["decoders"].as_array() {
            Some(steps) => steps.iter().collect(),
            None => vec![decoder],
        };
        let kind = |step: &Json| step["type"].as_str().unwrap_or("unnamed").to_string();
        if let [only] = steps[..] {
            match kind(only).as_str() {
                "ByteLevel" => return Ok(Style::byte_level()),
                "Metaspace" => return Ok(Style::metaspace(only)),
                _ => {}
            }
        }
        let mut style = Style {
            invalid_bytes: MlxsInvalidBytes::ReplaceBytes,
            leading: MlxsLeading::Nothing,
            is_byte_level: false,
            has_byte_tokens: false,
            replacements: Vec::new(),
        };
        let mut is_fused = false;
        for step in steps {
            match kind(step).as_str() {
                "Replace" if !style.has_byte_tokens && !is_fused => {
                    let (Some(from), Some(to)) = (step["pattern"]["String"].as_str(), step["content"].as_str()) else {
                        return unsupported("Replace with a regular expression");
                    };
                    style.replacements.push((from.to_string(), to.to_string()));
                }
                "ByteFallback" if !style.has_byte_tokens && !is_fused => style.has_byte_tokens = true,
                "Fuse" => is_fused = true,
                "Strip" if is_fused && step["content"] == " " && step["start"] == 1 && step["stop"] == 0 => {
                    style.leading = MlxsLeading::OneSpace;
                }
                other => return unsupported(other),
            }
        }
        Ok(style)
    }

    pub fn byte_level() -> Style {
        Style {
            invalid_bytes: MlxsInvalidBytes::ReplaceParts,
            leading: MlxsLeading::Nothing,
            is_byte_level: true,
            has_byte_tokens: false,
            replacements: Vec::new(),
        }
    }

    fn metaspace(step: &Json) -> Style {
        let mark = step["replacement"].as_str().unwrap_or("\u{2581}").to_string();
        let is_never = step["prepend_scheme"] == "never";
        Style {
            invalid_bytes: MlxsInvalidBytes::ReplaceBytes,
            leading: if is_never { MlxsLeading::Nothing } else { MlxsLeading::FirstTokenSpaces },
            is_byte_level: false,
            has_byte_tokens: false,
            replacements: vec![(mark, " ".to_string())],
        }
    }

    pub fn sentencepiece(adds_space_prefix: bool) -> Style {
        Style {
            invalid_bytes: MlxsInvalidBytes::ReplaceBytes,
            leading: if adds_space_prefix { MlxsLeading::OneSpace } else { MlxsLeading::Nothing },
            is_byte_level: false,
            has_byte_tokens: true,
            replacements: vec![("\u{2581}".to_string(), " ".to_string())],
        }
    }

    /// The bytes that a token stands for.
    pub fn piece(&self, token: &str) -> Vec<u8> {
        if self.is_byte_level {
            let bytes: Option<Vec<u8>> = token.chars().map(byte_of).collect();
            return bytes.unwrap_or_else(|| token.as_bytes().to_vec());
        }
        let mut text = token.to_string();
        for (from, to) in &self.replacements {
            text = text.replace(from, to);
        }
        let byte = self.has_byte_tokens.then(|| byte_token(&text)).flatten();
        byte.map_or_else(|| text.into_bytes(), |byte| vec![byte])
    }
}

/// The byte that a character of a byte-level vocabulary stands for: printable Latin-1 stands for itself, and the other
/// 68 bytes are the characters from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    let is_own = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = character as u32;
    if code < 0x100 {
        return is_own(code).then_some(code as u8);
    }
    (0..0x100u32).filter(|byte| !is_own(*byte)).nth((code - 0x100) as usize).map(|byte| byte as u8)
}

/// `<0xAB>`, as the byte fallback decoder reads it.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}
