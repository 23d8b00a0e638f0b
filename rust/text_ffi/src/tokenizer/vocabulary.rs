//! A tokenizer from the vocabulary of a GGUF file: byte-level BPE ("gpt2") and SentencePiece's BPE ("llama").

use std::collections::HashMap;

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BpeBuilder, BPE};
use tokenizers::normalizers::{Prepend, Replace, Sequence};
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper};

use super::pieces::{Style, MAX_IDS};
use super::{pre, Tokenizer};
use crate::border::{Failure, Outcome};

const MAX_MERGES: usize = 1 << 22;
/// Squared token lengths, summed: what finding SentencePiece's merges costs.
const MAX_MERGE_WORK: u64 = 4_000_000_000;
const WORD_MARK: &str = "\u{2581}";

// Values of tokenizer.ggml.token_type.
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// A GGUF's vocabulary, borrowed.
#[derive(Default)]
pub struct Vocabulary<'a> {
    pub model: &'a str,
    pub pre: &'a str,
    pub tokens: Vec<&'a str>,
    pub scores: &'a [f32],
    pub types: &'a [i32],
    pub merges: Vec<&'a str>,
    pub bos_id: Option<i32>,
    pub eos_id: Option<i32>,
    pub unk_id: Option<i32>,
    pub add_bos: Option<bool>,
    pub add_eos: Option<bool>,
    pub add_space_prefix: Option<bool>,
    pub remove_extra_whitespaces: Option<bool>,
    pub has_charsmap: bool,
}

