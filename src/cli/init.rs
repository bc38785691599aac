//! `snowmelt init`: a project that plans and verifies at once.

use std::path::{Path, PathBuf};

use super::End;
use super::embedded::{self, Names};
use super::failure::Failure;
use super::output::Screen;
use crate::base::clean;
use crate::resource::result::exit;

const EXAMPLES: &str = "\
Examples:
  snowmelt init servers
  cd servers && snowmelt plan";

/// Begin a project: an inventory, a role and a spec that work at once on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder; it is made if need be
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Writes the project.
pub(super) fn run(args: &Args, screen: &Screen) -> End {
    let folder = begin(&args.folder)?;
    let name = project_name(&folder);
    let shown = folder.to_str().ok_or_else(|| {
        Failure::new("the folder's name is not valid UTF-8", "inventories are UTF-8: choose another name")
    })?;
    embedded::write(embedded::INIT, &folder, &Names { project: &name, folder: shown, memory: "" })
        .map_err(|(path, error)| Failure::new(format!("cannot write {}: {error}", path.display()), ""))?;
    let mut text = format!("{}\n", clean::line(shown));
    for (path, _) in embedded::INIT {
        text.push_str(&format!("  {path}\n"));
    }
    let there = args.folder.display().to_string();
    if there != "." {
        text.push_str(&format!("\nnext:\n  cd {}\n", crate::base::quote::sh(&clean::line(&there))));
    } else {
        text.push_str("\nnext:\n");
    }
    text.push_str("  snowmelt plan        what would be done on this machine, in a sandbox folder\n");
    text.push_str("  snowmelt apply       do it\n  snowmelt verify      is it so?\n");
    screen.print(&text);
    Ok(exit::FINE)
}

/// Makes the folder, and finds out that nothing in it would be overwritten.
fn begin(folder: &Path) -> Result<PathBuf, Failure> {
    let cannot = |error: std::io::Error| Failure::new(format!("cannot use {}: {error}", folder.display()), "");
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let folder = folder.canonicalize().map_err(cannot)?;
    let taken = embedded::INIT.iter().find(|(path, _)| folder.join(path).symlink_metadata().is_ok());
    match taken {
        Some((path, _)) => Err(Failure::new(
            format!("{} exists already", folder.join(path).display()),
            "nothing was written; choose an empty folder: snowmelt init servers",
        )),
        None => Ok(folder),
    }
}

/// A name for the project, from its folder's.
fn project_name(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    match name.trim_matches('-') {
        "" => "servers".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("p-{name}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_any_folder() {
        for (folder, name) in
            [("/srv/Servers", "servers"), ("/", "servers"), ("/x/my servers!", "my-servers"), ("/7", "p-7")]
        {
            assert_eq!(project_name(Path::new(folder)), name);
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        assert!(begin(folder.path()).is_ok());
        std::fs::write(folder.path().join(".gitignore"), "mine").unwrap();
        let told = begin(folder.path()).unwrap_err();
        assert!(told.text().contains(".gitignore exists already"), "{}", told.text());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(begin(&folder.path().join(".gitignore")).is_err(), "a file is no folder");
    }
}
