//! Lists and dictionaries as templates see them: Python's, with their depth and size known, so that printing,
//! comparing and dropping them is bounded. Everything from JSON and everything a template makes becomes one of these.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::budget::{Budget, MAX_DEPTH, MAX_VALUE_BYTES};

/// Depth and number of elements of a value, counted as if it were written out.
#[derive(Clone, Copy, Default)]
pub struct Extent {
    pub depth: u32,
    pub weight: u64,
}

#[derive(Debug)]
pub struct PyList {
    items: Vec<Value>,
    is_tuple: bool,
    depth: u32,
    weight: u64,
}

#[derive(Debug)]
pub struct PyDict {
    items: IndexMap<Value, Value>,
    depth: u32,
    weight: u64,
}

/// The extent of a value; strings weigh their bytes.
pub fn extent(value: &Value) -> Extent {
    if let Some(text) = value.as_str() {
        return Extent { depth: 0, weight: text.len() as u64 };
    }
    if let Some(list) = value.downcast_object_ref::<PyList>() {
        return Extent { depth: list.depth, weight: list.weight };
    }
    if let Some(dict) = value.downcast_object_ref::<PyDict>() {
        return Extent { depth: dict.depth, weight: dict.weight };
    }
    Extent { depth: 0, weight: 1 }
}

fn enclose<'a>(budget: &Budget, values: impl Iterator<Item = &'a Value>) -> Result<Extent, Error> {
    let mut total = Extent { depth: 0, weight: 1 };
    let mut count = 0u64;
    for value in values {
        let inner = extent(value);
        total.depth = total.depth.max(inner.depth);
        total.weight = total.weight.saturating_add(inner.weight).saturating_add(1);
        count += 1;
    }
    total.depth += 1;
    if total.depth > MAX_DEPTH {
        return Err(budget.exceed("the template nests lists or dictionaries too deeply"));
    }
    if total.weight > MAX_VALUE_BYTES {
        return Err(budget.exceed("the template makes a value that is too large"));
    }
    budget.charge(count.saturating_mul(16))?;
    Ok(total)
}

/// A list of `items`. ERRORS: over the limits of depth and size.
pub fn make_list(budget: &Budget, items: Vec<Value>) -> Result<Value, Error> {
    let Extent { depth, weight } = enclose(budget, items.iter())?;
    Ok(Value::from_object(PyList { items, is_tuple: false, depth, weight }))
}

/// As `make_list`, printed as a tuple.
pub fn make_tuple(budget: &Budget, items: Vec<Value>) -> Result<Value, Error> {
    let Extent { depth, weight } = enclose(budget, items.iter())?;
    Ok(Value::from_object(PyList { items, is_tuple: true, depth, weight }))
}

/// A dictionary of `items`, in their order. ERRORS: over the limits of depth and size.
pub fn make_dict(budget: &Budget, items: IndexMap<Value, Value>) -> Result<Value, Error> {
    let Extent { depth, weight } = enclose(budget, items.iter().flat_map(|(key, value)| [key, value]))?;
    Ok(Value::from_object(PyDict { items, depth, weight }))
}

/// A JSON value, its order of keys kept.
pub fn from_json(budget: &Budget, json: serde_json::Value) -> Result<Value, Error> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(|item| from_json(budget, item)).collect();
            make_list(budget, items?)?
        }
        Json::Object(items) => {
            let items: Result<IndexMap<_, _>, Error> =
                items.into_iter().map(|(key, item)| Ok((Value::from(key), from_json(budget, item)?))).collect();
            make_dict(budget, items?)?
        }
    })
}

/// Turns the engine's own sequences (what its filters return) into lists of ours.
pub fn adopt(budget: &Budget, value: Value) -> Result<Value, Error> {
    adopt_as(budget, value, make_list)
}

/// As `adopt`, for filters whose result is a list of pairs: each pair is a tuple.
pub fn adopt_pairs(budget: &Budget, value: Value) -> Result<Value, Error> {
    let pairs: Result<Vec<Value>, Error> = value.try_iter()?.map(|pair| adopt_as(budget, pair, make_tuple)).collect();
    make_list(budget, pairs?)
}

type MakeList = fn(&Budget, Vec<Value>) -> Result<Value, Error>;

