//! Prepares a template's source: `{% generation %}` blocks, which only mark what a model wrote, become plain scopes.

const MAX_SOURCE_BYTES: usize = 256 * 1024;

/// ERRORS: a source over the limit of size.
pub fn prepare(source: &str) -> Result<String, String> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(format!("the chat template has {} bytes; the limit is {MAX_SOURCE_BYTES}", source.len()));
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        let (text, tail) = rest.split_at(at);
        out.push_str(text);
        let end = match tail.as_bytes().get(1) {
            Some(b'#') => tail.find("#}").map_or(tail.len(), |end| end + 2),
            Some(b'{') => code_end(tail, "}}"),
            Some(b'%') => code_end(tail, "%}"),
            _ => 1,
        };
        let (tag, after) = tail.split_at(end);
        match replacement(tag) {
            Some(scope) => out.push_str(&scope),
            None => out.push_str(tag),
        }
        rest = after;
        if is_raw(tag) {
            let end = raw_end(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the code that `text` starts with ends: after `close`, strings skipped.
fn code_end(text: &str, close: &str) -> usize {
    let bytes = text.as_bytes();
    let mut index = 2;
    while index < bytes.len() {
        match bytes[index] {
            quote @ (b'"' | b'\'') => {
                index += 1;
                while index < bytes.len() && bytes[index] != quote {
                    index += if bytes[index] == b'\\' { 2 } else { 1 };
                }
                index += 1;
            }
            _ if bytes[index..].starts_with(close.as_bytes()) => return index + close.len(),
            _ => index += 1,
        }
    }
    text.len()
}

/// The word of a tag without arguments, with its white space controls.
fn word(tag: &str) -> Option<(&str, &str, &str)> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let open = &inner[..inner.starts_with(['-', '+']) as usize];
    let inner = &inner[open.len()..];
    let close = if inner.ends_with(['-', '+']) { &inner[inner.len() - 1..] } else { "" };
    Some((open, inner[..inner.len() - close.len()].trim(), close))
}

fn replacement(tag: &str) -> Option<String> {
    let (open, name, close) = word(tag)?;
    let scope = match name {
        "generation" => "with",
        "endgeneration" => "endwith",
        _ => return None,
    };
    Some(format!("{{%{open} {scope} {close}%}}"))
}

fn is_raw(tag: &str) -> bool {
    word(tag).is_some_and(|(_, name, _)| name == "raw")
}

/// Where the raw text ends: at the tag that closes it.
fn raw_end(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("{%").map(|at| at + from) {
        let end = text[at..].find("%}").map_or(text.len(), |end| at + end + 2);
        if word(&text[at..end]).is_some_and(|(_, name, _)| name == "endraw") {
            return at;
        }
        from = at + 2;
    }
    text.len()
}
