//! C functions of chat templates.

use super::clock::MlxsTime;
use super::{Input, Template};
use crate::border::{guard, Failure, MlxsBuffer, MlxsSlice, MlxsStatus};

/// A compiled chat template. Immutable: any number of threads may render it at once.
pub struct MlxsTemplate(Template);

/// What one rendering is given; borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MlxsTemplateInput {
    /// A JSON array of messages.
    pub messages: MlxsSlice,
    /// A JSON array of tools; empty: none.
    pub tools: MlxsSlice,
    /// A JSON object of further variables, which win over all others; empty: none.
    pub arguments: MlxsSlice,
    pub adds_generation_prompt: bool,
    /// What strftime_now tells.
    pub now: MlxsTime,
}

/// Makes a template from its source and a JSON object of special tokens ("{}" for none). On success `*out` owns it
/// until `mlxs_template_free`; on failure `*out` is untouched. The slices are borrowed for the call.
///
/// # Safety
/// The slices are readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_template_new(
    source: MlxsSlice,
    special_tokens: MlxsSlice,
    out: *mut *mut MlxsTemplate,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        if out.is_null() {
            return Err(Failure::argument("out is null"));
        }
        let template = Template::new(source.text("chat template")?, special_tokens.text("special tokens")?)?;
        out.write(Box::into_raw(Box::new(MlxsTemplate(template))));
        Ok(())
    })
}

/// Frees a template. Null is allowed.
///
/// # Safety
/// `template` is null or came from `mlxs_template_new` and is used by nobody any more.
#[no_mangle]
pub unsafe extern "C" fn mlxs_template_free(template: *mut MlxsTemplate) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

/// Renders a conversation. On success `*out` owns the text until `mlxs_buffer_free`.
///
/// # Safety
/// `template` is a live handle, `input` and its slices are readable, `out` is writable, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn mlxs_template_render(
    template: *const MlxsTemplate,
    input: *const MlxsTemplateInput,
    out: *mut MlxsBuffer,
    error: *mut MlxsBuffer,
) -> MlxsStatus {
    guard(error, || {
        let (Some(template), Some(input), false) = (template.as_ref(), input.as_ref(), out.is_null()) else {
            return Err(Failure::argument("a null pointer"));
        };
        let optional = |slice: MlxsSlice, what| slice.text(what).map(|text| Some(text).filter(|text| !text.is_empty()));
        let text = template.0.render(&Input {
            messages: input.messages.text("messages")?,
            tools: optional(input.tools, "tools")?,
            arguments: optional(input.arguments, "template arguments")?,
            adds_generation_prompt: input.adds_generation_prompt,
            now: input.now,
        })?;
        out.write(MlxsBuffer::from_vec(text.into_bytes()));
        Ok(())
    })
}
