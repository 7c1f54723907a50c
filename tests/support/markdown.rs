//! The pages of the documentation, read as far as tests need it: what is prose, and what stands between fences.

use std::fs;
use std::path::Path;

/// One page.
pub struct Page {
    /// Its path from the root of the repository.
    pub path: String,
    /// What it is made of, in order.
    pub parts: Vec<Part>,
}

/// A part of a page.
pub struct Part {
    /// The number of its first line, from 1.
    pub line: usize,
    /// What stands behind the fence that opens it, such as `sh`; none: it is prose.
    pub fence: Option<String>,
    /// Its text, without the fences.
    pub text: String,
}

/// The pages that lie in a folder of the repository (`""` is its root), by name.
pub fn pages(folder: &str) -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join(folder)).expect("the folder is there");
    let names =
        entries.map(|entry| entry.expect("it can be read").file_name().into_string().expect("a name"));
    let mut names: Vec<String> = names.filter(|name| is_page(name)).collect();
    names.sort();
    let page = |name: String| {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let parts = read(&fs::read_to_string(root.join(&path)).expect("the page can be read"));
        Page { path, parts }
    };
    names.into_iter().map(page).collect()
}

fn is_page(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "md")
}

fn read(text: &str) -> Vec<Part> {
    let mut parts = vec![Part { line: 1, fence: None, text: String::new() }];
    for (number, line) in (1..).zip(text.lines()) {
        let open = parts.last_mut().expect("there is always one");
        match (line.trim_start().strip_prefix("```"), &open.fence) {
            (Some(info), None) => {
                let fence = Some(info.trim().to_owned());
                parts.push(Part { line: number + 1, fence, text: String::new() });
            }
            (Some(_), Some(_)) => parts.push(Part { line: number + 1, fence: None, text: String::new() }),
            (None, _) => {
                open.text.push_str(line);
                open.text.push('\n');
            }
        }
    }
    assert!(parts.last().is_some_and(|part| part.fence.is_none()), "a fence is left open");
    parts
}
