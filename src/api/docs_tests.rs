//! The reference of the API, which is made from the OpenAPI document and the table of routes that this is made from.

use std::fmt::Write;

use serde_json::Value;

use super::{openapi, table};
use crate::auth::gate::Access;
use crate::domain::right::Right;
use crate::reference;

#[test]
fn the_reference_of_the_api_is_made_from_the_code() {
    let routes = table::table();
    let document = serde_json::to_value(openapi::document(&routes)).unwrap();
    let mut groups: Vec<(&str, String)> = Vec::new();
    for route in &routes {
        let method = serde_json::to_value(&route.method).unwrap();
        let method = method.as_str().unwrap();
        let operation = &document["paths"][route.path][method];
        let row = format!(
            "| `{} {}` | {} | {} |\n",
            method.to_uppercase(),
            route.path,
            right(route.access),
            what_for(operation, &document)
        );
        let group = group(route.path);
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, rows)) => rows.push_str(&row),
            None => groups.push((group, row)),
        }
    }
    let mut made = String::new();
    for (group, rows) in groups {
        let head = "| method and path | right | what for |\n| --- | --- | --- |";
        write!(made, "\n### {group}\n\n{head}\n{rows}").unwrap();
    }
    reference::check("api.md", "routes", &made);
}

/// The noun that a path is about, which is the first below `/api`.
fn group(path: &str) -> &str {
    let mut segments = path.split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some("api"), Some("openapi.json" | "system" | "requests")) | (Some("health" | "metrics"), None) => {
            "system"
        }
        (Some("api"), Some(noun)) | (Some(noun), _) => noun,
        (None, _) => path,
    }
}

fn right(access: Access) -> &'static str {
    match access {
        Access::Open => "open",
        Access::Oneself => "oneself",
        Access::Needs(Right::Read) => "read",
        Access::Needs(Right::Deploy) => "deploy",
        Access::Needs(Right::Manage) => "manage",
        Access::Needs(Right::Lead) => "lead",
        Access::Needs(Right::Own) => "own",
        Access::Needs(Right::Administer) => "administer",
    }
}

/// What an operation is for, with what can be said behind the question mark and in the body.
fn what_for(operation: &Value, document: &Value) -> String {
    let mut text = operation["summary"].as_str().unwrap().replace('|', "\\|");
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let query = parameters.filter(|parameter| parameter["in"] == "query");
    let query: Vec<String> = query.map(|one| format!("`{}`", one["name"].as_str().unwrap())).collect();
    if !query.is_empty() {
        write!(text, "; query: {}", query.join(", ")).unwrap();
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    if let Some(name) = body.as_str().and_then(|reference| reference.rsplit('/').next()) {
        let fields = fields(&document["components"]["schemas"][name], document);
        write!(text, "; body: {}", fields.join(", ")).unwrap();
    }
    text
}

/// The fields of a schema, those in bold that must be there.
fn fields(schema: &Value, document: &Value) -> Vec<String> {
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let mut fields: Vec<String> = parts.flat_map(|part| fields_of_part(part, document)).collect();
    let required = schema["required"].as_array();
    let must = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    fields.extend(
        properties.map(|(name, _)| if must(name) { format!("**`{name}`**") } else { format!("`{name}`") }),
    );
    fields
}

fn fields_of_part(part: &Value, document: &Value) -> Vec<String> {
    let named = part["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    fields(named.map_or(part, |name| &document["components"]["schemas"][name]), document)
}
