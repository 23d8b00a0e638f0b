//! The operators that make or walk text and lists, with Python's meaning and paid for before they run. `program`
//! puts calls of these in place of the engine's own instructions.

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, FormatStyle, State, Value};
use std::sync::Arc;

use super::budget::Budget;
use super::text::py_str;
use super::value::{extent, make_dict, make_list, PyList};

// Names that no template can write, so that none can be shadowed.
pub const CONCAT: &str = "~";
pub const ADD: &str = "+";
pub const MULTIPLY: &str = "*";
pub const FLOOR_DIVIDE: &str = "//";
pub const REMAINDER: &str = "%";
pub const SLICE: &str = "[:]";
pub const ITEM: &str = "[]";
pub const LIST: &str = "[,]";
pub const DICT: &str = "{,}";
pub const CHARGE: &str = "$";
pub const STORABLE: &str = ".=";

type Operator = fn(&Budget, &[Value]) -> Result<Value, Error>;

/// Registers all operators in `env`.
pub fn register(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    let table: [(&'static str, Operator); 11] = [
        (CONCAT, concat),
        (ADD, add),
        (MULTIPLY, multiply),
        (FLOOR_DIVIDE, floor_divide),
        (REMAINDER, remainder),
        (SLICE, slice),
        (ITEM, item),
        (LIST, |budget, args| make_list(budget, args.to_vec())),
        (DICT, dict),
        (CHARGE, charge),
        (STORABLE, storable),
    ];
    for (name, operator) in table {
        let budget = budget.clone();
        env.add_function(name, move |_: &State, args: Rest<Value>| operator(&budget, &args));
    }
}

fn bad_types(operator: &str, args: &[Value]) -> Error {
    let kinds: Vec<String> = args.iter().map(|arg| arg.kind().to_string()).collect();
    Error::new(
        ErrorKind::InvalidOperation,
        format!("unsupported operand types for {operator}: {}", kinds.join(" and ")),
    )
}

fn is_listy(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn numbers(operator: &str, args: &[Value]) -> Result<(f64, f64), Error> {
    let as_number = |value: &Value| match value.kind() {
        ValueKind::Bool => Some(if value.is_true() { 1.0 } else { 0.0 }),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        _ => None,
    };
    match (as_number(&args[0]), as_number(&args[1])) {
        (Some(left), Some(right)) => Ok((left, right)),
        _ => Err(bad_types(operator, args)),
    }
}

fn integers(args: &[Value]) -> Option<(i128, i128)> {
    let as_integer = |value: &Value| match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    };
    Some((as_integer(&args[0])?, as_integer(&args[1])?))
}

fn integer_result(operator: &str, args: &[Value], result: Option<i128>) -> Result<Value, Error> {
    let result = result.ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, format!("{} {operator} {} has no result", args[0], args[1]))
    })?;
    Ok(i64::try_from(result).map(Value::from).unwrap_or_else(|_| Value::from(result)))
}

fn concat(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    let mut text = py_str(budget, &args[0])?;
    let tail = py_str(budget, &args[1])?;
    budget.charge(text.len() as u64 + tail.len() as u64)?;
    text.push_str(&tail);
    Ok(Value::from(text))
}

fn add(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    if let (Some(left), Some(right)) = (args[0].as_str(), args[1].as_str()) {
        budget.charge(left.len() as u64 + right.len() as u64)?;
        return Ok(Value::from([left, right].concat()));
    }
    if is_listy(&args[0]) && is_listy(&args[1]) {
        let items = args[0].try_iter()?.chain(args[1].try_iter()?);
        let mut list = Vec::new();
        for item in items {
            budget.charge(16)?;
            list.push(item);
        }
        return make_list(budget, list);
    }
    if let Some((left, right)) = integers(args) {
        return integer_result("+", args, left.checked_add(right));
    }
    numbers("+", args).map(|(left, right)| Value::from(left + right))
}

fn multiply(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    if let Some((left, right)) = integers(args) {
        return integer_result("*", args, left.checked_mul(right));
    }
    let (body, count) = if args[1].is_integer() { (&args[0], &args[1]) } else { (&args[1], &args[0]) };
    let count = if count.is_integer() { i128::try_from(count.clone()).ok() } else { None };
    if let (Some(count), true) = (count, body.as_str().is_some() || is_listy(body)) {
        let count = u64::try_from(count.max(0)).unwrap_or(u64::MAX);
        budget.charge(extent(body).weight.saturating_mul(count).saturating_mul(2))?;
        if let Some(text) = body.as_str() {
            return Ok(Value::from(text.repeat(count as usize)));
        }
        let once: Vec<Value> = body.try_iter()?.collect();
        budget.charge((once.len() as u64).saturating_mul(count).saturating_mul(16))?;
        let total = once.len().saturating_mul(count as usize);
        return make_list(budget, once.iter().cycle().take(total).cloned().collect());
    }
    numbers("*", args).map(|(left, right)| Value::from(left * right))
}

