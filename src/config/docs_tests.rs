//! The reference of the configuration, which is made from the table of keys.

use std::fmt::Write;

use super::environment::Environment;
use super::keys::KEYS;
use super::settings::Settings;
use crate::reference;

#[test]
fn the_reference_of_the_configuration_is_made_from_the_code() {
    let defaults = Settings::defaults(Environment::of(0, "/root", []).place());
    let mut made = String::new();
    let mut section = "";
    for key in &KEYS {
        if key.section != section {
            section = key.section;
            let head = "| key | takes | if not said | what it is for |\n| --- | --- | --- | --- |";
            writeln!(made, "\n### [{section}]\n\n{head}").unwrap();
        }
        let value = key.value(&defaults);
        let value = if value.is_null() { "nothing".to_owned() } else { format!("`{value}`") };
        let (name, takes, about) = (key.name, key.allowed(), key.about);
        writeln!(made, "| `{name}` | {takes} | {value} | {about} |").unwrap();
    }
    // A name in angle brackets would be taken for HTML.
    reference::check("configuration.md", "keys", &made.replace('<', "&lt;"));
}
