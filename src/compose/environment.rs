//! The variables that a compose file is read with, and the name of the project.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::dotenv::{self, Read};
use super::interpolate::interpolate;
use super::log::Log;
use super::node::{Node, Place, Value};
use super::{Files, Request};

/// Variables by name.
pub type Environment = BTreeMap<String, String>;

/// The variable that holds the name of the project.
const PROJECT_NAME: &str = "COMPOSE_PROJECT_NAME";
/// The variable that holds the profiles that are asked for.
const PROFILES: &str = "COMPOSE_PROFILES";

/// The reader's environment over the env files that were given, or over the `.env` of the folder.
pub fn of_request(request: &Request, folder: &Path, files: Files<'_>, log: &mut Log) -> Environment {
    if request.env_files.is_empty() {
        return with_default(&request.environment, folder, files, log);
    }
    with_files(&request.environment, &request.env_files, Place::default(), files, log)
}

/// An environment over the `.env` of a folder, if there is one.
pub fn with_default(
    environment: &Environment,
    folder: &Path,
    files: Files<'_>,
    log: &mut Log,
) -> Environment {
    let file = folder.join(".env");
    match files(&file) {
        Ok(text) => {
            let read = add(&text, &file, environment, Read::default(), log);
            over(environment, read)
        }
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory
            ) =>
        {
            environment.clone()
        }
        Err(error) => {
            let place = whole(&file, log);
            log.problem(place, "", format!("the file cannot be read: {error}"));
            environment.clone()
        }
    }
}

/// An environment over files, of which the last wins.
pub fn with_files(
    environment: &Environment,
    paths: &[PathBuf],
    place: Place,
    files: Files<'_>,
    log: &mut Log,
) -> Environment {
    let mut read = Read::default();
    for path in paths {
        match files(path) {
            Ok(text) => read = add(&text, path, environment, read, log),
            Err(error) => {
                log.problem(place, "", format!("the env file {} cannot be read: {error}", path.display()));
            }
        }
    }
    over(environment, read)
}

fn over(environment: &Environment, read: Read) -> Environment {
    let mut all = read.values;
    all.extend(environment.iter().map(|(key, value)| (key.clone(), value.clone())));
    all
}

fn whole(path: &Path, log: &mut Log) -> Place {
    let base = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    Place { source: log.add_source(path.to_path_buf(), base), line: 0, column: 0 }
}

fn add(text: &str, path: &Path, environment: &Environment, read: Read, log: &mut Log) -> Read {
    let lookup = |name: &str| environment.get(name).cloned();
    match dotenv::parse(text, &lookup, read) {
        Ok(mut read) => {
            for name in std::mem::take(&mut read.unset) {
                let place = whole(path, log);
                log.warn(place, "", format!("the variable {name} is not set, and counts as empty"));
            }
            read
        }
        Err((line, message)) => {
            let place = Place { line, column: 1, ..whole(path, log) };
            log.problem(place, "", message);
            Read::default()
        }
    }
}

/// The name of the project: as asked for, as a variable says, as the file says, or as the folder is called. It is put
/// into the environment too.
pub fn project_name(
    request: &Request,
    documents: &[Node],
    folder: &Path,
    environment: &mut Environment,
    log: &mut Log,
) -> String {
    let asked = request.project_name.clone().filter(|name| !name.is_empty());
    let asked = asked.or_else(|| environment.get(PROJECT_NAME).cloned().filter(|name| !name.is_empty()));
    if let Some(name) = asked.as_ref().filter(|name| normalised(name) != **name) {
        let rule =
            "it has lower-case letters, digits, dashes and underscores, and begins with a letter or digit";
        log.problem(Place::default(), "", format!("{name:?} cannot be the name of a project: {rule}"));
    }
    let name = asked.unwrap_or_else(|| {
        let (place, said) = named(documents, environment, log)
            .unwrap_or_else(|| (Place::default(), folder.file_name().unwrap_or_default().to_string_lossy().into_owned()));
        let name = normalised(&said);
        if name.is_empty() {
            let message = "nothing of it can name the project: write name: at the top of the file, or use --project-name";
            log.problem(place, "name", format!("{said:?}: {message}"));
        }
        name
    });
    environment.insert(PROJECT_NAME.to_owned(), name.clone());
    name
}

/// The name that the file gives itself.
fn named(documents: &[Node], environment: &Environment, log: &mut Log) -> Option<(Place, String)> {
    let nodes = documents.iter().rev().filter_map(|document| match &document.value {
        Value::Map(map) => map.get("name"),
        Value::Null | Value::Scalar(_) | Value::List(_) => None,
    });
    let node = nodes.map(|entry| &entry.node).find(|node| !node.is_null())?;
    let Value::Scalar(scalar) = &node.value else { return None };
    let lookup = |name: &str| environment.get(name).cloned();
    match interpolate(&scalar.text, &lookup, &mut std::collections::BTreeSet::new()) {
        Ok(name) if name.is_empty() => None,
        Ok(name) => Some((node.place, name)),
        Err(message) => {
            log.problem(node.place, "name", message);
            None
        }
    }
}

/// A name as docker compose makes it of a folder's, or of what the file says: lower case, and nothing but letters, digits, dashes, underscores.
fn normalised(name: &str) -> String {
    let name = name.to_lowercase();
    let kept: String = name
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

/// The profiles that are asked for.
pub fn profiles(request: &Request, environment: &Environment) -> Vec<String> {
    let mut profiles = request.profiles.clone();
    if let Some(more) = environment.get(PROFILES) {
        profiles.extend(more.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names() {
        for (folder, name) in
            [("blog", "blog"), ("My Blog.v2", "myblogv2"), ("_-x_y-", "x_y-"), ("ÄÖ", ""), ("3d", "3d")]
        {
            assert_eq!(normalised(folder), name);
        }
    }
}
