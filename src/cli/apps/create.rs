//! `rivetr apps create`: a new app, and how to bring code to it.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::local_push_url;
use crate::api::wire::{App, COMMAND_TIMEOUT_MAX_S, CreateApp, Hidden, ROLLBACK_WINDOW_MAX_S};
use crate::domain::app::{Command, EnvValue, HealthPath};
use crate::domain::name::{EnvKey, HostName, Slug};
use crate::domain::source::{Branch, GitUrl};

/// The largest file of variables that is read, in bytes; the API takes less.
const ENV_FILE_MAX: u64 = 4 << 20;

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
    /// A repository to fetch from, in place of `git push` to rivetr
    #[arg(long, value_name = "URL", value_parser = GitUrl::parse)]
    git: Option<GitUrl>,
    /// The branch that is deployed [default: main]
    #[arg(long, value_parser = Branch::parse)]
    branch: Option<Branch>,
    /// A variable, visible to others while this command runs; --env-file is not; may be repeated
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = parse_variable)]
    env: Vec<(EnvKey, EnvValue)>,
    /// A file with KEY=VALUE lines, each value taken as it stands, quotes included; - is standard input
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The path that tells whether it answers; without it, a TCP connection is enough
    #[arg(long, value_name = "PATH", value_parser = HealthPath::parse)]
    health_path: Option<HealthPath>,
    /// How long a new release may take until it answers [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    health_timeout: Option<u64>,
    /// How many containers answer side by side [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=32))]
    replicas: Option<u8>,
    /// Runs in the new image before a release goes live, its words between blanks; its failure ends the deployment
    #[arg(long, value_name = "COMMAND", value_parser = Command::parse)]
    before_switch: Option<Command>,
    /// Runs in the new image after a release went live, its words between blanks
    #[arg(long, value_name = "COMMAND", value_parser = Command::parse)]
    after_switch: Option<Command>,
    /// How long each of these commands may take [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=COMMAND_TIMEOUT_MAX_S))]
    command_timeout: Option<u64>,
    /// How long a new release is watched, and the one before brought back if it does badly; 0: never [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=ROLLBACK_WINDOW_MAX_S))]
    rollback_window: Option<u64>,
    /// The project it goes to [default: default]
    #[arg(long, value_parser = Slug::parse)]
    project: Option<Slug>,
    /// The environment of that project [default: production]
    #[arg(long, value_parser = Slug::parse)]
    environment: Option<Slug>,
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
            git,
            branch,
            env,
            env_file,
            health_path,
            health_timeout,
            replicas,
            before_switch,
            after_switch,
            command_timeout,
            rollback_window,
            project,
            environment,
        } = self;
        let words = |command: Command| command.words().to_vec();
        let from_file = env_file.map(|path| read_env_file(&path)).transpose()?.unwrap_or_default();
        // What stands on the command line is nearer, and wins.
        let variables = from_file.into_iter().chain(env);
        let variables =
            variables.map(|(key, value)| (key.as_str().to_owned(), Hidden(value.as_str().to_owned())));
        Ok(CreateApp {
            name: name.to_string(),
            project: project.map(|project| project.to_string()),
            environment: environment.map(|environment| environment.to_string()),
            port: port.map(NonZeroU16::get),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            git: git.map(|git| git.to_string()),
            branch: branch.map(|branch| branch.to_string()),
            env: variables.collect::<BTreeMap<_, _>>(),
            health_path: health_path.map(|path| path.as_str().to_owned()),
            health_timeout_s: health_timeout,
            replicas,
            before_switch: before_switch.map(words),
            after_switch: after_switch.map(words),
            command_timeout_s: command_timeout,
            rollback_window_s: rollback_window,
        })
    }
}

fn words(app: &App) -> String {
    format!("{} is created.\n\n{}\n{}", app.name, how_to_deploy(app), where_it_answers(app))
}

fn how_to_deploy(App { name, git, branch, push_url, .. }: &App) -> String {
    if let Some(git) = git {
        return format!("Deploy it from {git}, branch {branch}:\n  rivetr deploy {name}\n");
    }
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
fn parse_variable(text: &str) -> Result<(EnvKey, EnvValue), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    let key = EnvKey::parse(key).map_err(|error| error.to_string())?;
    let value = EnvValue::parse(value).map_err(|error| error.to_string())?;
    Ok((key, value))
}

fn read_env_file(path: &Path) -> Result<Vec<(EnvKey, EnvValue)>, Failure> {
    let unreadable = |error| Failure::new(Exit::Usage, format!("{} cannot be read: {error}", path.display()));
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    let mut text = String::new();
    source.take(ENV_FILE_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > ENV_FILE_MAX {
        return Err(Failure::new(Exit::Usage, format!("{} is larger than 4 MiB", path.display())));
    }
    parse_env_file(&text)
        .map_err(|(line, wrong)| Failure::new(Exit::Usage, format!("{}:{line}: {wrong}", path.display())))
}

/// Lines of `KEY=VALUE`; empty ones and those that begin with `#` are left out. Values are never printed.
fn parse_env_file(text: &str) -> Result<Vec<(EnvKey, EnvValue)>, (usize, String)> {
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| parse_variable(line).map_err(|wrong| (index + 1, wrong))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_taken_as_they_stand() {
        let text = "# settings\nA=1\n\nB= x=\"y\" \nC=\n  \n";
        let parsed = parse_env_file(text).unwrap();
        let parsed: Vec<_> = parsed.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(parsed, [("A", "1"), ("B", " x=\"y\" "), ("C", "")]);
    }

    #[test]
    fn a_wrong_line_is_named_without_its_value() {
        for (text, line) in [("A=1\nsecret", 2), ("1A=secret", 1), ("A=\n\nB =secret", 3), ("A=secret\0", 1)]
        {
            let (found, wrong) = parse_env_file(text).unwrap_err();
            assert_eq!(found, line, "{text:?}");
            assert!(!wrong.contains("secret"), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"A=file\nB=file\n").unwrap();
        let create = Create {
            name: Slug::parse("blog").unwrap(),
            port: None,
            hosts: vec![],
            git: None,
            branch: None,
            env: vec![parse_variable("A=flag").unwrap()],
            env_file: Some(file.path().to_owned()),
            health_path: None,
            health_timeout: None,
            replicas: None,
            before_switch: None,
            after_switch: None,
            command_timeout: None,
            rollback_window: None,
            project: None,
            environment: None,
        };
        let env = create.request().unwrap().env;
        assert_eq!((env["A"].0.as_str(), env["B"].0.as_str()), ("flag", "file"));
    }
}
