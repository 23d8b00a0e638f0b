//! Chat templates: minijinja set up as Transformers sets up Jinja, under a budget.
//!
//! Each rendering compiles anew on a thread of its own with a large stack: the compiler and the values it makes are
//! walked recursively, and a hostile template must find an error there, not the end of the stack.

pub mod budget;
pub mod clock;
mod constants;
mod ffi;
mod filters;
mod globals;
mod json;
mod methods;
mod ops;
mod program;
mod source;
mod text;
mod value;

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::machinery::{make_string_output, Vm};
use minijinja::{AutoEscape, Environment, Error, Value};

use crate::border::{panic_text, Failure, MlxsStatus, Outcome};
use budget::Budget;
use clock::MlxsTime;

const STACK_BYTES: usize = 256 << 20;
const MAX_TEMPLATE_RECURSION: usize = 200;
/// Keys of a message that may carry its reasoning, the first being the one that templates read.
const REASONING_KEYS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

pub struct Template {
    source: String,
    special_tokens: serde_json::Map<String, serde_json::Value>,
}

/// What one rendering is given, as JSON texts.
pub struct Input<'a> {
    pub messages: &'a str,
    pub tools: Option<&'a str>,
    pub arguments: Option<&'a str>,
    pub adds_generation_prompt: bool,
    pub now: MlxsTime,
}

impl Template {
    /// `special_tokens` is a JSON object of strings (bos_token, eos_token, ...) that the template can name.
    /// ERRORS: InvalidModel for a syntax error, a template too large or nested too deeply.
    pub fn new(source: &str, special_tokens: &str) -> Outcome<Self> {
        let special_tokens = parse_object(special_tokens, "special tokens")?;
        let source = source::prepare(source).map_err(Failure::model)?;
        on_large_stack(|| {
            program::compile(&source)
                .map(|_| ())
                .map_err(|error| Failure::model(format!("chat template: {}", describe(&error))))
        })?;
        Ok(Template { source, special_tokens })
    }

    /// RETURNS: the prompt. ERRORS: InvalidArgument for input that is not JSON, TemplateRaised with the template's own
    /// message, TemplateFailed, LimitExceeded.
    pub fn render(&self, input: &Input<'_>) -> Outcome<String> {
        on_large_stack(|| self.render_here(input))
    }

    fn render_here(&self, input: &Input<'_>) -> Outcome<String> {
        let input_bytes = input.messages.len() + input.tools.map_or(0, str::len) + input.arguments.map_or(0, str::len);
        let budget = Arc::new(Budget::new(input_bytes));
        let rendered = self.context(&budget, input)?.and_then(|context| run(&self.source, &budget, context, input.now));
        rendered.map_err(|error| {
            if let Some(message) = budget.take_raised() {
                return Failure::new(MlxsStatus::TemplateRaised, message);
            }
            let out_of_steps = error.kind() == minijinja::ErrorKind::OutOfFuel;
            let exceeded = budget.is_exceeded() || out_of_steps;
            let status = if exceeded { MlxsStatus::LimitExceeded } else { MlxsStatus::TemplateFailed };
            let text = if out_of_steps { "the template runs too many steps".to_string() } else { describe(&error) };
            Failure::new(status, format!("chat template: {text}"))
        })
    }

    fn context(&self, budget: &Budget, input: &Input<'_>) -> Outcome<Result<Value, Error>> {
        let mut entries = serde_json::Map::new();
        entries.insert("messages".into(), prepare_messages(parse(input.messages, "messages")?)?);
        let tools = input.tools.map_or(Ok(serde_json::Value::Null), |tools| parse(tools, "tools"))?;
        entries.insert("tools".into(), tools);
        entries.insert("documents".into(), serde_json::Value::Null);
        entries.insert("add_generation_prompt".into(), input.adds_generation_prompt.into());
        entries.extend(self.special_tokens.clone());
        if let Some(arguments) = input.arguments {
            entries.extend(parse_object(arguments, "template arguments")?);
        }
        let values: Result<IndexMap<String, Value>, Error> =
            entries.into_iter().map(|(name, entry)| Ok((name, value::from_json(budget, entry)?))).collect();
        Ok(values.map(|values| values.into_iter().collect()))
    }
}

/// As Transformers does: keys that are null count as absent, and reasoning is found under each of its names.
fn prepare_messages(messages: serde_json::Value) -> Outcome<serde_json::Value> {
    let serde_json::Value::Array(messages) = messages else {
        return Err(Failure::argument("messages is not an array"));
    };
    let prepared: Outcome<Vec<_>> = messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            let serde_json::Value::Object(mut message) = message else {
                return Err(Failure::argument(format!("messages[{index}] is not an object")));
            };
            message.retain(|_, entry| !entry.is_null());
            if let Some(reasoning) = REASONING_KEYS.iter().find_map(|key| message.get(*key)).cloned() {
                let mut aliased = serde_json::Map::new();
                aliased.insert("thinking".into(), reasoning.clone());
                aliased.extend(message);
                aliased.insert("reasoning_content".into(), reasoning);
                message = aliased;
            }
            Ok(serde_json::Value::Object(message))
        })
        .collect();
    Ok(serde_json::Value::Array(prepared?))
}

fn run(source: &str, budget: &Arc<Budget>, context: Value, now: MlxsTime) -> Result<String, Error> {
    let program = program::compile(source)?;
    let env = environment(budget, now);
    let mut text = String::new();
    let mut output = make_string_output(&mut text);
    Vm::new(&env).eval(&program.main, context, &program.blocks, &mut output, AutoEscape::None)?;
    Ok(text)
}

fn environment(budget: &Arc<Budget>, now: MlxsTime) -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_fuel(Some(budget::MAX_STEPS));
    env.set_recursion_limit(MAX_TEMPLATE_RECURSION);
    let shared = budget.clone();
    env.set_formatter(move |out, _, value| {
        if let Some(text) = value.as_str() {
            shared.charge(text.len() as u64)?;
            return out.write_str(text).map_err(Error::from);
        }
        out.write_str(&text::py_str(&shared, value)?).map_err(Error::from)
    });
    ops::register(&mut env, budget);
    filters::register(&mut env, budget);
    json::register(&mut env, budget);
    methods::register(&mut env, budget);
    globals::register(&mut env, budget, now);
    env
}

/// One line: kind, detail and line of an error.
fn describe(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
    error.line().map_or(detail.clone(), |line| format!("{detail} (line {line})"))
}

fn parse(text: &str, what: &str) -> Outcome<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| Failure::argument(format!("{what}: {error}")))
}

fn parse_object(text: &str, what: &str) -> Outcome<serde_json::Map<String, serde_json::Value>> {
    match parse(text, what)? {
        serde_json::Value::Object(entries) => Ok(entries),
        _ => Err(Failure::argument(format!("{what}: not a JSON object"))),
    }
}

fn on_large_stack<T: Send>(body: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("template".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, body)
            .map_err(|error| Failure::new(MlxsStatus::Internal, format!("no thread for the template: {error}")))?;
        thread.join().unwrap_or_else(|payload| {
            let text = panic_text(payload);
            Err(Failure::new(MlxsStatus::Internal, format!("internal error in the template engine: {text}")))
        })
    })
}
