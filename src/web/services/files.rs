//! The files of a service: edited, looked at as units before anything is done, and applied.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::json;

use super::super::error::PageError;
use super::super::form::{Errors, Form};
use super::super::shell::{Hx, Shell, Visit};
use super::super::view;
use super::super::{Route, Web};
use super::find;
use crate::api::wire::ServiceFiles;
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::engine::{Engine, ServicePreview};

/// What stands before the name of a file in a form.
const FIELD: &str = "file.";

#[derive(Template)]
#[template(path = "services/files.html")]
struct Page {
    shell: Shell,
    slug: Slug,
    files: BTreeMap<String, String>,
    /// What is wrong, one line each.
    wrong: Vec<String>,
    others: Vec<String>,
    preview: Option<ServicePreview>,
}

/// The routes of this part.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/services/{id}/files", show), Route::post("/services/{id}/files", change)]
}

/// Those that have anything in them, with the line ends of the host.
pub(super) fn gathered<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let there = files.into_iter().filter(|(name, text)| *name == "compose.yaml" || !text.trim().is_empty());
    there.map(|(name, text)| (name.to_owned(), text.replace("\r\n", "\n"))).collect()
}

async fn show(
    visit: Visit<Manage>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    let files = ServiceFiles::of(&engine.service_files(&slug, None).await?).files;
    visit.record(Deed::new("service.files_shown", format!("service {slug}"))).await;
    view::show(&Page { shell, slug, files, wrong: Vec::new(), others: Vec::new(), preview: None })
}

async fn change(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    let named = fields.iter().filter_map(|(field, text)| Some((field.strip_prefix(FIELD)?, text.as_str())));
    let mut files = gathered(named);
    let text = |field: &str| fields.get(field).map_or("", |text| text.trim());
    if !text("new_name").is_empty() {
        let content = fields.get("new_text").map_or("", String::as_str);
        files.insert(text("new_name").to_owned(), content.replace("\r\n", "\n"));
    }
    let administrator = visit.person.reach.allows(Right::Administer);
    let outcome = match (ServiceFiles { files: files.clone() }).parse() {
        Err(errors) => Err(Errors::from(errors)),
        Ok(parsed) if text("act") == "apply" => {
            match engine.update_service(&slug, parsed, administrator).await {
                Ok(taken) => {
                    let what = json!({ "revision": taken.revision.number });
                    visit.record(Deed::new("service.updated", format!("service {slug}")).after(what)).await;
                    return Ok(view::go(hx, &format!("/services/{slug}")));
                }
                Err(error) => Err(Errors::of_engine(error)?),
            }
        }
        Ok(parsed) => match engine.preview_service(&slug, &parsed, administrator).await {
            Ok(preview) => Ok(preview),
            Err(error) => Err(Errors::of_engine(error)?),
        },
    };
    match outcome {
        Ok(preview) => {
            let page =
                Page { shell, slug, files, wrong: Vec::new(), others: Vec::new(), preview: Some(preview) };
            view::show(&page)
        }
        Err(errors) => {
            let wrong = errors.of("files").lines().map(str::to_owned).collect();
            let others = errors.others(&["files"]).into_iter().map(str::to_owned).collect();
            view::wrong(&Page { shell, slug, files, wrong, others, preview: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_what_is_wrong_with_its_line_and_what_would_be_done() {
        let render = |wrong: &[&str], preview: Option<ServicePreview>| {
            let files = BTreeMap::from([("compose.yaml".to_owned(), "services: {} # <b>".to_owned())]);
            let slug = Slug::parse("shop").unwrap();
            let wrong = wrong.iter().map(|line| (*line).to_owned()).collect();
            Page { shell: Shell::for_test("root"), slug, files, wrong, others: Vec::new(), preview }
                .render()
                .unwrap()
        };
        let html = render(&["compose.yaml:4: services.web: <no>"], None);
        assert!(html.contains("compose.yaml:4: services.web: &#60;no&#62;"), "{html}");
        assert!(html.contains("services: {} # &#60;b&#62;"), "{html}");
        let preview = ServicePreview {
            units: BTreeMap::from([("a.container".to_owned(), "[Container]".to_owned())]),
            steps: "start a.service\n".to_owned(),
            warnings: vec!["compose.yaml:1: it is left out".to_owned()],
        };
        let html = render(&[], Some(preview));
        for words in ["a.container", "start a.service", "it is left out"] {
            assert!(html.contains(words), "{html}");
        }
    }

    #[test]
    fn a_file_that_was_emptied_is_gone_and_lines_end_as_here() {
        let files = gathered([("compose.yaml", "a:\r\n"), (".env", " \r\n"), ("x.conf", "1")]);
        assert_eq!(files.keys().collect::<Vec<_>>(), ["compose.yaml", "x.conf"]);
        assert_eq!(files["compose.yaml"], "a:\n");
    }
}
