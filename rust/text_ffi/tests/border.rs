//! The C functions: bad pointers, bad text, panics, and that what is handed out is freed once.

use std::ptr::{null, null_mut};

use mlxs_text_ffi::border::*;

fn slice(text: &str) -> MlxsSlice {
    MlxsSlice { data: text.as_ptr(), len: text.len() }
}

fn message(buffer: &MlxsBuffer) -> String {
    let bytes = unsafe { std::slice::from_raw_parts(buffer.data, buffer.len) };
    String::from_utf8(bytes.to_vec()).expect("messages are UTF-8")
}

/// The handles' types are private; from C they are pointers.
mod c {
    use super::*;
    use std::ffi::c_void;
    extern "C" {
        pub fn mlxs_tokenizer_from_json(json: MlxsSlice, out: *mut *mut c_void, error: *mut MlxsBuffer) -> MlxsStatus;
        pub fn mlxs_tokenizer_free(tokenizer: *mut c_void);
        pub fn mlxs_tokenizer_encode(
            tokenizer: *const c_void,
            text: MlxsSlice,
            parses_special: bool,
            out: *mut MlxsIds,
            error: *mut MlxsBuffer,
        ) -> MlxsStatus;
        pub fn mlxs_template_new(
            source: MlxsSlice,
            special_tokens: MlxsSlice,
            out: *mut *mut c_void,
            error: *mut MlxsBuffer,
        ) -> MlxsStatus;
        pub fn mlxs_template_free(template: *mut c_void);
    }
}

const TOKENIZER: &str = r#"{"version":"1.0","decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,
    "use_regex":true},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}"#;

#[test]
fn a_panic_becomes_a_status() {
    let mut error = MlxsBuffer::EMPTY;
    let status = unsafe { guard(&mut error, || panic!("the {} broke", "pipe")) };
    assert_eq!(status, MlxsStatus::Internal);
    assert!(message(&error).ends_with("the pipe broke"));
    unsafe { mlxs_buffer_free(&mut error) };
    assert_eq!(unsafe { guard(null_mut(), || panic!("nobody listens")) }, MlxsStatus::Internal);
}

#[test]
fn null_pointers_are_refused() {
    let mut error = MlxsBuffer::EMPTY;
    let mut handle = null_mut();
    let null_text = MlxsSlice { data: null(), len: 3 };
    unsafe {
        assert_eq!(c::mlxs_tokenizer_from_json(null_text, &mut handle, &mut error), MlxsStatus::InvalidArgument);
        assert!(message(&error).contains("null pointer"));
        mlxs_buffer_free(&mut error);
        assert_eq!(c::mlxs_tokenizer_from_json(slice("{}"), null_mut(), null_mut()), MlxsStatus::InvalidArgument);
        let mut ids = MlxsIds::EMPTY;
        assert_eq!(
            c::mlxs_tokenizer_encode(null(), slice("a"), true, &mut ids, null_mut()),
            MlxsStatus::InvalidArgument
        );
        assert_eq!(c::mlxs_template_new(slice("x"), slice("{}"), null_mut(), null_mut()), MlxsStatus::InvalidArgument);
        c::mlxs_tokenizer_free(null_mut());
        c::mlxs_template_free(null_mut());
        mlxs_buffer_free(null_mut());
        mlxs_ids_free(null_mut());
    }
    assert!(handle.is_null());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let bytes = b"a\xff";
    let mut handle = null_mut();
    let mut ids = MlxsIds::EMPTY;
    unsafe {
        assert_eq!(c::mlxs_tokenizer_from_json(slice(TOKENIZER), &mut handle, null_mut()), MlxsStatus::Ok);
        let text = MlxsSlice { data: bytes.as_ptr(), len: bytes.len() };
        assert_eq!(c::mlxs_tokenizer_encode(handle, text, true, &mut ids, null_mut()), MlxsStatus::InvalidArgument);
        assert!(ids.data.is_null());
        assert_eq!(c::mlxs_tokenizer_encode(handle, slice("abb"), true, &mut ids, null_mut()), MlxsStatus::Ok);
        assert_eq!(std::slice::from_raw_parts(ids.data, ids.len), [2, 1]);
        mlxs_ids_free(&mut ids);
        mlxs_ids_free(&mut ids);
        c::mlxs_tokenizer_free(handle);
    }
}
