//! The documentation as a whole: every link leads somewhere, and every page can be found.
//!
//! That its commands are right is seen in `src/cli/docs_tests.rs`, that they do what they say in `tests/it/docs.rs`;
//! its references are held against the code beside that.

#![expect(clippy::unwrap_used, reason = "a page that cannot be read fails the test")]

#[path = "support/markdown.rs"]
mod markdown;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use markdown::{Page, Part, pages};

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages: Vec<Page> = pages("").into_iter().chain(pages("docs")).collect();
    let headings: BTreeMap<&str, Vec<String>> =
        pages.iter().map(|page| (page.path.as_str(), headings(page))).collect();
    let mut broken = Vec::new();
    for page in &pages {
        for (line, link) in links(page) {
            let (file, heading) = link.split_once('#').map_or((link.as_str(), None), |(f, h)| (f, Some(h)));
            let target = if file.is_empty() { PathBuf::from(&page.path) } else { beside(&page.path, file) };
            let target = target.to_str().unwrap();
            if !root.join(target).exists() {
                broken.push(format!("{}:{line}: there is no {target}", page.path));
            } else if let Some(heading) = heading {
                let known = headings.get(target).is_some_and(|all| all.iter().any(|one| one == heading));
                if !known {
                    broken.push(format!("{}:{line}: {target} has no heading #{heading}", page.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_index_names_every_page() {
    let pages = pages("docs");
    let index = pages.iter().find(|page| page.path == "docs/README.md").unwrap();
    let named: Vec<String> = links(index).into_iter().map(|(_, link)| format!("docs/{link}")).collect();
    let missing: Vec<&str> = pages
        .iter()
        .map(|page| page.path.as_str())
        .filter(|path| *path != "docs/README.md" && !named.iter().any(|name| name == path))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not link to {missing:?}");
}

#[test]
fn what_the_troubleshooting_quotes_is_said_by_the_program() {
    let pages = pages("docs");
    let page = pages.iter().find(|page| page.path == "docs/troubleshooting.md").unwrap();
    let prose = page.parts.iter().filter(|part| part.fence.is_none());
    let symptoms = prose.flat_map(|part| part.text.lines()).filter_map(|line| line.strip_prefix("| "));
    let symptoms = symptoms.filter_map(|line| line.split(" | ").next());
    let quotes: Vec<&str> = symptoms.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(quotes.len() > 15, "only {quotes:?} are quoted");
    let said = program();
    // What differs from time to time stands between the pieces.
    let pieces = quotes.iter().flat_map(|quote| quote.split('…')).map(str::trim);
    let unsaid: Vec<&str> = pieces.filter(|piece| !said.contains(piece)).collect();
    assert!(unsaid.is_empty(), "the program never says {unsaid:?}");
}

/// All code of the program, with texts that go over several lines in one.
fn program() -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.file_stem().unwrap().to_str().unwrap().ends_with("tests") {
                let code = fs::read_to_string(path).unwrap();
                let code = code.split("\n#[cfg(test)]\nmod ").next().unwrap();
                let mut lines = code.split("\\\n");
                text.extend(lines.next());
                lines.for_each(|line| text.push_str(line.trim_start()));
            }
        }
    }
    text
}

#[test]
fn headings_are_found_as_a_git_host_names_them() {
    let text = "# A `b`, c!\n## What's it_do?\n## Again\n## Again\n";
    let part = Part { line: 1, fence: None, text: text.to_owned() };
    let page = Page { path: "docs/a.md".to_owned(), parts: vec![part] };
    assert_eq!(headings(&page), ["a-b-c", "whats-it_do", "again", "again-1"]);
}

/// Where the links of a page lead that stay within the repository, each with its line.
fn links(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for part in page.parts.iter().filter(|part| part.fence.is_none()) {
        for (line, text) in (part.line..).zip(part.text.lines()) {
            for (before, after) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"')] {
                let targets = text.split(before).skip(1).filter_map(|rest| rest.split(after).next());
                found.extend(targets.map(|target| (line, target.to_owned())));
            }
        }
    }
    found.retain(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"));
    found
}

/// The anchors of a page: its headings in lower case without punctuation, numbered from the second of a name on.
fn headings(page: &Page) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let prose = page.parts.iter().filter(|part| part.fence.is_none());
    let lines = prose.flat_map(|part| part.text.lines()).filter(|line| line.starts_with('#'));
    let titles = lines.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    titles
        .map(|title| {
            let anchor: String = title.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect();
            let count = seen.entry(anchor.clone()).or_default();
            *count += 1;
            if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
        })
        .collect()
}

/// A path that is written on a page, from the root of the repository.
fn beside(page: &str, link: &str) -> PathBuf {
    let mut path = PathBuf::from(page);
    path.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{page}: {link} leads out of the repository"),
            Component::CurDir => {}
            Component::Normal(_) | Component::Prefix(_) | Component::RootDir => path.push(part),
        }
    }
    path
}
