//! A compiled grammar, and the matcher that follows one output through it, token by token and back.

use std::sync::Arc;

use llguidance::toktrie::TokenId;

use super::environment::Environment;
use super::spec::{to_grammar, MlxsGrammarKind};
use crate::border::{Failure, MlxsStatus, Outcome};

/// Immutable: any number of threads may make matchers of it at once.
pub struct Grammar {
    environment: Arc<Environment>,
    fresh: llguidance::Matcher,
}

impl Grammar {
    /// ERRORS: InvalidArgument, Unsupported, LimitExceeded.
    pub fn compile(environment: &Arc<Environment>, kind: MlxsGrammarKind, text: &str) -> Outcome<Self> {
        let shared = Arc::clone(environment);
        let text = text.to_string();
        environment.workers.run(move || Self::compile_here(&shared, kind, &text))
    }

    fn compile_here(environment: &Arc<Environment>, kind: MlxsGrammarKind, text: &str) -> Outcome<Self> {
        let grammar = to_grammar(environment, kind, text)?;
        let parser = environment.factory().create_parser(grammar).map_err(|error| to_failure(&error.to_string()))?;
        let grammar = Grammar { environment: Arc::clone(environment), fresh: llguidance::Matcher::new(Ok(parser)) };
        let mut first = grammar.matcher();
        first.mask(&mut vec![0; environment.trie().vocab_size().div_ceil(32)])?;
        Ok(grammar)
    }

    /// A matcher shares nothing that changes with others: what one uses up, another does not lack.
    pub fn matcher(&self) -> Matcher {
        Matcher { environment: Arc::clone(&self.environment), inner: self.fresh.deep_clone(), has_ended: false }
    }
}

/// The compiler's messages, in this project's words where they name its options.
fn to_failure(message: &str) -> Failure {
    // A regular expression's error has its reason in the last line of a drawing.
    let reason = message.lines().find_map(|line| line.strip_prefix("error: "));
    let first = reason.or(message.lines().next()).unwrap_or_default().to_string();
    let is_limit = ["too large", "fuel", "limit exceeded", "too complex", "level exceeded", "too big"];
    if message.contains("oneOf constraints are not supported") {
        return Failure::unsupported("schema: oneOf whose options may overlap is not supported; use anyOf");
    }
    if is_limit.iter().any(|part| message.contains(part)) {
        return Failure::limit(format!("the grammar is too complex: {first}"));
    }
    if ["not supported", "Unimplemented", "Unknown format", "only supported"].iter().any(|part| message.contains(part))
    {
        return Failure::unsupported(format!("the grammar: {first}"));
    }
    Failure::argument(format!("the grammar cannot be compiled: {first}"))
}

/// For one thread at a time.
pub struct Matcher {
    environment: Arc<Environment>,
    inner: llguidance::Matcher,
    /// An end token was taken.
    has_ended: bool,
}

impl Clone for Matcher {
    fn clone(&self) -> Self {
        Matcher {
            environment: Arc::clone(&self.environment),
            inner: self.inner.deep_clone(),
            has_ended: self.has_ended,
        }
    }
}

impl Matcher {
    /// Writes which tokens may come next, a bit for each id, lowest first; bits beyond the vocabulary are zero.
    /// ERRORS: LimitExceeded when the grammar has become too complex; InvalidArgument when no token can go on, and for too
    /// few words.
    pub fn mask(&mut self, words: &mut [u32]) -> Outcome<()> {
        let num_ids = self.environment.trie().vocab_size();
        if words.len() * 32 < num_ids {
            return Err(Failure::argument(format!("a mask of {} words for {num_ids} tokens", words.len())));
        }
        words.fill(0);
        if self.is_finished() {
            for id in self.environment.eos_ids() {
                words[*id as usize / 32] |= 1 << (id % 32);
            }
            return Ok(());
        }
        let mask = self.inner.compute_mask().map_err(|error| step_failure(&error.to_string()))?;
        let bits = mask.as_slice();
        let length = bits.len().min(words.len());
        words[..length].copy_from_slice(&bits[..length]);
        if !self.may_stop() {
            for id in self.environment.eos_ids() {
                words[*id as usize / 32] &= !(1 << (id % 32));
            }
        }
        if words.iter().all(|word| *word == 0) {
            return Err(no_way_on());
        }
        Ok(())
    }

    /// RETURNS: whether the token may come next; the matcher is unchanged when not.
    pub fn advance(&mut self, id: TokenId) -> Outcome<bool> {
        if self.has_ended {
            return Ok(false);
        }
        if self.environment.eos_ids().contains(&id) {
            self.has_ended = self.may_stop();
            return Ok(self.has_ended);
        }
        if self.inner.is_stopped() || id as usize >= self.environment.trie().vocab_size() {
            return self.failure().map_or(Ok(false), Err);
        }
        let taken = self.inner.try_consume_tokens(&[id]).map_err(|error| step_failure(&error.to_string()))?;
        Ok(taken == 1)
    }

    /// Whether the output may end here.
    pub fn may_stop(&mut self) -> bool {
        self.has_ended || self.failure().is_none() && (self.is_finished() || self.inner.is_accepting().unwrap_or(false))
    }

    /// Whether nothing but an end token may come.
    pub fn is_finished(&self) -> bool {
        self.has_ended || self.inner.is_stopped() && !self.inner.is_error() && self.inner.stop_reason().is_ok()
    }

    /// RETURNS: the tokens that must come next, as the tokenizer writes them; may be empty.
    pub fn forced(&mut self) -> Vec<TokenId> {
        if self.has_ended || self.inner.is_stopped() {
            return Vec::new();
        }
        let mut ids = self.inner.compute_ff_tokens();
        let end = ids.iter().position(|id| self.environment.eos_ids().contains(id));
        ids.truncate(end.unwrap_or(ids.len()));
        ids
    }

    /// Takes back the last `count` tokens. ERRORS: InvalidArgument for more than were taken.
    pub fn rollback(&mut self, count: usize) -> Outcome<()> {
        let mut count = count;
        if self.has_ended && count > 0 {
            self.has_ended = false;
            count -= 1;
        }
        self.inner.rollback(count).map_err(|error| Failure::argument(format!("rollback: {error}")))
    }

    fn failure(&self) -> Option<Failure> {
        self.inner.get_error().map(|error| step_failure(&error))
    }
}

/// What a step failed on.
fn step_failure(message: &str) -> Failure {
    let first = message.lines().next().unwrap_or_default();
    if first.starts_with("NoExtension") {
        return no_way_on();
    }
    Failure::new(MlxsStatus::LimitExceeded, format!("the grammar became too complex for this output: {first}"))
}

fn no_way_on() -> Failure {
    Failure::argument("no token of the vocabulary goes on as the grammar demands")
}
