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
use super::{Head, find};
use crate::api::wire::ServiceFiles;
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::domain::right::Right;
use crate::engine::{Engine, ServicePreview};

/// What stands before the name of a file in a form.
const FIELD: &str = "file.";

#[derive(Template)]
#[template(path = "services/files.html")]
struct Page {
    shell: Shell,
    head: Head,
    fields: Vec<Field>,
    /// What is wrong, one line each.
    wrong: Vec<Wrong>,
    others: Vec<String>,
    preview: Option<ServicePreview>,
}

/// A file in its field.
struct Field {
    /// The field's id.
    id: String,
    name: String,
    text: String,
    /// The numbers of the lines that are wrong, with spaces between.
    wrong_lines: String,
}

/// What is wrong, and where.
pub(super) struct Wrong {
    pub text: String,
    /// The id of the field and the number of the line, where both are known.
    pub at: Option<(String, usize)>,
}

/// What is wrong with files, one line each, which begins with a file and a line where it can.
pub(super) fn wrong_in(words: &str, id_of: impl Fn(&str) -> Option<String>) -> Vec<Wrong> {
    let place = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let (number, _) = rest.split_once(':')?;
        Some((id_of(name)?, number.parse().ok()?))
    };
    words.lines().map(|line| Wrong { text: line.to_owned(), at: place(line) }).collect()
}

/// The numbers of the lines of a field that are wrong, with spaces between.
pub(super) fn wrong_lines(wrong: &[Wrong], id: &str) -> String {
    let at = wrong.iter().filter_map(|wrong| wrong.at.as_ref()).filter(|(field, _)| field == id);
    at.map(|(_, line)| line.to_string()).collect::<Vec<_>>().join(" ")
}

impl Page {
    fn new(shell: Shell, head: Head, files: BTreeMap<String, String>) -> Self {
        let field = |(at, (name, text)): (usize, (String, String))| {
            let (id, wrong_lines) = (format!("file-{}", at + 1), String::new());
            Field { id, name, text, wrong_lines }
        };
        let fields = files.into_iter().enumerate().map(field).collect();
        Self { shell, head, fields, wrong: Vec::new(), others: Vec::new(), preview: None }
    }

    /// The same with what is wrong with its files.
    fn wrong(mut self, words: &str) -> Self {
        let id_of =
            |name: &str| self.fields.iter().find(|field| field.name == name).map(|field| field.id.clone());
        self.wrong = wrong_in(words, id_of);
        for field in &mut self.fields {
            field.wrong_lines = wrong_lines(&self.wrong, &field.id);
        }
        self
    }
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
    let head = Head::of(&engine.service_status(&slug).await?, "files");
    let files = ServiceFiles::of(&engine.service_files(&slug, None).await?).files;
    visit.record(Deed::new("service.files_shown", format!("service {slug}"))).await;
    view::show(&Page::new(shell, head, files))
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
        Ok(parsed) => match engine.preview_service(&slug, Some(&parsed), administrator).await {
            Ok(preview) => Ok(preview),
            Err(error) => Err(Errors::of_engine(error)?),
        },
    };
    let head = Head::of(&engine.service_status(&slug).await?, "files");
    let page = Page::new(shell, head, files);
    match outcome {
        Ok(preview) => view::show(&Page { preview: Some(preview), ..page }),
        Err(errors) => {
            let others = errors.others(&["files"]).into_iter().map(str::to_owned).collect();
            view::wrong(&Page { others, ..page.wrong(errors.of("files")) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_what_is_wrong_with_its_line_and_what_would_be_done() {
        let render = |wrong: &str, preview: Option<ServicePreview>| {
            let files = BTreeMap::from([("compose.yaml".to_owned(), "services: {} # <b>".to_owned())]);
            let head = Head::for_test("files");
            let page = Page::new(Shell::for_test("root"), head, files);
            Page { preview, ..page.wrong(wrong) }.render().unwrap()
        };
        let html = render("compose.yaml:4: services.web: <no>\n.env:1: other", None);
        assert!(html.contains("compose.yaml:4: services.web: &#60;no&#62;"), "{html}");
        assert!(html.contains("services: {} # &#60;b&#62;"), "{html}");
        assert!(html.contains("href=\"#file-1\" data-line=\"4\""), "{html}");
        assert!(html.contains("data-wrong-lines=\"4\"") && html.contains(".env:1: other"), "{html}");
        let preview = ServicePreview {
            commit: None,
            units: BTreeMap::from([("a.container".to_owned(), "[Container]".to_owned())]),
            steps: "start a.service\n".to_owned(),
            warnings: vec!["compose.yaml:1: it is left out".to_owned()],
        };
        let html = render("", Some(preview));
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
