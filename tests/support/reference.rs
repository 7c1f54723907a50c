//! The parts of the documentation that are made from the code: held against it, or written anew
//! (`RIVETR_GOLDEN=write`).

#[path = "anew.rs"]
mod anew;

use std::fs;
use std::path::Path;

/// Holds what stands on a page of `docs/`, between the two marks of a part, against what the code says.
pub fn check(page: &str, part: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(&path).expect("the page is there");
    let (begin, end) = (format!("<!-- {part}: made by a test -->\n"), format!("\n<!-- end of {part} -->"));
    let (before, rest) = text.split_once(&begin).expect("the part begins with its mark");
    let (said, after) = rest.split_once(&end).expect("the part ends with its mark");
    if said.trim() == made.trim() {
        return;
    }
    if anew::asked() {
        anew::write(&path, &format!("{before}{begin}\n{}\n{end}{after}", made.trim()));
        return;
    }
    let lines = said.trim().lines().zip(made.trim().lines());
    let other = lines.enumerate().find(|(_, (said, made))| said != made);
    let other = other.map_or("one is longer than the other".to_owned(), |(at, (said, made))| {
        format!("line {} of the part is\n  {said}\nand the code says\n  {made}", at + 1)
    });
    panic!(
        "docs/{page} is out of date: {other}\n`RIVETR_GOLDEN=write cargo nextest run made_from` writes it anew"
    );
}
