//! The header of a template: `x-rivetr` at the top of its compose file, which Docker Compose passes over.

use std::collections::BTreeSet;

use super::node::{Map, Node, Value};
use super::yaml;
use crate::domain::name::Slug;
use crate::domain::template::{Made, Otherwise, Template, TemplateVariable};

/// The keys of the header.
const KEYS: [&str; 9] = [
    "administrator",
    "category",
    "container",
    "description",
    "memory",
    "notes",
    "port",
    "title",
    "variables",
];

/// Reads a template; or says what is wrong with its header.
pub fn template(name: &str, text: &str) -> Result<Template, String> {
    let name = Slug::parse(name).map_err(|error| error.to_string())?;
    let (documents, flaws) = yaml::parse(text, 0).map_err(|(place, why)| at(place.line, &why))?;
    if let Some((place, why)) = flaws.first() {
        return Err(at(place.line, why));
    }
    let head = documents.first().and_then(|document| below(document, "x-rivetr"));
    let Some(Value::Map(head)) = head.map(|head| &head.value) else {
        return Err("there is no mapping x-rivetr".to_owned());
    };
    if let Some((key, entry)) = head.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        return Err(at(entry.key.line, &format!("x-rivetr.{key} is not known")));
    }
    let number =
        |key: &str| said(head, key)?.parse::<u32>().map_err(|_| format!("x-rivetr.{key} is no number"));
    let port = u16::try_from(number("port")?).map_err(|_| "x-rivetr.port is no port".to_owned())?;
    let mut variables = Vec::new();
    if let Some(Value::Map(map)) = head.get("variables").map(|entry| &entry.node.value) {
        for (name, entry) in map {
            variables.push(variable(name, &entry.node).map_err(|why| at(entry.key.line, &why))?);
        }
    }
    Ok(Template {
        name,
        title: said(head, "title")?,
        category: said(head, "category")?,
        description: said(head, "description")?,
        notes: said(head, "notes").unwrap_or_default(),
        entrance: (said(head, "container")?, port),
        memory: number("memory")?,
        administrator: said(head, "administrator").is_ok_and(|said| said == "true"),
        variables,
        compose: text.to_owned(),
    })
}

fn variable(name: &str, node: &Node) -> Result<TemplateVariable, String> {
    let Value::Map(map) = &node.value else { return Err(format!("{name} is no mapping")) };
    let given: BTreeSet<&str> = map.keys().map(String::as_str).filter(|key| *key != "label").collect();
    let otherwise = match given.into_iter().collect::<Vec<_>>()[..] {
        ["required"] => Otherwise::Required,
        ["default"] => Otherwise::Text(said(map, "default")?),
        ["generate"] => {
            let word = said(map, "generate")?;
            Otherwise::Made(Made::of(&word).ok_or_else(|| format!("{name}: nothing is generated as {word}"))?)
        }
        _ => return Err(format!("{name} is either required, or has a default, or is generated")),
    };
    Ok(TemplateVariable { name: name.to_owned(), label: said(map, "label")?, otherwise })
}

fn below<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Map(map) => map.get(key).map(|entry| &entry.node),
        Value::Null | Value::Scalar(_) | Value::List(_) => None,
    }
}

fn said(map: &Map, key: &str) -> Result<String, String> {
    match map.get(key).map(|entry| &entry.node.value) {
        Some(Value::Scalar(scalar)) => Ok(scalar.text.clone()),
        Some(Value::Null | Value::List(_) | Value::Map(_)) | None => Err(format!("{key} is missing")),
    }
}

fn at(line: usize, why: &str) -> String {
    format!("line {line}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "x-rivetr:\n  title: A\n  category: b\n  description: c\n  container: web\n  port: 80\n  memory: 64\n";

    #[test]
    fn a_header_and_what_is_wrong_with_one() {
        let text = format!(
            "{HEAD}  variables:\n    A: {{label: a, required: true}}\n    B: {{label: b, generate: hex}}\n    C: {{label: c, default: x}}\nservices: {{}}\n"
        );
        let read = template("a-b", &text).unwrap();
        let otherwise: Vec<_> = read.variables.iter().map(|variable| variable.otherwise.clone()).collect();
        let expect = [Otherwise::Required, Otherwise::Made(Made::Hex), Otherwise::Text("x".to_owned())];
        assert_eq!((otherwise, read.entrance), (expect.to_vec(), ("web".to_owned(), 80)));
        for (text, words) in [
            ("services: {}\n".to_owned(), "no mapping x-rivetr"),
            (HEAD.replace("port: 80", "port: 99999"), "no port"),
            (HEAD.replace("title", "titel"), "x-rivetr.titel is not known"),
            (HEAD.replace("  category: b\n", ""), "category is missing"),
            (format!("{HEAD}  variables:\n    A: {{label: a}}\n"), "A is either required"),
            (format!("{HEAD}  variables:\n    A: {{label: a, generate: luck}}\n"), "generated as luck"),
        ] {
            let error = template("a", &text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
