//! Grammars through the C functions: bad pointers, bad text, what is handed out, and threads that give up.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use mlxs_text_ffi::border::*;
use mlxs_text_ffi::grammar::MlxsGrammarKind;

fn slice(text: &str) -> MlxsSlice {
    MlxsSlice { data: text.as_ptr(), len: text.len() }
}

fn take(mut buffer: MlxsBuffer) -> String {
    let bytes = unsafe { std::slice::from_raw_parts(buffer.data, buffer.len) };
    let text = String::from_utf8(bytes.to_vec()).expect("messages are UTF-8");
    unsafe { mlxs_buffer_free(&mut buffer) };
    text
}

/// The handles' types are private; from C they are pointers.
mod c {
    use super::*;
    extern "C" {
        pub fn mlxs_tokenizer_from_json(json: MlxsSlice, out: *mut *mut c_void, error: *mut MlxsBuffer) -> MlxsStatus;
        pub fn mlxs_tokenizer_free(tokenizer: *mut c_void);
        pub fn mlxs_grammar_vocabulary_new(
            tokenizer: *const c_void,
            eos_ids: *const i32,
            num_eos_ids: usize,
            out: *mut *mut c_void,
            error: *mut MlxsBuffer,
        ) -> MlxsStatus;
        pub fn mlxs_grammar_vocabulary_free(vocabulary: *mut c_void);
        pub fn mlxs_grammar_compile(
            vocabulary: *const c_void,
            kind: MlxsGrammarKind,
            text: MlxsSlice,
            out: *mut *mut c_void,
            error: *mut MlxsBuffer,
        ) -> MlxsStatus;
        pub fn mlxs_grammar_free(grammar: *mut c_void);
        pub fn mlxs_matcher_new(grammar: *const c_void, out: *mut *mut c_void, error: *mut MlxsBuffer) -> MlxsStatus;
        pub fn mlxs_matcher_free(matcher: *mut c_void);
        pub fn mlxs_matcher_mask(
            matcher: *mut c_void,
            words: *mut u32,
            num_words: usize,
            error: *mut MlxsBuffer,
        ) -> MlxsStatus;
        pub fn mlxs_matcher_advance(
            matcher: *mut c_void,
            id: i32,
            is_taken: *mut bool,
            error: *mut MlxsBuffer,
        ) -> MlxsStatus;
    }
}

const TOKENIZER: &str = r#"{"version":"1.0","decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,
    "use_regex":true},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"$":3},"merges":["a b"]}}"#;

#[test]
fn a_matcher_outlives_its_grammar_vocabulary_and_tokenizer() {
    let (mut tokenizer, mut vocabulary, mut grammar, mut matcher) = (null_mut(), null_mut(), null_mut(), null_mut());
    unsafe {
        assert_eq!(c::mlxs_tokenizer_from_json(slice(TOKENIZER), &mut tokenizer, null_mut()), MlxsStatus::Ok);
        let eos = [3];
        assert_eq!(
            c::mlxs_grammar_vocabulary_new(tokenizer, eos.as_ptr(), 1, &mut vocabulary, null_mut()),
            MlxsStatus::Ok
        );
        c::mlxs_tokenizer_free(tokenizer);
        let regex = MlxsGrammarKind::Regex;
        assert_eq!(c::mlxs_grammar_compile(vocabulary, regex, slice("a+b?"), &mut grammar, null_mut()), MlxsStatus::Ok);
        c::mlxs_grammar_vocabulary_free(vocabulary);
        assert_eq!(c::mlxs_matcher_new(grammar, &mut matcher, null_mut()), MlxsStatus::Ok);
        c::mlxs_grammar_free(grammar);
        let mut words = [u32::MAX; 2];
        assert_eq!(c::mlxs_matcher_mask(matcher, words.as_mut_ptr(), 2, null_mut()), MlxsStatus::Ok);
        assert_eq!(words, [0b0101, 0]);
        let mut is_taken = false;
        assert_eq!(c::mlxs_matcher_advance(matcher, 2, &mut is_taken, null_mut()), MlxsStatus::Ok);
        assert!(is_taken);
        assert_eq!(c::mlxs_matcher_mask(matcher, words.as_mut_ptr(), 1, null_mut()), MlxsStatus::Ok);
        assert_eq!(words, [0b1000, 0]);
        c::mlxs_matcher_free(matcher);
    }
}

