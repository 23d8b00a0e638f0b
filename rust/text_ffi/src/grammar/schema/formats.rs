//! `format`: what each name means here. A name that is not known is refused, for nobody could keep to it.

use serde_json::{json, Map, Value as Json};

use super::Place;
use crate::border::Outcome;

/// Taken by the compiler as they are.
const COMPILED: [&str; 7] = ["duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"];
/// Names that describe a type or a way to show it and leave every value valid.
const FREE: [&str; 5] = ["binary", "double", "float", "password", "path"];
const EXACT: i64 = 1 << 53;

/// Dates that exist: the 29th of February in leap years only.
const DATE: &str = concat!(
    "(?:(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-(?:",
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|",
    "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|",
    "02-(?:0[1-9]|1[0-9]|2[0-8]))|",
    "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
);
const TIME: &str =
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

/// Replaces `format` where it is not the compiler's, in a schema whose other keywords are written already.
pub fn write_out(made: &mut Map<String, Json>, place: &Place) -> Outcome<()> {
    let Some(format) = made.get("format").and_then(Json::as_str).map(str::to_string) else { return Ok(()) };
    let pattern = match format.as_str() {
        "date" => Some(format!("^{DATE}$")),
        "time" => Some(format!("^{TIME}$")),
        "date-time" => Some(format!("^{DATE}T{TIME}$")),
        _ => None,
    };
    let bounds = match format.as_str() {
        "int8" => Some((i8::MIN.into(), i8::MAX.into())),
        "int16" => Some((i16::MIN.into(), i16::MAX.into())),
        "int32" => Some((i32::MIN.into(), i32::MAX.into())),
        "int64" | "int" => Some((-EXACT, EXACT)),
        "uint8" => Some((0, u8::MAX.into())),
        "uint16" => Some((0, u16::MAX.into())),
        "uint32" => Some((0, u32::MAX.into())),
        "uint64" | "uint" => Some((0, EXACT)),
        _ => None,
    };
    let extra = match (pattern, bounds) {
        (Some(pattern), _) => json!({"pattern": pattern}),
        (_, Some((low, high))) => json!({"minimum": low, "maximum": high}),
        _ if FREE.contains(&format.as_str()) => json!(true),
        _ if COMPILED.contains(&format.as_str()) => return Ok(()),
        _ => return Err(place.unsupported(&format!("the format {format:?} is not supported"))),
    };
    made.remove("format");
    if extra.is_boolean() {
        return Ok(());
    }
    let mut all = made.remove("allOf").and_then(|all| all.as_array().cloned()).unwrap_or_default();
    all.push(extra);
    made.insert("allOf".to_string(), Json::Array(all));
    Ok(())
}
