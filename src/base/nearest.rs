//! The nearest known name to a mistyped one.

/// A hint for `name`, which is not among `known`: the nearest one ("did you mean …?"), or all of them when they are few.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let lower = name.to_lowercase();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count().max(name.chars().count()) / 4)
        .min();
    match near {
        Some((_, candidate)) => Some(format!("did you mean `{candidate}`?")),
        None if known.is_empty() => None,
        None if known.len() <= 24 => Some(format!("known: {}", known.join(", "))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_or_lists_all() {
        assert_eq!(hint("servce", ["service", "package"]).unwrap(), "did you mean `service`?");
        assert_eq!(hint("zzz", ["b", "a"]).unwrap(), "known: a, b");
        assert_eq!(hint("zzz", []), None);
    }
}
