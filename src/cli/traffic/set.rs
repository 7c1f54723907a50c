//! `rivetr traffic set`: what is not named stays as it is. Passwords come by standard input alone.

use std::io::Read;

use clap::Args;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::Kind;
use super::show::words;
use crate::api::wire::{Patch, TrafficOptions};
use crate::domain::name::Slug;
use crate::domain::traffic::{
    BodyLimit, FieldChange, Hsts, Notice, Protocol, Redirect, Span, UserName, parse_network,
};

/// The longest password that is read, in bytes; the API takes less.
const PASSWORD_MAX: u64 = 64 * 1024;

/// The arguments of `rivetr traffic set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Set {
    /// The app or service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The largest request body [default: 100M]
    #[arg(long, value_name = "SIZE", value_parser = BodyLimit::parse)]
    body_limit: Option<BodyLimit>,
    /// How long it may take until it begins to answer, such as 30s [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    answer_timeout: Option<Span>,
    /// For how long browsers come by HTTPS alone: 365d, 365d,subdomains or 365d,subdomains,preload
    #[arg(long, value_name = "TIME", value_parser = Hsts::parse)]
    hsts: Option<Hsts>,
    /// Where paths are redirected to: EXPRESSION=ADDRESS, with a status behind a space if it is not 302; may be repeated
    #[arg(long = "redirect", value_name = "RULE", value_parser = Redirect::parse)]
    redirects: Vec<Redirect>,
    /// A field of requests as the app sees it: `Name: value`, or `Name:` to take it away; may be repeated
    #[arg(long = "request-header", value_name = "FIELD", value_parser = FieldChange::parse)]
    request_headers: Vec<FieldChange>,
    /// A field of answers, likewise; may be repeated
    #[arg(long = "header", value_name = "FIELD", value_parser = FieldChange::parse)]
    response_headers: Vec<FieldChange>,
    /// A network from which one may come in, such as 192.0.2.0/24; may be repeated
    #[arg(long, value_name = "NETWORK", value_parser = parse_network)]
    allow: Vec<IpNet>,
    /// Let nobody in, and say this
    #[arg(long, value_name = "TEXT", value_parser = Notice::parse)]
    maintenance: Option<Notice>,
    /// Visitors stay with the container that answered them first
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    sticky: Option<bool>,
    /// What is spoken with the app: http1, or h2c as gRPC needs it [default: http1]
    #[arg(long, value_name = "PROTOCOL", value_parser = Protocol::parse)]
    protocol: Option<Protocol>,
    /// Somebody who may come in by a password; whoever is not named may no more
    #[arg(long, value_name = "NAME", value_parser = UserName::parse, requires = "password_stdin")]
    user: Option<UserName>,
    /// Read the password of that user from standard input
    #[arg(long, requires = "user")]
    password_stdin: bool,
    /// Somebody who may come in no more; may be repeated
    #[arg(long = "remove-user", value_name = "NAME", value_parser = UserName::parse)]
    remove_users: Vec<UserName>,
    /// Bring an option back to its default, by the name that `rivetr traffic show` has for it; may be repeated
    #[arg(long, value_name = "OPTION", value_parser = option)]
    unset: Vec<&'static str>,
}

/// The name of an option that can be brought back to its default.
fn option(text: &str) -> Result<&'static str, String> {
    let names: Vec<&str> =
        TrafficOptions::NAMES.iter().copied().filter(|name| *name != "passwords").collect();
    let found = names.iter().copied().find(|name| *name == text.replace('-', "_"));
    found.ok_or_else(|| format!("these can be unset: {}", names.join(", ")))
}

impl Set {
    pub(super) async fn run(self, session: &mut Session, kind: Kind) -> Result<(), Failure> {
        let name = self.name.clone();
        let password = self.password_stdin.then(read_password).transpose()?;
        let request = self.request(password.as_deref())?;
        let answer = session.client.patch(&kind.path(&name), &request).await?;
        session.show(&answer, |traffic: TrafficOptions| words(&name, &traffic))
    }

