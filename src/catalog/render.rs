//! Templates, expressions and YAML strings with `{{ }}` in them: from text and a scope to a value or to bytes.
//!
//! Knows minijinja and how its errors become messages with a place. It does not know what a resource is. The rules that fix
//! the bytes (no escaping, `trim_blocks`, `lstrip_blocks`, the final line end kept, strict names) are set here and nowhere else.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value as Jinja;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::filters;
use super::scope::{Raw, Scope, Trace, from_jinja, traced};
use super::tokens::{self, Piece};
use crate::base::diagnostic::Diagnostic;
use crate::base::nearest;
use crate::base::secret::Secret;
use crate::base::span::{Source, Span};
use crate::base::value::Value;

/// Steps a template may take: a bound for loops, far above what a configuration file needs.
const FUEL: u64 = 5_000_000;

/// Bytes a template may give.
const LARGEST: usize = 16 << 20;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// It is wrong.
    Wrong(Box<Diagnostic>),
    /// It depends on a fact that is not known in this run.
    Unknown,
}

impl From<Diagnostic> for Trouble {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Wrong(Box::new(diagnostic))
    }
}

/// Renders for one role: its templates, compiled once.
#[derive(Debug)]
pub(crate) struct Engine {
    env: Environment<'static>,
    templates: Arc<BTreeMap<String, Arc<Source>>>,
}

impl Engine {
    /// An engine for these templates.
    pub(crate) fn new(templates: BTreeMap<String, Arc<Source>>) -> Self {
        let templates = Arc::new(templates);
        let mut env = Environment::new();
        filters::register(&mut env);
        if let Ok(syntax) =
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()
        {
            env.set_syntax(syntax);
        }
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_formatter(|out, _, value| Ok(out.write_str(&filters::text(value)?)?));
        env.set_fuel(Some(FUEL));
        env.set_debug(true);
        let sources = Arc::clone(&templates);
        env.set_loader(move |name| Ok(sources.get(name).map(|source| source.text.clone())));
        Self { env, templates }
    }

    /// The bytes of a template of the role. `place` is where it is asked for.
    pub(crate) fn template(&self, name: &str, place: &Span, scope: &Arc<Scope>) -> Result<Vec<u8>, Trouble> {
        if !self.templates.contains_key(name) {
            return Err(Diagnostic::unknown(place, "template", name, self.templates.keys().map(String::as_str))
                .hint_if_none("it would be in the role's folder templates/")
                .into());
        }
        let mut out = Bounded(Vec::new());
        let (result, trace) = traced(|| {
            let template = self.env.get_template(name)?;
            template.render_captured_to(Jinja::from_dyn_object(Arc::clone(scope)), &mut out).map(|_| ())
        });
        settle(result, &trace, |error| self.template_error(&error, place, scope))?;
        Ok(out.0)
    }

    /// The mistakes in the syntax of a template, if there are any.
    pub(crate) fn template_mistake(&self, name: &str, place: &Span) -> Option<Diagnostic> {
        let error = self.env.get_template(name).err()?;
        Some(self.template_error(&error, place, &Arc::new(Scope::default())))
    }

    /// Names a template takes from its scope.
    pub(crate) fn template_names(&self, name: &str) -> Vec<String> {
        self.env
            .get_template(name)
            .map(|template| template.undeclared_variables(false).into_iter().collect())
            .unwrap_or_default()
    }

    /// The source of a template.
    pub(crate) fn template_source(&self, name: &str) -> Option<&Arc<Source>> {
        self.templates.get(name)
    }

    /// Names of all templates.
    pub(crate) fn template_list(&self) -> impl Iterator<Item = &str> {
        self.templates.keys().map(String::as_str)
    }

    /// The value of an expression; `code` stands in `place`.
    pub(crate) fn expression(&self, code: &str, place: &Span, scope: &Arc<Scope>) -> Result<Jinja, Trouble> {
        let (result, trace) = traced(|| match simple(code, scope) {
            Some(value) => Ok(value),
            None => self.env.compile_expression(code)?.eval(Jinja::from_dyn_object(Arc::clone(scope))),
        });
        let value = settle(result, &trace, |error| expression_error(&error, code, place, scope))?;
        if value.is_undefined() {
            return Err(undefined(code.trim(), &inside(place, code.trim(), 0, code.trim().len()), scope).into());
        }
        Ok(value)
    }

