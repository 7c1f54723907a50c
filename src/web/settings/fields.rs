//! Forms of options: a table of fields, what is shown in each, and what was sent, in the words of the API.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::form::Errors;
use super::Sent;
use crate::api::wire::FieldErrors;
use crate::domain::runtime::Words;

/// One field of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// The API's name of it: `runtime.memory`.
    pub name: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// What it does, and how it is written.
    pub hint: &'static str,
    /// An example, or what holds where nothing is said.
    pub example: &'static str,
    /// What is typed into it.
    pub kind: Kind,
}

/// What is typed into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A word or a line.
    Text,
    /// Lines that are one text.
    Long,
    /// A number.
    Number,
    /// One entry a line.
    Lines,
    /// A command.
    Command,
    /// Yes or no; which of them holds where nothing is said.
    Check(bool),
    /// One of these; the first holds where nothing is said.
    Choice(&'static [(&'static str, &'static str)]),
}

impl Field {
    /// A field in which something is typed.
    pub const fn new(
        kind: Kind,
        name: &'static str,
        label: &'static str,
        example: &'static str,
        hint: &'static str,
    ) -> Self {
        Self { name, label, hint, example, kind }
    }

    /// For templates.
    pub fn is_check(&self) -> bool {
        matches!(self.kind, Kind::Check(_))
    }

    /// Likewise.
    pub fn is_area(&self) -> bool {
        matches!(self.kind, Kind::Lines | Kind::Long)
    }

    /// Likewise.
    pub fn is_number(&self) -> bool {
        self.kind == Kind::Number
    }

    /// Likewise: the choices; none: it is none.
    pub fn choices(&self) -> &'static [(&'static str, &'static str)] {
        match self.kind {
            Kind::Choice(choices) => choices,
            Kind::Text | Kind::Long | Kind::Number | Kind::Lines | Kind::Command | Kind::Check(_) => &[],
        }
    }
}

/// Fields that are shown together; the first group is open, the others are folded.
pub type Table = &'static [(&'static str, &'static [Field])];

/// Such fields with what stands in them.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub name: &'static str,
    /// The fields.
    pub fields: Vec<Filled>,
    /// Something in it is not as every app has it, or is wrong.
    pub open: bool,
}

/// A field and what stands in it.
#[derive(Debug)]
pub struct Filled {
    /// The field.
    pub field: &'static Field,
    /// What stands in it.
    pub value: String,
    /// It is ticked.
    pub checked: bool,
    /// What is wrong with it; empty: nothing.
    pub wrong: String,
}

impl Filled {
    /// As a browser would send it.
    #[cfg(test)]
    pub fn sent(&self) -> String {
        if self.field.is_check() { "true".to_owned() } else { self.value.clone() }
    }
}

/// Fills a form with what is set, or with what was sent.
pub fn fill(table: Table, values: &Value, sent: Option<&Sent>, errors: &Errors) -> Vec<Group> {
    let errors = at_fields(table, errors);
    let mut groups = Vec::new();
    for (index, (name, fields)) in table.iter().enumerate() {
        let mut open = index == 0;
        let mut filled = Vec::new();
        for field in *fields {
            let stored = lookup(values, field.name);
            let (value, checked) = match sent {
                Some(sent) => {
                    (sent.get(field.name).cloned().unwrap_or_default(), sent.contains_key(field.name))
                }
                None => shown(field, stored),
            };
            let wrong = errors.of(field.name).to_owned();
            open |= !wrong.is_empty() || stored.is_some_and(|value| !value.is_null());
            filled.push(Filled { field, value, checked, wrong });
        }
        groups.push(Group { name, fields: filled, open });
    }
    groups
}

fn lookup<'a>(values: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(values, |value, part| value.get(part))
}

