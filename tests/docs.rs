//! Is the documentation so? Pages of kinds are generated from the kinds; every link between documents leads somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use snowmelt::kinds;
use snowmelt::report::page;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `SNOWMELT_BLESS=1 cargo test --test docs` writes the pages.
#[test]
fn pages_of_kinds_are_generated_from_the_kinds() {
    let folder = root().join("docs/kinds");
    let mut index = String::from(
        "# Kinds\n\nWhat can be declared in roles and checked in specs. `snowmelt explain KIND` shows the same pages.\n\n",
    );
    for kind in kinds::ALL {
        let table = kind.table();
        index.push_str(&format!("- [{}]({}.md): {}\n", table.name, table.name, table.summary));
        check(&folder.join(format!("{}.md", table.name)), &page::render(table));
    }
    check(&folder.join("README.md"), &index);
    let pages = fs::read_dir(&folder).unwrap().count();
    assert_eq!(pages, kinds::ALL.len() + 1, "a page of no kind lies in docs/kinds");
}

fn check(path: &Path, expected: &str) {
    if std::env::var_os("SNOWMELT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "{} is not what its kind says; SNOWMELT_BLESS=1 writes it anew", path.display());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    markdown(&root().join("docs"), &mut documents);
    let mut seen = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            seen += 1;
            assert!(document.parent().unwrap().join(target).exists(), "{}: {target}", document.display());
        }
    }
    assert!(seen > 10, "{seen} links");
}

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}