    /// Whether an expression can be read, and the names it takes from its scope.
    pub(crate) fn expression_names(&self, code: &str, place: &Span) -> Result<Vec<String>, Diagnostic> {
        match self.env.compile_expression(code) {
            Ok(expression) => Ok(expression.undeclared_variables(false).into_iter().collect()),
            Err(error) => Err(expression_error(&error, code, place, &Arc::new(Scope::default()))),
        }
    }

    /// A YAML string with its `{{ }}` filled in. One that is a single `{{ }}` keeps the type of its value.
    pub(crate) fn string(&self, text: &str, place: &Span, scope: &Arc<Scope>) -> Result<Value, Trouble> {
        let pieces = pieces(text, place)?;
        if let [Piece::Code(code, _)] = pieces[..] {
            let (value, trace) = traced(|| self.expression(code, place, scope));
            // A secret that is only handed on stays one by itself, and what lies beside it in a map is none.
            let value = from_jinja(&value?).map_err(|why| Trouble::from(Diagnostic::error(place, why)))?;
            return Ok(taint(value, &trace));
        }
        let (result, trace) = traced(|| self.fill(&pieces, place, scope, filters::text));
        Ok(taint(Value::Text(result?), &trace))
    }

    /// A shell command with its `{{ }}` filled in, each quoted as words of the shell.
    pub(crate) fn command(&self, text: &str, place: &Span, scope: &Arc<Scope>) -> Result<Value, Trouble> {
        let pieces = pieces(text, place)?;
        if let Some(found) = quoted_code(&pieces) {
            return Err(quotes_mistake(found, place).into());
        }
        let (result, trace) = traced(|| {
            self.fill(&pieces, place, scope, |value| match value.downcast_object_ref::<Raw>() {
                Some(raw) => Ok(raw.0.clone()),
                None => filters::shell(value),
            })
        });
        Ok(taint(Value::Text(result?), &trace))
    }

    fn fill(
        &self,
        pieces: &[Piece<'_>],
        place: &Span,
        scope: &Arc<Scope>,
        text: impl Fn(&Jinja) -> Result<String, Error>,
    ) -> Result<String, Trouble> {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => out.push_str(plain),
                Piece::Code(code, _) => {
                    let value = self.expression(code, place, scope)?;
                    out.push_str(&text(&value).map_err(|error| expression_error(&error, code, place, scope))?);
                }
            }
        }
        Ok(out)
    }

    fn template_error(&self, error: &Error, place: &Span, scope: &Arc<Scope>) -> Diagnostic {
        // An error inside an include is wrapped; the innermost one has the place.
        let mut inner = error;
        while let Some(next) = std::error::Error::source(inner).and_then(|source| source.downcast_ref::<Error>()) {
            inner = next;
        }
        let Some(source) = inner.name().and_then(|name| self.templates.get(name)) else {
            return message(inner, place, "", scope);
        };
        let span = match inner.range() {
            Some(range) => Span::new(source, range.start, range.end),
            None => line(source, inner.line().unwrap_or(1)),
        };
        let found = message(inner, &span, span.text(), scope);
        match inner.kind() {
            ErrorKind::TemplateNotFound => {
                let known: Vec<&str> = self.templates.keys().map(String::as_str).collect();
                let wanted = inner.detail().and_then(|detail| detail.split(['"', '`']).nth(1)).unwrap_or_default();
                match nearest::hint(wanted, known) {
                    Some(hint) => found.hint(hint),
                    None => found,
                }
            }
            _ => found.related(place, "rendered from here"),
        }
    }
}

/// Takes a list of pieces, or says what is wrong with the braces.
pub(crate) fn pieces<'a>(text: &'a str, place: &Span) -> Result<Vec<Piece<'a>>, Diagnostic> {
    if let Some(at) = tokens::statement(text) {
        let statement = &text[at..text[at..].find("%}").map_or(text.len(), |end| at + end + 2)];
        return Err(Diagnostic::error(&inside(place, statement, 0, statement.len()), "only `{{ }}` is filled in here")
            .hint("use `when:` and `each:` for entries, `match` in `let` for values, or a template for text"));
    }
    tokens::pieces(text).map_err(|at| {
        let rest = &text[at..];
        Diagnostic::error(&inside(place, rest, 0, 2), "this `{{` is never closed").hint("close it with `}}`")
    })
}

