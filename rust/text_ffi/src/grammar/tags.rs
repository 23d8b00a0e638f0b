//! Structural tags, written as Lark: free text in which tags begin parts that must be of a form. Both shapes that clients
//! send are read: `structures` with `triggers`, and a `format` tree.

use serde_json::{json, Value as Json};

use super::environment::Environment;
use super::{schema, spec};
use crate::border::{Failure, Outcome};

const MAX_PARTS: usize = 2_000;
const MAX_DEPTH: usize = 24;

/// ERRORS: InvalidArgument and Unsupported, which name the part; those of the schemas within.
pub fn to_lark(environment: &Environment, text: &str) -> Outcome<String> {
    let request: Json = serde_json::from_str(text)
        .map_err(|error| Failure::argument(format!("structural tag: not JSON, or nested too deeply: {error}")))?;
    let format = match request.get("format") {
        Some(format) => format.clone(),
        None => from_structures(&request)?,
    };
    let mut writer = Writer { specials: environment.special_tokens(), rules: String::new(), num_rules: 0 };
    let start = writer.format(&format, 0)?;
    Ok(format!("start: {start}\n{}", writer.rules))
}

fn from_structures(request: &Json) -> Outcome<Json> {
    let (Some(structures), Some(triggers)) = (request["structures"].as_array(), request.get("triggers")) else {
        return Err(Failure::argument("structural tag: it needs \"format\", or \"structures\" and \"triggers\""));
    };
    let tag = |structure: &Json| {
        let content = json!({"type": "json_schema", "json_schema": structure["schema"]});
        json!({"type": "tag", "begin": structure["begin"], "content": content, "end": structure["end"]})
    };
    let tags: Vec<Json> = structures.iter().map(tag).collect();
    Ok(json!({"type": "triggered_tags", "triggers": triggers, "tags": tags}))
}

struct Writer {
    specials: Vec<(String, u32)>,
    rules: String,
    num_rules: usize,
}

impl Writer {
    /// Adds a rule. RETURNS: its name.
    fn rule(&mut self, attributes: &str, body: &str) -> Outcome<String> {
        self.add("r", attributes, body)
    }

    fn terminal(&mut self, body: &str) -> Outcome<String> {
        self.add("T", "", body)
    }

    fn add(&mut self, prefix: &str, attributes: &str, body: &str) -> Outcome<String> {
        self.num_rules += 1;
        if self.num_rules > MAX_PARTS {
            return Err(Failure::limit(format!("structural tag: more than {MAX_PARTS} parts")));
        }
        let name = format!("{prefix}{}", self.num_rules);
        self.rules.push_str(&format!("{name}{attributes}: {body}\n"));
        Ok(name)
    }

    /// RETURNS: Lark for one part of the tree.
    fn format(&mut self, format: &Json, depth: usize) -> Outcome<String> {
        if depth > MAX_DEPTH {
            return Err(Failure::limit(format!("structural tag: nested more than {MAX_DEPTH} deep")));
        }
        let kind = format["type"].as_str().unwrap_or_default();
        let written = match kind {
            "const_string" => self.literal(field(format, "value")?),
            "json_schema" => {
                let schema = format.get("json_schema").ok_or_else(|| missing("json_schema"))?;
                format!("%json {}", schema::prepare_value(schema)?)
            }
            "regex" => spec::regex_literal(field(format, "pattern")?)?,
            "any_text" => self.free_text(&[])?,
            "sequence" | "or" => {
                let elements = list(format, "elements")?;
                let parts: Vec<String> =
                    elements.iter().map(|element| self.format(element, depth + 1)).collect::<Outcome<_>>()?;
                return self.rule("", &parts.join(if kind == "or" { " | " } else { " " }));
            }
            "tag" => {
                let begin = self.literal(field(format, "begin")?);
                let rest = self.rest_of_tag(format, depth)?;
                format!("{begin} {rest}")
            }
            "triggered_tags" => return self.triggered(format, depth),
            "tags_with_separator" => return self.separated(format, depth),
            _ => return Err(Failure::unsupported(format!("structural tag: the type {kind:?} is not supported"))),
        };
        self.rule("", &written)
    }

    /// The content and the end of a tag.
    fn rest_of_tag(&mut self, tag: &Json, depth: usize) -> Outcome<String> {
        let end = field(tag, "end")?;
        let content = tag.get("content").ok_or_else(|| missing("content"))?;
        if content["type"] == "any_text" {
            return self.text_up_to(end, &[end]);
        }
        let content = self.format(content, depth + 1)?;
        Ok(if end.is_empty() { content } else { format!("{content} {}", self.literal(end)) })
    }