fn adopt_as(budget: &Budget, value: Value, make: MakeList) -> Result<Value, Error> {
    let is_ours = value.downcast_object_ref::<PyList>().is_some() || value.downcast_object_ref::<PyDict>().is_some();
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if !is_ours => {
            let mut items = Vec::new();
            for item in value.try_iter()? {
                budget.charge(16)?;
                items.push(adopt(budget, item)?);
            }
            make(budget, items)
        }
        ValueKind::String => {
            budget.charge(extent(&value).weight)?;
            Ok(value)
        }
        _ => Ok(value),
    }
}

impl PyList {
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    pub fn is_tuple(&self) -> bool {
        self.is_tuple
    }
}

impl PyDict {
    pub fn items(&self) -> &IndexMap<Value, Value> {
        &self.items
    }
}

impl Object for PyList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn call_method(self: &Arc<Self>, state: &State, method: &str, args: &[Value]) -> Result<Value, Error> {
        charge(state, Value::from_dyn_object(self.clone()))?;
        match (method, args) {
            ("count", [needle]) => Ok(Value::from(self.items.iter().filter(|item| *item == needle).count())),
            ("index", [needle]) => self
                .items
                .iter()
                .position(|item| item == needle)
                .map(Value::from)
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "value is not in list")),
            ("append" | "extend" | "insert" | "pop" | "remove" | "clear" | "reverse" | "sort", _) => {
                Err(immutable(method))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        render(Value::from_dyn_object(self.clone()), formatter)
    }
}

impl Object for PyDict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }

    fn call_method(self: &Arc<Self>, state: &State, method: &str, args: &[Value]) -> Result<Value, Error> {
        let walks_all = matches!(method, "keys" | "values" | "items");
        if walks_all {
            charge(state, Value::from_dyn_object(self.clone()))?;
        }
        let limits = Budget::new(0);
        match (method, args) {
            ("keys", []) => make_list(&limits, self.items.keys().cloned().collect()),
            ("values", []) => make_list(&limits, self.items.values().cloned().collect()),
            ("items", []) => {
                let pair = |(key, value): (&Value, &Value)| make_tuple(&limits, vec![key.clone(), value.clone()]);
                make_list(&limits, self.items.iter().map(pair).collect::<Result<_, _>>()?)
            }
            ("get", [key]) => Ok(self.items.get(key).cloned().unwrap_or_else(|| Value::from(()))),
            ("get", [key, default]) => Ok(self.items.get(key).unwrap_or(default).clone()),
            ("copy", []) => Ok(Value::from_dyn_object(self.clone())),
            ("update" | "pop" | "popitem" | "setdefault" | "clear", _) => Err(immutable(method)),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        render(Value::from_dyn_object(self.clone()), formatter)
    }
}

/// Pays for walking `value`; the budget is the rendering's, found through the operator that every template has.
fn charge(state: &State, value: Value) -> Result<(), Error> {
    let operator = state
        .lookup(super::ops::CHARGE)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "a value was used outside of a rendering"))?;
    operator.call(state, &[value]).map(|_| ())
}

fn immutable(method: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{method}() would change a value; templates may not"))
}

/// The engine's own way to a value's text (error messages, filters of the engine): the same text, bounded by weight.
fn render(value: Value, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let budget = Budget::new(0);
    let mut text = String::new();
    super::text::write_repr(&budget, &value, &mut text).map_err(|_| fmt::Error)?;
    formatter.write_str(&text)
}

/// A constant of the template as a value of ours: the compiler folds literal lists and dictionaries by itself.
pub fn own_constant(value: &Value) -> Result<Value, Error> {
    let budget = Budget::new(0);
    if value.is_kwargs() {
        let kwargs = Kwargs::try_from(value.clone())?;
        let own = |name: &str| Ok((name.to_string(), own_constant(&kwargs.peek(name)?)?));
        return kwargs.args().map(own).collect::<Result<Kwargs, Error>>().map(Value::from);
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Result<Vec<_>, _> = value.try_iter()?.map(|item| own_constant(&item)).collect();
            make_list(&budget, items?)
        }
        ValueKind::Map => {
            let mut items = IndexMap::new();
            for key in value.try_iter()? {
                let item = own_constant(&value.get_item(&key)?)?;
                items.insert(key, item);
            }
            make_dict(&budget, items)
        }
        _ => Ok(value.clone()),
    }
}