/// The place of `code` (and in it `at..at + len`) within the scalar at `place`; all of `place` where quoting hides it.
pub(crate) fn inside(place: &Span, code: &str, at: usize, len: usize) -> Span {
    match place.text().find(code) {
        Some(found) if !code.is_empty() => place.part(found + at, len),
        _ => place.clone(),
    }
}

/// The first `{{ }}` that stands between quotes of the shell and is not `raw`.
pub(crate) fn quoted_code<'a>(pieces: &[Piece<'a>]) -> Option<&'a str> {
    // Behind a here-document quotes mean something else.
    if pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains("<<"))) {
        return None;
    }
    let (mut quote, mut comment, mut previous) = (None, false, '\n');
    for piece in pieces {
        let text = match piece {
            Piece::Text(text) => *text,
            Piece::Code(code, _) if quote.is_some() && !is_raw(code) => return Some(code),
            Piece::Code(..) => "x",
        };
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (quote, c) {
                _ if comment => comment = c != '\n',
                (Some('"') | None, '\\') => drop(chars.next()),
                (Some(open), _) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '#') => comment = previous.is_whitespace() || previous == ';',
                _ => {}
            }
            previous = c;
        }
    }
    None
}

/// The message about code between quotes.
pub(crate) fn quotes_mistake(code: &str, place: &Span) -> Diagnostic {
    Diagnostic::error(
        &inside(place, code, 0, code.len()),
        format!("`{{{{{code}}}}}` stands between quotes of the shell"),
    )
    .hint("drop the quotes, snowmelt quotes it; or add `| raw` to put it in as it is")
}

fn is_raw(code: &str) -> bool {
    code.rsplit('|').next().is_some_and(|last| code.contains('|') && last.trim() == "raw")
}

/// A dotted name is looked up without compiling it: nearly every expression is one.
fn simple(code: &str, scope: &Scope) -> Option<Jinja> {
    let code = code.trim();
    let name = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !code.split('.').all(name) {
        return None;
    }
    let mut parts = code.split('.');
    let mut value = scope.get(parts.next()?)?;
    for part in parts {
        value = value.get_attr(part).ok()?;
    }
    (!value.is_undefined()).then_some(value)
}

fn settle<T>(result: Result<T, Error>, trace: &Trace, explain: impl FnOnce(Error) -> Diagnostic) -> Result<T, Trouble> {
    match result {
        _ if trace.unknown => Err(Trouble::Unknown),
        Ok(value) => Ok(value),
        Err(error) => Err(explain(error).into()),
    }
}

/// What a secret went into is a secret: texts, numbers, and those in lists and maps. Yes and no are not.
fn taint(value: Value, trace: &Trace) -> Value {
    match value {
        _ if trace.secrets.is_empty() => value,
        Value::Text(text) => Value::Secret(Secret::made_of(&trace.secrets, text)),
        Value::Int(number) => Value::Secret(Secret::made_of(&trace.secrets, number.to_string())),
        Value::Float(number) => Value::Secret(Secret::made_of(&trace.secrets, number.to_string())),
        Value::List(items) => Value::List(items.into_iter().map(|item| taint(item, trace)).collect()),
        Value::Map(map) => Value::Map(map.into_iter().map(|(name, item)| (name, taint(item, trace))).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Secret(_)) => other,
    }
}

fn expression_error(error: &Error, code: &str, place: &Span, scope: &Arc<Scope>) -> Diagnostic {
    let range = error.range().filter(|range| code.get(range.clone()).is_some_and(|part| !part.is_empty()));
    let range = range.unwrap_or(0..code.len());
    let span = inside(place, code, range.start, range.len());
    message(error, &span, &code[range], scope)
}

