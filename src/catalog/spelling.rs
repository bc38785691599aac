//! Mistakes in code that can be seen without any value: names that nobody has, filters, tests and facts that do not exist,
//! comparisons with words that a fact can never be.
//!
//! It looks at every branch, also at those that no host takes today.

use std::sync::Arc;

use super::filters::{FILTERS, FUNCTIONS, TESTS};
use super::model::Role;
use super::render::{self, Engine};
use super::scope::Scope;
use super::tokens::{self, Piece, Token, Word};
use crate::base::diagnostic::Diagnostic;
use crate::base::nearest;
use crate::base::span::Span;
use crate::resource::facts::{CLOSED, PATHS};

/// Names that mean a value in every expression.
const KEYWORDS: &[&str] = &["True", "False", "None", "true", "false", "none", "loop", "self", "super", "caller"];

/// Checks an expression that stands in `place`.
pub(crate) fn expression(
    engine: &Engine,
    role: &Role,
    code: &str,
    place: &Span,
    scope: &Scope,
) -> Result<(), Diagnostic> {
    let names = engine.expression_names(code, place)?;
    let at = |at: usize, len: usize| render::inside(place, code, at, len);
    words(role, code, &names, &|name| known(scope, name), &names_of(scope), &at)
}

/// Checks a YAML string with `{{ }}` in it.
pub(crate) fn string(
    engine: &Engine,
    role: &Role,
    text: &str,
    place: &Span,
    scope: &Scope,
    is_command: bool,
) -> Result<(), Diagnostic> {
    let pieces = render::pieces(text, place)?;
    for piece in &pieces {
        if let Piece::Code(code, _) = piece {
            expression(engine, role, code, place, scope)?;
        }
    }
    match render::quoted_code(&pieces).filter(|_| is_command) {
        Some(code) => Err(render::quotes_mistake(code, place)),
        None => Ok(()),
    }
}

/// Checks a template, and those that it includes by name.
pub(crate) fn template(
    engine: &Engine,
    role: &Role,
    name: &str,
    place: &Span,
    scope: &Arc<Scope>,
) -> Result<(), Diagnostic> {
    let mut seen = Vec::new();
    part(engine, role, name, place, scope, &[], &mut seen)
}

fn part(
    engine: &Engine,
    role: &Role,
    name: &str,
    place: &Span,
    scope: &Arc<Scope>,
    from_outside: &[String],
    seen: &mut Vec<String>,
) -> Result<(), Diagnostic> {
    let Some(source) = engine.template_source(name).filter(|_| !seen.iter().any(|known| known == name)) else {
        return Ok(());
    };
    seen.push(name.to_owned());
    if let Some(mistake) = engine.template_mistake(name, place) {
        return Err(mistake);
    }
    let wanted = engine.template_names(name);
    let code = tokens::template_code(&source.text);
    let is_known = |name: &str| known(scope, name) || from_outside.iter().any(|known| known == name);
    for (text, offset) in &code {
        let at = |at: usize, len: usize| Span::new(source, offset + at, offset + at + len);
        words(role, text, &wanted, &is_known, &names_of(scope), &at)
            .map_err(|mistake| mistake.related(place, "rendered from here"))?;
    }
    // What a template sets can be seen by what it includes; any name in its statements may be such a one.
    let mut inherited = from_outside.to_vec();
    inherited.extend(
        code.iter().flat_map(|(text, _)| tokens::tokens(text)).filter_map(|token| token.name().map(str::to_owned)),
    );
    for included in code.iter().filter_map(|(text, _)| included(text)) {
        part(engine, role, included, place, scope, &inherited, seen)?;
    }
    Ok(())
}

/// The template that a statement names in quotes.
pub(crate) fn included(code: &str) -> Option<&str> {
    let tokens = tokens::tokens(code.trim_start_matches(['-', '+']));
    let verb = tokens.first()?.name()?;
    match (verb, &tokens.get(1)?.word) {
        ("include" | "extends" | "import" | "from", Word::Quoted(name)) => Some(name),
        _ => None,
    }
}

/// Whether code uses facts: none, or the names right below `facts` (nothing for `facts` as a whole).
pub(crate) fn facts_used(code: &str) -> Vec<Option<&str>> {
    let tokens = tokens::tokens(code);
    let uses = (0..tokens.len()).filter(|at| is_name(&tokens, *at, "facts"));
    uses.map(|at| path(&tokens, at).0.first().copied()).collect()
}

/// Whether code uses this name.
pub(crate) fn uses(code: &str, name: &str) -> bool {
    let tokens = tokens::tokens(code);
    (0..tokens.len()).any(|at| is_name(&tokens, at, name))
}

fn names_of(scope: &Scope) -> Vec<&str> {
    scope.names().into_iter().chain(FUNCTIONS.iter().copied()).collect()
}

fn known(scope: &Scope, name: &str) -> bool {
    FUNCTIONS.contains(&name) || KEYWORDS.contains(&name) || scope.names().contains(&name)
}

