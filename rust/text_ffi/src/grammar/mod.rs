//! Grammars that constrain a model's output: what a user may ask for, compiled by llguidance for one vocabulary, and the
//! matcher that follows the tokens. Everything that cannot be kept is refused when the grammar is compiled.

mod check;
mod environment;
mod ffi;
mod gbnf;
mod lark;
mod matcher;
mod schema;
mod spec;
mod tags;
mod worker;

pub use check::check_schema;
pub use environment::Environment;
pub use matcher::{Grammar, Matcher};
pub use spec::MlxsGrammarKind;
