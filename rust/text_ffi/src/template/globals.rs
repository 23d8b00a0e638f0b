//! The functions a template finds: raise_exception, strftime_now, range, dict and namespace.

use indexmap::IndexMap;
use minijinja::value::{from_args, Kwargs, Rest};
use minijinja::{functions, Environment, Error, ErrorKind, State, Value};
use std::sync::Arc;

use super::budget::{Budget, MAX_RANGE};
use super::clock::{format_time, MlxsTime};
use super::text::py_str;
use super::value::{make_dict, make_list};

pub fn register(env: &mut Environment<'_>, budget: &Arc<Budget>, now: MlxsTime) {
    let shared = budget.clone();
    env.add_function("raise_exception", move |message: &Value| -> Result<Value, Error> {
        let message = py_str(&shared, message)?;
        Err(shared.raise(message))
    });
    let shared = budget.clone();
    env.add_function("strftime_now", move |format: &str| -> Result<String, Error> {
        shared.charge((format.len() as u64).saturating_mul(32))?;
        Ok(format_time(format, &now))
    });
    let shared = budget.clone();
    env.add_function("range", move |first: i64, stop: Option<i64>, step: Option<i64>| {
        let (start, stop) = stop.map_or((0, first), |stop| (first, stop));
        range(&shared, start, stop, step.unwrap_or(1))
    });
    let shared = budget.clone();
    env.add_function("dict", move |args: Rest<Value>| -> Result<Value, Error> {
        let (args, kwargs): (&[Value], Kwargs) = from_args(&args)?;
        let mut items = IndexMap::new();
        for key in args.first().map(|first| first.try_iter()).transpose()?.into_iter().flatten() {
            let item = args[0].get_item(&key)?;
            items.insert(key, item);
        }
        for name in kwargs.args() {
            items.insert(Value::from(name), kwargs.peek(name)?);
        }
        make_dict(&shared, items)
    });
    env.add_function("namespace", namespace);
}

fn range(budget: &Budget, start: i64, stop: i64, step: i64) -> Result<Value, Error> {
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "range() step must not be zero"));
    }
    let distance = if step > 0 { i128::from(stop) - i128::from(start) } else { i128::from(start) - i128::from(stop) };
    let stride = i128::from(step).abs();
    let count = (distance.max(0) + stride - 1) / stride;
    if count > MAX_RANGE as i128 {
        return Err(budget.exceed("range() is limited to 100000 elements"));
    }
    let values = (0..count).map(|index| Value::from((i128::from(start) + index * i128::from(step)) as i64));
    make_list(budget, values.collect())
}

/// A namespace of the engine's own kind (only that can be assigned to), which may not hold another namespace.
fn namespace(state: &State, args: Rest<Value>) -> Result<Value, Error> {
    let defaults = args.first().cloned();
    if let Some(defaults) = &defaults {
        for key in defaults.try_iter()? {
            if key.as_str().is_some_and(|name| name.starts_with('_')) {
                return Err(Error::new(ErrorKind::InvalidOperation, format!("a namespace cannot hold {key}")));
            }
            let value = defaults.get_item(&key)?;
            state.lookup(super::ops::STORABLE).map_or(Ok(value.clone()), |check| check.call(state, &[value]))?;
        }
    }
    functions::namespace(defaults)
}
