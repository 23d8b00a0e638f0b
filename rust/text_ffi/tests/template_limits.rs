//! Hostile templates end with an error, in time, and without taking the process along.

use std::time::{Duration, Instant};

use mlxs_text_ffi::border::{Failure, MlxsStatus};
use mlxs_text_ffi::template::{clock::MlxsTime, Input, Template};

const NOW: MlxsTime = MlxsTime {
    year: 2024,
    month: 7,
    day: 26,
    hour: 15,
    minute: 4,
    second: 5,
    microsecond: 42,
    weekday: 5,
    yearday: 208,
};

fn render(source: &str) -> Result<String, Failure> {
    Template::new(source, "{}")?.render(&Input {
        messages: r#"[{"role": "user", "content": "Hi"}]"#,
        tools: None,
        arguments: None,
        adds_generation_prompt: true,
        now: NOW,
    })
}

fn status(source: &str) -> MlxsStatus {
    let start = Instant::now();
    let status = render(source).map_or_else(|failure| failure.status, |_| MlxsStatus::Ok);
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "took {:?}: {}",
        start.elapsed(),
        &source[..source.len().min(80)]
    );
    status
}

#[test]
fn deep_nesting_is_a_syntax_error() {
    let ifs = format!("{}x{}", "{% if true %}".repeat(5500), "{% endif %}".repeat(5500));
    assert_eq!(status(&ifs), MlxsStatus::InvalidModel);
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(6000), ")".repeat(6000));
    assert_eq!(status(&parentheses), MlxsStatus::InvalidModel);
    let lists = format!("{{{{ {}{} }}}}", "[".repeat(6000), "]".repeat(6000));
    assert_eq!(status(&lists), MlxsStatus::InvalidModel);
}

#[test]
fn long_chains_do_not_overflow_the_stack() {
    let elifs = format!("{{% if x %}}{}{{% endif %}}", "{% elif x %}".repeat(20_000));
    assert_eq!(status(&elifs), MlxsStatus::Ok);
    assert_eq!(status(&format!("{{{{ x{} }}}}", ".a".repeat(100_000))), MlxsStatus::InvalidModel);
    assert_eq!(status(&format!("{{{{ 1{} }}}}", "+1".repeat(2000))), MlxsStatus::Ok);
    assert_eq!(status(&format!("{{{{ messages{} }}}}", "|list".repeat(1900))), MlxsStatus::Ok);
    assert_eq!(status(&format!("{{{{ {}x }}}}", "not ".repeat(4000))), MlxsStatus::Ok);
    assert_eq!(status(&format!("{{{{ {}1 }}}}", "-".repeat(4000))), MlxsStatus::Ok);
}

#[test]
fn steps_recursion_and_ranges_are_limited() {
    let limits = [
        "{% for a in range(1000000000) %}x{% endfor %}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ 1 == 2 }}{% endfor %}{% endfor %}",
    ];
    for source in limits {
        assert_eq!(status(source), MlxsStatus::LimitExceeded, "{source}");
    }
    let recursion = "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    assert_eq!(status(recursion), MlxsStatus::TemplateFailed);
    let mutual = "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
    assert_ne!(status(mutual), MlxsStatus::Ok);
    assert_ne!(status("{% for m in [1] recursive %}{{ loop([1]) }}{% endfor %}"), MlxsStatus::Ok);
}

