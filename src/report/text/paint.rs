//! The few colours of the text report.

use anstyle::{AnsiColor, Effects, Style};

/// Whether to colour, and how.
pub(in crate::report) struct Paint {
    /// Whether escapes are wanted at all.
    pub(in crate::report) color: bool,
}

/// What a word means for the reader; the same meaning has the same colour everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::report) enum Tone {
    /// As it should be, or added.
    Good,
    /// Was, or will be, changed.
    Change,
    /// Not as it should be, or removed.
    Bad,
    /// Could not be told.
    Doubt,
    /// By the way.
    Quiet,
}

impl Paint {
    /// Text in the colour of a tone.
    pub(in crate::report) fn tone(&self, tone: Tone, text: &str) -> String {
        let color = match tone {
            Tone::Good => AnsiColor::Green,
            Tone::Change => AnsiColor::Cyan,
            Tone::Bad => AnsiColor::Red,
            Tone::Doubt => AnsiColor::Yellow,
            Tone::Quiet => return self.dim(text),
        };
        self.styled(color.on_default(), text)
    }

    /// Bold text.
    pub(in crate::report) fn bold(&self, text: &str) -> String {
        self.styled(Style::new().effects(Effects::BOLD), text)
    }

    /// Text that stands back.
    pub(in crate::report) fn dim(&self, text: &str) -> String {
        self.styled(Style::new().effects(Effects::DIMMED), text)
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