    fn triggered(&mut self, format: &Json, depth: usize) -> Outcome<String> {
        let triggers: Vec<&str> = list(format, "triggers")?.iter().filter_map(Json::as_str).collect();
        let tags = list(format, "tags")?;
        let mut parts = vec![Vec::new(); triggers.len()];
        for tag in tags {
            let begin = field(tag, "begin")?;
            let at = triggers.iter().position(|trigger| !trigger.is_empty() && begin.starts_with(trigger));
            let at = at.ok_or_else(|| Failure::argument(format!("structural tag: no trigger starts {begin:?}")))?;
            let after = self.literal(&begin[triggers[at].len()..]);
            let rest = self.rest_of_tag(tag, depth)?;
            parts[at].push(format!("{after} {rest}"));
        }
        let mut segments = Vec::new();
        for (trigger, options) in triggers.iter().zip(parts).filter(|(_, options)| !options.is_empty()) {
            let before = self.text_up_to(trigger, &triggers)?;
            let options = self.rule("", &options.join(" | "))?;
            segments.push(format!("{before} {options}"));
        }
        let segment = self.rule("", &segments.join(" | "))?;
        let free = self.free_text(&triggers)?;
        let is_set = |name: &str| format[name] == true;
        self.rule(
            "",
            &match (is_set("at_least_one"), is_set("stop_after_first")) {
                (true, true) => segment,
                (true, false) => format!("{segment}+ {free}"),
                (false, true) => format!("{segment} | {free}"),
                (false, false) => format!("{segment}* {free}"),
            },
        )
    }

    fn separated(&mut self, format: &Json, depth: usize) -> Outcome<String> {
        let tags: Vec<String> =
            list(format, "tags")?.iter().map(|tag| self.format(tag, depth + 1)).collect::<Outcome<_>>()?;
        let tag = self.rule("", &tags.join(" | "))?;
        let separator = self.literal(field(format, "separator")?);
        let is_set = |name: &str| format[name] == true;
        let many = if is_set("stop_after_first") { tag } else { format!("{tag} ({separator} {tag})*") };
        self.rule("", &if is_set("at_least_one") { many } else { format!("({many})?") })
    }

    /// Text that may be empty and holds none of `stops`.
    fn free_text(&mut self, stops: &[&str]) -> Outcome<String> {
        let texts: Vec<String> =
            stops.iter().filter(|stop| !self.starts_special(stop)).map(|stop| Json::from(*stop).to_string()).collect();
        let any = "/(?s:.+)/";
        let body = match texts.is_empty() {
            true => any.to_string(),
            false => format!("{any} & ~(/(?s:.*)/ ({}) /(?s:.*)/)", texts.join(" | ")),
        };
        Ok(format!("{}?", self.terminal(&body)?))
    }

    /// Text up to and with the first `stop`; none of `stops` comes before.
    fn text_up_to(&mut self, stop: &str, stops: &[&str]) -> Outcome<String> {
        if stop.is_empty() {
            return self.free_text(&[]);
        }
        if self.starts_special(stop) {
            return Ok(format!("{} {}", self.free_text(stops)?, self.literal(stop)));
        }
        if self.pieces(stop).len() > 1 {
            let what = format!("structural tag: {stop:?} mixes text and a special token, which is not supported");
            return Err(Failure::unsupported(what));
        }
        let quoted = Json::from(stop).to_string();
        self.rule("[lazy]", &format!("/(?s:.*)/ {quoted}"))
    }

    fn starts_special(&self, text: &str) -> bool {
        self.pieces(text).first().is_some_and(|piece| piece.starts_with('<'))
    }

    fn literal(&self, text: &str) -> String {
        if text.is_empty() {
            return "\"\"".to_string();
        }
        self.pieces(text).join(" ")
    }

    /// Text in quotes and special tokens by their ids.
    fn pieces(&self, text: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        let (mut plain, mut rest) = (String::new(), text);
        while let Some(character) = rest.chars().next() {
            let specials = self.specials.iter().filter(|(special, _)| rest.starts_with(special.as_str()));
            if let Some((special, id)) = specials.max_by_key(|(special, _)| special.len()) {
                if !plain.is_empty() {
                    pieces.push(Json::from(std::mem::take(&mut plain)).to_string());
                }
                pieces.push(format!("<[{id}]>"));
                rest = &rest[special.len()..];
                continue;
            }
            plain.push(character);
            rest = &rest[character.len_utf8()..];
        }
        if !plain.is_empty() {
            pieces.push(Json::from(plain).to_string());
        }
        pieces
    }
}

fn missing(name: &str) -> Failure {
    Failure::argument(format!("structural tag: {name:?} is missing or of the wrong type"))
}

fn field<'v>(value: &'v Json, name: &str) -> Outcome<&'v str> {
    value[name].as_str().ok_or_else(|| missing(name))
}

fn list<'v>(value: &'v Json, name: &str) -> Outcome<&'v Vec<Json>> {
    value[name].as_array().filter(|items| !items.is_empty()).ok_or_else(|| missing(name))
}
