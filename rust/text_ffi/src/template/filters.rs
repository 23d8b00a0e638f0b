//! The filters and tests a template may use. The engine's own are wrapped so that their arguments and results are
//! paid for; those that could blow up or that differ from Jinja's are written here.

use minijinja::value::{from_args, Kwargs, Rest, ValueKind};
use minijinja::{filters, tests, Environment, Error, ErrorKind, State, Value};
use std::sync::Arc;

use super::budget::{Budget, MAX_RANGE};
use super::methods::{join, replace, split_lines, strip};
use super::text::{is_float, py_str};
use super::value::{adopt, adopt_pairs, extent};

pub fn register(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    for (name, filter) in engine_filters() {
        let budget = budget.clone();
        env.add_filter(name, move |state: &State, args: Rest<Value>| {
            for arg in args.iter() {
                budget.charge(extent(arg).weight)?;
            }
            let makes_parts = matches!(name, "batch" | "slice");
            if makes_parts && args.get(1).and_then(|count| count.as_usize()).is_some_and(|count| count > MAX_RANGE) {
                return Err(budget.exceed("a filter's count is too large"));
            }
            let result = filter.call(state, &args)?;
            let makes_pairs = matches!(name, "dictsort" | "items");
            if makes_pairs {
                adopt_pairs(&budget, result)
            } else {
                adopt(&budget, result)
            }
        });
    }
    register_own(env, budget);
    register_tests(env, budget);
}

fn engine_filters() -> Vec<(&'static str, Value)> {
    let length = Value::from_function(filters::length);
    let default = Value::from_function(filters::default);
    vec![
        ("upper", Value::from_function(filters::upper)),
        ("lower", Value::from_function(filters::lower)),
        ("title", Value::from_function(filters::title)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("length", length.clone()),
        ("count", length),
        ("dictsort", Value::from_function(filters::dictsort)),
        ("items", Value::from_function(filters::items)),
        ("reverse", Value::from_function(filters::reverse)),
        ("default", default.clone()),
        ("d", default),
        ("round", Value::from_function(filters::round)),
        ("abs", Value::from_function(filters::abs)),
        ("attr", Value::from_function(filters::attr)),
        ("first", Value::from_function(filters::first)),
        ("last", Value::from_function(filters::last)),
        ("min", Value::from_function(filters::min)),
        ("max", Value::from_function(filters::max)),
        ("sort", Value::from_function(filters::sort)),
        ("list", Value::from_function(filters::list)),
        ("batch", Value::from_function(filters::batch)),
        ("slice", Value::from_function(filters::slice)),
        ("sum", Value::from_function(filters::sum)),
        ("select", Value::from_function(filters::select)),
        ("reject", Value::from_function(filters::reject)),
        ("selectattr", Value::from_function(filters::selectattr)),
        ("rejectattr", Value::from_function(filters::rejectattr)),
        ("map", Value::from_function(filters::map)),
        ("groupby", Value::from_function(filters::groupby)),
        ("unique", Value::from_function(filters::unique)),
        ("safe", Value::from_function(filters::safe)),
        ("escape", Value::from_function(filters::escape)),
        ("e", Value::from_function(filters::escape)),
    ]
}

fn register_own(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    let shared = budget.clone();
    env.add_filter("string", move |value: &Value| py_str(&shared, value));
    let shared = budget.clone();
    env.add_filter("trim", move |value: &Value, chars: Option<Value>| -> Result<String, Error> {
        let text = py_str(&shared, value)?;
        Ok(strip(&text, chars.as_ref().and_then(|chars| chars.as_str()), "lr").to_string())
    });
    let shared = budget.clone();
    env.add_filter("replace", move |value: &Value, from: &Value, to: &Value, count: Option<i64>| {
        let (text, from, to) = (py_str(&shared, value)?, py_str(&shared, from)?, py_str(&shared, to)?);
        replace(&shared, &text, &from, &to, count)
    });
    let shared = budget.clone();
    env.add_filter("join", move |value: &Value, args: Rest<Value>| -> Result<String, Error> {
        let (args, kwargs): (&[Value], Kwargs) = from_args(&args)?;
        let named: (Option<Value>, Option<String>) = (kwargs.get("d")?, kwargs.get("attribute")?);
        kwargs.assert_all_used()?;
        let separator = args.first().cloned().or(named.0).map_or(Ok(String::new()), |d| py_str(&shared, &d))?;
        let attribute = args.get(1).map(|name| name.to_string()).or(named.1);
        let items: Result<Vec<Value>, Error> = value
            .try_iter()?
            .map(|item| attribute.as_ref().map_or(Ok(item.clone()), |name| item.get_attr(name)))
            .collect();
        join(&shared, &separator, items?.into_iter())
    });
    let shared = budget.clone();
    env.add_filter("indent", move |value: &Value, args: Rest<Value>| indent(&shared, value, &args));
    let shared = budget.clone();
    env.add_filter("format", move |value: &Value, args: Rest<Value>| -> Result<Value, Error> {
        let format = py_str(&shared, value)?;
        super::ops::percent_format(&shared, &format, &super::value::make_list(&shared, args.to_vec())?)
    });
    env.add_filter("int", |value: &Value, default: Option<i64>| to_int(value).unwrap_or_else(|| default.unwrap_or(0)));
    env.add_filter("float", |value: &Value, default: Option<f64>| {
        to_float(value).unwrap_or_else(|| default.unwrap_or(0.0))
    });
}

/// indent(s, width=4, first=False, blank=False), as Jinja's.
fn indent(budget: &Budget, value: &Value, args: &[Value]) -> Result<String, Error> {
    let (args, kwargs): (&[Value], Kwargs) = from_args(args)?;
    let argument = |index: usize, name: &str| -> Result<Option<Value>, Error> {
        let named: Option<Value> = kwargs.get(name)?;
        Ok(args.get(index).cloned().or(named))
    };
    let (width, first, blank) = (argument(0, "width")?, argument(1, "first")?, argument(2, "blank")?);
    kwargs.assert_all_used()?;
    let margin = match &width {
        Some(width) if width.as_str().is_some() => width.to_string(),
        width => {
            let width = width.as_ref().map_or(Ok(4), |width| i64::try_from(width.clone()))?.max(0) as u64;
            budget.charge(width)?;
            " ".repeat(width as usize)
        }
    };
    let is_true = |flag: Option<Value>| flag.is_some_and(|flag| flag.is_true());
    let (first, blank) = (is_true(first), is_true(blank));
    let text = py_str(budget, value)?;
    let mut out = String::new();
    // The added newline makes an empty last line count, as in Jinja.
    for (index, line) in split_lines(&(text + "\n"), false).enumerate() {
        budget.charge((margin.len() + line.len()) as u64)?;
        if index > 0 {
            out.push('\n');
        }
        if if index == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&margin);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn to_int(value: &Value) -> Option<i64> {
    if let Some(text) = value.as_str() {
        let text = strip(text, None, "lr");
        return text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i64));
    }
    match value.kind() {
        ValueKind::Bool => Some(i64::from(value.is_true())),
        ValueKind::Number if is_float(value) => f64::try_from(value.clone()).ok().map(|number| number as i64),
        ValueKind::Number => value.as_i64(),
        _ => None,
    }
}

