//! JSON schemas made ready for the compiler: what it would pass over in silence is refused by name, references become
//! plain, and what it takes less strictly than JSON Schema is written out.

mod formats;
mod references;

use serde_json::{json, Map, Value as Json};

use crate::border::{Failure, Outcome};
use references::References;

const MAX_BYTES: usize = 512 << 10;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 10_000;
/// Every two patterns of an object are compared.
const MAX_PATTERNS: usize = 32;
/// The compiler computes in doubles, which hold every integer up to here.
const MAX_EXACT: u64 = 1 << 53;

/// One space, or one line break with indentation, between any two parts: a model cannot fill a page with blanks.
const WHITESPACE: &str = r"\x20|\r?\n(\x20{0,32}|\t{0,16})";

/// Keywords that say nothing about what is valid.
const ANNOTATIONS: [&str; 16] = [
    "$anchor",
    "$comment",
    "$defs",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "readOnly",
    "title",
    "writeOnly",
];

const DRAFTS: [&str; 5] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
];

/// RETURNS: an equal schema of supported keywords only, with the compiler's options in it.
/// ERRORS: Unsupported, which names the keyword and its path; InvalidArgument for what is no schema; LimitExceeded.
pub fn prepare(text: &str) -> Outcome<Json> {
    if text.len() > MAX_BYTES {
        return Err(Failure::limit(format!("the schema has {} bytes; the limit is {MAX_BYTES}", text.len())));
    }
    let root: Json = serde_json::from_str(text)
        .map_err(|error| Failure::argument(format!("the schema is not JSON, or nested too deeply: {error}")))?;
    prepare_value(&root)
}

/// As `prepare`, for a schema inside another grammar.
pub fn prepare_value(root: &Json) -> Outcome<Json> {
    if !root.is_object() && !root.is_boolean() {
        return Err(Failure::argument("the schema must be an object or a boolean"));
    }
    let mut walk = Walk { references: References::new(root), num_nodes: 0 };
    let made = walk.schema(root, &Place::root())?;
    let mut definitions = Map::new();
    while let Some((name, target, pointer)) = walk.references.next_pending() {
        definitions.insert(name, walk.schema(target, &Place { path: pointer, depth: 0 })?);
    }
    let mut made = match made {
        Json::Object(members) => members,
        Json::Bool(true) => Map::new(),
        _ => return Err(Failure::argument("the schema is false: nothing satisfies it")),
    };
    made.insert("$defs".to_string(), Json::Object(definitions));
    made.insert("x-guidance".to_string(), json!({"whitespace_flexible": true, "whitespace_pattern": WHITESPACE}));
    Ok(Json::Object(made))
}

/// Where in the schema the walk is.
struct Place {
    path: String,
    depth: usize,
}

impl Place {
    fn root() -> Place {
        Place { path: "#".to_string(), depth: 0 }
    }
    fn child(&self, name: &str) -> Place {
        Place { path: format!("{}/{name}", self.path), depth: self.depth + 1 }
    }
    fn invalid(&self, what: &str) -> Failure {
        Failure::argument(format!("schema, at {}: {what}", self.path))
    }
    fn unsupported(&self, what: &str) -> Failure {
        Failure::unsupported(format!("schema, at {}: {what}", self.path))
    }
}

struct Walk<'a> {
    references: References<'a>,
    num_nodes: usize,
}

