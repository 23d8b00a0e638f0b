//! C functions of tokenizers.

use std::sync::Arc;

use super::pieces::{MlxsInvalidBytes, MlxsLeading, IS_KNOWN, IS_SPECIAL};
use super::{SpecialTokens, Tokenizer, Vocabulary};
use crate::border::{array, guard, Failure, MlxsBuffer, MlxsIds, MlxsSlice, MlxsStatus, Outcome};

/// A tokenizer. Immutable: any number of threads may use it at once.
pub struct MlxsTokenizer(Arc<Tokenizer>);

impl MlxsTokenizer {
    pub(crate) fn share(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.0)
    }
}

/// The vocabulary of a GGUF file; borrowed for the call. Ids are -1 where the file has none;
/// flags are -1 where the file does not say, else 0 or 1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MlxsVocabulary {
    pub model: MlxsSlice,
    pub pre: MlxsSlice,
    pub tokens: *const MlxsSlice,
    pub num_tokens: usize,
    pub scores: *const f32,
    pub num_scores: usize,
    pub token_types: *const i32,
    pub num_token_types: usize,
    pub merges: *const MlxsSlice,
    pub num_merges: usize,
    pub bos_id: i32,
    pub eos_id: i32,
    pub unk_id: i32,
    pub add_bos: i32,
    pub add_eos: i32,
    pub add_space_prefix: i32,
    pub remove_extra_whitespaces: i32,
    pub has_charsmap: bool,
}

/// What a detokenizer must know; the ids are borrowed from the tokenizer for its life.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MlxsTokenizerInfo {
    /// Ids run from 0 to below this; some may be unused.
    pub num_ids: usize,
    pub invalid_bytes: MlxsInvalidBytes,
    pub leading: MlxsLeading,
    /// What the model expects around a text.
    pub prefix: *const i32,
    pub num_prefix: usize,
    pub suffix: *const i32,
    pub num_suffix: usize,
}

/// The bytes that one id stands for, borrowed from the tokenizer for its life.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MlxsPiece {
    pub bytes: MlxsSlice,
    pub is_known: bool,
    pub is_special: bool,
}

/// Makes a tokenizer from the text of a tokenizer.json. On success `*out` owns it until `mlxs_tokenizer_free`; on
/// failure `*out` is untouched. `json` is borrowed for the call.
///
/// # Safety
/// `json` is readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_tokenizer_from_json(
    json: MlxsSlice,
    out: *mut *mut MlxsTokenizer,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || hand_out(out, || Tokenizer::from_json(json.text("tokenizer.json")?)))
}

/// Makes a tokenizer from a GGUF's vocabulary; ownership as for `mlxs_tokenizer_from_json`.
///
/// # Safety
/// `vocabulary` and all it points to are readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_tokenizer_from_vocabulary(
    vocabulary: *const MlxsVocabulary,
    out: *mut *mut MlxsTokenizer,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let vocabulary = vocabulary.as_ref().ok_or_else(|| Failure::argument("vocabulary is null"))?;
        hand_out(out, || Tokenizer::from_vocabulary(&read_vocabulary(vocabulary)?))
    })
}

unsafe fn hand_out(out: *mut *mut MlxsTokenizer, make: impl FnOnce() -> Outcome<Tokenizer>) -> Outcome<()> {
    if out.is_null() {
        return Err(Failure::argument("out is null"));
    }
    out.write(Box::into_raw(Box::new(MlxsTokenizer(Arc::new(make()?)))));
    Ok(())
}

unsafe fn read_vocabulary(from: &MlxsVocabulary) -> Outcome<Vocabulary<'_>> {
    let texts = |data, len, what: &str| -> Outcome<Vec<&str>> {
        let slices: &[MlxsSlice] = array(data, len, what)?;
        let text = |(index, slice): (usize, &MlxsSlice)| {
            slice.text(&format!("{what}[{index}]")).map_err(|failure| Failure::model(failure.message))
        };
        slices.iter().enumerate().map(text).collect()
    };
    let id = |id: i32| (id >= 0).then_some(id);
    let flag = |flag: i32| (flag >= 0).then_some(flag != 0);
    Ok(Vocabulary {
        model: from.model.text("tokenizer.ggml.model")?,
        pre: from.pre.text("tokenizer.ggml.pre")?,
        tokens: texts(from.tokens, from.num_tokens, "tokenizer.ggml.tokens")?,
        scores: array(from.scores, from.num_scores, "tokenizer.ggml.scores")?,
        types: array(from.token_types, from.num_token_types, "tokenizer.ggml.token_type")?,
        merges: texts(from.merges, from.num_merges, "tokenizer.ggml.merges")?,
        bos_id: id(from.bos_id),
        eos_id: id(from.eos_id),
        unk_id: id(from.unk_id),
        add_bos: flag(from.add_bos),
        add_eos: flag(from.add_eos),
        add_space_prefix: flag(from.add_space_prefix),
        remove_extra_whitespaces: flag(from.remove_extra_whitespaces),
        has_charsmap: from.has_charsmap,
    })
}

