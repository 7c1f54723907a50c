//! The gallery of templates, and the form before one of them runs.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::form::{Errors, Form};
use super::shell::{Hx, Shell, Visit};
use super::view;
use super::{Route, Web};
use crate::api::wire;
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::template::Template;
use crate::engine::{Engine, NewService};

/// What stands before the name of a variable in a form.
const FIELD: &str = "variable.";

#[derive(askama::Template)]
#[template(path = "templates/index.html")]
struct Page {
    shell: Shell,
    query: String,
    category: String,
    categories: Vec<String>,
    found: Vec<wire::Template>,
}

#[derive(askama::Template)]
#[template(path = "templates/one.html")]
struct OnePage {
    shell: Shell,
    template: wire::Template,
    projects: Vec<Slug>,
    fields: BTreeMap<String, String>,
    errors: Errors,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asking {
    q: String,
    category: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/templates", index),
        Route::get("/templates/{name}", one),
        Route::post("/templates/{name}", create),
    ]
}

async fn index(
    _visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Query(Asking { q, category }): Query<Asking>,
) -> Result<Response, PageError> {
    let all = engine.templates()?;
    let mut categories: Vec<String> = all.iter().map(|template| template.category.clone()).collect();
    categories.sort();
    categories.dedup();
    let found = all.iter().filter(|template| is_found(template, &q, &category)).map(wire::Template::from);
    view::show(&Page { shell, found: found.collect(), query: q, category, categories })
}

fn is_found(template: &Template, query: &str, category: &str) -> bool {
    let Template { name, title, description, .. } = template;
    let text = format!("{name} {title} {description} {}", template.category).to_lowercase();
    (category.is_empty() || template.category == category)
        && query.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

async fn one(
    visit: Visit<Manage>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let template = find(&engine, &name)?;
    let fields = BTreeMap::from([("name".to_owned(), template.name.to_string())]);
    let page = page(&engine, &visit.person, shell, &template, fields, Errors::default()).await?;
    view::show(&page)
}

async fn create(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Result<Response, PageError> {
    let template = find(&engine, &name)?;
    let shown = page(&engine, &visit.person, shell, &template, fields, Errors::default()).await?;
    let errors = match asked(&engine, &template, &shown) {
        Err(errors) => errors,
        Ok(new) => match engine.create_service(new, visit.person.reach.allows(Right::Administer)).await {
            Ok(made) => {
                let service = made.service;
                let deed = Deed::new("service.created", format!("service {}", service.slug));
                let what = json!({ "template": template.name.as_str() });
                visit.record(deed.of(service.project.team).after(what)).await;
                return Ok(view::go(hx, &format!("/services/{}", service.slug)));
            }
            Err(error) => Errors::of_engine(error)?,
        },
    };
    view::wrong(&OnePage { errors, ..shown })
}

fn asked(engine: &Engine, template: &Template, page: &OnePage) -> Result<NewService, Errors> {
    let text = |name: &str| page.fields.get(name).map_or("", |text| text.trim());
    let slug = Slug::parse(text("name")).map_err(|error| Errors::one("name", error.to_string()))?;
    let project = page.projects.iter().find(|project| project.as_str() == text("project"));
    let project = project.cloned().ok_or_else(|| Errors::one("project", "choose one of your projects"))?;
    let said = page
        .fields
        .iter()
        .filter_map(|(field, value)| Some((field.strip_prefix(FIELD)?.to_owned(), value.trim().to_owned())));
    let files = engine.files_of_template(template, &said.collect());
    match files {
        Ok(files) => Ok(NewService { slug, project, files, repository: None }),
        Err(error) => Err(Errors::one("", error.to_string())),
    }
}

async fn page(
    engine: &Engine,
    person: &Person,
    shell: Shell,
    template: &Template,
    fields: BTreeMap<String, String>,
    errors: Errors,
) -> Result<OnePage, PageError> {
    let all = engine.reader().projects().await?.into_iter();
    let own = all.filter(|project| person.reach.allows_in(Right::Manage, project.team));
    let projects = own.map(|project| project.slug).collect();
    Ok(OnePage { shell, template: wire::Template::from(template), projects, fields, errors })
}

fn find(engine: &Engine, name: &str) -> Result<Template, PageError> {
    let slug = Slug::parse(name).map_err(|_| PageError::NotFound)?;
    Ok(engine.template(&slug)?)
}

impl OnePage {
    /// What was typed into a field.
    fn typed(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// What was typed for a variable, or what it is otherwise.
    fn value<'a>(&'a self, variable: &'a wire::TemplateVariable) -> &'a str {
        let typed = self.fields.get(&format!("{FIELD}{}", variable.name)).map(String::as_str);
        typed.or(variable.default.as_deref()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use askama::Template as _;

    use super::*;
    use crate::domain::template::{Otherwise, TemplateVariable};

    fn grafana() -> Template {
        Template {
            name: Slug::parse("grafana").unwrap(),
            title: "Grafana".to_owned(),
            category: "monitoring".to_owned(),
            description: "Dashboards".to_owned(),
            notes: String::new(),
            entrance: ("grafana".to_owned(), 3000),
            memory: 256,
            administrator: false,
            variables: vec![TemplateVariable {
                name: "URL".to_owned(),
                label: "<where>".to_owned(),
                otherwise: Otherwise::Required,
            }],
            compose: String::new(),
        }
    }

    #[test]
    fn a_search_finds_words_anywhere_and_a_category_narrows_it() {
        for (query, category, found) in [
            ("", "", true),
            ("GRAF dash", "", true),
            ("monitoring", "monitoring", true),
            ("grafana", "web", false),
            ("mysql", "", false),
        ] {
            assert_eq!(is_found(&grafana(), query, category), found, "{query} {category}");
        }
    }

    #[test]
    fn the_form_asks_for_each_variable_and_keeps_what_was_typed() {
        let fields = BTreeMap::from([("variable.URL".to_owned(), "https://a \"b\"".to_owned())]);
        let page = OnePage {
            shell: Shell::for_test("root"),
            template: wire::Template::from(&grafana()),
            projects: vec![Slug::parse("default").unwrap()],
            fields,
            errors: Errors::one("name", "taken"),
        };
        let html = page.render().unwrap();
        for words in ["name=\"variable.URL\"", "https://a &#34;b&#34;", "&#60;where&#62;", "taken"] {
            assert!(html.contains(words), "{html}");
        }
    }
}
