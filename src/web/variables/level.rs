//! The variables of one owner as a part of a page, and the forms that change them.

use serde::Deserialize;

use super::super::form::Errors;
use crate::domain::dotenv;
use crate::domain::name::EnvKey;
use crate::domain::variable::{EnvValue, NewVariable, Usage};
use crate::engine::Shown;

/// The variables of one owner.
pub(super) struct Level {
    /// Whose they are.
    pub name: String,
    /// What that means.
    pub about: &'static str,
    /// Where its forms are sent; empty: it is not changed here.
    pub base: String,
    /// Where it is changed instead; empty: nowhere else.
    pub elsewhere: String,
    /// The person may change them.
    pub may: bool,
    /// The variables, by name.
    pub rows: Vec<Row>,
}

/// A variable.
pub(super) struct Row {
    /// Its name.
    pub key: String,
    /// Its value; empty where it is secret or cannot be read.
    pub value: String,
    /// Why it cannot be read; empty: it can, or it is secret.
    pub error: String,
    /// Nobody is shown its value.
    pub secret: bool,
    /// When it is there: `run`, `build`, `both`.
    pub usage: &'static str,
    /// A variable of this name that says more; empty: none does.
    pub overridden: String,
}

/// One variable as a form sends it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    pub key: String,
    #[serde(default)]
    pub value: String,
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    pub usage: String,
}

/// Many, in the manner of `.env` files.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paste {
    pub env: String,
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    pub usage: String,
    #[serde(default)]
    pub replace: bool,
}

/// What is wrong with a form of the page, and what was typed into it.
#[derive(Default)]
pub(super) struct Wrong {
    /// Where the form is sent.
    pub at: String,
    pub errors: Errors,
    pub one: One,
    pub paste: Paste,
    pub file: String,
}

impl Wrong {
    /// What is wrong with a field of the form that is sent there.
    pub fn of(&self, at: &str, field: &str) -> &str {
        if self.is_at(at) { self.errors.of(field) } else { "" }
    }

    /// Whether it is about the form that is sent there.
    pub fn is_at(&self, at: &str) -> bool {
        !at.is_empty() && self.at == at
    }

    /// What is about no field.
    pub fn others(&self) -> Vec<&str> {
        self.errors.others(&["key", "value", "usage", "env", "path", "content"])
    }
}

impl Level {
    /// What an owner has.
    pub fn of(name: impl Into<String>, variables: Vec<Shown>) -> Self {
        let rows = variables.into_iter().map(Row::of).collect();
        let (base, elsewhere) = (String::new(), String::new());
        Self { name: name.into(), about: "", base, elsewhere, may: false, rows }
    }

    pub fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub fn editable(self, base: &str, may: bool) -> Self {
        Self { base: base.to_owned(), may, ..self }
    }

    pub fn elsewhere(self, elsewhere: &str) -> Self {
        Self { elsewhere: elsewhere.to_owned(), ..self }
    }

    fn has(&self, key: &str) -> bool {
        self.rows.iter().any(|row| row.key == key)
    }
}

/// Says of each variable by which level before its own it is overridden.
pub(super) fn overridden(levels: Vec<Level>) -> Vec<Level> {
    let mut done: Vec<Level> = Vec::new();
    for mut level in levels {
        for row in &mut level.rows {
            if let Some(stronger) = done.iter().find(|stronger| stronger.has(&row.key)) {
                row.overridden.clone_from(&stronger.name);
            }
        }
        done.push(level);
    }
    done
}

impl Row {
    fn of(Shown { key, value, secret, usage }: Shown) -> Self {
        let (value, error) = match value {
            Some(Ok(value)) => (value.as_str().to_owned(), String::new()),
            Some(Err(error)) => (String::new(), error.to_string()),
            None => (String::new(), String::new()),
        };
        let key = key.as_str().to_owned();
        Self { key, value, error, secret, usage: usage.as_str(), overridden: String::new() }
    }
}