impl Vocabulary<'_> {
    pub fn load(&self) -> Outcome<Tokenizer> {
        self.check()?;
        match self.model {
            "gpt2" => self.load_byte_level(),
            "llama" => self.load_sentencepiece(),
            other => Err(Failure::unsupported(format!(
                "tokenizer.ggml.model '{}' is not supported; supported are gpt2 and llama",
                other.escape_debug()
            ))),
        }
    }

    fn check(&self) -> Outcome<()> {
        if self.tokens.is_empty() || self.tokens.len() > MAX_IDS {
            return Err(Failure::model(format!(
                "tokenizer.ggml.tokens has {} entries; 1 to {MAX_IDS} are allowed",
                self.tokens.len()
            )));
        }
        for (name, len) in [("scores", self.scores.len()), ("token_type", self.types.len())] {
            if len != 0 && len != self.tokens.len() {
                return Err(Failure::model(format!(
                    "tokenizer.ggml.{name} has {len} entries, tokenizer.ggml.tokens has {}",
                    self.tokens.len()
                )));
            }
        }
        if self.merges.len() > MAX_MERGES {
            return Err(Failure::model(format!("tokenizer.ggml.merges has {} entries", self.merges.len())));
        }
        for (name, id) in [("bos", self.bos_id), ("eos", self.eos_id), ("unknown", self.unk_id)] {
            if id.is_some_and(|id| usize::try_from(id).map_or(true, |id| id >= self.tokens.len())) {
                return Err(Failure::model(format!("tokenizer.ggml.{name}_token_id is {id:?}, which is no token")));
            }
        }
        Ok(())
    }

    fn token(&self, id: Option<i32>) -> Option<&str> {
        id.and_then(|id| usize::try_from(id).ok()).and_then(|id| self.tokens.get(id)).copied()
    }

    fn ids(&self) -> HashMap<&str, u32> {
        self.tokens.iter().enumerate().map(|(id, token)| (*token, id as u32)).collect()
    }

    fn load_byte_level(&self) -> Outcome<Tokenizer> {
        let pre = pre::find(self.pre)?;
        if self.merges.is_empty() {
            return Err(Failure::model("tokenizer.ggml.merges is missing"));
        }
        let merges: Outcome<Vec<(String, String)>> = self.merges.iter().map(|merge| split_merge(merge)).collect();
        let builder = BPE::builder().ignore_merges(pre.ignores_merges);
        let mut inner = self.with_model(builder, merges?)?;
        inner.with_normalizer(pre.normalizer()).map_err(|error| Failure::model(format!("normalizer: {error}")))?;
        inner.with_pre_tokenizer(Some(pre.pre_tokenizer(self.add_space_prefix.unwrap_or(false))?));
        inner.with_decoder(Some(ByteLevel::default()));
        self.finish(inner, Style::byte_level(), |_| false)
    }

    fn load_sentencepiece(&self) -> Outcome<Tokenizer> {
        if self.has_charsmap || self.remove_extra_whitespaces == Some(true) {
            return Err(Failure::unsupported(
                "a SentencePiece vocabulary with a normalizer (precompiled_charsmap, remove_extra_whitespaces) is not \
                 supported; use the model's tokenizer.json",
            ));
        }
        if self.scores.is_empty() {
            return Err(Failure::model("tokenizer.ggml.scores is missing"));
        }
        let adds_prefix = self.add_space_prefix.unwrap_or(true);
        let unknown = self.unk_id.or_else(|| self.types.iter().position(|kind| *kind == UNKNOWN).map(|id| id as i32));
        let mut builder = BPE::builder().fuse_unk(true).byte_fallback(true);
        if let Some(unknown) = self.token(unknown) {
            builder = builder.unk_token(unknown.to_string());
        }
        let mut inner = self.with_model(builder, self.find_merges()?)?;
        let mut steps = Vec::new();
        if adds_prefix {
            steps.push(NormalizerWrapper::Prepend(Prepend::new(WORD_MARK.to_string())));
        }
        let replace = Replace::new(" ", WORD_MARK).map_err(|error| Failure::model(format!("normalizer: {error}")))?;
        steps.push(NormalizerWrapper::Replace(replace));
        inner
            .with_normalizer(Some(Sequence::new(steps)))
            .map_err(|error| Failure::model(format!("normalizer: {error}")))?;
        // Tokens that hold a word mark can only be found after spaces have become word marks.
        self.finish(inner, Style::sentencepiece(adds_prefix), |token| !adds_prefix && token.contains(WORD_MARK))
    }

    fn with_model(&self, builder: BpeBuilder, merges: Vec<(String, String)>) -> Outcome<tokenizers::Tokenizer> {
        let ids = self.ids().into_iter().map(|(token, id)| (token.to_string(), id)).collect::<ahash::AHashMap<_, _>>();
        let model = builder
            .vocab_and_merges(ids, merges)
            .build()
            .map_err(|error| Failure::model(format!("tokenizer.ggml.merges: {error}")))?;
        Ok(tokenizers::Tokenizer::new(ModelWrapper::BPE(model)))
    }

    fn finish(
        &self,
        mut inner: tokenizers::Tokenizer,
        style: Style,
        is_normalized: impl Fn(&str) -> bool,
    ) -> Outcome<Tokenizer> {
        let mut added = Vec::new();
        for (id, token) in self.tokens.iter().enumerate() {
            let kind = self.types.get(id).copied().unwrap_or(0);
            let named = self.types.is_empty() && [self.bos_id, self.eos_id, self.unk_id].contains(&Some(id as i32));
            let is_special = named || matches!(kind, UNKNOWN | CONTROL);
            if !token.is_empty() && (is_special || kind == USER_DEFINED) {
                added.push(AddedToken::from(token.to_string(), is_special).normalized(is_normalized(token)));
            }
        }
        inner.add_tokens(added).map_err(|error| Failure::model(format!("special tokens: {error}")))?;
        // SentencePiece models begin with bos unless the file says otherwise; the others say so.
        let affix = |adds: Option<bool>, default: bool, id: Option<i32>| {
            id.filter(|_| adds.unwrap_or(default)).into_iter().collect::<Vec<i32>>()
        };
        let prefix = affix(self.add_bos, self.model == "llama", self.bos_id);
        let suffix = affix(self.add_eos, false, self.eos_id);
        Tokenizer::new(inner, style, prefix, suffix)
    }

    /// SentencePiece's BPE merges the pair whose union scores best; written as ranked merges, as Transformers does.
    fn find_merges(&self) -> Outcome<Vec<(String, String)>> {
        let work: u64 = self.tokens.iter().map(|token| (token.len() as u64).saturating_pow(2)).sum();
        if work > MAX_MERGE_WORK {
            return Err(Failure::model("the tokens in tokenizer.ggml.tokens are too long"));
        }
        struct Merge<'a> {
            left: &'a str,
            right: &'a str,
            score: f32,
            lengths: (usize, usize),
        }
        let ids = self.ids();
        let mut merges = Vec::new();
        for (token, score) in self.tokens.iter().zip(self.scores) {
            let num_chars = token.chars().count();
            let mut own: Vec<(u32, u32, Merge<'_>)> = Vec::new();
            for (index, (at, _)) in token.char_indices().enumerate().skip(1) {
                let (left, right) = token.split_at(at);
                if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                    let lengths = (index, num_chars - index);
                    own.push((*left_id, *right_id, Merge { left, right, score: *score, lengths }));
                }
            }
            own.sort_by_key(|(left, right, _)| (*left, *right));
            merges.extend(own.into_iter().map(|(_, _, merge)| merge));
        }
        merges.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| b.lengths.cmp(&a.lengths)));
        Ok(merges.into_iter().map(|merge| (merge.left.to_string(), merge.right.to_string())).collect())
    }
}

/// "left right"; a token may start with a space of its own, so the first character is never the separator.
fn split_merge(merge: &str) -> Outcome<(String, String)> {
    let first = merge.chars().next().map_or(0, char::len_utf8);
    merge[first..]
        .find(' ')
        .map(|at| (merge[..first + at].to_string(), merge[first + at + 1..].to_string()))
        .ok_or_else(|| Failure::model(format!("tokenizer.ggml.merges: '{}' is not a pair", merge.escape_debug())))
}
