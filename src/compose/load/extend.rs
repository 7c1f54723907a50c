//! `extends`: a service that takes another as its base.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{EXTENDS_MAX, Loader, absolute, section};
use crate::compose::environment::Environment;
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::node::{Entry, Map, Node, Value};
use crate::compose::yaml::WEIGHT_MAX;

/// What a service extends.
struct Base {
    file: Option<PathBuf>,
    service: String,
}

impl Loader<'_> {
    /// Puts in place of each service what it is with its base.
    pub(super) fn extend_all(&mut self, file: &Path, tree: &mut Node, environment: &Environment) {
        let Some(services) = section(tree, "services") else { return };
        let extending =
            |entry: &Entry| matches!(&entry.node.value, Value::Map(map) if map.contains_key("extends"));
        let names: Vec<String> =
            services.iter().filter(|(_, entry)| extending(entry)).map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return;
        }
        let services = services.clone();
        for name in names {
            if self.weight > WEIGHT_MAX {
                return;
            }
            let whole = self.extend(file, &services, &name, environment, &mut Vec::new());
            let Value::Map(map) = &mut tree.value else { return };
            let Some(Value::Map(section)) = map.get_mut("services").map(|entry| &mut entry.node.value) else {
                return;
            };
            if let (Some(node), Some(entry)) = (whole, section.get_mut(&name)) {
                entry.node = node;
            }
        }
    }

    fn extend(
        &mut self,
        file: &Path,
        services: &Map,
        name: &str,
        environment: &Environment,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Option<Node> {
        let mut node = services.get(name)?.node.clone();
        let Value::Map(map) = &mut node.value else { return Some(node) };
        let Some(extends) = map.remove("extends").filter(|entry| !entry.node.is_null()) else {
            return Some(node);
        };
        let path = format!("services.{name}.extends");
        let place = extends.node.place;
        let base = self.base(&Field::new(&extends.node, path.as_str()))?;
        chain.push((file.to_path_buf(), name.to_owned()));
        let other_file = base.file.as_deref().unwrap_or(file);
        if chain.iter().any(|(file, name)| file == other_file && *name == base.service) {
            let row: Vec<_> =
                chain.iter().map(|(_, name)| name.as_str()).chain([base.service.as_str()]).collect();
            self.log.problem(
                place,
                &path,
                format!("services extend each other in a circle: {}", row.join(" -> ")),
            );
            return None;
        }
        if chain.len() > EXTENDS_MAX {
            self.log.problem(
                place,
                &path,
                format!("more than {EXTENDS_MAX} services extend each other in a row"),
            );
            return None;
        }
        let other = match &base.file {
            Some(other) => {
                Some(self.extended(other, environment, &Field::new(&extends.node, path.as_str()))?)
            }
            None => None,
        };
        let services = match &other {
            Some(other) => section(other, "services")?,
            None => services,
        };
        if !services.contains_key(&base.service) {
            let message = format!("there is no service {:?} in {}", base.service, other_file.display());
            self.log.problem(place, &path, message);
            return None;
        }
        let under = self.extend(other_file, services, &base.service, environment, chain)?;
        chain.pop();
        self.lay_over(under, node, &mut vec!["services".to_owned(), name.to_owned()])
    }

    fn base(&mut self, field: &Field<'_>) -> Option<Base> {
        if let Some(scalar) = field.scalar() {
            return Some(Base { file: None, service: scalar.text.clone() });
        }
        field.known(&mut self.log, keys::EXTENDS);
        let service = field.get("service").and_then(|field| field.filled(&mut self.log));
        let Some(service) = service else {
            field.problem(&mut self.log, "this must name a service: extends: {service: NAME}");
            return None;
        };
        let file = field.get("file").and_then(|field| Some((field.place(), field.filled(&mut self.log)?)));
        let file = file.map(|(place, file)| absolute(self.log.base(place), &file));
        Some(Base { file, service })
    }

    /// The tree of a file that services extend others of.
    fn extended(&mut self, file: &Path, environment: &Environment, field: &Field<'_>) -> Option<Rc<Node>> {
        if let Some(known) = self.extended.get(file) {
            return known.clone();
        }
        let tree = self.text_of(file, field.place(), &field.path).and_then(|text| {
            let base = file.parent().unwrap_or(Path::new("/")).to_path_buf();
            let documents = self.parse(file, &base, &text)?;
            self.join(documents, environment)
        });
        let tree = tree.map(Rc::new);
        if let Some(tree) = tree.as_ref().filter(|tree| section(tree, "services").is_none()) {
            self.log.problem(
                tree.place,
                "",
                "there are no services in this file, though one extends a service of it",
            );
        }
        self.extended.insert(file.to_path_buf(), tree.clone());
        tree
    }
}
