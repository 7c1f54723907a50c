//! `rivetr apps set`: changes an app, and says what is in force and what the next deployment brings.

use std::num::NonZeroU16;

use clap::Args;
use serde_json::{Value, json};

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::options::{Build, Deploy, Health, Runtime};
use crate::api::wire::{BuildOptions, ChangeApp, ChangedApp, DeployOptions, HealthOptions, RuntimeOptions};
use crate::domain::name::{HostName, Slug};

/// The arguments of `rivetr apps set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr apps set blog --memory 512M --volume data:/var/data --unset cpus")]
pub struct Set {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The port it listens on in its container
    #[arg(long)]
    port: Option<NonZeroU16>,
    /// A host it answers, besides the automatic one: all of them, may be repeated
    #[arg(long = "host", value_name = "HOST", value_parser = HostName::parse)]
    hosts: Vec<HostName>,
    /// Bring an option back to its default: memory, volumes, health.path, build.target …; may be repeated
    #[arg(long = "unset", value_name = "OPTION", value_parser = Unset::parse)]
    unset: Vec<Unset>,
    #[command(flatten)]
    health: Health,
    #[command(flatten)]
    runtime: Runtime,
    #[command(flatten)]
    build: Build,
    #[command(flatten)]
    deploy: Deploy,
}

/// An option to bring back to its default: its section and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unset(&'static str, &'static str);

const SECTIONS: [(&str, &[&str]); 4] = [
    ("runtime", RuntimeOptions::NAMES),
    ("build", BuildOptions::NAMES),
    ("health", HealthOptions::NAMES),
    ("deploy", DeployOptions::NAMES),
];

impl Unset {
    /// Takes `hosts`, the name of an option of containers, or one of builds or health checks with its section.
    fn parse(text: &str) -> Result<Self, String> {
        if text == "hosts" {
            return Ok(Self("", "hosts"));
        }
        let (section, name) = text.split_once('.').unwrap_or(("runtime", text));
        let found = SECTIONS.iter().find(|(known, _)| *known == section);
        let name =
            found.and_then(|(section, names)| Some((section, names.iter().find(|known| **known == name)?)));
        name.map(|(section, name)| Self(section, name)).ok_or_else(|| {
            let names = RuntimeOptions::NAMES.join(", ");
            let build = BuildOptions::NAMES.join(", build.");
            let health = HealthOptions::NAMES.join(", health.");
            let deploy = DeployOptions::NAMES.join(", deploy.");
            format!("these can be unset: hosts, {names}, build.{build}, health.{health}, deploy.{deploy}")
        })
    }
}

impl Set {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/apps/{}", self.name);
        let answer = session.client.patch(&path, &self.request()?).await?;
        session.show(&answer, |changed: ChangedApp| words(&changed))
    }

    fn request(self) -> Result<Value, Failure> {
        let Self { name: _, port, hosts, unset, health, runtime, build, deploy } = self;
        let change = ChangeApp {
            hosts: (!hosts.is_empty()).then(|| hosts.iter().map(ToString::to_string).collect()),
            port: port.map(NonZeroU16::get),
            health: health.request(),
            runtime: runtime.request(),
            build: build.request(),
            deploy: deploy.request(),
        };
        if change == ChangeApp::default() && unset.is_empty() {
            return Err(Failure::new(Exit::Usage, "nothing is to change: name an option; --help lists them"));
        }
        let mut request = serde_json::to_value(change)
            .map_err(|error| Failure::new(Exit::Failed, format!("not JSON: {error}")))?;
        for Unset(section, name) in unset {
            let Some(all) = request.as_object_mut() else { continue };
            if section.is_empty() {
                all.insert(name.to_owned(), json!([]));
            } else if let Some(options) = all.entry(section).or_insert(json!({})).as_object_mut() {
                options.insert(name.to_owned(), Value::Null);
            }
        }
        Ok(request)
    }
}

fn words(ChangedApp { app, applied, needs_deployment }: &ChangedApp) -> String {
    let name = &app.name;
    let now = match applied.as_slice() {
        [] => String::new(),
        some => format!("In force now: {}.\n", some.join(", ")),
    };
    let later = if *needs_deployment {
        format!("The rest comes with the next deployment:\n  rivetr deploy {name}\n")
    } else {
        String::new()
    };
    format!("{name} is changed.\n{now}{later}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        set: Set,
    }

    fn request(line: &str) -> Result<Value, Failure> {
        Line::try_parse_from(["set"].into_iter().chain(line.split(' '))).unwrap().set.request()
    }

    #[test]
    fn only_what_is_named_is_asked_for() {
        let asked = request("blog --memory 512M --volume data:/data --volume logs:/logs --read-only --unset cpus --unset health.path").unwrap();
        let expect = json!({
            "runtime": {"memory": "512M", "volumes": ["data:/data", "logs:/logs"], "read_only": true, "cpus": null},
            "health": {"path": null},
        });
        assert_eq!(asked, expect);
        assert_eq!(request("blog --unset hosts --port 80").unwrap(), json!({"hosts": [], "port": 80}));
        assert_eq!(request("blog").unwrap_err().exit, Exit::Usage);
        assert!(
            Unset::parse("build.memory").is_ok()
                && Unset::parse("color").unwrap_err().contains("build.target")
        );
    }
}
