//! Names of several hosts as few words.

use crate::catalog::ranges;

/// `web001` for one host; for more, their names and how many they are: `web001, web002 (2 hosts)`.
pub(super) fn hosts(names: &[&str]) -> String {
    let count = names.len();
    match names {
        [] => "no host".to_owned(),
        [one] => (*one).to_owned(),
        _ => format!("{} ({count} hosts)", ranges::compress(names)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_names() {
        assert_eq!(hosts(&["a"]), "a");
        assert_eq!(hosts(&["a", "b"]), "a, b (2 hosts)");
        assert_eq!(hosts(&["web001.example.com", "web002.example.com"]), "web[001:002].example.com (2 hosts)");
    }
}
