//! Tokenizers, chat templates and grammars behind one C header (include/mlxs_text_ffi.h, made by cbindgen).
//!
//! One module per capability; each keeps its C functions in its own `ffi` file. Rules of the border are in `border`:
//! a panic never crosses, errors are values, every pointer's owner is named at the function.

pub mod border;
pub mod grammar;
pub mod template;
pub mod tokenizer;
