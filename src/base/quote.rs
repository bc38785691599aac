//! The one place that quotes text for a POSIX shell.

use std::borrow::Cow;

/// One word for `sh`, whatever is in `text`: itself when every character is harmless, else in single quotes. The caller has
/// made sure that there is no NUL, which no shell word can hold (the loader refuses it with a message).
pub fn sh(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    // A leading `~` or `=` would expand in some shells; `=` is refused at the front for zsh's sake.
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(always(text))
}

/// One word for `sh`, always in single quotes.
pub fn always(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Several words, separated by spaces.
pub fn words<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| sh(text.as_ref()).into_owned()).collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn leaves_harmless_words_alone() {
        assert_eq!(sh("/etc/nginx/nginx.conf"), "/etc/nginx/nginx.conf");
        assert_eq!(sh(""), "''");
        assert_eq!(sh("it's"), r"'it'\''s'");
        assert_eq!(sh("=x"), "'=x'");
        assert_eq!(words(["a b", "c"]), "'a b' c");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_real_shell_reads_back_what_was_quoted(text in "[^\0]{0,40}") {
            let out = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", sh(&text))).output().unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&out.stdout), text);
        }
    }
}