impl<'a> Walk<'a> {
    fn count(&mut self, place: &Place) -> Outcome<()> {
        self.num_nodes += 1;
        if self.num_nodes > MAX_NODES {
            return Err(Failure::limit(format!("the schema has more than {MAX_NODES} parts")));
        }
        if place.depth > MAX_DEPTH {
            return Err(Failure::limit(format!("the schema is nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn schema(&mut self, schema: &'a Json, place: &Place) -> Outcome<Json> {
        self.count(place)?;
        let members = match schema {
            Json::Bool(_) => return Ok(schema.clone()),
            Json::Object(members) => members,
            _ => return Err(place.invalid("a schema must be an object or a boolean")),
        };
        let mut made = Map::new();
        for (keyword, value) in members {
            self.keyword((keyword, value), place, &mut made)?;
        }
        formats::write_out(&mut made, place)?;
        Ok(Json::Object(made))
    }

    fn keyword(&mut self, member: (&str, &'a Json), place: &Place, made: &mut Map<String, Json>) -> Outcome<()> {
        let (keyword, value) = member;
        let here = place.child(keyword);
        let written = match keyword {
            "properties" | "patternProperties" => self.schema_map(value, &here)?,
            "anyOf" | "allOf" => self.schema_list(value, &here)?,
            "oneOf" => self.one_of(value, &here)?,
            "prefixItems" => self.schema_list(value, &here)?,
            "items" if value.is_array() => self.schema_list(value, &here)?,
            "items" | "additionalItems" | "additionalProperties" => self.schema(value, &here)?,
            "$ref" => Json::String(self.references.name(text(value, &here)?, place)?),
            "enum" => {
                let values = value.as_array().filter(|values| !values.is_empty());
                let values = values.ok_or_else(|| here.invalid("must be a list of at least one value"))?;
                for item in values {
                    self.value(item, &here)?;
                }
                value.clone()
            }
            "const" => {
                self.value(value, &here)?;
                value.clone()
            }
            "required" => {
                for item in value.as_array().ok_or_else(|| here.invalid("must be a list of names"))? {
                    self.count(&here)?;
                    text(item, &here)?;
                }
                value.clone()
            }
            _ => match plain_keyword(member, place, &here)? {
                Some(written) => written,
                None => return Ok(()),
            },
        };
        made.insert(keyword.to_string(), written);
        Ok(())
    }

    fn schema_map(&mut self, value: &'a Json, place: &Place) -> Outcome<Json> {
        let members = value.as_object().ok_or_else(|| place.invalid("must be an object of schemas"))?;
        if place.path.ends_with("/patternProperties") && members.len() > MAX_PATTERNS {
            return Err(Failure::limit(format!("schema, at {}: more than {MAX_PATTERNS} patterns", place.path)));
        }
        let mut made = Map::new();
        for (name, schema) in members {
            made.insert(name.clone(), self.schema(schema, &place.child(name))?);
        }
        Ok(Json::Object(made))
    }

    fn schema_list(&mut self, value: &'a Json, place: &Place) -> Outcome<Json> {
        let schemas = value.as_array().filter(|schemas| !schemas.is_empty());
        let schemas = schemas.ok_or_else(|| place.invalid("must be a list of at least one schema"))?;
        let make = |(index, schema)| self.schema(schema, &place.child(&format!("{index}")));
        Ok(Json::Array(schemas.iter().enumerate().map(make).collect::<Outcome<_>>()?))
    }

    /// Options that are references are written out, because the compiler looks at their properties to see that no value
    /// satisfies two of them.
    fn one_of(&mut self, value: &'a Json, place: &Place) -> Outcome<Json> {
        let schemas = value.as_array().filter(|schemas| !schemas.is_empty());
        let schemas = schemas.ok_or_else(|| place.invalid("must be a list of at least one schema"))?;
        let mut made = Vec::new();
        for (index, schema) in schemas.iter().enumerate() {
            let here = place.child(&format!("{index}"));
            let target = self.references.follow(schema, &here)?;
            made.push(self.schema(target, &here)?);
        }
        Ok(Json::Array(made))
    }

    fn value(&mut self, value: &Json, place: &Place) -> Outcome<()> {
        self.count(place)?;
        match value {
            Json::Number(_) => number(value, place).map(|_| ()),
            Json::Array(items) => items.iter().try_for_each(|item| self.value(item, &place.child("[]"))),
            Json::Object(members) => members.values().try_for_each(|item| self.value(item, &place.child("{}"))),
            _ => Ok(()),
        }
    }
}

/// A keyword whose value holds no schema. RETURNS: what is written for it; None for nothing.
fn plain_keyword(member: (&str, &Json), place: &Place, here: &Place) -> Outcome<Option<Json>> {
    let (keyword, value) = member;
    let written = match keyword {
        "type" => types(value, here)?,
        "pattern" | "format" => Json::String(text(value, here)?.to_string()),
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => count(value, here)?,
        "minimum" | "maximum" => number(value, here)?,
        "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => value.clone(),
        "exclusiveMinimum" | "exclusiveMaximum" => number(value, here)?,
        "multipleOf" => match number(value, here)?.as_f64() {
            Some(step) if step > 0.0 => value.clone(),
            _ => return Err(here.invalid("must be greater than 0")),
        },
        "uniqueItems" | "nullable" if value == &Json::Bool(false) => return Ok(None),
        "$schema" => {
            if !DRAFTS.contains(&text(value, here)?.trim_end_matches('#')) {
                return Err(here.unsupported("this version of JSON Schema is not known"));
            }
            value.clone()
        }
        "$id" | "id" if place.path == "#" => return Ok(None),
        _ if ANNOTATIONS.contains(&keyword) => return Ok(None),
        "x-guidance" => return Err(place.unsupported("the keyword \"x-guidance\" is not for requests")),
        _ if keyword.starts_with("x-") => return Ok(None),
        _ => return Err(place.unsupported(&format!("the keyword {keyword:?} is not supported"))),
    };
    Ok(Some(written))
}

fn text<'v>(value: &'v Json, place: &Place) -> Outcome<&'v str> {
    value.as_str().ok_or_else(|| place.invalid("must be a string"))
}

fn types(value: &Json, place: &Place) -> Outcome<Json> {
    const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
    let is_type = |value: &Json| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let is_sound = value.as_array().map_or_else(|| is_type(value), |list| !list.is_empty() && list.iter().all(is_type));
    is_sound.then(|| value.clone()).ok_or_else(|| place.invalid(&format!("must be among {TYPES:?}")))
}

fn count(value: &Json, place: &Place) -> Outcome<Json> {
    let whole = value.as_u64().or_else(|| value.as_f64().filter(|x| *x >= 0.0 && x.fract() == 0.0).map(|x| x as u64));
    whole.filter(|n| *n <= MAX_EXACT).map(Json::from).ok_or_else(|| place.invalid("must be a whole number from 0 on"))
}

fn number(value: &Json, place: &Place) -> Outcome<Json> {
    let is_exact = match (value.as_i64(), value.as_u64()) {
        (Some(whole), _) => whole.unsigned_abs() <= MAX_EXACT,
        (None, Some(_)) => false,
        (None, None) => value.as_f64().is_some_and(f64::is_finite),
    };
    if !value.is_number() {
        return Err(place.invalid("must be a number"));
    }
    is_exact.then(|| value.clone()).ok_or_else(|| place.unsupported("integers beyond 2^53 are not supported"))
}
