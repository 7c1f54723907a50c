//! `rivetr templates …`: compose files that are there for everybody.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use super::table::{facts, or_dash, table};
use crate::api::wire::{List, Template, TemplateVariable};
use crate::domain::name::Slug;

/// What can be done with templates.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Templates {
    /// List the templates
    #[command(after_help = "Example: rivetr templates list")]
    List,
    /// Show one template, and what it wants to be told
    #[command(after_help = "Example: rivetr templates show grafana --compose")]
    Show(Show),
}

/// The arguments of `rivetr templates show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Show {
    /// The template
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Also print its compose file
    #[arg(long)]
    compose: bool,
}

impl Templates {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List => {
                let answer = session.client.get("/api/templates").await?;
                session.show(&answer, |templates: List<Template>| {
                    let row = |template: &Template| {
                        [template.name.clone(), template.category.clone(), template.description.clone()]
                    };
                    table(
                        ["TEMPLATE", "CATEGORY", "FOR"],
                        &templates.items.iter().map(row).collect::<Vec<_>>(),
                    )
                })
            }
            Self::Show(Show { name, compose }) => {
                let answer = session.client.get(&format!("/api/templates/{name}")).await?;
                session.show(&answer, |template: Template| words(&template, compose))
            }
        }
    }
}

fn words(template: &Template, compose: bool) -> String {
    let mut text = facts(&[
        ("template", template.name.clone()),
        ("for", template.description.clone()),
        ("category", template.category.clone()),
        ("memory", format!("{} MiB at least", template.memory_mb)),
        ("look at", format!("port {} of {}", template.port, template.container)),
        ("notes", or_dash(Some(template.notes.trim()).filter(|notes| !notes.is_empty()))),
    ]);
    if !template.variables.is_empty() {
        let row = |variable: &TemplateVariable| {
            let otherwise = match (&variable.default, variable.required) {
                (Some(default), _) => default.clone(),
                (None, true) => "has to be said".to_owned(),
                (None, false) => "is made".to_owned(),
            };
            [variable.name.clone(), otherwise, variable.label.clone()]
        };
        text.push('\n');
        text.push_str(&table(
            ["VARIABLE", "OTHERWISE", "WHAT"],
            &template.variables.iter().map(row).collect::<Vec<_>>(),
        ));
    }
    if compose {
        text.push('\n');
        text.push_str(&template.compose);
    }
    text
}
