//! C functions of grammars.

use std::sync::Arc;

use super::{check_schema, Environment, Grammar, Matcher, MlxsGrammarKind};
use crate::border::{array, guard, Failure, MlxsBuffer, MlxsIds, MlxsSlice, MlxsStatus, Outcome};
use crate::tokenizer::ffi::MlxsTokenizer;

/// A vocabulary prepared for grammars. Immutable: any number of threads may use it at once.
pub struct MlxsGrammarVocabulary(Arc<Environment>);

/// A compiled grammar. Immutable: any number of threads may use it at once.
pub struct MlxsGrammar(Grammar);

/// One output's way through a grammar. For one thread at a time.
pub struct MlxsMatcher(Matcher);

/// Where a matcher stands.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MlxsMatcherState {
    /// The output may end here.
    pub may_stop: bool,
    /// Nothing but an end token may come.
    pub is_finished: bool,
}

unsafe fn hand_out<T>(out: *mut *mut T, make: impl FnOnce() -> Outcome<T>) -> Outcome<()> {
    if out.is_null() {
        return Err(Failure::argument("out is null"));
    }
    out.write(Box::into_raw(Box::new(make()?)));
    Ok(())
}

unsafe fn borrow<'a, T>(handle: *const T) -> Outcome<&'a T> {
    handle.as_ref().ok_or_else(|| Failure::argument("a null handle"))
}

unsafe fn borrow_mut<'a, T>(handle: *mut T) -> Outcome<&'a mut T> {
    handle.as_mut().ok_or_else(|| Failure::argument("a null handle"))
}

unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        drop(Box::from_raw(handle));
    }
}

/// Prepares a tokenizer's vocabulary, of which it keeps a share. `eos_ids` are the tokens that end an output. On success
/// `*out` owns it until `mlxs_grammar_vocabulary_free`; on failure `*out` is untouched.
///
/// # Safety
/// `tokenizer` is a live handle, `eos_ids` is readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_grammar_vocabulary_new(
    tokenizer: *const MlxsTokenizer,
    eos_ids: *const i32,
    num_eos_ids: usize,
    out: *mut *mut MlxsGrammarVocabulary,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let tokenizer = borrow(tokenizer)?;
        let eos_ids = array(eos_ids, num_eos_ids, "eos_ids")?;
        hand_out(out, || Ok(MlxsGrammarVocabulary(Arc::new(Environment::new(tokenizer.share(), eos_ids)?))))
    })
}

/// Frees a vocabulary; grammars made of it keep their share. Null is allowed.
///
/// # Safety
/// `vocabulary` is null or came from this library and is used by nobody any more.
#[no_mangle]
pub unsafe extern "C" fn mlxs_grammar_vocabulary_free(vocabulary: *mut MlxsGrammarVocabulary) {
    free(vocabulary);
}

/// Compiles a grammar, in bounded time and memory. On success `*out` owns it until `mlxs_grammar_free`.
/// Fails with InvalidArgument, Unsupported (the message names what) or LimitExceeded.
///
/// # Safety
/// `vocabulary` is a live handle, `text` is readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_grammar_compile(
    vocabulary: *const MlxsGrammarVocabulary,
    kind: MlxsGrammarKind,
    text: MlxsSlice,
    out: *mut *mut MlxsGrammar,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let vocabulary = borrow(vocabulary)?;
        let text = text.text("the grammar")?;
        hand_out(out, || Ok(MlxsGrammar(Grammar::compile(&vocabulary.0, kind, text)?)))
    })
}

/// Frees a grammar; its matchers live on. Null is allowed.
///
/// # Safety
/// `grammar` is null or came from this library and is used by nobody any more.
#[no_mangle]
pub unsafe extern "C" fn mlxs_grammar_free(grammar: *mut MlxsGrammar) {
    free(grammar);
}

