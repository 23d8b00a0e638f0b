//! Python's string methods, where the engine's own are unbounded or differ from Python. Whatever is not here goes
//! to minijinja-contrib's pycompat.

use minijinja::value::from_args;
use minijinja::{Environment, Error, ErrorKind, Value};
use std::sync::Arc;

use super::budget::Budget;
use super::ops::charge_format;
use super::text::py_str;
use super::value::{adopt, extent, make_list, make_tuple};

pub fn register(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    let budget = budget.clone();
    env.set_unknown_method_callback(move |state, value, method, args| {
        for arg in args.iter().chain([value]) {
            budget.charge(extent(arg).weight)?;
        }
        if let Some(text) = value.as_str() {
            if let Some(result) = string_method(&budget, text, method, args)? {
                return adopt(&budget, result);
            }
        }
        let result = minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)?;
        adopt(&budget, result)
    });
}

/// `str.isspace` for one character: Unicode's white space and the four separators of ASCII.
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

fn matcher(chars: Option<&str>) -> impl Fn(char) -> bool + '_ {
    move |character| chars.map_or_else(|| is_space(character), |set| set.contains(character))
}

/// strip (`ends` "lr"), lstrip ("l") and rstrip ("r").
pub fn strip<'a>(text: &'a str, chars: Option<&str>, ends: &str) -> &'a str {
    let matches = matcher(chars);
    let text = if ends.contains('l') { text.trim_start_matches(&matches) } else { text };
    if ends.contains('r') {
        text.trim_end_matches(&matches)
    } else {
        text
    }
}

/// `str.replace` with an optional count.
pub fn replace(budget: &Budget, text: &str, from: &str, to: &str, count: Option<i64>) -> Result<String, Error> {
    let limit = count.filter(|count| *count >= 0).map_or(usize::MAX, |count| count as usize);
    let found = text.matches(from).take(limit).count() as u64;
    budget.charge((text.len() as u64).saturating_add(found.saturating_mul(to.len() as u64)))?;
    Ok(text.replacen(from, to, limit))
}

/// `separator.join(items)`.
pub fn join(budget: &Budget, separator: &str, items: impl Iterator<Item = Value>) -> Result<String, Error> {
    let mut out = String::new();
    for (index, item) in items.enumerate() {
        budget.charge(separator.len() as u64)?;
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(&py_str(budget, &item)?);
        if out.len() as u64 > super::budget::MAX_VALUE_BYTES {
            return Err(budget.exceed("the template makes a value that is too large"));
        }
    }
    Ok(out)
}

fn string_method(budget: &Budget, text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<Value>,) = from_args(args)?;
            let ends = match method {
                "lstrip" => "l",
                "rstrip" => "r",
                _ => "lr",
            };
            Value::from(strip(text, chars.as_ref().and_then(|chars| chars.as_str()), ends))
        }
        "replace" => {
            let (from, to, count): (&str, &str, Option<i64>) = from_args(args)?;
            Value::from(replace(budget, text, from, to, count)?)
        }
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            Value::from(join(budget, text, items.try_iter()?)?)
        }
        "split" | "rsplit" => split(budget, text, method, args)?,
        "splitlines" => {
            let (keep_ends,): (Option<bool>,) = from_args(args)?;
            make_list(budget, split_lines(text, keep_ends.unwrap_or(false)).map(Value::from).collect())?
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            partition(budget, text, separator, method == "partition")?
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "find" | "rfind" | "index" => {
            let (needle,): (&str,) = from_args(args)?;
            find(text, needle, method)?
        }
        "center" | "ljust" | "rjust" | "zfill" => pad(budget, text, method, args)?,
        "isdigit" | "isalpha" | "isalnum" | "isspace" => {
            let test = match method {
                "isdigit" => |c: char| c.is_numeric() && c.to_digit(36).is_none_or(|digit| digit < 10),
                "isalpha" => char::is_alphabetic,
                "isalnum" => char::is_alphanumeric,
                _ => is_space,
            };
            Value::from(!text.is_empty() && text.chars().all(test))
        }
        "format" => {
            charge_format(budget, text, args)?;
            return Ok(None);
        }
        _ => return Ok(None),
    }))
}

