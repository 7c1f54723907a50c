//! The tables and the document that is made from them.

use super::{Fate, TABLES};

/// The part of `docs/compose.md` between its two marks.
fn document() -> String {
    let mut parts = Vec::new();
    for (path, table) in TABLES {
        parts.push(format!("\n### {path}\n\n| key | what becomes of it |\n| --- | --- |\n"));
        for key in *table {
            let fate = match key.fate {
                Fate::Taken => "translated".to_owned(),
                Fate::Warned(why) => format!("warning: {why}"),
                Fate::Refused(why) => format!("refused: {why}"),
            };
            parts.push(format!("| `{}` | {} |\n", key.name, fate.replace('|', "\\|")));
        }
    }
    parts.concat()
}

#[test]
fn keys_stand_once() {
    for (path, table) in TABLES {
        for pair in table.windows(2) {
            assert!(pair[0].name < pair[1].name, "{path}: {} before {}", pair[0].name, pair[1].name);
        }
    }
}

#[test]
fn the_document_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compose.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("<!-- keys: made by a test -->\n").unwrap();
    let (said, _) = rest.split_once("\n<!-- end of keys -->").unwrap();
    let expect = document();
    if said.trim() != expect.trim() {
        let made = concat!(env!("CARGO_MANIFEST_DIR"), "/target/compose-keys.md");
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/target")).unwrap();
        std::fs::File::create(made)
            .and_then(|mut file| std::io::Write::write_all(&mut file, expect.as_bytes()))
            .unwrap();
        panic!("the tables of docs/compose.md are out of date: put target/compose-keys.md between the marks");
    }
}