fn floor_divide(_: &Budget, args: &[Value]) -> Result<Value, Error> {
    if let Some((left, right)) = integers(args) {
        return integer_result("//", args, checked_floor_div(left, right));
    }
    numbers("//", args).map(|(left, right)| Value::from((left / right).floor()))
}

fn checked_floor_div(left: i128, right: i128) -> Option<i128> {
    let quotient = left.checked_div(right)?;
    let inexact = left.checked_rem(right)? != 0;
    Some(if inexact && (left < 0) != (right < 0) { quotient - 1 } else { quotient })
}

fn remainder(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    if let Some(format) = args[0].as_str() {
        return percent_format(budget, format, &args[1]);
    }
    if let Some((left, right)) = integers(args) {
        let result = checked_floor_div(left, right).and_then(|quotient| left.checked_sub(quotient.checked_mul(right)?));
        return integer_result("%", args, result);
    }
    numbers("%", args).map(|(left, right)| Value::from(left - right * (left / right).floor()))
}

/// `'...' % values`.
pub fn percent_format(budget: &Budget, format: &str, values: &Value) -> Result<Value, Error> {
    let args: Vec<Value> =
        values.downcast_object_ref::<PyList>().map_or_else(|| vec![values.clone()], |list| list.items().to_vec());
    charge_format(budget, format, &args)?;
    minijinja::format_filter(FormatStyle::Printf, format, &args).map(Value::from)
}

/// Pays for a format string: its widths and precisions are numbers in the text.
pub fn charge_format(budget: &Budget, format: &str, args: &[Value]) -> Result<(), Error> {
    let widths = format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    for digits in widths {
        budget.charge(digits.parse().unwrap_or(u64::MAX))?;
    }
    // `*` takes a width from the arguments.
    let starred = format.contains('*');
    for arg in args {
        let as_width = u64::try_from(i128::try_from(arg.clone()).unwrap_or(0).max(0)).unwrap_or(u64::MAX);
        budget.charge(if starred { as_width } else { 0 })?;
        budget.charge(extent(arg).weight)?;
    }
    budget.charge(format.len() as u64)
}

/// Python's slice indices for a sequence of `length`. RETURNS: the picked positions in order.
fn slice_positions(length: usize, bounds: &[Value]) -> Result<Vec<usize>, Error> {
    let bound = |value: &Value| -> Result<Option<i64>, Error> {
        if value.is_none() || value.is_undefined() {
            return Ok(None);
        }
        i64::try_from(value.clone()).map(Some)
    };
    let length = length as i64;
    let (start, stop) = (bound(&bounds[0])?, bound(&bounds[1])?);
    let step = bound(&bounds[2])?.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "slice step cannot be zero"));
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |index: i64| (if index < 0 { index.saturating_add(length) } else { index }).clamp(low, high);
    let first = start.map_or(if step > 0 { low } else { high }, clamp);
    let last = stop.map_or(if step > 0 { high } else { low }, clamp);
    let mut positions = Vec::new();
    let mut index = first;
    while (step > 0 && index < last) || (step < 0 && index > last) {
        positions.push(index as usize);
        index = index.saturating_add(step);
    }
    Ok(positions)
}

fn slice(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    let body = &args[0];
    if let Some(text) = body.as_str() {
        budget.charge((text.len() as u64).saturating_mul(8))?;
        let characters: Vec<char> = text.chars().collect();
        let positions = slice_positions(characters.len(), &args[1..])?;
        return Ok(Value::from(positions.into_iter().map(|index| characters[index]).collect::<String>()));
    }
    if is_listy(body) {
        let items: Vec<Value> = body.try_iter()?.collect();
        budget.charge(items.len() as u64)?;
        let positions = slice_positions(items.len(), &args[1..])?;
        return make_list(budget, positions.into_iter().map(|index| items[index].clone()).collect());
    }
    Err(Error::new(ErrorKind::InvalidOperation, format!("{} cannot be sliced", body.kind())))
}

fn item(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    let (body, key) = (&args[0], &args[1]);
    if let (Some(text), Some(index)) = (body.as_str(), key.as_i64()) {
        budget.charge(text.len() as u64)?;
        let index = if index < 0 { index.saturating_add(text.chars().count() as i64) } else { index };
        let found = usize::try_from(index).ok().and_then(|index| text.chars().nth(index));
        return Ok(found.map_or(Value::UNDEFINED, |character| Value::from(character.to_string())));
    }
    body.get_item(key)
}

fn dict(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    make_dict(budget, args.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

/// Pays for walking a value and gives it back.
fn charge(budget: &Budget, args: &[Value]) -> Result<Value, Error> {
    budget.charge(extent(&args[0]).weight)?;
    Ok(args[0].clone())
}

/// Whether a namespace may hold a value: not another namespace, so that namespaces form no chains and no cycles.
fn storable(_: &Budget, args: &[Value]) -> Result<Value, Error> {
    let value = &args[0];
    let is_ours = value.downcast_object_ref::<super::value::PyDict>().is_some();
    if value.kind() == ValueKind::Map && !is_ours {
        return Err(Error::new(ErrorKind::InvalidOperation, "a namespace cannot hold another namespace"));
    }
    Ok(value.clone())
}