/// Reports on a JSON schema: `*out` is a JSON object, owned by the caller until `mlxs_buffer_free`.
///
/// # Safety
/// `vocabulary` is a live handle, `schema` is readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_schema_check(
    vocabulary: *const MlxsGrammarVocabulary,
    schema: MlxsSlice,
    out: *mut MlxsBuffer,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let vocabulary = borrow(vocabulary)?;
        let out = borrow_mut(out)?;
        let report = check_schema(&vocabulary.0, schema.text("the schema")?)?;
        std::ptr::write(out, MlxsBuffer::from_vec(report.into_bytes()));
        Ok(())
    })
}

/// Makes a matcher at the beginning of a grammar. On success `*out` owns it until `mlxs_matcher_free`.
///
/// # Safety
/// `grammar` is a live handle, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_new(
    grammar: *const MlxsGrammar,
    out: *mut *mut MlxsMatcher,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let grammar = borrow(grammar)?;
        hand_out(out, || Ok(MlxsMatcher(grammar.0.matcher())))
    })
}

/// Makes a matcher that stands where `matcher` does and goes its own way.
///
/// # Safety
/// `matcher` is a live handle, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_clone(
    matcher: *const MlxsMatcher,
    out: *mut *mut MlxsMatcher,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let matcher = borrow(matcher)?;
        hand_out(out, || Ok(MlxsMatcher(matcher.0.clone())))
    })
}

/// Frees a matcher. Null is allowed.
///
/// # Safety
/// `matcher` is null or came from this library and is used by nobody any more.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_free(matcher: *mut MlxsMatcher) {
    free(matcher);
}

/// Writes a bit for each token that may come next: token i is bit i % 32 of word i / 32. Bits beyond the vocabulary are
/// zero. Fails with LimitExceeded when the grammar has become too complex, InvalidArgument when no token can go on.
///
/// # Safety
/// `matcher` is a live handle, `words` is writable for `num_words`, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_mask(
    matcher: *mut MlxsMatcher,
    words: *mut u32,
    num_words: usize,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let matcher = borrow_mut(matcher)?;
        // The check of the length and the pointer is the same as for reading.
        array(words.cast_const(), num_words, "words")?;
        let words = if num_words == 0 { &mut [] } else { std::slice::from_raw_parts_mut(words, num_words) };
        matcher.0.mask(words)
    })
}

/// Takes a token. `*is_taken` tells whether it may come; when not, the matcher is unchanged.
///
/// # Safety
/// `matcher` is a live handle, `is_taken` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_advance(
    matcher: *mut MlxsMatcher,
    id: i32,
    is_taken: *mut bool,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let matcher = borrow_mut(matcher)?;
        let is_taken = borrow_mut(is_taken)?;
        *is_taken = match u32::try_from(id) {
            Ok(id) => matcher.0.advance(id)?,
            Err(_) => false,
        };
        Ok(())
    })
}

/// Takes back the last `count` tokens. Fails with InvalidArgument for more than were taken.
///
/// # Safety
/// `matcher` is a live handle, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_rollback(
    matcher: *mut MlxsMatcher,
    count: usize,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || borrow_mut(matcher)?.0.rollback(count))
}

/// Tells where a matcher stands.
///
/// # Safety
/// `matcher` is a live handle, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_state(
    matcher: *mut MlxsMatcher,
    out: *mut MlxsMatcherState,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let matcher = borrow_mut(matcher)?;
        let state = MlxsMatcherState { may_stop: matcher.0.may_stop(), is_finished: matcher.0.is_finished() };
        *borrow_mut(out)? = state;
        Ok(())
    })
}

/// Gives the tokens that must come next, without taking them; none for tokenizers that put a space before a text. On
/// success `*out` owns the ids until `mlxs_ids_free`.
///
/// # Safety
/// `matcher` is a live handle, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_matcher_forced(
    matcher: *mut MlxsMatcher,
    out: *mut MlxsIds,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let ids = borrow_mut(matcher)?.0.forced();
        if out.is_null() {
            return Err(Failure::argument("out is null"));
        }
        out.write(MlxsIds::from_vec(ids.into_iter().filter_map(|id| i32::try_from(id).ok()).collect()));
        Ok(())
    })
}