/// What is set, as it is typed; nothing where the default holds.
fn shown(field: &Field, set: Option<&Value>) -> (String, bool) {
    let text = match set {
        None | Some(Value::Null | Value::Object(_)) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(yes)) => yes.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            match field.kind {
                Kind::Command => Words::new(items).map(|words| words.to_string()).unwrap_or_default(),
                Kind::Text | Kind::Long | Kind::Number | Kind::Lines | Kind::Check(_) | Kind::Choice(_) => {
                    items.join("\n")
                }
            }
        }
    };
    let checked = match field.kind {
        Kind::Check(default) => set.and_then(Value::as_bool).unwrap_or(default),
        Kind::Text | Kind::Long | Kind::Number | Kind::Lines | Kind::Command | Kind::Choice(_) => false,
    };
    (text, checked)
}

/// What was sent as the JSON that the API reads: all of it is said, and what is empty is the default again.
pub fn read(table: Table, sent: &Sent) -> Result<Value, Errors> {
    let mut said = Value::Object(Map::new());
    let mut wrong = BTreeMap::new();
    for field in table.iter().flat_map(|(_, fields)| *fields) {
        let text = sent.get(field.name).map(String::as_str).unwrap_or_default();
        match value(field, text, sent.contains_key(field.name)) {
            Ok(value) => put(&mut said, field.name, value),
            Err(why) => drop(wrong.insert(field.name.to_owned(), why)),
        }
    }
    if wrong.is_empty() { Ok(said) } else { Err(FieldErrors(wrong).into()) }
}

fn value(field: &Field, text: &str, is_there: bool) -> Result<Value, String> {
    let line = text.trim();
    Ok(match field.kind {
        Kind::Check(_) => Value::Bool(is_there),
        _ if line.is_empty() => Value::Null,
        Kind::Text | Kind::Choice(_) => Value::from(line),
        Kind::Long => Value::from(text.replace("\r\n", "\n").trim_end()),
        Kind::Number => Value::from(line.parse::<u64>().map_err(|_| "use a whole number")?),
        Kind::Lines => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(Value::from).collect()
        }
        Kind::Command => {
            let words = Words::parse(line).map_err(|error| error.to_string())?;
            words.as_slice().iter().map(|word| Value::from(word.as_str())).collect()
        }
    })
}

fn put(said: &mut Value, name: &str, value: Value) {
    let Some(said) = said.as_object_mut() else { return };
    match name.split_once('.') {
        None => drop(said.insert(name.to_owned(), value)),
        Some((section, rest)) => {
            let inner = said.entry(section.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            put(inner, rest, value);
        }
    }
}

/// The API's own type of it.
pub fn typed<T: DeserializeOwned>(said: Value) -> Result<T, Errors> {
    serde_path_to_error::deserialize(said).map_err(|error| {
        let field = error.path().to_string();
        Errors::one(&field, "this number is too large")
    })
}

/// Errors by the fields of a form: those of an entry of a list say which.
pub fn at_fields(table: Table, errors: &Errors) -> Errors {
    let mut found = BTreeMap::new();
    for field in table.iter().flat_map(|(_, fields)| *fields) {
        let own = errors.of(field.name);
        let entries = (0..ENTRIES_MAX).filter_map(|index| {
            let message = errors.of(&format!("{}[{index}]", field.name));
            (!message.is_empty()).then(|| format!("line {}: {message}", index + 1))
        });
        let all: Vec<String> =
            Some(own.to_owned()).filter(|own| !own.is_empty()).into_iter().chain(entries).collect();
        if !all.is_empty() {
            found.insert(field.name.to_owned(), all.join("\n"));
        }
    }
    FieldErrors(found).into()
}

/// No list has more entries.
const ENTRIES_MAX: usize = 101;

/// What is wrong with no field of a form.
pub fn others(table: Table, errors: &Errors) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for field in table.iter().flat_map(|(_, fields)| *fields) {
        shown.push(field.name.to_owned());
        shown.extend((0..ENTRIES_MAX).map(|index| format!("{}[{index}]", field.name)));
    }
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    errors.others(&shown).into_iter().map(str::to_owned).collect()
}