/// A minijinja error as a message; `code` is the part of the source that it points at.
fn message(error: &Error, span: &Span, code: &str, scope: &Arc<Scope>) -> Diagnostic {
    let detail = error.detail().unwrap_or_default();
    let quoted = |detail: &str| detail.split('`').nth(1).map(str::to_owned);
    match error.kind() {
        ErrorKind::UndefinedError => {
            let name = quoted(detail).unwrap_or_else(|| code.trim().to_owned());
            undefined(&name, &inside(span, &name, 0, name.len()), scope)
        }
        ErrorKind::UnknownFilter => unknown(span, "filter", detail, filters::FILTERS),
        ErrorKind::UnknownTest => unknown(span, "test", detail, filters::TESTS),
        ErrorKind::UnknownFunction => unknown(span, "function", detail, filters::FUNCTIONS),
        ErrorKind::OutOfFuel => Diagnostic::error(span, "this template takes too long to render")
            .hint("look for a loop over far too many items"),
        ErrorKind::WriteFailure => Diagnostic::error(span, "this template gives more than 16 MiB"),
        ErrorKind::SyntaxError if code.trim() == "=" => {
            Diagnostic::error(span, format!("syntax error: {detail}")).hint("compare with `==`")
        }
        ErrorKind::SyntaxError => Diagnostic::error(span, format!("syntax error: {detail}")),
        ErrorKind::UnknownMethod => Diagnostic::error(span, format!("unknown method: {detail}"))
            .hint("values have no methods; use a filter, such as `x | items`"),
        kind if detail.is_empty() => Diagnostic::error(span, kind.to_string()),
        _ => match detail.split_once("; ") {
            Some((what, hint)) => Diagnostic::error(span, what).hint(hint),
            None => Diagnostic::error(span, detail),
        },
    }
}

fn unknown(span: &Span, what: &str, detail: &str, known: &[&str]) -> Diagnostic {
    // "filter foo is unknown"
    let name = detail.split_whitespace().nth(1).unwrap_or(detail).trim_matches('`');
    Diagnostic::unknown(span, what, name, known.iter().copied())
}

/// The message about a name, or a name below a name, that has no value.
fn undefined(name: &str, span: &Span, scope: &Arc<Scope>) -> Diagnostic {
    let (parent, last) = match name.rsplit_once('.') {
        Some((parent, last)) => (simple(parent, scope), last),
        None => (None, name),
    };
    let siblings: Vec<String> = match &parent {
        Some(parent) => parent
            .try_iter()
            .map(|keys| keys.filter_map(|key| key.as_str().map(str::to_owned)).collect())
            .unwrap_or_default(),
        None if name.contains(['.', '[', ' ', '(']) => Vec::new(),
        None => scope.names().into_iter().chain(filters::FUNCTIONS.iter().copied()).map(str::to_owned).collect(),
    };
    let found = Diagnostic::error(span, format!("`{name}` is not defined"));
    match nearest::hint(last, siblings.iter().map(String::as_str)) {
        Some(hint) => found.hint(hint),
        None => found,
    }
}

fn line(source: &Arc<Source>, number: usize) -> Span {
    let start: usize = source.text.split_inclusive('\n').take(number.saturating_sub(1)).map(str::len).sum();
    let text = source.text[start..].lines().next().unwrap_or("");
    let skip = text.len() - text.trim_start().len();
    Span::new(source, start + skip, start + text.len())
}

/// Output that stops at [`LARGEST`] bytes.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(io::Error::other("too much output"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

trait HintIfNone {
    fn hint_if_none(self, hint: &str) -> Self;
}