impl One {
    /// The variable; `hidden`: there is one of that name whose value was not shown.
    pub fn parse(&self, hidden: bool) -> Result<NewVariable, Errors> {
        let key = EnvKey::parse(self.key.trim()).map_err(|error| Errors::one("key", error.to_string()))?;
        if hidden && self.value.is_empty() {
            return Err(Errors::one("value", "type the new value: the one before is not shown to anybody"));
        }
        let value = EnvValue::parse(&as_typed(&self.value));
        let value = value.map_err(|error| Errors::one("value", error.to_string()))?;
        let usage = Some(usage(&self.usage)?);
        Ok(NewVariable { key, value, secret: Some(self.secret), usage })
    }
}

impl Paste {
    /// The variables, or every line that is wrong.
    pub fn parse(&self) -> Result<Vec<NewVariable>, Errors> {
        let lines = |errors: Vec<dotenv::LineError>| {
            let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Errors::one("env", words.join("\n"))
        };
        let found = dotenv::parse(&as_typed(&self.env)).map_err(lines)?;
        if found.is_empty() {
            return Err(Errors::one("env", "there is no variable in it: write lines such as KEY=value"));
        }
        let (secret, usage) = (Some(self.secret), Some(usage(&self.usage)?));
        Ok(found.into_iter().map(|(key, value)| NewVariable { key, value, secret, usage }).collect())
    }
}

fn usage(word: &str) -> Result<Usage, Errors> {
    let parsed = if word.is_empty() { Some(Usage::Run) } else { Usage::parse(word) };
    parsed.ok_or_else(|| Errors::one("usage", "use run, build or both"))
}

/// Browsers send the end of a line as two characters, whatever was typed.
pub(super) fn as_typed(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(name: &str, keys: &[&str]) -> Level {
        let row = |key: &&str| Row {
            key: (*key).to_owned(),
            value: String::new(),
            error: String::new(),
            secret: false,
            usage: "run",
            overridden: String::new(),
        };
        Level { rows: keys.iter().map(row).collect(), ..Level::of(name, Vec::new()) }
    }

    #[test]
    fn the_nearer_level_wins() {
        let levels =
            overridden(vec![level("app", &["A"]), level("env", &["A", "B"]), level("all", &["A", "B", "C"])]);
        let said: Vec<Vec<&str>> = levels
            .iter()
            .map(|level| level.rows.iter().map(|row| row.overridden.as_str()).collect())
            .collect();
        assert_eq!(said, [vec![""], vec!["app", ""], vec!["app", "env", ""]]);
    }

    #[test]
    fn a_form_is_read_as_it_was_typed() {
        let one = |key: &str, value: &str, usage: &str| One {
            key: key.to_owned(),
            value: value.to_owned(),
            secret: true,
            usage: usage.to_owned(),
        };
        let new = one(" KEY ", "a\r\nb", "").parse(false).unwrap();
        assert_eq!((new.key.as_str(), new.value.as_str(), new.secret), ("KEY", "a\nb", Some(true)));
        assert_eq!(new.usage, Some(Usage::Run));
        let field =
            |wrong: Result<NewVariable, Errors>, field: &str| !wrong.unwrap_err().of(field).is_empty();
        assert!(field(one("A-B", "x", "").parse(false), "key"));
        assert!(field(one("A", "x\0", "").parse(false), "value"));
        assert!(field(one("A", "x", "never").parse(false), "usage"));
        assert!(field(one("A", "", "run").parse(true), "value"), "a hidden value is not emptied by accident");
        assert!(one("A", "", "run").parse(false).is_ok());
    }

    #[test]
    fn a_pasted_file_is_taken_whole_or_not_at_all() {
        let paste = |env: &str| {
            let paste = Paste { env: env.to_owned(), usage: "both".to_owned(), ..Paste::default() };
            paste.parse().map(|new| new.len()).map_err(|errors| errors.of("env").to_owned())
        };
        assert_eq!(paste("A=1\r\n# x\r\nB='two\r\nlines'\r\n"), Ok(2));
        assert!(paste("# nothing\n").unwrap_err().contains("KEY=value"));
        let wrong = paste("A=1\nnonsense\nA=2\n").unwrap_err();
        assert!(wrong.contains("line 2") && wrong.contains("line 3"), "{wrong}");
    }
}