/// Frees a tokenizer. Null is allowed.
///
/// # Safety
/// `tokenizer` is null or came from this library and is used by nobody any more, nor is anything borrowed from it.
#[no_mangle]
pub unsafe extern "C" fn mlxs_tokenizer_free(tokenizer: *mut MlxsTokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

/// Turns text into ids, without what the model expects around it. With `parses_special`, special tokens written in the
/// text become their ids; without, they are text like any other. On success `*out` owns the ids until `mlxs_ids_free`.
///
/// # Safety
/// `tokenizer` is a live handle, `text` is readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_tokenizer_encode(
    tokenizer: *const MlxsTokenizer,
    text: MlxsSlice,
    parses_special: bool,
    out: *mut MlxsIds,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let (Some(tokenizer), false) = (tokenizer.as_ref(), out.is_null()) else {
            return Err(Failure::argument("a null pointer"));
        };
        let special = if parses_special { SpecialTokens::Parsed } else { SpecialTokens::AsText };
        let ids = tokenizer.0.encode(text.text("text")?, special)?;
        out.write(MlxsIds::from_vec(ids));
        Ok(())
    })
}

/// RETURNS: the id of a token by its text in the vocabulary, or -1. `token` is borrowed for the call.
///
/// # Safety
/// `tokenizer` is a live handle or null, `token` is readable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_tokenizer_token_id(tokenizer: *const MlxsTokenizer, token: MlxsSlice) -> i32 {
    let mut id = -1;
    guard(std::ptr::null_mut(), || {
        if let Some(tokenizer) = tokenizer.as_ref() {
            id = tokenizer.0.token_to_id(token.text("token")?).unwrap_or(-1);
        }
        Ok(())
    });
    id
}

/// Tells how a tokenizer's ids become text.
///
/// # Safety
/// `tokenizer` is a live handle or null, `out` is writable or null.
#[no_mangle]
pub unsafe extern "C" fn mlxs_tokenizer_info(
    tokenizer: *const MlxsTokenizer,
    out: *mut MlxsTokenizerInfo,
) -> MlxsStatus {
    let (Some(tokenizer), false) = (tokenizer.as_ref(), out.is_null()) else {
        return MlxsStatus::InvalidArgument;
    };
    let (prefix, suffix) = tokenizer.0.affixes();
    out.write(MlxsTokenizerInfo {
        num_ids: tokenizer.0.pieces().len(),
        invalid_bytes: tokenizer.0.style().invalid_bytes,
        leading: tokenizer.0.style().leading,
        prefix: prefix.as_ptr(),
        num_prefix: prefix.len(),
        suffix: suffix.as_ptr(),
        num_suffix: suffix.len(),
    });
    MlxsStatus::Ok
}

/// RETURNS: the bytes of an id; for an id that the vocabulary does not have, no bytes and `is_known` false.
///
/// # Safety
/// `tokenizer` is a live handle or null.
#[no_mangle]
pub unsafe extern "C" fn mlxs_tokenizer_piece(tokenizer: *const MlxsTokenizer, id: i32) -> MlxsPiece {
    let piece =
        tokenizer.as_ref().zip(usize::try_from(id).ok()).and_then(|(tokenizer, id)| tokenizer.0.pieces().get(id));
    let (bytes, flags) = piece.unwrap_or((&[], 0));
    MlxsPiece {
        bytes: MlxsSlice { data: bytes.as_ptr(), len: bytes.len() },
        is_known: flags & IS_KNOWN != 0,
        is_special: flags & IS_SPECIAL != 0,
    }
}