fn words(
    role: &Role,
    code: &str,
    wanted: &[String],
    is_known: &dyn Fn(&str) -> bool,
    all: &[&str],
    at: &dyn Fn(usize, usize) -> Span,
) -> Result<(), Diagnostic> {
    let tokens = tokens::tokens(code);
    for (index, token) in tokens.iter().enumerate() {
        let Some(name) = token.name() else { continue };
        let place = || at(token.at, token.len);
        if is_name(&tokens, index, name) && wanted.iter().any(|wanted| wanted == name) && !is_known(name) {
            let found = Diagnostic::error(&place(), format!("`{name}` is not defined"));
            return Err(match nearest::hint(name, all.iter().copied()) {
                Some(hint) => found.hint(hint),
                None => found,
            });
        }
        let before = index.checked_sub(1).map(|before| &tokens[before]);
        let tests = before.and_then(Token::name) == Some("is")
            || (before.and_then(Token::name) == Some("not")
                && index.checked_sub(2).and_then(|is| tokens[is].name()) == Some("is"));
        if before.is_some_and(|sign| sign.is("|")) && !FILTERS.contains(&name) {
            return Err(Diagnostic::unknown(&place(), "filter", name, FILTERS.iter().copied()));
        }
        if tests && name != "not" && !TESTS.contains(&name) {
            return Err(Diagnostic::unknown(&place(), "test", name, TESTS.iter().copied()));
        }
        if is_name(&tokens, index, "facts") && wanted.iter().any(|wanted| wanted == "facts") {
            fact(role, &tokens, index, at)?;
        }
    }
    Ok(())
}

/// Checks the path below `facts`, and what it is compared with.
fn fact(role: &Role, tokens: &[Token<'_>], index: usize, at: &dyn Fn(usize, usize) -> Span) -> Result<(), Diagnostic> {
    let (parts, end) = path(tokens, index);
    let Some(first) = parts.first() else { return Ok(()) };
    if role.facts.contains_key(*first) {
        return Ok(());
    }
    let full = parts.join(".");
    let is_part = PATHS.iter().any(|known| known.starts_with(&format!("{full}.")));
    let known = PATHS.iter().find(|known| full == **known || full.starts_with(&format!("{known}.")));
    if !is_part && known.is_none() {
        let last = &tokens[end - 1];
        let from = &tokens[index + 2];
        let place = at(from.at, last.at + last.len - from.at);
        let names = PATHS.iter().copied().chain(role.facts.keys().map(String::as_str));
        return Err(Diagnostic::unknown(&place, "fact", &full, names));
    }
    let Some((_, answers)) = CLOSED.iter().find(|(path, _)| *path == full) else { return Ok(()) };
    for token in compared(tokens, index, end) {
        let Word::Quoted(word) = token.word else { continue };
        if !answers.contains(&word) {
            let found = Diagnostic::error(&at(token.at, token.len), format!("`facts.{full}` is never \"{word}\""));
            return Err(match nearest::hint(word, answers.iter().copied()) {
                Some(hint) => found.hint(hint),
                None => found,
            });
        }
    }
    Ok(())
}

/// The answers of a closed fact, if code is nothing but that fact.
pub(crate) fn closed(code: &str) -> Option<(&'static str, &'static [&'static str])> {
    let path = code.trim().strip_prefix("facts.")?;
    CLOSED.iter().find(|(known, _)| *known == path).copied()
}

/// The words that a path between `from` and `to` is compared with.
fn compared<'t, 'a>(tokens: &'t [Token<'a>], from: usize, to: usize) -> Vec<&'t Token<'a>> {
    let is_comparison = |token: &Token<'_>| token.is("==") || token.is("!=");
    let mut out = Vec::new();
    if tokens.get(to).is_some_and(is_comparison) {
        out.extend(tokens.get(to + 1));
    }
    if from >= 2 && is_comparison(&tokens[from - 1]) {
        out.push(&tokens[from - 2]);
    }
    let mut next = to;
    if tokens.get(next).and_then(Token::name) == Some("not") {
        next += 1;
    }
    if tokens.get(next).and_then(Token::name) == Some("in")
        && tokens.get(next + 1).is_some_and(|open| open.is("[") || open.is("("))
    {
        out.extend(tokens[next + 2..].iter().take_while(|token| !token.is("]") && !token.is(")")));
    }
    out
}

/// The names behind the one at `index`, joined by dots, and the index behind them.
fn path<'a>(tokens: &[Token<'a>], index: usize) -> (Vec<&'a str>, usize) {
    let (mut parts, mut at) = (Vec::new(), index + 1);
    while tokens.get(at).is_some_and(|dot| dot.is(".")) {
        let Some(name) = tokens.get(at + 1).and_then(Token::name) else { break };
        parts.push(name);
        at += 2;
    }
    (parts, at)
}

/// Whether the token at `index` is this name, standing for a variable: not behind a dot or a `|`, and not the name of an
/// argument.
fn is_name(tokens: &[Token<'_>], index: usize, name: &str) -> bool {
    let before = index.checked_sub(1).map(|before| &tokens[before]);
    tokens[index].name() == Some(name)
        && !before.is_some_and(|sign| sign.is(".") || sign.is("|"))
        && !tokens.get(index + 1).is_some_and(|sign| sign.is("="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_which_facts_are_used() {
        assert_eq!(facts_used("x.facts == 'facts.a' and y"), []);
        assert_eq!(facts_used("facts.os.family == 'x' or facts.mine"), [Some("os"), Some("mine")]);
        assert_eq!(facts_used("facts | to_json"), [None]);
        assert!(uses("hosts('web') | length", "hosts") && !uses("a.hosts", "hosts"));
        assert_eq!(included("- include 'a.j2' -"), Some("a.j2"));
    }
}