#[test]
fn text_is_limited_however_it_is_made() {
    let doubling = |step: &str| format!("{{% set x = 'aaaaaaaaaaaaaaaa' %}}{}", step.repeat(48));
    let steps = [
        "{% set x = x ~ x %}",
        "{% set x = x + x %}",
        "{% set x = x * 2 %}",
        "{% set x %}{{ x }}{{ x }}{% endset %}",
        "{% set x = [x, x]|join %}",
        "{% set x = ''.join([x, x]) %}",
        "{% set x = x.replace('a', 'aa') %}",
        "{% set x = x|replace('a', 'aa') %}",
        "{% set x = '%s%s' % [x, x] %}",
        "{% set x = '%s%s'|format(x, x) %}",
        "{% set x = '{}{}'.format(x, x) %}",
        "{% set x = [x, x]|tojson %}",
        "{% set x = [x, x]|string %}",
        "{% set x = x|replace('a', 'aa')|upper|lower %}",
        "{% set x %}{% filter upper %}{{ x }}{{ x }}{% endfilter %}{% endset %}",
    ];
    for step in steps {
        assert_eq!(status(&doubling(step)), MlxsStatus::LimitExceeded, "{step}");
    }
    let singles = [
        "{{ messages[0].content * 1000000000 }}",
        "{{ messages * 1000000000 }}",
        "{{ 'x'.center(messages|length * 1000000000) }}",
        "{{ 'x'.zfill(messages|length * 1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ messages|tojson(indent=1000000000) }}",
        "{{ 'a\nb'|indent(1000000000) }}",
        "{{ messages|batch(1000000000, 1)|list }}",
        "{{ messages|slice(1000000000) }}",
    ];
    for source in singles {
        assert_eq!(status(source), MlxsStatus::LimitExceeded, "{source}");
    }
    assert_eq!(status("{{ 'a' * 1000000000 }}"), MlxsStatus::InvalidModel);
    assert_eq!(status("{{ 'a' * 99999 * 99999 }}"), MlxsStatus::InvalidModel);
    let raw = format!("{{% for i in range(99999) %}}{{% set x %}}{}{{% endset %}}{{% endfor %}}", "a".repeat(100_000));
    assert_eq!(status(&raw), MlxsStatus::LimitExceeded);
}

#[test]
fn values_are_limited_in_depth_and_weight() {
    let deep = "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}";
    assert_eq!(status(deep), MlxsStatus::LimitExceeded);
    let deep = "{% set ns = namespace(x={}) %}{% for i in range(99999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}";
    assert_eq!(status(deep), MlxsStatus::LimitExceeded);
    let wide = format!("{{% set x = messages %}}{}{{{{ x == x }}}}", "{% set x = [x, x] %}".repeat(60));
    assert_eq!(status(&wide), MlxsStatus::LimitExceeded);
    for view in ["values()", "items()"] {
        let step = format!("{{% set ns.x = {{'a': ns.x, 'b': ns.x}}.{view} %}}");
        let views = format!("{{% set ns = namespace(x=1) %}}{}{{{{ ns.x == ns.x }}}}", step.repeat(80));
        assert_eq!(status(&views), MlxsStatus::LimitExceeded, "{view}");
    }
    let cycle = "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}";
    assert_eq!(status(cycle), MlxsStatus::TemplateFailed);
    let chain = "{% set ns = namespace(x=namespace()) %}";
    assert_eq!(status(chain), MlxsStatus::TemplateFailed);
}

#[test]
fn templates_reach_nothing_of_the_host() {
    for source in [
        "{{ ''.__class__.__mro__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ messages.__class__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ namespace.__init__ }}",
    ] {
        let outcome = render(source);
        assert!(outcome.as_ref().map_or(true, |text| text.is_empty()), "{source}: {outcome:?}");
    }
    for source in
        ["{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{{ open('x') }}", "{{ debug() }}"]
    {
        assert!(render(source).is_err(), "{source}");
    }
}

#[test]
fn what_a_template_raises_is_its_message() {
    let failure = render("{{ raise_exception('Conversation roles must alternate') }}").unwrap_err();
    assert_eq!(failure.status, MlxsStatus::TemplateRaised);
    assert_eq!(failure.message, "Conversation roles must alternate");
    let failure = render("{% for m in messages %}{{ m.content.nothing.more }}{% endfor %}").unwrap_err();
    assert_eq!(failure.status, MlxsStatus::TemplateFailed);
    assert!(failure.message.contains("line 1"), "{}", failure.message);
}

#[test]
fn input_that_is_not_what_it_should_be_is_an_argument_error() {
    let template = Template::new("{{ messages }}", "{}").unwrap();
    let input = |messages| Input { messages, tools: None, arguments: None, adds_generation_prompt: false, now: NOW };
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    for messages in ["", "{}", "[1]", "[", "null", &deep] {
        assert_eq!(
            template.render(&input(messages)).unwrap_err().status,
            MlxsStatus::InvalidArgument,
            "{messages:.20}"
        );
    }
    assert_eq!(Template::new("x", "[]").err().unwrap().status, MlxsStatus::InvalidArgument);
    assert_eq!(Template::new(&"x".repeat(300_000), "{}").err().unwrap().status, MlxsStatus::InvalidModel);
}
