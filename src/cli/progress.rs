//! What is going on, in one line on standard error that disappears.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::clean;
use crate::base::redact::Redactor;
use crate::resource::result::HostResult;
use crate::verbs::Events;

/// How often it moves by itself.
const TICK: Duration = Duration::from_millis(100);

/// The progress line of one run.
pub(super) struct Progress {
    bar: ProgressBar,
    visible: bool,
    /// Hosts that are being worked on, and what is done with each.
    busy: Mutex<BTreeMap<String, String>>,
    redactor: Redactor,
}

impl Progress {
    /// A line for a run over `hosts` hosts; an invisible one if there is nobody to see it.
    pub(super) fn new(hosts: usize, visible: bool, redactor: Redactor) -> Self {
        let target = if visible { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(hosts as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} hosts  {elapsed}  {wide_msg}") {
            bar.set_style(style);
        }
        if visible {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, visible, busy: Mutex::new(BTreeMap::new()), redactor }
    }

    /// Hides the line while something else is shown.
    pub(super) fn suspend<T>(&self, show: impl FnOnce() -> T) -> T {
        self.bar.suspend(show)
    }

    /// Takes the line away while somebody is asked something. Nobody who has something to say to the line waits meanwhile.
    pub(super) fn aside<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.draw(false);
        let answer = ask();
        self.draw(true);
        answer
    }

    /// Begins or ends to draw the line.
    fn draw(&self, again: bool) {
        if !self.visible {
            return;
        }
        // Nobody changes the line, which draws it, between the two steps.
        let _busy = self.busy.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if again {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            self.bar.enable_steady_tick(TICK);
        } else {
            self.bar.disable_steady_tick();
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
            // Nobody sees it if standard error is gone.
            let _ = std::io::stderr().write_all(b"\r\x1b[2K");
        }
    }

    /// Takes the line away for good.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn update(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        // A panic elsewhere while the lock was held does no harm to a line of text.
        let mut busy = self.busy.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut busy);
        self.bar.set_message(self.redactor.redact(&message(&busy)).into_owned());
    }
}

/// The hosts that are being worked on, as long as they fit; the line is cut at the width of the terminal.
fn message(busy: &BTreeMap<String, String>) -> String {
    let shown: Vec<String> = busy
        .iter()
        .take(3)
        .map(|(host, phase)| if phase.is_empty() { host.clone() } else { format!("{host}: {phase}") })
        .collect();
    let more = busy.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

impl Events for Progress {
    fn host_started(&self, host: &str) {
        self.update(|busy| drop(busy.insert(clean::line(host).into_owned(), String::new())));
    }

    fn host_phase(&self, host: &str, phase: &str) {
        self.update(|busy| drop(busy.insert(clean::line(host).into_owned(), clean::line(phase).into_owned())));
    }

    fn host_done(&self, result: &HostResult) {
        self.update(|busy| {
            busy.remove(&*clean::line(&result.host));
            self.bar.inc(1);
        });
    }

    fn host_step(&self, host: &str, title: &str) {
        self.host_phase(host, &clean::shorten(title, 60));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_a_few_hosts_and_counts_the_rest() {
        let mut busy = BTreeMap::new();
        for (host, phase) in [("a", "observe"), ("b", ""), ("c", "act"), ("d", "act"), ("e", "")] {
            busy.insert(host.to_owned(), phase.to_owned());
        }
        assert_eq!(message(&busy), "a: observe, b, c: act and 2 more");
        assert_eq!(message(&BTreeMap::new()), "");
    }

    #[test]
    fn hosts_come_and_go_and_what_they_print_is_cleaned() {
        let progress = Progress::new(2, false, Redactor::default());
        progress.host_started("web1");
        progress.host_step("web1", "\u{1b}[31mred");
        assert_eq!(progress.bar.message(), "web1: \\x1b[31mred");
        assert_eq!(progress.suspend(|| 5), 5);
    }
}
