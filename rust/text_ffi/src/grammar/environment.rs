//! A vocabulary as the grammars see it: a trie of its tokens' bytes, the tokens that end a text, and the tokenizer for
//! text that a grammar forces. One for each model.

use std::sync::Arc;

use llguidance::api::ParserLimits;
use llguidance::toktrie::{InferenceCapabilities, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::ParserFactory;

use super::worker::Workers;
use crate::border::{Failure, Outcome};
use crate::tokenizer::pieces::{MlxsLeading, IS_SPECIAL};
use crate::tokenizer::{SpecialTokens, Tokenizer};

struct Vocabulary {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
    is_canonical: bool,
}

/// Longer tokens are not looked for where the tokenizer itself is of no use.
const MAX_GREEDY_BYTES: usize = 32;

impl Vocabulary {
    fn tokenize_text(&self, text: &str) -> Vec<TokenId> {
        let ids = self.tokenizer.encode(text, SpecialTokens::AsText).unwrap_or_default();
        let ids: Vec<TokenId> = ids.into_iter().filter_map(|id| TokenId::try_from(id).ok()).collect();
        // A tokenizer that normalizes or loses characters would force tokens that the grammar does not mean.
        if self.trie.decode_raw(&ids) == text.as_bytes() {
            ids
        } else {
            self.tokenize_greedily(text.as_bytes())
        }
    }

    /// A byte that no token holds becomes an end token, which the matcher never lets through before the end: the output
    /// then fails instead of going on without the byte.
    fn tokenize_greedily(&self, bytes: &[u8]) -> Vec<TokenId> {
        let mut ids = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let lengths = (1..=rest.len().min(MAX_GREEDY_BYTES)).rev();
            let token = lengths.filter_map(|len| Some((self.trie.token_id_at_bytes(&rest[..len])?, len))).next();
            let (id, length) = token.unwrap_or((self.trie.eos_token(), 1));
            ids.push(id);
            rest = &rest[length..];
        }
        ids
    }
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let mut ids = Vec::new();
        for chunk in bytes.utf8_chunks() {
            ids.extend(self.tokenize_text(chunk.valid()));
            ids.extend(self.tokenize_greedily(chunk.invalid()));
        }
        ids
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.is_canonical
    }
}

/// Immutable: any number of threads may use it at once.
pub struct Environment {
    factory: ParserFactory,
    tokenizer: Arc<Tokenizer>,
    eos_ids: Vec<TokenId>,
    pub(super) workers: Workers,
}

/// What one matcher may use up. A step that runs over ends its request with an error, never without the constraint.
fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2_000,
        initial_lexer_fuel: 1_000_000,
        step_lexer_fuel: 200_000,
        step_max_items: 50_000,
        // A state takes 1 to 2 KiB.
        max_lexer_states: 20_000,
        max_grammar_size: 200_000,
        precompute_large_lexemes: true,
        verbose_errors: false,
    }
}

impl Environment {
    /// ERRORS: InvalidArgument for an end token that the vocabulary does not have, or none at all.
    pub fn new(tokenizer: Arc<Tokenizer>, eos_ids: &[i32]) -> Outcome<Self> {
        let pieces = tokenizer.pieces();
        let eos_ids: Vec<TokenId> = eos_ids
            .iter()
            .map(|id| TokenId::try_from(*id).ok().filter(|id| (*id as usize) < pieces.len()))
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::argument(format!("end tokens {eos_ids:?}: the vocabulary has {}", pieces.len())))?;
        let Some(first) = eos_ids.first() else {
            return Err(Failure::argument("a grammar needs at least one end token"));
        };
        let words: Vec<Vec<u8>> = (0..pieces.len()).map(|id| trie_word(&tokenizer, id)).collect();
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, *first), &words).with_eos_tokens(&eos_ids);
        // A tokenizer that puts a space before a text would force tokens that the grammar does not mean.
        let is_canonical = tokenizer.style().leading == MlxsLeading::Nothing;
        let vocabulary = Vocabulary { tokenizer: Arc::clone(&tokenizer), trie, is_canonical };
        let capabilities = InferenceCapabilities { ff_tokens: is_canonical, ..Default::default() };
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&(Arc::new(vocabulary) as _), capabilities, &slices)
            .map_err(|error| Failure::argument(format!("the vocabulary cannot be used for grammars: {error}")))?;
        factory.quiet();
        *factory.limits_mut() = limits();
        Ok(Environment { factory, tokenizer, eos_ids, workers: Workers::default() })
    }

    pub(super) fn factory(&self) -> &ParserFactory {
        &self.factory
    }

    pub(super) fn trie(&self) -> &TokTrie {
        self.factory.tok_env().tok_trie()
    }

    pub fn eos_ids(&self) -> &[TokenId] {
        &self.eos_ids
    }

    /// RETURNS: the special tokens' texts and ids.
    pub(super) fn special_tokens(&self) -> Vec<(String, TokenId)> {
        let is_special = |id: usize| self.tokenizer.pieces().get(id).is_some_and(|(_, flags)| flags & IS_SPECIAL != 0);
        let text = |id: usize| {
            let (bytes, _) = self.tokenizer.pieces().get(id)?;
            Some((String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.is_empty())?, id as TokenId))
        };
        (0..self.tokenizer.pieces().len()).filter(|id| is_special(*id)).filter_map(text).collect()
    }
}

/// Special tokens carry the trie's mark, so that no text of a grammar can match them.
fn trie_word(tokenizer: &Tokenizer, id: usize) -> Vec<u8> {
    let (bytes, flags) = tokenizer.pieces().get(id).unwrap_or((&[], 0));
    if flags & IS_SPECIAL == 0 || bytes.is_empty() {
        return bytes.to_vec();
    }
    [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat()
}
