//! The templates that rivetr is built with, and the services that are made of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use include_dir::{Dir, include_dir};

use std::collections::BTreeMap;

use super::service::hex;
use super::{Engine, EngineError};
use crate::compose::template;
use crate::domain::name::Slug;
use crate::domain::service::{FileName, Files};
use crate::domain::template::{Made, Otherwise, Template};

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/catalog");

/// What passwords are made of: nothing that has to be quoted or is taken for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// How many of these.
const PASSWORD: usize = 24;
/// The longest value of a variable, in bytes.
const VALUE_MAX: usize = 4096;

impl Engine {
    /// Every template, by name.
    pub fn templates(&self) -> Result<Vec<Template>, EngineError> {
        all().map_err(|message| EngineError::Invalid { field: "template", message })
    }

    /// The template of that name.
    pub fn template(&self, name: &Slug) -> Result<Template, EngineError> {
        let found = self.templates()?.into_iter().find(|template| template.name == *name);
        found.ok_or_else(|| EngineError::NotFound { what: "template", name: name.to_string() })
    }

    /// The files of a service made of a template: its compose file, and its variables as said or made.
    pub fn files_of_template(
        &self,
        template: &Template,
        said: &BTreeMap<String, String>,
    ) -> Result<Files, EngineError> {
        let invalid = |message: String| EngineError::Invalid { field: "variables", message };
        if let Some(unknown) =
            said.keys().find(|name| template.variables.iter().all(|one| one.name != **name))
        {
            let names: Vec<_> = template.variables.iter().map(|one| one.name.as_str()).collect();
            let message = format!("{} has no variable {unknown}; it has {}", template.name, names.join(", "));
            return Err(invalid(message));
        }
        let mut env = String::new();
        for variable in &template.variables {
            let said = said.get(&variable.name).filter(|value| !value.is_empty());
            let value = match (said, &variable.otherwise) {
                (Some(value), _) => value.clone(),
                (None, Otherwise::Text(text)) => text.clone(),
                (None, Otherwise::Made(form)) => made(*form)?,
                (None, Otherwise::Required) => {
                    return Err(invalid(format!("{} is missing: {}", variable.name, variable.label)));
                }
            };
            if value.len() > VALUE_MAX || value.contains(['\n', '\r', '\'', '\0']) {
                let message =
                    format!("{}: use at most {VALUE_MAX} bytes, without line breaks and '", variable.name);
                return Err(invalid(message));
            }
            env.extend([variable.name.as_str(), "='", value.as_str(), "'\n"]);
        }
        let name = |text: &str| FileName::parse(text).map_err(EngineError::internal);
        let mut files = Files::from([(name("compose.yaml")?, template.compose.clone())]);
        if !env.is_empty() {
            files.insert(name(".env")?, env);
        }
        Ok(files)
    }
}

fn all() -> Result<Vec<Template>, String> {
    let files = FOLDER.files().filter(|file| file.path().extension().is_some_and(|ending| ending == "yaml"));
    let read = |file: &include_dir::File<'_>| {
        let name = file.path().file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let text = file.contents_utf8().ok_or_else(|| format!("{name} is not UTF-8"))?;
        template(name, text).map_err(|why| format!("{name}: {why}"))
    };
    let mut templates = files.map(read).collect::<Result<Vec<_>, _>>()?;
    templates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(templates)
}

fn made(form: Made) -> Result<String, EngineError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| EngineError::Unavailable(error.to_string()))?;
    Ok(match form {
        Made::Password => {
            let letters = random.iter().take(PASSWORD);
            letters
                .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
                .map(|byte| char::from(*byte))
                .collect()
        }
        Made::Hex => hex(random.get(..16).unwrap_or_default()),
        Made::Hex64 => hex(&random),
        Made::Base64 => STANDARD.encode(random),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_read_and_pins_its_images() {
        let templates = all().unwrap();
        assert_eq!(templates.len(), 12);
        for template in &templates {
            let images = template.compose.lines().filter_map(|line| line.trim().strip_prefix("image: "));
            for image in images {
                let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
                assert!(
                    tag.contains(|c: char| c.is_ascii_digit()) && tag != "latest",
                    "{}: {image}",
                    template.name
                );
                assert!(image.split('/').next().is_some_and(|host| host.contains('.')), "{image}");
            }
            for variable in &template.variables {
                assert!(template.compose.contains(&format!("${{{}}}", variable.name)), "{}", template.name);
            }
        }
    }

    #[test]
    fn what_is_made_has_its_form() {
        for (form, length) in [(Made::Password, 24), (Made::Hex, 32), (Made::Hex64, 64), (Made::Base64, 44)] {
            let (one, other) = (made(form).unwrap(), made(form).unwrap());
            assert!(one.len() == length && one != other, "{form:?}: {one}");
        }
    }
}
