//! The end of the setup: rivetr answers, the first token is made, and a person is told what to do next.

use std::io::{self, Write};

use serde::Serialize;

use super::SetupError;
use super::account::Account;
use super::ground::{API_PORT, Ground};
use super::install::configured_url;
use super::steps::Steps;
use crate::api::client::{Client, ClientError, Target};
use crate::api::wire::{CreateToken, CreatedToken, Link, List, Scope, Token};
use crate::files;

/// What a person or a program needs to go on.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Where the API and the repositories are.
    url: String,
    /// The first token; `None` if there is one already, or none was wanted.
    token: Option<String>,
    /// The first administrator's link, good for an hour; `None` once somebody has an account.
    setup_url: Option<String>,
    /// Where apps answer.
    proxy_http: String,
    /// Where apps answer with TLS.
    proxy_https: String,
    /// Where the address is only this machine's: the option of this way, for the command that names another.
    #[serde(skip)]
    local: Option<&'static str>,
}

/// Waits until rivetr answers and makes the first token.
pub(super) async fn ask(
    ground: &Ground,
    account: &Account,
    without_token: bool,
    steps: &mut Steps<'_>,
) -> Result<Answer, SetupError> {
    let socket = ground.runtime(account).join("api.sock");
    let client = Client::new(Target::Socket(socket), None);
    // The socket is systemd's and queues the call: the answer comes as soon as rivetr can give it.
    let silent = |cause| SetupError::Silent { cause, look: ground.look().to_owned() };
    // Until somebody has an account, each run prints a link; it ends the one before.
    let link = setup_link(&client).await.map_err(silent)?;
    steps.step(false, "rivetr answers")?;
    let mut token = None;
    if !without_token {
        token = first_token(&client).await.map_err(silent)?;
        let what =
            if token.is_some() { "first token, for an administrator" } else { "there is a token already" };
        steps.step(token.is_some(), what)?;
    }
    let configured = files::read_text(&ground.config)?.as_deref().and_then(configured_url);
    let local = configured.is_none().then_some(ground.way.words().1);
    let url = configured.unwrap_or_else(|| format!("http://127.0.0.1:{API_PORT}"));
    let proxy_http = format!("http://{}", authority(host(&url), ground.http_port, 80));
    let proxy_https = format!("https://{}", authority(host(&url), ground.https_port, 443));
    Ok(Answer { url, token, setup_url: link, proxy_http, proxy_https, local })
}

async fn first_token(client: &Client) -> Result<Option<String>, ClientError> {
    let found: List<Token> = client.get("/api/tokens").await?.decode()?;
    if !found.items.is_empty() {
        return Ok(None);
    }
    let wanted = CreateToken {
        name: "setup".to_owned(),
        scope: Some(Scope::Admin),
        expires_days: None,
        user: None,
        team: None,
    };
    let made: CreatedToken = client.post("/api/tokens", &wanted).await?.decode()?;
    Ok(Some(made.secret))
}

/// The link by which the first user comes in; none: there is a user.
async fn setup_link(client: &Client) -> Result<Option<String>, ClientError> {
    match client.post("/api/setup-link", &serde_json::Map::new()).await {
        Ok(answer) => answer.decode().map(|link: Link| Some(link.url)),
        Err(ClientError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Answer {
    pub(super) fn document(&self, out: &mut dyn Write) -> Result<(), SetupError> {
        serde_json::to_writer(&mut *out, self).map_err(io::Error::from)?;
        Ok(writeln!(out)?)
    }

    pub(super) fn words(&self, out: &mut dyn Write) -> Result<(), SetupError> {
        let Self { url, token, setup_url, proxy_http, proxy_https, local } = self;
        writeln!(
            out,
            "\nrivetr runs at {url}. Apps answer at {proxy_http} and {proxy_https}, each by a host name of its own."
        )?;
        if let Some(link) = setup_url {
            writeln!(out, "\nOpen this within the hour to become its administrator:\n  {link}\n")?;
        }
        if let Some(option) = local {
            writeln!(
                out,
                "That address is known to this machine alone. Name the one under which others reach it:\n  \
                 rivetr setup{option} --url http://ADDRESS\n"
            )?;
        }
        match token {
            Some(token) => writeln!(
                out,
                "Your token, shown only now: {token}\nIt is the password when you push; keep it to yourself."
            )?,
            None => {
                writeln!(out, "For a token, which is the password when you push: rivetr tokens create NAME")?;
            }
        }
        writeln!(
            out,
            "\nNext:\n  \
             rivetr apps create blog --port 8080\n\
             and in a repository with a Containerfile or Dockerfile:\n  \
             git push {}/git/blog.git main",
            url.replacen("://", "://rivetr:TOKEN@", 1)
        )?;
        Ok(())
    }
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split([':', '/']).next().unwrap_or(rest)
}

fn authority(host: &str, port: u16, usual: u16) -> String {
    if port == usual { host.to_owned() } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_typed() {
        let mut paper = Vec::new();
        let answer = Answer {
            url: "http://192.0.2.7".to_owned(),
            token: Some("rvt_secret".to_owned()),
            setup_url: Some("http://192.0.2.7/setup/0123".to_owned()),
            proxy_http: "http://192.0.2.7".to_owned(),
            proxy_https: "https://192.0.2.7".to_owned(),
            local: None,
        };
        answer.words(&mut paper).unwrap();
        let text = String::from_utf8(paper).unwrap();
        assert!(text.contains("administrator:\n  http://192.0.2.7/setup/0123\n"), "{text}");
        assert!(text.contains("Your token, shown only now: rvt_secret\n"), "{text}");
        assert!(text.ends_with("\n  git push http://rivetr:TOKEN@192.0.2.7/git/blog.git main\n"), "{text}");
    }

    #[test]
    fn where_apps_answer() {
        for (url, port, expected) in [
            ("http://rivetr.example.org", 80, "rivetr.example.org"),
            ("http://10.0.0.2:7480", 80, "10.0.0.2"),
            ("https://rivetr.example.org", 8080, "rivetr.example.org:8080"),
        ] {
            assert_eq!(authority(host(url), port, 80), expected);
        }
    }
}