#[test]
fn a_byte_that_no_token_holds_is_never_left_out() {
    let (mut tokenizer, mut vocabulary, mut grammar, mut matcher) = (null_mut(), null_mut(), null_mut(), null_mut());
    unsafe {
        c::mlxs_tokenizer_from_json(slice(TOKENIZER), &mut tokenizer, null_mut());
        c::mlxs_grammar_vocabulary_new(tokenizer, [3].as_ptr(), 1, &mut vocabulary, null_mut());
        let kind = MlxsGrammarKind::Regex;
        assert_eq!(c::mlxs_grammar_compile(vocabulary, kind, slice("acb"), &mut grammar, null_mut()), MlxsStatus::Ok);
        c::mlxs_matcher_new(grammar, &mut matcher, null_mut());
        let mut words = [0u32];
        assert_eq!(c::mlxs_matcher_mask(matcher, words.as_mut_ptr(), 1, null_mut()), MlxsStatus::Ok);
        assert_eq!(words, [0b0001]);
        let mut is_taken = false;
        c::mlxs_matcher_advance(matcher, 0, &mut is_taken, null_mut());
        assert!(is_taken);
        let mut error = MlxsBuffer::EMPTY;
        let status = c::mlxs_matcher_mask(matcher, words.as_mut_ptr(), 1, &mut error);
        assert_eq!(status, MlxsStatus::InvalidArgument);
        assert!(take(error).contains("no token"));
        c::mlxs_matcher_free(matcher);
        c::mlxs_grammar_free(grammar);
        c::mlxs_grammar_vocabulary_free(vocabulary);
        c::mlxs_tokenizer_free(tokenizer);
    }
}

#[test]
fn what_breaks_the_contract_is_refused() {
    let mut error = MlxsBuffer::EMPTY;
    let mut handle: *mut c_void = null_mut();
    let bytes = b"a\xff";
    let not_text = MlxsSlice { data: bytes.as_ptr(), len: bytes.len() };
    let (mut tokenizer, mut vocabulary) = (null_mut(), null_mut());
    unsafe {
        assert_eq!(
            c::mlxs_grammar_vocabulary_new(null(), null(), 0, &mut handle, null_mut()),
            MlxsStatus::InvalidArgument
        );
        assert_eq!(c::mlxs_tokenizer_from_json(slice(TOKENIZER), &mut tokenizer, null_mut()), MlxsStatus::Ok);
        assert_eq!(
            c::mlxs_grammar_vocabulary_new(tokenizer, null(), 0, &mut handle, &mut error),
            MlxsStatus::InvalidArgument
        );
        assert!(take(error).contains("at least one end token"));
        let eos = [3];
        c::mlxs_grammar_vocabulary_new(tokenizer, eos.as_ptr(), 1, &mut vocabulary, null_mut());
        let kind = MlxsGrammarKind::Regex;
        let refuse = |text, out| c::mlxs_grammar_compile(vocabulary, kind, text, out, null_mut());
        assert_eq!(refuse(not_text, &mut handle), MlxsStatus::InvalidArgument);
        assert_eq!(refuse(slice("a"), null_mut()), MlxsStatus::InvalidArgument);
        assert_eq!(refuse(slice("c"), &mut handle), MlxsStatus::InvalidArgument, "no token can write it");
        assert!(handle.is_null());
        assert_eq!(c::mlxs_matcher_new(null(), &mut handle, null_mut()), MlxsStatus::InvalidArgument);
        assert_eq!(c::mlxs_matcher_mask(null_mut(), null_mut(), 0, null_mut()), MlxsStatus::InvalidArgument);
        c::mlxs_matcher_free(null_mut());
        c::mlxs_grammar_free(null_mut());
        c::mlxs_grammar_vocabulary_free(vocabulary);
        c::mlxs_tokenizer_free(tokenizer);
    }
}
