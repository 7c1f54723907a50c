//! `include`: other files whose services, networks and volumes become part of this one.

use std::path::{Path, PathBuf};

use super::{INCLUDES_MAX, Loader, absolute};
use crate::compose::environment::{self, Environment};
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::log::Log;
use crate::compose::node::{Entry, Map, Node, Value};

/// The sections that an included file adds to.
const SECTIONS: [&str; 6] = ["configs", "models", "networks", "secrets", "services", "volumes"];

/// What one item of the list asks for.
struct Wanted {
    paths: Vec<PathBuf>,
    folder: PathBuf,
    env_files: Option<Vec<PathBuf>>,
}

impl Loader<'_> {
    pub(super) fn include(
        &mut self,
        tree: &mut Node,
        environment: &Environment,
        including: &mut Vec<PathBuf>,
    ) {
        let Value::Map(map) = &mut tree.value else { return };
        let Some(list) = map.remove("include") else { return };
        for item in Field::new(&list.node, "include").items(&mut self.log) {
            let Some(wanted) = wanted(&item, &mut self.log) else { continue };
            if let Some(other) = self.included(&item, &wanted, environment, including) {
                self.import(map, other, &item);
            }
        }
    }

    fn included(
        &mut self,
        item: &Field<'_>,
        wanted: &Wanted,
        environment: &Environment,
        including: &mut Vec<PathBuf>,
    ) -> Option<Node> {
        let environment = match &wanted.env_files {
            Some(paths) => {
                environment::with_files(environment, paths, item.place(), self.files, &mut self.log)
            }
            None => environment::with_default(environment, &wanted.folder, self.files, &mut self.log),
        };
        let mut whole: Option<Node> = None;
        for path in &wanted.paths {
            if including.contains(path) {
                item.problem(
                    &mut self.log,
                    format!("{} includes itself: files include each other in a circle", path.display()),
                );
                return None;
            }
            if including.len() > INCLUDES_MAX {
                item.problem(
                    &mut self.log,
                    format!("more than {INCLUDES_MAX} files include each other in a row"),
                );
                return None;
            }
            let text = self.text_of(path, item.place(), &item.path)?;
            let documents = self.parse(path, &wanted.folder, &text)?;
            let Some(tree) = self.assemble(path, documents, &environment, including) else { continue };
            whole = match whole.take() {
                None => Some(tree),
                Some(under) => self.lay_over(under, tree, &mut Vec::new()),
            };
        }
        whole
    }

    fn import(&mut self, map: &mut Map, other: Node, item: &Field<'_>) {
        let weight = other.weight();
        if !self.charge(weight, item.place()) {
            return;
        }
        let Value::Map(mut other) = other.value else { return };
        for section in SECTIONS {
            let Some(Entry { key, node: Node { value: Value::Map(theirs), place, .. } }) =
                other.remove(section)
            else {
                continue;
            };
            let ours = map
                .entry(section.to_owned())
                .or_insert_with(|| Entry { key, node: Node::new(place, Value::Map(Map::new())) });
            if ours.node.is_null() {
                ours.node.value = Value::Map(Map::new());
            }
            let Value::Map(ours) = &mut ours.node.value else { continue };
            for (name, entry) in theirs {
                match ours.get(&name) {
                    None => {
                        ours.insert(name, entry);
                    }
                    Some(own) if own.node.says_same(&entry.node) => {}
                    Some(own) => {
                        let file = self.log.file(entry.key).display().to_string();
                        let message = format!(
                            "{file} is included and says something else of it: call one of them differently"
                        );
                        self.log.problem(own.key, &format!("{section}.{name}"), message);
                    }
                }
            }
        }
    }
}

fn wanted(item: &Field<'_>, log: &mut Log) -> Option<Wanted> {
    let base = log.base(item.place()).to_path_buf();
    if item.scalar().is_some() {
        let path = local(item, &item.text(log)?, &base, log)?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        return Some(Wanted { paths: vec![path], folder, env_files: None });
    }
    item.known(log, keys::INCLUDE);
    let texts = item.get("path").map(|field| field.text_or_texts(log)).unwrap_or_default();
    let paths: Vec<_> = texts.iter().filter_map(|text| local(item, text, &base, log)).collect();
    let Some(first) = paths.first() else {
        item.problem(log, "this must say which file is included: path: FILE");
        return None;
    };
    let folder = item
        .get("project_directory")
        .and_then(|field| field.filled(log))
        .map(|folder| absolute(&base, &folder));
    let folder = folder.unwrap_or_else(|| first.parent().unwrap_or(Path::new("/")).to_path_buf());
    let env_files = item.get("env_file").map(|field| field.text_or_texts(log));
    let env_files = env_files.map(|files| {
        files.iter().filter(|file| *file != "/dev/null").map(|file| absolute(&base, file)).collect()
    });
    Some(Wanted { paths, folder, env_files })
}

/// A file of this host: what lies elsewhere is not fetched.
fn local(item: &Field<'_>, text: &str, base: &Path, log: &mut Log) -> Option<PathBuf> {
    let elsewhere = ["oci://", "git://", "http://", "https://", "ssh://", "git@"];
    if elsewhere.iter().any(|scheme| text.starts_with(scheme)) || text.starts_with("github.com/") {
        item.problem(log, format!("{text:?} is not on this host: fetch it, and include the file"));
        return None;
    }
    Some(absolute(base, text))
}
