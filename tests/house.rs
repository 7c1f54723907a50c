//! The shape of the house: which module may name which, how long a file may be, how it begins.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Production lines a file may have; tests inside it do not count.
const LINES_MAX: usize = 500;

/// Each module in reading order, and the modules it may name besides itself.
const LAYERS: [(&str, &[&str]); 17] = [
    ("domain", &[]),
    ("files", &[]),
    ("vault", &["domain", "files"]),
    ("compose", &["domain"]),
    ("build", &["domain"]),
    ("quadlet", &["domain"]),
    ("plan", &["domain", "quadlet"]),
    ("store", &["domain"]),
    ("host", &["domain", "files", "quadlet"]),
    ("remote", &["domain", "files"]),
    ("proxy", &["domain", "files"]),
    (
        "engine",
        &["domain", "vault", "compose", "build", "quadlet", "plan", "store", "host", "remote", "proxy"],
    ),
    ("auth", &["domain", "vault", "store"]),
    ("api", &["domain", "store", "remote", "engine", "auth"]),
    // `api` for the forms of requests, which a page's form becomes too.
    ("web", &["domain", "store", "engine", "auth", "api"]),
    ("config", &["domain", "store", "host", "proxy", "engine"]),
    // `setup` and `doctor` work on the machine before and without a daemon, `compose` turns files into files, and what
    // has a passphrase is sealed where that is typed.
    ("cli", &["domain", "vault", "config", "api", "host", "files", "compose", "quadlet"]),
];

/// The modules that put the others together and may name them all.
const ABOVE_ALL: [&str; 3] = ["daemon", "main", "lib"];

#[test]
fn a_module_names_only_what_lies_below_it() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if ABOVE_ALL.contains(&module.as_str()) {
            continue;
        }
        let Some(may) = allowed.get(module.as_str()) else {
            broken.push(format!("{}: the module {module} has no row in LAYERS", path.display()));
            continue;
        };
        // The command line hands over to the daemons in one line of one file.
        let hands_over = path == Path::new("src/cli.rs");
        for named in named_modules(production(&text)) {
            let fine = named == module || may.contains(&named.as_str()) || hands_over && named == "daemon";
            if !fine {
                broken.push(format!("{} names {named}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_file_is_short_and_says_what_it_is_for() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let lines = production(&text).lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{} has {lines} lines", path.display()));
        }
        if !text.starts_with("//! ") {
            broken.push(format!("{} does not say what it is for", path.display()));
        }
        if path.ends_with("mod.rs") {
            broken.push(format!("{} should stand beside its folder", path.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn one_place_spawns_and_no_place_has_a_shell() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let code = production(&text);
        let shell = ["\"sh\"", "\"bash\"", "/bin/sh", "/bin/bash"];
        if shell.iter().any(|word| code.contains(word)) {
            broken.push(format!("{} names a shell", path.display()));
        }
        if code.contains("Command::new") && !path.starts_with("src/host/process.rs") {
            broken.push(format!("{} spawns a process", path.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text =
                    if is_test(&path) { "//! Tests.".to_owned() } else { fs::read_to_string(&path).unwrap() };
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 20, "only {} files were found", found.len());
    found
}

/// Files that hold nothing but tests and what they share.
fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    name == "testing" || name.ends_with("tests") || path.components().any(|part| part.as_os_str() == "tests")
}

/// What stands before the tests of a file.
fn production(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod ").map_or(text, |(before, _)| before)
}

fn module_of(path: &Path) -> String {
    let below = path.strip_prefix("src").unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The first segment of every `crate::…` path outside comments.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for rest in line.split("crate::").skip(1) {
            let group = rest.strip_prefix('{').map_or(rest, |group| group.split('}').next().unwrap_or(group));
            for word in group.split(',').take(if rest.starts_with('{') { usize::MAX } else { 1 }) {
                let end = word.trim().find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                named.push(word.trim().get(..end.unwrap_or(word.trim().len())).unwrap().to_owned());
            }
        }
    }
    named.retain(|word| !word.is_empty());
    named
}
