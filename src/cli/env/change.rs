//! `rivetr env set` and `rivetr env unset`.

use std::collections::BTreeMap;

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::read::read_value;
use super::whose::{Kind, Shared, Whose, usage};
use crate::api::wire::SetVariables;
use crate::domain::name::EnvKey;
use crate::domain::variable::EnvValue;

/// The arguments of `rivetr env set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples: rivetr env set blog LOG_LEVEL=debug\n          \
                  rivetr env set blog TOKEN --secret < token.txt\n          \
                  rivetr env set --project default REGION=eu\n\n\
                  A value on the command line can be seen by others on this machine while the command runs.\n\
                  One from standard input cannot. The line end behind a single line is left out.")]
pub struct Set {
    /// The app, unless --project is given; then KEY=VALUE, or one KEY whose value comes from standard input
    #[arg(value_name = "APP KEY=VALUE", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    kind: Kind,
}

impl Set {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let (whose, words) = self.shared.split(self.words)?;
        let mut variables = Vec::new();
        for word in &words {
            variables.push(match word.split_once('=') {
                Some((key, value)) => {
                    (parse_key(key)?, EnvValue::parse(value).map_err(|error| usage(&error.to_string()))?)
                }
                None if words.len() == 1 => (parse_key(word)?, read_value()?),
                None => {
                    return Err(usage(
                        "write each as KEY=VALUE; only a single KEY is read from standard input",
                    ));
                }
            });
        }
        if variables.is_empty() {
            return Err(usage("say what to set: KEY=VALUE, or KEY with its value on standard input"));
        }
        put(session, &whose, &self.kind, variables, false).await
    }
}

/// The arguments of `rivetr env unset`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr env unset blog LOG_LEVEL")]
pub struct Unset {
    /// The app, unless --project is given; then the names
    #[arg(value_name = "APP KEY", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    shared: Shared,
}

impl Unset {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let (whose, words) = self.shared.split(self.words)?;
        if words.is_empty() {
            return Err(usage("say which variables to remove"));
        }
        for key in words.iter().map(|word| parse_key(word)).collect::<Result<Vec<_>, _>>()? {
            session.client.delete(&format!("{}/{}", whose.path(), key.as_str())).await?;
        }
        if session.json {
            return Ok(());
        }
        session.print(&format!("{} removed from {whose}. {}", counted(words.len()), whose.takes_effect()))
    }
}

/// Sends variables and says what becomes of them.
pub async fn put(
    session: &mut Session,
    whose: &Whose,
    kind: &Kind,
    variables: Vec<(EnvKey, EnvValue)>,
    replace: bool,
) -> Result<(), Failure> {
    let count = variables.len();
    let variables = variables.into_iter().map(|(key, value)| (key.as_str().to_owned(), kind.of(&value)));
    let wish = SetVariables { variables: variables.collect::<BTreeMap<_, _>>(), replace };
    let answer = session.client.put(&whose.path(), &wish).await?;
    session.show(&answer, |_: crate::api::wire::List<crate::api::wire::Variable>| {
        format!("{} set for {whose}. {}", counted(count), whose.takes_effect())
    })
}

fn counted(count: usize) -> String {
    if count == 1 { "1 variable is".to_owned() } else { format!("{count} variables are") }
}

fn parse_key(text: &str) -> Result<EnvKey, Failure> {
    EnvKey::parse(text).map_err(|error| usage(&error.to_string()))
}
