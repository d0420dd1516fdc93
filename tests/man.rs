//! The manual pages against the program: what the one names, the other has.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests read files as people do")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the keys that a file of the configuration's reader asks for.
fn asked(source: &str) -> BTreeSet<String> {
    let text = read(source);
    let text: String = text.split_whitespace().collect();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let calls = [
        ".required(\"",
        ".text(\"",
        ".path(\"",
        ".number(\"",
        ".duration(\"",
        ".flag(\"",
        ".keep(\"",
        ".choice(\"",
        ".secret(\"",
        ".names(\"",
        ".list(\"",
    ];
    let mut keys = BTreeSet::new();
    for call in calls {
        for rest in code.split(call).skip(1) {
            keys.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    keys
}

/// Returns the keys that the manual page describes.
fn described(page: &str) -> BTreeSet<String> {
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Cm "));
    items.flat_map(|keys| keys.split(" , Cm ")).map(ToOwned::to_owned).collect()
}

#[test]
fn every_key_of_the_configuration_is_described_and_no_other() {
    let sources = ["runner", "job", "client", "logging"];
    let asked: BTreeSet<String> =
        sources.iter().flat_map(|name| asked(&format!("src/config/{name}.rs"))).collect();
    assert!(asked.contains("checkdirectory") && asked.contains("macro"), "{asked:?}");
    assert_eq!(described(&read("man/runner.cfg.5")), asked);
}

fn pages() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("man")).unwrap();
    let pages: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!pages.is_empty());
    pages
}

#[test]
fn every_page_fits_a_terminal() {
    for page in pages() {
        let shown = Command::new("mandoc").arg("-Tutf8").arg(&page).output().unwrap();
        assert!(shown.status.success(), "{shown:?}");
        for line in String::from_utf8(shown.stdout).unwrap().lines() {
            // A letter in bold is typed twice, one underlined over a bar: a letter, a step back, a letter.
            let columns = line.chars().filter(|letter| *letter != '\u{8}').count()
                - line.matches('\u{8}').count();
            assert!(columns <= 80, "{}: {line}", page.display());
        }
    }
}

#[test]
fn every_page_of_ours_that_is_named_is_there() {
    for page in pages() {
        for named in read(&page).lines().filter_map(|line| line.strip_prefix(".Xr ")) {
            let [name, section, ..] = named.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{}: .Xr {named}", page.display())
            };
            let is_ours = name.starts_with("mig-") || name.ends_with(".cfg");
            let path = root().join(format!("man/{name}.{section}"));
            assert!(!is_ours || path.exists(), "{}: {name}({section})", page.display());
        }
    }
}

#[test]
fn every_page_is_clean() {
    let pages = pages();
    let lint = Command::new("mandoc").args(["-Tlint", "-W", "warning"]).args(&pages).output();
    let lint = lint.expect("mandoc is missing: .ci/packages test installs it");
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}

/// The README is for a first reading: details belong in the manuals and in `.github/`.
#[test]
fn the_readme_has_at_most_160_lines() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 160, "README.md has {lines} lines");
}

#[test]
fn links_of_the_readme_and_of_its_pages_lead_to_files() {
    for page in
        ["README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md", ".github/BENCHMARKS.md"]
    {
        let folder = root().join(page).parent().unwrap().to_owned();
        let text = read(page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            let is_file = path.is_empty() || path.contains("://") || folder.join(path).exists();
            assert!(is_file, "{page}: {link} does not exist");
        }
    }
}
