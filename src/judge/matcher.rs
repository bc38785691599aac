//! Evaluates what a spec asks of a value.

use crate::base::value::Value;
use crate::resource::Matcher;
use crate::resource::matcher::Ordering;

/// Whether the value satisfies the matcher. Nothing (`null`) is what a missing attribute counts as.
pub(super) fn holds(matcher: &Matcher, value: &Value) -> bool {
    match matcher {
        Matcher::Equals(wanted) => same(wanted, value),
        Matcher::Contains(wanted) => match value {
            Value::Text(text) => wanted.as_text().is_some_and(|wanted| text.contains(wanted)),
            Value::List(items) => items.iter().any(|item| same(wanted, item)),
            _ => false,
        },
        // A list matches when one of its items does.
        Matcher::Matches(regex) => match value {
            Value::Null => false,
            Value::List(items) => items.iter().any(|item| regex.is_match(&item.to_string())),
            other => regex.is_match(&other.to_string()),
        },
        Matcher::Not(inner) => !holds(inner, value),
        Matcher::AnyOf(all) => all.iter().any(|matcher| holds(matcher, value)),
        Matcher::AllOf(all) => all.iter().all(|matcher| holds(matcher, value)),
        Matcher::Number(ordering, wanted) => number(value).is_some_and(|found| match ordering {
            Ordering::AtLeast => found >= *wanted,
            Ordering::AtMost => found <= *wanted,
            Ordering::MoreThan => found > *wanted,
            Ordering::LessThan => found < *wanted,
        }),
    }
}

/// The parts of a matcher that the value does not satisfy, where it asks for several things at once; else all of it.
pub(super) fn unmet(matcher: &Matcher, value: &Value) -> Matcher {
    match matcher {
        Matcher::AllOf(all) => {
            let unmet: Vec<Matcher> =
                all.iter().filter(|part| !holds(part, value)).map(|part| unmet(part, value)).collect();
            Matcher::AllOf(unmet)
        }
        other => other.clone(),
    }
}

fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::List(wanted), Value::List(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| same(wanted, found))
        }
        // Output of a command ends with a line end that nobody writes in a spec.
        (Value::Text(wanted), Value::Text(found)) => wanted == found || found.strip_suffix('\n') == Some(wanted),
        _ => wanted == found,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn the_parts_that_fail_are_told() {
        let contains = |text: &str| Matcher::Contains(Value::from(text));
        let not = |matcher: Matcher| Matcher::Not(Box::new(matcher));
        let all = |parts: &[Matcher]| Matcher::AllOf(parts.to_vec());
        let cases = [
            (all(&[contains("a"), not(contains("b"))]), "not contains \"b\""),
            (all(&[contains("x"), not(contains("z"))]), "contains \"x\""),
            (all(&[contains("x"), not(contains("b")), contains("a")]), "contains \"x\" and not contains \"b\""),
            (all(&[contains("a"), all(&[contains("b"), contains("x")])]), "contains \"x\""),
            (contains("x"), "contains \"x\""),
            (not(all(&[contains("a"), contains("b")])), "not contains \"a\" and contains \"b\""),
        ];
        for (matcher, told) in cases {
            assert_eq!(unmet(&matcher, &Value::from("ab")).to_string(), told, "{matcher}");
        }
    }

    #[test]
    fn each_matcher() {
        let text = Value::from("hello\nworld\n");
        let list: Value = ["a", "bc"].into_iter().collect();
        let regex = |text: &str| Matcher::Matches(Regex::new(text).unwrap());
        let cases = [
            (Matcher::Equals(Value::from("hello\nworld")), &text, true),
            (Matcher::Contains(Value::from("lo\nwo")), &text, true),
            (regex("(?m)^world$"), &text, true),
            (Matcher::Not(Box::new(regex("x"))), &text, true),
            (Matcher::Contains(Value::from("a")), &list, true),
            (Matcher::Contains(Value::from("b")), &list, false),
            (regex("^bc$"), &list, true),
            (Matcher::Number(Ordering::AtLeast, 2.0), &Value::Int(2), true),
            (Matcher::Number(Ordering::MoreThan, 2.0), &Value::Int(2), false),
            (Matcher::Number(Ordering::LessThan, 2.0), &Value::from(" 1.5\n"), true),
            (Matcher::Number(Ordering::AtMost, 2.0), &Value::Null, false),
            (Matcher::Contains(Value::from("x")), &Value::Null, false),
            (Matcher::Not(Box::new(Matcher::Contains(Value::from("x")))), &Value::Null, true),
            (
                Matcher::AnyOf(vec![Matcher::Equals(Value::Int(1)), Matcher::Equals(Value::Int(2))]),
                &Value::Int(2),
                true,
            ),
            (Matcher::AllOf(vec![regex("1"), regex("2")]), &Value::Int(13), false),
        ];
        for (matcher, value, expected) in cases {
            assert_eq!(holds(&matcher, value), expected, "{matcher} of {value}");
        }
    }
}
