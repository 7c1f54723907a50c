//! Storages where backups may lie, and the key that opens backups: of the instance, for its administrators.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use crate::api::backup::{of_destination, revealed_key};
use crate::api::wire::{BackupDestination, BackupKey, Hidden, PutDestination};
use crate::auth::gate::Administer;
use crate::domain::name::Slug;
use crate::engine::Engine;
use crate::web::error::PageError;
use crate::web::form::{Errors, Form};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, view};

/// The fields of the form, under which their errors are shown.
const FIELDS: [&str; 8] = ["name", "endpoint", "region", "bucket", "prefix", "ca", "key_id", "secret"];

#[derive(Template)]
#[template(path = "backups/places.html")]
struct Page {
    shell: Shell,
    places: Vec<BackupDestination>,
    new: New,
    /// The key, for whom it was asked for.
    key: Option<BackupKey>,
    errors: Errors,
}

/// A storage as it is typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct New {
    name: String,
    endpoint: String,
    region: String,
    bucket: String,
    prefix: String,
    path_style: String,
    ca: String,
    key_id: String,
    secret: String,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/backup-destinations", index),
        Route::post("/backup-destinations", put),
        Route::post("/backup-destinations/{name}/remove", remove),
        Route::post("/backup-key", reveal).asking_again(),
    ]
}

async fn index(
    _: Visit<Administer>,
    shell: Shell,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    view::show(&page(&engine, shell).await?)
}

async fn put(
    visit: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(new): Form<New>,
) -> Result<Response, PageError> {
    let errors = match new.wish().parse() {
        Ok(wish) => {
            let name = wish.name.clone();
            match engine.put_destination(wish).await {
                Ok(()) => {
                    visit.record(of_destination("backup_destination.put", &name)).await;
                    return Ok(view::go(hx, "/backup-destinations"));
                }
                Err(error) => Errors::of_engine(error)?,
            }
        }
        Err(errors) => errors.into(),
    };
    let new = New { secret: String::new(), ..new };
    view::wrong(&Page { new, errors, ..page(&engine, shell).await? })
}

async fn remove(
    visit: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let name = Slug::parse(&name).map_err(|_| PageError::NotFound)?;
    match engine.remove_destination(&name).await {
        Ok(()) => {
            visit.record(of_destination("backup_destination.removed", &name)).await;
            Ok(view::go(hx, "/backup-destinations"))
        }
        Err(error) => {
            let errors = Errors::of_engine(error)?.at(|_| "");
            view::wrong(&Page { errors, ..page(&engine, shell).await? })
        }
    }
}

/// The same page, with the key in it. That somebody saw it is written down.
async fn reveal(
    visit: Visit<Administer>,
    shell: Shell,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let (deed, key) = revealed_key(&engine).await?;
    visit.record(deed).await;
    view::show(&Page { key: Some(key), ..page(&engine, shell).await? })
}

async fn page(engine: &Engine, shell: Shell) -> Result<Page, PageError> {
    let places = engine.destinations().await?.iter().map(BackupDestination::from).collect();
    Ok(Page { shell, places, new: New::default(), key: None, errors: Errors::default() })
}

impl New {
    fn wish(&self) -> PutDestination {
        let Self { name, endpoint, region, bucket, prefix, path_style, ca, key_id, secret } = self;
        let trimmed = |text: &str| text.trim().to_owned();
        PutDestination {
            name: trimmed(name),
            endpoint: trimmed(endpoint),
            region: trimmed(region),
            bucket: trimmed(bucket),
            prefix: trimmed(prefix),
            path_style: !path_style.is_empty(),
            ca: Some(ca.replace("\r\n", "\n")).filter(|ca| !ca.trim().is_empty()),
            key_id: trimmed(key_id),
            secret: Hidden(trimmed(secret)),
        }
    }
}

impl Page {
    /// The fields of one line: name, label, what was typed, an example, and what there is to say of it.
    fn fields(&self) -> [(&'static str, &'static str, &str, &'static str, &'static str); 7] {
        let New { name, endpoint, region, bucket, prefix, key_id, .. } = &self.new;
        [
            ("name", "Name", name, "offsite", "What backups call it here."),
            ("endpoint", "Address", endpoint, "https://s3.eu-central-1.amazonaws.com", ""),
            ("region", "Region", region, "eu-central-1", "us-east-1, where there are none."),
            ("bucket", "Bucket", bucket, "backups", ""),
            ("prefix", "Before the names of files", prefix, "rivetr", "May be empty."),
            (
                "key_id",
                "Access key",
                key_id,
                "",
                "It needs to read, write and delete in this bucket, and no more.",
            ),
            ("secret", "Its secret", "", "", "It is never shown again."),
        ]
    }

    /// What is wrong and belongs to no field.
    fn wrong(&self) -> Vec<&str> {
        self.errors.others(&FIELDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_stays_but_for_the_secret_and_errors_stand_at_their_fields() {
        let new = New { name: "Off site".to_owned(), secret: "hush".to_owned(), ..New::default() };
        let errors = Errors::from(new.wish().parse().unwrap_err());
        let new = New { secret: String::new(), ..new };
        let shell = Shell::for_test("root");
        let html = Page { shell, places: Vec::new(), new, key: None, errors }.render().unwrap();
        assert!(html.contains("Off site") && !html.contains("hush"), "{html}");
        for field in ["name", "endpoint", "key_id"] {
            assert!(!html.contains(&format!(r#"id="{field}-wrong"></p>"#)), "{field}: {html}");
        }
        assert!(html.contains(r#"id="ca-wrong"></p>"#), "{html}");
    }
}
