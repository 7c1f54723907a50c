//! Templates as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::template as domain;
use crate::domain::template::Otherwise;

/// A compose file that is there for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it is for, in a word.
    pub category: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// What one should know before or after; may be empty.
    pub notes: String,
    /// The container that people look at.
    pub container: String,
    /// The port that it answers at.
    pub port: u16,
    /// How much memory it takes at least, in MiB.
    pub memory_mb: u32,
    /// Only an administrator may create it.
    pub administrator: bool,
    /// What can be said about it.
    pub variables: Vec<TemplateVariable>,
    /// The compose file.
    pub compose: String,
}

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TemplateVariable {
    /// Its name.
    pub name: String,
    /// What it is.
    pub label: String,
    /// Whether somebody has to say it.
    pub required: bool,
    /// Whether it is a secret that is made where nobody says it.
    pub generated: bool,
    /// What it is where nobody says it.
    pub default: Option<String>,
}

impl From<&domain::Template> for Template {
    fn from(template: &domain::Template) -> Self {
        let domain::Template {
            name,
            title,
            category,
            description,
            notes,
            entrance: (container, port),
            memory,
            administrator,
            variables,
            compose,
        } = template;
        let variable = |variable: &domain::TemplateVariable| TemplateVariable {
            name: variable.name.clone(),
            label: variable.label.clone(),
            required: variable.otherwise == Otherwise::Required,
            generated: matches!(variable.otherwise, Otherwise::Made(_)),
            default: match &variable.otherwise {
                Otherwise::Text(text) => Some(text.clone()),
                Otherwise::Required | Otherwise::Made(_) => None,
            },
        };
        Self {
            name: name.to_string(),
            title: title.clone(),
            category: category.clone(),
            description: description.clone(),
            notes: notes.clone(),
            container: container.clone(),
            port: *port,
            memory_mb: *memory,
            administrator: *administrator,
            variables: variables.iter().map(variable).collect(),
            compose: compose.clone(),
        }
    }
}