    fn request(self, password: Option<&str>) -> Result<Value, Failure> {
        let options = TrafficOptions {
            body_limit: text(self.body_limit),
            answer_timeout: text(self.answer_timeout),
            hsts: text(self.hsts),
            redirects: list(&self.redirects),
            request_headers: list(&self.request_headers),
            response_headers: list(&self.response_headers),
            users: Patch::Keep,
            passwords: Patch::Keep,
            allow: list(&self.allow),
            maintenance: text(self.maintenance),
            sticky: self.sticky.into(),
            protocol: text(self.protocol),
        };
        let mut request = serde_json::to_value(options)
            .map_err(|error| Failure::new(Exit::Failed, format!("not JSON: {error}")))?;
        let Some(all) = request.as_object_mut() else {
            return Err(Failure::new(Exit::Failed, "not an object of JSON"));
        };
        let given = self.user.into_iter().map(|user| (user.to_string(), json!(password)));
        let taken = self.remove_users.into_iter().map(|user| (user.to_string(), Value::Null));
        let passwords: serde_json::Map<_, _> = given.chain(taken).collect();
        if !passwords.is_empty() {
            all.insert("passwords".to_owned(), Value::Object(passwords));
        }
        all.extend(self.unset.into_iter().map(|name| (name.to_owned(), Value::Null)));
        if all.is_empty() {
            return Err(Failure::new(Exit::Usage, "nothing is to change: name an option; --help lists them"));
        }
        Ok(request)
    }
}

fn text<T: ToString>(value: Option<T>) -> Patch<String> {
    value.map(|value| value.to_string()).into()
}

fn list<T: ToString>(items: &[T]) -> Patch<Vec<String>> {
    (!items.is_empty()).then(|| items.iter().map(ToString::to_string).collect()).into()
}

fn read_password() -> Result<String, Failure> {
    let mut password = String::new();
    let read = std::io::stdin().take(PASSWORD_MAX).read_to_string(&mut password);
    read.map_err(|error| Failure::new(Exit::Usage, format!("the password cannot be read: {error}")))?;
    // `echo` and editors end a line; no password ends in one.
    Ok(password.trim_end_matches(['\n', '\r']).to_owned())
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

    fn request(words: &[&str], password: Option<&str>) -> Result<Value, Failure> {
        let line = Line::try_parse_from(["set", "blog"].iter().chain(words)).unwrap();
        line.set.request(password)
    }

    #[test]
    fn only_what_is_named_is_asked_for() {
        let words = [
            "--body-limit",
            "10M",
            "--redirect",
            "^/old/(.*)$=/new/$1",
            "--redirect",
            "/a=/b 301",
            "--header",
            "X-Frame-Options: DENY",
            "--allow",
            "192.0.2.7",
            "--sticky",
            "--unset",
            "maintenance",
            "--unset",
            "response-headers",
        ];
        let expect = json!({
            "body_limit": "10M", "redirects": ["^/old/(.*)$=/new/$1", "/a=/b 301"], "response_headers": null,
            "allow": ["192.0.2.7/32"], "sticky": true, "maintenance": null,
        });
        assert_eq!(request(&words, None).unwrap(), expect);
        let words = ["--user", "ada", "--password-stdin", "--remove-user", "bob"];
        let expect = json!({"passwords": {"ada": "correct horse", "bob": null}});
        assert_eq!(request(&words, Some("correct horse")).unwrap(), expect);
        assert_eq!(request(&[], None).unwrap_err().exit, Exit::Usage);
        assert!(Line::try_parse_from(["set", "blog", "--user", "ada"]).is_err(), "without a password");
        assert!(
            option("users").is_ok()
                && option("passwords").unwrap_err().contains("body_limit, answer_timeout")
        );
    }
}
