//! The border to C: status codes, borrowed slices, owned buffers, and the guard that stops panics.
//! Nothing about tokenizers or templates.

use std::panic::{catch_unwind, AssertUnwindSafe};

/// What a call came to. Everything but `Ok` sets the error buffer to a UTF-8 message.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlxsStatus {
    Ok = 0,
    /// An argument breaks the contract: a null pointer, text that is not UTF-8, an id out of range.
    InvalidArgument = 1,
    /// A tokenizer or template from a model's files is malformed or inconsistent.
    InvalidModel = 2,
    /// Well-formed, but of a kind that is not implemented; the message names what is.
    Unsupported = 3,
    /// The template called `raise_exception`; the message is the template's own.
    TemplateRaised = 4,
    /// The template failed while it ran.
    TemplateFailed = 5,
    /// A template or grammar ran over its budget of steps, text, memory or time.
    LimitExceeded = 6,
    /// A panic inside the library, caught at the border: a bug of ours.
    Internal = 7,
}

/// Bytes borrowed from the caller for the length of one call, or from a handle for the handle's life.
/// `data` may be null when `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MlxsSlice {
    pub data: *const u8,
    pub len: usize,
}

/// Bytes owned by the library until `mlxs_buffer_free`. An empty buffer has a null `data`.
#[repr(C)]
pub struct MlxsBuffer {
    pub data: *mut u8,
    pub len: usize,
    pub capacity: usize,
}

/// Token ids owned by the library until `mlxs_ids_free`. An empty list has a null `data`.
#[repr(C)]
pub struct MlxsIds {
    pub data: *mut i32,
    pub len: usize,
    pub capacity: usize,
}

/// An error on its way to C.
#[derive(Debug)]
pub struct Failure {
    pub status: MlxsStatus,
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub fn new(status: MlxsStatus, message: impl Into<String>) -> Self {
        Failure { status, message: message.into() }
    }
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(MlxsStatus::InvalidArgument, message)
    }
    pub fn model(message: impl Into<String>) -> Self {
        Self::new(MlxsStatus::InvalidModel, message)
    }
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(MlxsStatus::LimitExceeded, message)
    }
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(MlxsStatus::Unsupported, message)
    }
}

impl MlxsSlice {
    /// # Safety
    /// `data` points to `len` readable bytes that outlive `'a`, or `len` is 0.
    pub unsafe fn bytes<'a>(self, what: &str) -> Outcome<&'a [u8]> {
        if self.len == 0 {
            return Ok(&[]);
        }
        if self.data.is_null() || self.len > isize::MAX as usize {
            return Err(Failure::argument(format!("{what}: null pointer with length {}", self.len)));
        }
        Ok(std::slice::from_raw_parts(self.data, self.len))
    }

    /// # Safety
    /// As for `bytes`.
    pub unsafe fn text<'a>(self, what: &str) -> Outcome<&'a str> {
        std::str::from_utf8(self.bytes(what)?)
            .map_err(|error| Failure::argument(format!("{what} is not UTF-8: {error}")))
    }
}

/// # Safety
/// `data` points to `len` readable elements that outlive `'a`, or `len` is 0.
pub unsafe fn array<'a, T>(data: *const T, len: usize, what: &str) -> Outcome<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || len.checked_mul(std::mem::size_of::<T>()).is_none_or(|n| n > isize::MAX as usize) {
        return Err(Failure::argument(format!("{what}: null pointer with length {len}")));
    }
    Ok(std::slice::from_raw_parts(data, len))
}

impl MlxsBuffer {
    pub const EMPTY: MlxsBuffer = MlxsBuffer { data: std::ptr::null_mut(), len: 0, capacity: 0 };

    pub fn from_vec(bytes: Vec<u8>) -> Self {
        if bytes.capacity() == 0 {
            return Self::EMPTY;
        }
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        MlxsBuffer { data: bytes.as_mut_ptr(), len: bytes.len(), capacity: bytes.capacity() }
    }
}

impl MlxsIds {
    pub const EMPTY: MlxsIds = MlxsIds { data: std::ptr::null_mut(), len: 0, capacity: 0 };

    pub fn from_vec(ids: Vec<i32>) -> Self {
        if ids.capacity() == 0 {
            return Self::EMPTY;
        }
        let mut ids = std::mem::ManuallyDrop::new(ids);
        MlxsIds { data: ids.as_mut_ptr(), len: ids.len(), capacity: ids.capacity() }
    }
}

/// Frees a buffer and resets it. Null and empty buffers are allowed; freeing twice is not an error.
///
/// # Safety
/// `buffer` is null or points to a buffer of this library that nobody else uses.
#[no_mangle]
pub unsafe extern "C" fn mlxs_buffer_free(buffer: *mut MlxsBuffer) {
    let Some(buffer) = buffer.as_mut() else { return };
    let taken = std::mem::replace(buffer, MlxsBuffer::EMPTY);
    if !taken.data.is_null() {
        drop(Vec::from_raw_parts(taken.data, taken.len, taken.capacity));
    }
}

/// Frees a list of ids and resets it. Null and empty lists are allowed; freeing twice is not an error.
///
/// # Safety
/// `ids` is null or points to a list of this library that nobody else uses.
#[no_mangle]
pub unsafe extern "C" fn mlxs_ids_free(ids: *mut MlxsIds) {
    let Some(ids) = ids.as_mut() else { return };
    let taken = std::mem::replace(ids, MlxsIds::EMPTY);
    if !taken.data.is_null() {
        drop(Vec::from_raw_parts(taken.data, taken.len, taken.capacity));
    }
}

/// The text of a panic's payload.
pub fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| text.to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_string());
    // A payload's own destructor may panic, too.
    std::mem::forget(payload);
    text
}

/// Runs `body`; a failure or a panic becomes a status with its message in `error` (which may be null).
///
/// # Safety
/// `error` is null or points to a writable buffer whose old content is not owned by anybody.
pub unsafe fn guard(error: *mut MlxsBuffer, body: impl FnOnce() -> Outcome<()>) -> MlxsStatus {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let text = panic_text(payload);
        Err(Failure::new(MlxsStatus::Internal, format!("internal error in the text library: {text}")))
    });
    let (status, message) = match outcome {
        Ok(()) => (MlxsStatus::Ok, MlxsBuffer::EMPTY),
        Err(failure) => (failure.status, MlxsBuffer::from_vec(failure.message.into_bytes())),
    };
    if error.is_null() {
        let mut message = message;
        mlxs_buffer_free(&mut message);
    } else {
        error.write(message);
    }
    status
}
