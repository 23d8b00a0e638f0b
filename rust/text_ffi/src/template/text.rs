//! Python's text forms of values: str(), repr() and float.__repr__. Templates print lists, dictionaries and numbers,
//! and the reference prints them as Python does.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::budget::Budget;
use super::value::{PyDict, PyList};

/// `str(value)`; undefined prints as nothing, as in Jinja.
pub fn py_str(budget: &Budget, value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        budget.charge(text.len() as u64)?;
        return Ok(text.to_string());
    }
    if value.is_undefined() {
        return Ok(String::new());
    }
    let mut out = String::new();
    write_repr(budget, value, &mut out)?;
    Ok(out)
}

/// Appends `repr(value)`.
pub fn write_repr(budget: &Budget, value: &Value, out: &mut String) -> Result<(), Error> {
    budget.charge(1)?;
    if let Some(text) = value.as_str() {
        budget.charge(text.len() as u64)?;
        write_str_repr(text, out);
    } else if let Some(list) = value.downcast_object_ref::<PyList>() {
        let (open, close) = if list.is_tuple() { ('(', ')') } else { ('[', ']') };
        out.push(open);
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            write_repr(budget, item, out)?;
        }
        if list.is_tuple() && list.items().len() == 1 {
            out.push(',');
        }
        out.push(close);
    } else if let Some(dict) = value.downcast_object_ref::<PyDict>() {
        out.push('{');
        for (index, (key, item)) in dict.items().iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            write_repr(budget, key, out)?;
            out.push_str(": ");
            write_repr(budget, item, out)?;
        }
        out.push('}');
    } else if value.is_undefined() {
        out.push_str("Undefined");
    } else if is_float(value) {
        out.push_str(&float_repr(f64::try_from(value.clone()).unwrap_or(f64::NAN)));
    } else if matches!(value.kind(), ValueKind::Bool | ValueKind::None | ValueKind::Number) {
        out.push_str(&value.to_string());
    } else {
        // Macros, loops and namespaces have no text in the reference either: an address stands there.
        out.push_str("<object>");
    }
    Ok(())
}

/// Whether `value` is a Python float.
pub fn is_float(value: &Value) -> bool {
    value.kind() == ValueKind::Number && !value.is_integer()
}

/// `repr(str)`: single quotes unless the text has some and no double quotes; what does not print is escaped.
fn write_str_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push(quote);
}

/// `str.isprintable` for one character. Rust's debug form is made from the same categories; the leading letter keeps
/// it from escaping combining marks, which Python prints.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    let probe: String = ['a', character].iter().collect();
    !probe.escape_debug().to_string().contains('\\')
}

/// `float.__repr__`: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
