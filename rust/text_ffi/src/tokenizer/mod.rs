//! Tokenizers: text to ids, and for each id the bytes it stands for. Decoding itself is the C++ side's, token by
//! token, so that a stream and a whole text cannot differ.

pub(crate) mod ffi;
mod json;
pub(crate) mod pieces;
mod pre;
mod vocabulary;

use tokenizers::tokenizer::{AddedVocabulary, Encoding, PostProcessor, PreTokenizer, Token};
use tokenizers::{Model, OffsetReferential, OffsetType};

use crate::border::{Failure, Outcome};
use pieces::{Pieces, Style, IS_KNOWN, IS_SPECIAL, MAX_IDS};
pub use vocabulary::Vocabulary;

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The added tokens with the special ones not recognised in text.
    plain_added: AddedVocabulary,
    pieces: Pieces,
    style: Style,
    prefix: Vec<i32>,
    suffix: Vec<i32>,
}

/// Whether special tokens written in a text become their ids or stay text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SpecialTokens {
    Parsed,
    AsText,
}

impl Tokenizer {
    /// ERRORS: InvalidModel, Unsupported.
    pub fn from_json(text: &str) -> Outcome<Self> {
        json::load(text)
    }

    /// ERRORS: InvalidModel, Unsupported.
    pub fn from_vocabulary(vocabulary: &Vocabulary<'_>) -> Outcome<Self> {
        vocabulary.load()
    }

    fn new(inner: tokenizers::Tokenizer, style: Style, prefix: Vec<i32>, suffix: Vec<i32>) -> Outcome<Self> {
        let mut plain_added = inner.get_added_vocabulary().clone();
        plain_added.set_encode_special_tokens(true);
        let pieces = collect_pieces(&inner, &style)?;
        Ok(Tokenizer { inner, plain_added, pieces, style, prefix, suffix })
    }

    pub fn encode(&self, text: &str, special: SpecialTokens) -> Outcome<Vec<i32>> {
        let added = match special {
            SpecialTokens::Parsed => self.inner.get_added_vocabulary(),
            SpecialTokens::AsText => &self.plain_added,
        };
        let failed = |error: tokenizers::Error| Failure::argument(format!("the text cannot be tokenized: {error}"));
        let mut splits = added.extract_and_normalize(self.inner.get_normalizer(), text);
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut splits).map_err(failed)?;
        }
        let model = self.inner.get_model();
        splits.tokenize(|split| model.tokenize(split.get())).map_err(failed)?;
        let mut ids = Vec::new();
        for (_, _, tokens) in splits.get_splits(OffsetReferential::Original, OffsetType::None) {
            for token in tokens.iter().flatten() {
                ids.push(to_id(token.id)?);
            }
        }
        Ok(ids)
    }

    pub fn token_to_id(&self, token: &str) -> Option<i32> {
        self.inner.token_to_id(token).and_then(|id| i32::try_from(id).ok())
    }

    pub fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    pub fn style(&self) -> &Style {
        &self.style
    }

    /// Ids that the model expects before and after a text.
    pub fn affixes(&self) -> (&[i32], &[i32]) {
        (&self.prefix, &self.suffix)
    }
}

fn to_id(id: u32) -> Outcome<i32> {
    i32::try_from(id).map_err(|_| Failure::model(format!("token id {id} is out of range")))
}

fn collect_pieces(inner: &tokenizers::Tokenizer, style: &Style) -> Outcome<Pieces> {
    let added = inner.get_added_vocabulary();
    let highest = inner.get_vocab(true).into_values().max();
    let num_ids = highest.map_or(0, |id| id as usize + 1);
    if num_ids > MAX_IDS {
        return Err(Failure::model(format!("the tokenizer has the id {}; the limit is {MAX_IDS}", num_ids - 1)));
    }
    let mut pieces = Pieces::default();
    for id in 0..num_ids as u32 {
        // The same order of lookups as the library's own decoding.
        let token = added.simple_id_to_token(id).or_else(|| inner.get_model().id_to_token(id));
        match token {
            Some(token) => {
                let special = if added.is_special_token(&token) { IS_SPECIAL } else { 0 };
                pieces.push(&style.piece(&token), IS_KNOWN | special)?;
            }
            None => pieces.push(&[], 0)?,
        }
    }
    Ok(pieces)
}

/// What a post-processor puts around a single text.
fn affixes(processor: Option<&tokenizers::PostProcessorWrapper>) -> Outcome<(Vec<i32>, Vec<i32>)> {
    let Some(processor) = processor else { return Ok((Vec::new(), Vec::new())) };
    // A token that no vocabulary has marks the text's place.
    let mark = u32::MAX;
    let text = Encoding::from_tokens(vec![Token::new(mark, String::new(), (0, 0))], 0);
    let around = processor
        .process(text, None, true)
        .map_err(|error| Failure::model(format!("tokenizer.json: post_processor: {error}")))?;
    let mut halves = around.get_ids().split(|id| *id == mark);
    let mut half = || halves.next().unwrap_or_default().iter().map(|id| to_id(*id)).collect::<Outcome<Vec<i32>>>();
    Ok((half()?, half()?))
}
