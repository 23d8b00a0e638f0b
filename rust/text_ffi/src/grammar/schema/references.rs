//! `$ref`: pointers into the same schema, each given a plain name under `$defs`.

use serde_json::Value as Json;

use super::Place;
use crate::border::{Failure, Outcome};

/// References that only lead to a further one.
const MAX_CHAIN: usize = 64;

pub struct References<'a> {
    root: &'a Json,
    /// By pointer; the index is the name.
    known: Vec<(String, &'a Json)>,
    num_taken: usize,
}

impl<'a> References<'a> {
    pub fn new(root: &'a Json) -> Self {
        References { root, known: Vec::new(), num_taken: 0 }
    }

    /// RETURNS: the reference to write for `reference`.
    pub fn name(&mut self, reference: &str, place: &Place) -> Outcome<String> {
        if matches!(reference, "#" | "#/") {
            return Ok("#".to_string());
        }
        let target = self.follow(self.lookup(reference, place)?, place)?;
        let index = self.known.iter().position(|(_, known)| std::ptr::eq(*known, target));
        let index = index.unwrap_or_else(|| {
            self.known.push((reference.to_string(), target));
            self.known.len() - 1
        });
        Ok(format!("#/$defs/r{index}"))
    }

    /// RETURNS: the name, schema and pointer of a definition that is still to be written.
    pub fn next_pending(&mut self) -> Option<(String, &'a Json, String)> {
        let (pointer, target) = self.known.get(self.num_taken)?;
        self.num_taken += 1;
        Some((format!("r{}", self.num_taken - 1), target, pointer.clone()))
    }

    /// RETURNS: `schema`, or what it refers to when it is nothing but a reference.
    pub fn follow(&self, schema: &'a Json, place: &Place) -> Outcome<&'a Json> {
        let mut target = schema;
        for _ in 0..MAX_CHAIN {
            let only = target.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("$ref"));
            match only.and_then(Json::as_str) {
                Some(reference) => target = self.lookup(reference, place)?,
                None => return Ok(target),
            }
        }
        Err(Failure::limit(format!("schema, at {}: $ref leads in a circle, or too far", place.path)))
    }

    fn lookup(&self, reference: &str, place: &Place) -> Outcome<&'a Json> {
        if matches!(reference, "#" | "#/") {
            return Ok(self.root);
        }
        let Some(pointer) = reference.strip_prefix('#').filter(|pointer| pointer.starts_with('/')) else {
            let what = format!("$ref {reference:?} is not supported; references must be of the form #/...");
            return Err(place.unsupported(&what));
        };
        let target = self.root.pointer(&decode_percent(pointer));
        target.ok_or_else(|| place.invalid(&format!("$ref {reference:?} leads nowhere")))
    }
}

fn decode_percent(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = (*byte == b'%').then(|| after.get(..2)).flatten();
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