fn to_float(value: &Value) -> Option<f64> {
    if let Some(text) = value.as_str() {
        return strip(text, None, "lr").parse().ok();
    }
    match value.kind() {
        ValueKind::Bool => Some(if value.is_true() { 1.0 } else { 0.0 }),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        _ => None,
    }
}

fn register_tests(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    env.add_test("defined", tests::is_defined);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("none", tests::is_none);
    env.add_test("boolean", tests::is_boolean);
    env.add_test("true", tests::is_true);
    env.add_test("false", tests::is_false);
    env.add_test("string", tests::is_string);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("odd", tests::is_odd);
    env.add_test("even", tests::is_even);
    env.add_test("divisibleby", tests::is_divisibleby);
    env.add_test("lower", tests::is_lower);
    env.add_test("upper", tests::is_upper);
    env.add_test("filter", tests::is_filter);
    env.add_test("test", tests::is_test);
    // Jinja's own meaning: a text and a dictionary are sequences, undefined iterates as nothing, a bool is a number.
    let is_sequence = |kind| {
        matches!(kind, ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined | ValueKind::Bytes)
    };
    env.add_test("sequence", move |value: &Value| is_sequence(value.kind()));
    env.add_test("iterable", move |value: &Value| is_sequence(value.kind()) || value.kind() == ValueKind::Iterable);
    env.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    env.add_test("integer", |value: &Value| value.kind() == ValueKind::Number && value.is_integer());
    env.add_test("float", is_float);
    env.add_test("callable", |value: &Value| matches!(value.kind(), ValueKind::Plain));
    for (names, test) in comparisons() {
        for name in names {
            let budget = budget.clone();
            env.add_test(*name, move |left: &Value, right: &Value| -> Result<bool, Error> {
                budget.charge(extent(left).weight)?;
                budget.charge(extent(right).weight)?;
                Ok(test(left, right))
            });
        }
    }
    let budget = budget.clone();
    env.add_test("in", move |needle: &Value, container: &Value| -> Result<bool, Error> {
        budget.charge(extent(needle).weight)?;
        budget.charge(extent(container).weight)?;
        contains(needle, container)
    });
}

type Comparison = fn(&Value, &Value) -> bool;

fn comparisons() -> [(&'static [&'static str], Comparison); 7] {
    [
        (&["eq", "equalto", "=="], |left, right| left == right),
        (&["sameas"], |left, right| left.kind() == right.kind() && left == right),
        (&["ne", "!="], |left, right| left != right),
        (&["lt", "lessthan", "<"], |left, right| left < right),
        (&["le", "<="], |left, right| left <= right),
        (&["gt", "greaterthan", ">"], |left, right| left > right),
        (&["ge", ">="], |left, right| left >= right),
    ]
}

fn contains(needle: &Value, container: &Value) -> Result<bool, Error> {
    match (container.as_str(), needle.as_str()) {
        (Some(text), Some(part)) => Ok(text.contains(part)),
        (Some(_), None) => {
            Err(Error::new(ErrorKind::InvalidOperation, "'in <string>' requires string as left operand"))
        }
        _ => Ok(container.try_iter()?.any(|item| item == *needle)),
    }
}
