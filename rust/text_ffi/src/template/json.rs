//! `tojson` as Transformers defines it: Python's json.dumps with ensure_ascii=False by default, byte for byte, and
//! without Jinja's escaping for HTML.

use minijinja::value::{from_args, Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::sync::Arc;

use super::budget::Budget;
use super::text::{float_repr, is_float};
use super::value::{PyDict, PyList};

struct Dumper<'a> {
    budget: &'a Budget,
    ascii_only: bool,
    sort_keys: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
}

pub fn register(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    let budget = budget.clone();
    env.add_filter("tojson", move |_: &State, value: Value, args: Rest<Value>| {
        let (args, kwargs): (&[Value], Kwargs) = from_args(&args)?;
        let dumper = Dumper::from_arguments(&budget, args, &kwargs)?;
        kwargs.assert_all_used()?;
        let mut out = String::new();
        dumper.write(&value, 0, &mut out)?;
        Ok::<Value, Error>(Value::from(out))
    });
}

impl<'a> Dumper<'a> {
    /// tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)
    fn from_arguments(budget: &'a Budget, args: &[Value], kwargs: &Kwargs) -> Result<Self, Error> {
        let argument = |index: usize, name: &str| -> Result<Value, Error> {
            let named: Option<Value> = kwargs.get(name)?;
            Ok(args.get(index).cloned().or(named).unwrap_or_else(|| Value::from(())))
        };
        let indent = indent_text(budget, &argument(1, "indent")?)?;
        let separators = argument(2, "separators")?;
        let (item_separator, key_separator) = if separators.is_none() {
            (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string())
        } else {
            let parts: Vec<String> = separators.try_iter()?.map(|part| part.to_string()).collect();
            let [item, key] = <[String; 2]>::try_from(parts)
                .map_err(|_| Error::new(ErrorKind::InvalidOperation, "tojson: separators takes two strings"))?;
            (item, key)
        };
        budget.charge((item_separator.len() + key_separator.len()) as u64)?;
        Ok(Dumper {
            budget,
            ascii_only: argument(0, "ensure_ascii")?.is_true(),
            sort_keys: argument(3, "sort_keys")?.is_true(),
            indent,
            item_separator,
            key_separator,
        })
    }

    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        self.budget.charge(self.item_separator.len() as u64)?;
        if let Some(text) = value.as_str() {
            return self.write_string(text, out);
        }
        if let Some(list) = value.downcast_object_ref::<PyList>() {
            let items = list.items().iter();
            return self.write_all('[', ']', items, depth, out, |this, item, out| this.write(item, depth + 1, out));
        }
        if let Some(dict) = value.downcast_object_ref::<PyDict>() {
            let mut items: Vec<(&Value, &Value)> = dict.items().iter().collect();
            if self.sort_keys {
                items.sort_by(|left, right| left.0.cmp(right.0));
            }
            return self.write_all('{', '}', items.into_iter(), depth, out, |this, (key, item), out| {
                this.write_string(&key_text(key)?, out)?;
                this.budget.charge(this.key_separator.len() as u64)?;
                out.push_str(&this.key_separator);
                this.write(item, depth + 1, out)
            });
        }
        out.push_str(&scalar(value)?);
        Ok(())
    }

    fn write_all<T>(
        &self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        depth: usize,
        out: &mut String,
        mut write_one: impl FnMut(&Self, T, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let is_empty = items.len() == 0;
        out.push(open);
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push_str(&self.item_separator);
            }
            self.new_line(depth + 1, out)?;
            write_one(self, item, out)?;
        }
        if !is_empty {
            self.new_line(depth, out)?;
        }
        out.push(close);
        Ok(())
    }

    fn new_line(&self, depth: usize, out: &mut String) -> Result<(), Error> {
        let Some(indent) = &self.indent else { return Ok(()) };
        self.budget.charge(1 + (indent.len() as u64).saturating_mul(depth as u64))?;
        out.push('\n');
        (0..depth).for_each(|_| out.push_str(indent));
        Ok(())
    }

    fn write_string(&self, text: &str, out: &mut String) -> Result<(), Error> {
        self.budget.charge(text.len() as u64)?;
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
                c if self.ascii_only && (c as u32) > 0x7e => {
                    // Python leaves 0x7f alone, and writes what is beyond 16 bits as two surrogates.
                    if c == '\u{7f}' {
                        out.push(c);
                    }
                    let mut units = [0u16; 2];
                    let units: &[u16] = if c == '\u{7f}' { &[] } else { c.encode_utf16(&mut units) };
                    units.iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                }
                c => out.push(c),
            }
        }
        out.push('"');
        Ok(())
    }
}

fn indent_text(budget: &Budget, indent: &Value) -> Result<Option<String>, Error> {
    if let Some(text) = indent.as_str() {
        return Ok(Some(text.to_string()));
    }
    if indent.is_none() {
        return Ok(None);
    }
    let width = i64::try_from(indent.clone())?.max(0) as u64;
    budget.charge(width)?;
    Ok(Some(" ".repeat(width as usize)))
}

fn scalar(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Ok("null".to_string()),
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.to_string()),
        ValueKind::Number if is_float(value) => Ok(json_float(f64::try_from(value.clone())?)),
        ValueKind::Number => Ok(value.to_string()),
        kind => {
            Err(Error::new(ErrorKind::InvalidOperation, format!("a value of type {kind} is not JSON serializable")))
        }
    }
}

fn json_float(value: f64) -> String {
    if value.is_finite() {
        return float_repr(value);
    }
    match (value.is_nan(), value > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    }
    .to_string()
}

fn key_text(key: &Value) -> Result<String, Error> {
    key.as_str().map_or_else(|| scalar(key), |text| Ok(text.to_string()))
}
