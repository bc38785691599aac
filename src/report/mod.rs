//! Results as bytes: one file per format, each a pure function of a [`RunResult`].
//!
//! A report never writes, never prints and never sees the run; where its bytes go is the command line's business. A format is
//! one file and one row of [`FORMATS`].

pub mod answers;
mod groups;
mod json;
mod junit;
pub mod page;
pub mod shown;
mod text;

use crate::resource::result::{HostResult, RunResult};

/// How a report shall look; formats for machines use none of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether to use terminal colours.
    pub color: bool,
    /// Columns to lay text out for.
    pub width: usize,
    /// Whether diffs are shown whole and nothing is folded away.
    pub verbose: bool,
    /// Whether to leave out diffs, because they have been shown already.
    pub no_diffs: bool,
    /// Whether to leave out everything but what is not as it should be, and the totals.
    pub quiet: bool,
    /// Whether a CI system reads along that takes lines such as `::set-output` for commands.
    pub ci: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { color: false, width: 100, verbose: false, no_diffs: false, quiet: false, ci: false }
    }
}

/// A format of reports.
pub struct Format {
    /// The word people write: `--report junit=…`.
    pub name: &'static str,
    /// Half a sentence for lists of formats.
    pub summary: &'static str,
    /// The ending of its files, without a dot.
    pub extension: &'static str,
    render: fn(&RunResult, &Options) -> String,
}

/// Every format, the default first.
pub const FORMATS: &[Format] = &[
    Format { name: "text", summary: "for people (the default)", extension: "txt", render: text::render },
    Format { name: "json", summary: "everything, as `snowmelt.run/1`", extension: "json", render: json::render },
    Format { name: "junit", summary: "JUnit XML for CI systems", extension: "xml", render: junit::render },
];

/// The format with this name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Text that stands out, if colours are wanted.
pub fn bold(text: &str, options: &Options) -> String {
    text::Paint { color: options.color }.bold(text)
}

impl Format {
    /// The report of a run.
    pub fn render(&self, run: &RunResult, options: &Options) -> String {
        (self.render)(run, options)
    }

    /// One report per host, each with a file name that no other host of the run has.
    pub fn render_each(&self, run: &RunResult, options: &Options) -> Vec<(String, String)> {
        let mut names: Vec<String> = Vec::new();
        let mut files = Vec::new();
        for host in &run.hosts {
            let stem = file_stem(&host.host);
            let spellings = (1..).map(|n| match n {
                1 => format!("TEST-{stem}.{}", self.extension),
                _ => format!("TEST-{stem}-{n}.{}", self.extension),
            });
            let name = spellings.into_iter().find(|name| !names.contains(name)).unwrap_or_default();
            files.push((name.clone(), self.render(&alone(run, host), options)));
            names.push(name);
        }
        files
    }
}

/// The run as if it had been for this host only.
fn alone(run: &RunResult, host: &HostResult) -> RunResult {
    RunResult { hosts: vec![host.clone()], project: run.project.clone(), commit: run.commit.clone(), ..*run }
}

/// A host's name as a part of a file name: no slash, no leading dot, nothing a shell would expand.
fn file_stem(host: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    host.chars().map(safe).take(200).collect()
}

#[cfg(test)]
mod sample;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name_and_renders_anything() {
        for format in FORMATS {
            assert_eq!(find(format.name).unwrap().name, format.name);
            for run in [sample::every_verdict(), sample::forty_alike(), sample::hostile(), sample::nothing()] {
                let shown = format.render(&run, &Options::default());
                assert!(!shown.is_empty(), "{}", format.name);
                assert!(!shown.chars().any(|c| crate::base::clean::is_hidden(c) && c != '\n' && c != '\t'), "{shown}");
            }
        }
        assert!(find("xunit").is_none());
    }

    #[test]
    fn each_host_gets_a_file_of_its_own() {
        let mut run = sample::forty_alike();
        run.hosts.truncate(3);
        run.hosts[1].host = "a/b".into();
        run.hosts[2].host = "a_b".into();
        let names: Vec<String> =
            find("junit").unwrap().render_each(&run, &Options::default()).into_iter().map(|f| f.0).collect();
        assert_eq!(names, ["TEST-web001.example.com.xml", "TEST-a_b.xml", "TEST-a_b-2.xml"]);
    }
}
