//! `rivetr apps create`: a new app, and how to bring code to it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::Args;

use super::super::env::read_variables;
use super::super::failure::Failure;
use super::super::session::Session;
use super::local_push_url;
use super::options::{Build, Deploy, Health, Runtime};
use super::source::{From, origin};
use crate::api::wire::{App, CreateApp, DEFAULT_BRANCH, Hidden, SetSource};
use crate::domain::name::{EnvKey, HostName, Slug};
use crate::domain::variable::EnvValue;

/// The arguments of `rivetr apps create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr apps create blog --port 3000 --env-file blog.env")]
pub struct Create {
    /// Its name: lower-case letters, digits and dashes
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The port it listens on in its container [default: 8080]
    #[arg(long)]
    port: Option<NonZeroU16>,
    /// A host it answers, besides the automatic one; may be repeated
    #[arg(long = "host", value_name = "HOST", value_parser = HostName::parse)]
    hosts: Vec<HostName>,
    #[command(flatten)]
    from: From,
    /// A variable, visible to others while this command runs; --env-file is not; may be repeated
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = parse_variable)]
    env: Vec<(EnvKey, EnvValue)>,
    /// A file with KEY=VALUE lines, as `rivetr env import --help` says; - is standard input
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// How many containers answer side by side [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=32))]
    replicas: Option<u8>,
    /// The project it goes to [default: default]
    #[arg(long, value_parser = Slug::parse)]
    project: Option<Slug>,
    /// The environment of that project [default: production]
    #[arg(long, value_parser = Slug::parse)]
    environment: Option<Slug>,
    #[command(flatten)]
    health: Health,
    #[command(flatten)]
    runtime: Runtime,
    #[command(flatten)]
    build: Build,
    #[command(flatten)]
    deploy: Deploy,
}

impl Create {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let request = self.request()?;
        let answer = session.client.post("/api/apps", &request).await?;
        session.show(&answer, |app: App| words(&app))
    }

    fn request(self) -> Result<CreateApp, Failure> {
        let Self {
            name,
            port,
            hosts,
            from,
            env,
            env_file,
            replicas,
            project,
            environment,
            health,
            runtime,
            build,
            deploy,
        } = self;
        let from_file = env_file.map(|path| read_variables(&path)).transpose()?.unwrap_or_default();
        // What stands on the command line is nearer, and wins.
        let variables = from_file.into_iter().chain(env);
        let variables =
            variables.map(|(key, value)| (key.as_str().to_owned(), Hidden(value.as_str().to_owned())));
        let SetSource { git, options, image, containerfile, upload } = from.request()?;
        Ok(CreateApp {
            name: name.to_string(),
            project: project.map(|project| project.to_string()),
            environment: environment.map(|environment| environment.to_string()),
            port: port.map(NonZeroU16::get),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            git,
            options,
            image,
            containerfile,
            upload,
            env: variables.collect::<BTreeMap<_, _>>(),
            health: health.request(),
            runtime: runtime.request(),
            build: build.request(),
            replicas,
            deploy: deploy.request(),
        })
    }
}

fn words(app: &App) -> String {
    format!("{} is created.\n\n{}\n{}", app.name, how_to_deploy(app), where_it_answers(app))
}

fn how_to_deploy(app: &App) -> String {
    let App { name, source, branch, push_url, .. } = app;
    match source.as_str() {
        "push" => {}
        "upload" => return format!("Deploy a folder or an archive:\n  rivetr deploy {name} --from DIR\n"),
        _ => return format!("Deploy it from {}:\n  rivetr deploy {name}\n", origin(app)),
    }
    let branch = branch.as_deref().unwrap_or(DEFAULT_BRANCH);
    let with_token = |url: &str| url.replacen("://", "://rivetr:TOKEN@", 1);
    let (from, url) = match push_url {
        Some(url) => ("Deploy it from your repository:", with_token(url)),
        None => ("Deploy it from a repository on this machine:", with_token(&local_push_url(name))),
    };
    let more = if push_url.is_none() {
        "To push from elsewhere, set url under [instance] in rivetr.toml: the address at which this machine is reached.\n"
    } else {
        ""
    };
    format!(
        "{from}\n  git push {url} {branch}\n\
         In place of TOKEN goes what this prints:\n  rivetr tokens create {name}\n{more}"
    )
}

fn where_it_answers(app: &App) -> String {
    if app.urls.is_empty() {
        return "No host leads to it: --host gives it one, base_domain under [instance] in rivetr.toml one to each \
                new app.\n"
            .to_owned();
    }
    format!("Once it is live, it answers at:\n  {}\n", app.urls.join("\n  "))
}

/// Takes `KEY=VALUE`; the value may hold anything, `=` included.
pub fn parse_variable(text: &str) -> Result<(EnvKey, EnvValue), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    let key = EnvKey::parse(key).map_err(|error| error.to_string())?;
    let value = EnvValue::parse(value).map_err(|error| error.to_string())?;
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"A=file\nB=file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let line = ["create", "blog", "--env", "A=flag", "--env-file", path];
        let create = Line::try_parse_from(line).unwrap().create;
        let env = create.request().unwrap().env;
        assert_eq!((env["A"].0.as_str(), env["B"].0.as_str()), ("flag", "file"));
    }
}
