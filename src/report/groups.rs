//! Names of several hosts as few words.

/// `web001` for one host; for more, their names and how many they are: `web001, web002 (2 hosts)`.
pub(super) fn hosts(names: &[&str]) -> String {
    let count = names.len();
    match names {
        [] => "no host".to_owned(),
        [one] => (*one).to_owned(),
        _ => format!("{} ({count} hosts)", compressed(names)),
    }
}

/// The names of several hosts in one word.
fn compressed(names: &[&str]) -> String {
    match names {
        [first, .., last] if names.len() > 6 => format!("{first} … {last}"),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_names() {
        assert_eq!(hosts(&["a"]), "a");
        assert_eq!(hosts(&["a", "b"]), "a, b (2 hosts)");
        assert!(hosts(&["a"; 40]).ends_with("(40 hosts)"));
    }
}
