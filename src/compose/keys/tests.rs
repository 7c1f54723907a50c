//! The tables and the document that is made from them.

use super::{Fate, TABLES};
use crate::reference;

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
fn the_tables_of_keys_are_made_from_the_code() {
    reference::check("compose.md", "keys", &document());
}