fn split(budget: &Budget, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator, limit): (Option<Value>, Option<i64>) = from_args(args)?;
    let limit = limit.filter(|limit| *limit >= 0).map_or(usize::MAX, |limit| (limit as usize).saturating_add(1));
    let from_right = method == "rsplit";
    budget.charge((text.len() as u64).saturating_mul(16))?;
    let separator = separator.filter(|separator| !separator.is_none());
    let mut parts: Vec<&str> = match separator.as_ref().map(|separator| separator.as_str().ok_or(separator.kind())) {
        None => split_space(text, limit, from_right),
        Some(Ok("")) => return Err(Error::new(ErrorKind::InvalidOperation, "split(): empty separator")),
        Some(Ok(separator)) if from_right => text.rsplitn(limit, separator).collect(),
        Some(Ok(separator)) => text.splitn(limit, separator).collect(),
        Some(Err(kind)) => {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("split(): separator is a {kind}")));
        }
    };
    if from_right {
        parts.reverse();
    }
    make_list(budget, parts.into_iter().map(Value::from).collect())
}

/// Splits at runs of white space; from the right, the parts come last first.
fn split_space(text: &str, limit: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = strip(text, None, if from_right { "r" } else { "l" });
    while !rest.is_empty() {
        if parts.len() + 1 == limit {
            // Python trims only the side it splits from: the inner space of the rest stays.
            parts.push(rest);
            break;
        }
        let cut = if from_right {
            rest.char_indices().rev().find(|(_, c)| is_space(*c)).map(|(at, c)| (at + c.len_utf8(), at))
        } else {
            rest.char_indices().find(|(_, c)| is_space(*c)).map(|(at, _)| (at, at))
        };
        let Some((start, end)) = cut else {
            parts.push(rest);
            break;
        };
        if from_right {
            parts.push(&rest[start..]);
            rest = strip(&rest[..end], None, "r");
        } else {
            parts.push(&rest[..start]);
            rest = strip(&rest[start..], None, "l");
        }
    }
    parts
}

/// `str.splitlines`: breaks where Python does.
pub fn split_lines(text: &str, keep_ends: bool) -> impl Iterator<Item = &str> {
    let is_break = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        let line = rest;
        let (at, character) = match line.char_indices().find(|(_, c)| is_break(*c)) {
            Some(found) => found,
            None if line.is_empty() => return None,
            None => {
                rest = "";
                return Some(line);
            }
        };
        let end = at + if line[at..].starts_with("\r\n") { 2 } else { character.len_utf8() };
        rest = &line[end..];
        Some(&line[..if keep_ends { end } else { at }])
    })
}

fn partition(budget: &Budget, text: &str, separator: &str, from_left: bool) -> Result<Value, Error> {
    let halves = if from_left { text.split_once(separator) } else { text.rsplit_once(separator) };
    let parts = match (halves, from_left) {
        (Some((head, tail)), _) => [head, separator, tail],
        (None, true) => [text, "", ""],
        (None, false) => ["", "", text],
    };
    make_tuple(budget, parts.into_iter().map(Value::from).collect())
}

/// Positions count characters, as in Python.
fn find(text: &str, needle: &str, method: &str) -> Result<Value, Error> {
    let at = if method == "rfind" { text.rfind(needle) } else { text.find(needle) };
    match at {
        Some(at) => Ok(Value::from(text[..at].chars().count())),
        None if method == "index" => Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
        None => Ok(Value::from(-1)),
    }
}

fn pad(budget: &Budget, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (i64, Option<Value>) = from_args(args)?;
    let fill = match (method, fill.as_ref().and_then(|fill| fill.as_str()).and_then(|fill| fill.chars().next())) {
        ("zfill", _) => '0',
        (_, fill) => fill.unwrap_or(' '),
    };
    let missing = u64::try_from(width).unwrap_or(0).saturating_sub(text.chars().count() as u64);
    budget.charge(missing.saturating_mul(4))?;
    let missing = missing as usize;
    // Python puts the odd character of center() on the left when the width is odd.
    let left = match method {
        "ljust" => 0,
        "center" => missing / 2 + (missing & width as usize & 1),
        _ => missing,
    };
    let padding = |count: usize| std::iter::repeat_n(fill, count);
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) if method == "zfill" => (&text[..1], digits),
        _ => ("", text),
    };
    let padded: String =
        sign.chars().chain(padding(left)).chain(digits.chars()).chain(padding(missing - left)).collect();
    Ok(Value::from(padded))
}
