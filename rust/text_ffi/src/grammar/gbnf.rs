//! GBNF, llama.cpp's grammars, written as Lark. Rules that do not lead to themselves become terminals, so that the lexer
//! matches them as the one regular expression that they are.

mod parse;

use std::collections::{HashMap, HashSet};

use crate::border::{Failure, Outcome};
use parse::{parse, Item, Rule};

pub fn to_lark(text: &str) -> Outcome<String> {
    super::spec::check_nesting(text, "the grammar")?;
    let rules = parse(text)?;
    let index: HashMap<&str, usize> = rules.iter().enumerate().map(|(at, rule)| (rule.name.as_str(), at)).collect();
    if index.len() != rules.len() {
        return Err(Failure::argument("GBNF: a rule is defined twice"));
    }
    let Some(root) = index.get("root") else {
        return Err(Failure::argument("GBNF: there is no rule \"root\""));
    };
    let uses = uses(&rules, &index)?;
    let recursive: Vec<bool> = (0..rules.len()).map(|at| closure(&uses, &uses[at]).contains(&at)).collect();
    // What uses a recursive rule is a rule, too.
    let is_rule: Vec<bool> = (0..rules.len()).map(|at| leads_to_recursion(&uses, at, &recursive)).collect();
    let name = |at: usize| if is_rule[at] { format!("r{at}") } else { format!("T{at}") };
    let mut lark = format!("start: {}\n", name(*root));
    for (at, rule) in rules.iter().enumerate() {
        lark.push_str(&format!("{}: {}\n", name(at), write(&rule.body, &|other| name(index[other]))));
    }
    Ok(lark)
}

fn uses(rules: &[Rule], index: &HashMap<&str, usize>) -> Outcome<Vec<Vec<usize>>> {
    fn collect(item: &Item, names: &mut Vec<String>) {
        match item {
            Item::Name(name) => names.push(name.clone()),
            Item::Sequence(items) | Item::Choice(items) => items.iter().for_each(|item| collect(item, names)),
            Item::Repeat(inner, _) => collect(inner, names),
            Item::Terminal(_) => {}
        }
    }
    let mut all = Vec::new();
    for rule in rules {
        let mut names = Vec::new();
        collect(&rule.body, &mut names);
        let find = |name: &String| {
            let missing = || Failure::argument(format!("GBNF: the rule {name:?} is not defined"));
            index.get(name.as_str()).copied().ok_or_else(missing)
        };
        all.push(names.iter().map(find).collect::<Outcome<Vec<usize>>>()?);
    }
    Ok(all)
}

fn closure(uses: &[Vec<usize>], from: &[usize]) -> HashSet<usize> {
    let mut seen = HashSet::new();
    let mut pending: Vec<usize> = from.to_vec();
    while let Some(at) = pending.pop() {
        if seen.insert(at) {
            pending.extend(&uses[at]);
        }
    }
    seen
}

fn leads_to_recursion(uses: &[Vec<usize>], at: usize, recursive: &[bool]) -> bool {
    recursive[at] || closure(uses, &uses[at]).iter().any(|other| recursive[*other])
}

fn write(item: &Item, name: &impl Fn(&str) -> String) -> String {
    let join = |items: &[Item], separator: &str| {
        items.iter().map(|item| write(item, name)).collect::<Vec<_>>().join(separator)
    };
    match item {
        Item::Name(other) => name(other),
        Item::Terminal(text) => text.clone(),
        Item::Sequence(items) if items.is_empty() => "\"\"".to_string(),
        Item::Sequence(items) => join(items, " "),
        Item::Choice(items) if items.len() == 1 => join(items, ""),
        Item::Choice(items) => format!("({})", join(items, " | ")),
        Item::Repeat(inner, times) => format!("({}){times}", write(inner, name)),
    }
}