impl HintIfNone for Diagnostic {
    fn hint_if_none(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::{Variable, to_jinja};
    use super::*;
    use indexmap::IndexMap;

    fn scope() -> Arc<Scope> {
        let vhost = IndexMap::from([("zeta".to_owned(), Value::from("z")), ("alpha".to_owned(), Value::Int(80))]);
        let mut scope = Scope::default();
        for (name, value) in [
            ("workers", Value::from("4")),
            ("port", Value::Int(80)),
            ("vhost", Value::Map(vhost)),
            ("evil", Value::from("a; rm -rf 'x'")),
            ("many", Value::List(vec!["a b".into(), "c".into()])),
            ("nothing", Value::Null),
            ("password", Value::Secret(Secret::new("shop/db", "hunter2".into()))),
        ] {
            scope.set(name, Variable::Known(to_jinja(&value)));
        }
        scope.set("guess", Variable::Unknown);
        Arc::new(scope)
    }

    fn engine(templates: &[(&str, &str)]) -> Engine {
        let sources = templates
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Source::new(format!("roles/r/templates/{name}"), *text)));
        Engine::new(sources.collect())
    }

    fn span(text: &str) -> Span {
        let source = Source::new("roles/r/role.yml", format!("a: {text}\n"));
        Span::new(&source, 3, 3 + text.len())
    }

    fn wrong<T: std::fmt::Debug>(result: Result<T, Trouble>) -> String {
        match result {
            Err(Trouble::Wrong(diagnostic)) => diagnostic.render(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn template_bytes_are_fixed() {
        let text = "# {{ workers }}\n{% for name, value in vhost | items %}\n  {% if true %}\n{{ name }}={{ value }};\n  {% endif %}\n{% endfor %}\n<&\"'> {{ 'a<b' }} {{ true }} {{ 1.0 }}\nend\n";
        let bytes = engine(&[("t.html", text)]).template("t.html", &span("t"), &scope()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "# 4\nzeta=z;\nalpha=80;\n<&\"'> a<b true 1\nend\n");
    }

    #[test]
    fn templates_include_extend_and_import_each_other() {
        let engine = engine(&[
            ("base", "[{% block b %}{% endblock %}]\n"),
            ("child", "{% extends 'base' %}{% block b %}{% include 'part' %}{% endblock %}"),
            ("part", "{% from 'macros' import m %}{{ m(port) }}"),
            ("macros", "{% macro m(x) %}<{{ x }}>{% endmacro %}"),
        ]);
        assert_eq!(engine.template("child", &span("t"), &scope()).unwrap(), b"[<80>]\n");
    }

    #[test]
    fn template_mistakes_have_a_place_in_the_template() {
        for (text, expected) in [
            (
                "a\nb {{ workres }}\n",
                "error: `workres` is not defined\n --> roles/r/templates/t:2:6\n  |\n2 | b {{ workres }}\n  |      ^^^^^^^\n ::: roles/r/role.yml:1:4\n  |\n1 | a: t\n  |    ^ rendered from here\n  = did you mean `workers`?\n",
            ),
            (
                "{{ vhost.zta }}",
                "error: `vhost.zta` is not defined\n --> roles/r/templates/t:1:4\n  |\n1 | {{ vhost.zta }}\n  |    ^^^^^^^^^\n ::: roles/r/role.yml:1:4\n  |\n1 | a: t\n  |    ^ rendered from here\n  = did you mean `zeta`?\n",
            ),
            (
                "{{ port | to_jsn }}",
                "error: unknown filter `to_jsn`\n --> roles/r/templates/t:1:11\n  |\n1 | {{ port | to_jsn }}\n  |           ^^^^^^\n ::: roles/r/role.yml:1:4\n  |\n1 | a: t\n  |    ^ rendered from here\n  = did you mean `to_json`?\n",
            ),
            (
                "{% if port %}",
                "error: syntax error: unexpected end of input, expected end of block\n --> roles/r/templates/t:1:12\n  |\n1 | {% if port %}\n  |            ^^\n ::: roles/r/role.yml:1:4\n  |\n1 | a: t\n  |    ^ rendered from here\n",
            ),
            (
                "{{ vhost }}",
                "error: a map has no text of its own\n --> roles/r/templates/t:1:4\n  |\n1 | {{ vhost }}\n  |    ^^^^^\n ::: roles/r/role.yml:1:4\n  |\n1 | a: t\n  |    ^ rendered from here\n  = use `| to_json`, or one of its values\n",
            ),
        ] {
            assert_eq!(wrong(engine(&[("t", text)]).template("t", &span("t"), &scope())), expected);
        }
        let nested =
            wrong(engine(&[("t", "{% include 'u' %}"), ("u", "\n{{ prt }}")]).template("t", &span("t"), &scope()));
        assert!(nested.contains("roles/r/templates/u:2:4") && nested.contains("did you mean `port`"), "{nested}");
        let missing = wrong(engine(&[("t", "x")]).template("tt", &span("tt"), &scope()));
        assert_eq!(
            missing,
            "error: unknown template `tt`\n --> roles/r/role.yml:1:4\n  |\n1 | a: tt\n  |    ^^\n  = did you mean `t`?\n"
        );
    }

    #[test]
    fn endless_templates_end() {
        let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        let shown = wrong(engine(&[("t", nested)]).template("t", &span("t"), &scope()));
        assert!(shown.contains("takes too long"), "{shown}");
        let large = "{% set x = 'x' * 1000000 %}{% for a in range(99) %}{{ x }}{% endfor %}";
        let shown = wrong(engine(&[("t", large)]).template("t", &span("t"), &scope()));
        assert!(shown.contains("more than 16 MiB"), "{shown}");
    }

    #[test]
    fn one_whole_expression_keeps_its_type() {
        let string = |text: &str| engine(&[]).string(text, &span(text), &scope());
        assert_eq!(string("{{ port }}"), Ok(Value::Int(80)));
        assert_eq!(string("{{ port + 1 }}"), Ok(Value::Int(81)));
        assert_eq!(string("{{ port }}/tcp"), Ok(Value::from("80/tcp")));
        assert_eq!(string("{{ nothing }}"), Ok(Value::Null));
        assert_eq!(string("${#x} $(stat -c '{%a}')"), Ok(Value::from("${#x} $(stat -c '{%a}')")));
        assert_eq!(string("{{ '{{' }} x"), Ok(Value::from("{{ x")));
        assert_eq!(string("x {{ guess }}"), Err(Trouble::Unknown));
        assert!(matches!(string("{{ password | upper }}"), Ok(Value::Secret(secret)) if secret.expose() == "HUNTER2"));
        assert!(matches!(string("x={{ password }}"), Ok(Value::Secret(secret)) if secret.name() == "shop/db"));
    }

    #[test]
    fn mistakes_in_strings_have_their_place() {
        let string = |text: &str| wrong(engine(&[]).string(text, &span(text), &scope()));
        assert_eq!(
            string("x {{ prt }}"),
            "error: `prt` is not defined\n --> roles/r/role.yml:1:9\n  |\n1 | a: x {{ prt }}\n  |         ^^^\n  = did you mean `port`?\n"
        );
        assert_eq!(
            string("x {% if port %}y{% endif %}"),
            "error: only `{{ }}` is filled in here\n --> roles/r/role.yml:1:6\n  |\n1 | a: x {% if port %}y{% endif %}\n  |      ^^^^^^^^^^^^^\n  = use `when:` and `each:` for entries, `match` in `let` for values, or a template for text\n"
        );
        assert_eq!(
            string("x {{ port"),
            "error: this `{{` is never closed\n --> roles/r/role.yml:1:6\n  |\n1 | a: x {{ port\n  |      ^^\n  = close it with `}}`\n"
        );
        assert!(string("{{ port + }}").contains("syntax error: "), "{}", string("{{ port + }}"));
        assert!(string("{{ port.items() }}").contains("= values have no methods"), "{}", string("{{ port.items() }}"));
        assert!(string("a {{ nothing }}").contains("error: nothing was given for this value"));
    }

    #[test]
    fn commands_are_quoted() {
        let command = |text: &str| engine(&[]).command(text, &span(text), &scope());
        assert_eq!(command("echo {{ evil }} {{ port }}"), Ok(Value::from(r"echo 'a; rm -rf '\''x'\''' 80")));
        assert_eq!(command("echo {{ many }}"), Ok(Value::from("echo 'a b' c")));
        assert_eq!(command("{{ evil | raw }} | sh"), Ok(Value::from("a; rm -rf 'x' | sh")));
        assert_eq!(command("echo '{{ port | raw }}'"), Ok(Value::from("echo '80'")));
        assert_eq!(
            command("# it's\necho {{ port }} \\' \"a'b\" {{ port }}"),
            Ok(Value::from("# it's\necho 80 \\' \"a'b\" 80"))
        );
        assert_eq!(
            wrong(command("echo '{{ evil }}'")),
            "error: `{{ evil }}` stands between quotes of the shell\n --> roles/r/role.yml:1:12\n  |\n1 | a: echo '{{ evil }}'\n  |            ^^^^^^\n  = drop the quotes, snowmelt quotes it; or add `| raw` to put it in as it is\n"
        );
        assert!(wrong(command("echo \"x {{ evil }}\"")).contains("between quotes"));
    }
}
