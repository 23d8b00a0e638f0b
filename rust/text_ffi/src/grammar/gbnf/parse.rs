//! Reading GBNF.

use serde_json::Value as Json;

use crate::border::{Failure, Outcome};

const MAX_RULES: usize = 2_000;
const MAX_REPEAT: u32 = 2_000;

pub struct Rule {
    pub name: String,
    pub body: Item,
}

pub enum Item {
    Name(String),
    /// As Lark writes it.
    Terminal(String),
    Sequence(Vec<Item>),
    Choice(Vec<Item>),
    /// With `*`, `+`, `?` or `{m,n}` as Lark writes it.
    Repeat(Box<Item>, String),
}

pub fn parse(text: &str) -> Outcome<Vec<Rule>> {
    let mut reader = Reader { text, at: 0 };
    let mut rules = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.is_at_end() {
            return Ok(rules);
        }
        if rules.len() == MAX_RULES {
            return Err(Failure::limit(format!("GBNF: more than {MAX_RULES} rules")));
        }
        let name = reader.name()?;
        reader.skip_blanks();
        reader.expect("::=")?;
        rules.push(Rule { name, body: reader.choice()? });
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn wrong(&self, what: &str) -> Failure {
        let line = self.text[..self.at].matches('\n').count() + 1;
        Failure::argument(format!("GBNF, line {line}: {what}"))
    }

    fn expect(&mut self, text: &str) -> Outcome<()> {
        if !self.rest().starts_with(text) {
            return Err(self.wrong(&format!("expected {text:?}")));
        }
        self.at += text.len();
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while let Some(character) = self.peek() {
            if character == '#' {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if character.is_ascii_whitespace() {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn name(&mut self) -> Outcome<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.wrong("expected a rule's name"));
        }
        let name = self.rest()[..length].to_string();
        self.at += length;
        Ok(name)
    }

    /// Whether the next rule starts here: a name with `::=` after it.
    fn is_at_rule(&self) -> bool {
        let mut ahead = Reader { text: self.text, at: self.at };
        if ahead.name().is_err() {
            return false;
        }
        ahead.skip_blanks();
        ahead.rest().starts_with("::=")
    }

    fn choice(&mut self) -> Outcome<Item> {
        let mut options = vec![self.sequence()?];
        while self.peek() == Some('|') {
            self.at += 1;
            options.push(self.sequence()?);
        }
        Ok(Item::Choice(options))
    }

    fn sequence(&mut self) -> Outcome<Item> {
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek() {
                None | Some('|') | Some(')') => return Ok(Item::Sequence(items)),
                _ if self.is_at_rule() => return Ok(Item::Sequence(items)),
                _ => {
                    let item = self.item()?;
                    items.push(self.repeated(item)?);
                }
            }
        }
    }

    fn item(&mut self) -> Outcome<Item> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.choice()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some('"') => self.literal(),
            Some('[') => self.class(),
            Some('.') => {
                self.at += 1;
                Ok(Item::Terminal("/(?s:.)/".to_string()))
            }
            Some('<') | Some('!') => Err(Failure::unsupported("GBNF: tokens (<...>) in a grammar are not supported")),
            Some(c) if c.is_ascii_alphanumeric() => Ok(Item::Name(self.name()?)),
            _ => Err(self.wrong("expected a name, a text, a class or a group")),
        }
    }

    fn repeated(&mut self, item: Item) -> Outcome<Item> {
        let mut item = item;
        loop {
            let times = match self.peek() {
                Some(c @ ('*' | '+' | '?')) => {
                    self.at += 1;
                    c.to_string()
                }
                Some('{') => self.times()?,
                _ => return Ok(item),
            };
            item = Item::Repeat(Box::new(item), times);
        }
    }

    fn times(&mut self) -> Outcome<String> {
        let end = self.rest().find('}').ok_or_else(|| self.wrong("an unclosed {"))?;
        let inside: String = self.rest()[1..end].chars().filter(|c| !c.is_ascii_whitespace()).collect();
        self.at += end + 1;
        let bound = |text: &str| -> Outcome<u32> {
            let count: u32 = text.parse().map_err(|_| self.wrong("a repetition must be {m}, {m,} or {m,n}"))?;
            if count > MAX_REPEAT {
                return Err(Failure::limit(format!("GBNF: more than {MAX_REPEAT} repetitions")));
            }
            Ok(count)
        };
        match inside.split_once(',') {
            None => Ok(format!("{{{}}}", bound(&inside)?)),
            Some((low, "")) => Ok(format!("{{{},}}", bound(low)?)),
            Some((low, high)) => Ok(format!("{{{},{}}}", if low.is_empty() { 0 } else { bound(low)? }, bound(high)?)),
        }
    }

    fn literal(&mut self) -> Outcome<Item> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.take() {
                None => return Err(self.wrong("an unclosed text")),
                Some('"') => return Ok(Item::Terminal(Json::from(text).to_string())),
                Some('\\') => text.push(self.escape()?),
                Some(character) => text.push(character),
            }
        }
    }

    fn class(&mut self) -> Outcome<Item> {
        self.at += 1;
        let mut class = String::from("/[");
        if self.peek() == Some('^') {
            self.at += 1;
            class.push('^');
        }
        let mut is_empty = true;
        loop {
            let character = match self.take() {
                None => return Err(self.wrong("an unclosed [")),
                Some(']') if is_empty => return Err(Failure::unsupported("GBNF: an empty class is not supported")),
                Some(']') => return Ok(Item::Terminal(class + "]/")),
                // A dash between two characters is a range, elsewhere itself.
                Some('-') if !is_empty && self.peek() != Some(']') => {
                    class.push('-');
                    continue;
                }
                Some('\\') => self.escape()?,
                Some(character) => character,
            };
            is_empty = false;
            class.push_str(&format!("\\x{{{:x}}}", character as u32));
        }
    }

    fn escape(&mut self) -> Outcome<char> {
        let digits = match self.take() {
            Some('n') => return Ok('\n'),
            Some('r') => return Ok('\r'),
            Some('t') => return Ok('\t'),
            Some(c @ ('"' | '\\' | '[' | ']' | '-' | '^' | '/')) => return Ok(c),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => return Err(self.wrong("an unknown escape")),
        };
        let code = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, 16).ok());
        let character = code.and_then(char::from_u32).ok_or_else(|| self.wrong("an escape that is no character"))?;
        self.at += digits;
        Ok(character)
    }
}
