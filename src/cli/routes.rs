//! `rivetr routes`: what the proxy does with which requests.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::files::encoded;
use super::session::Session;
use super::table::{facts, or_dash, table};
use crate::api::wire::{self, Route, RouteMatch, RouteTarget};
use crate::domain::name::InvalidName;
use crate::domain::route::Asked;

/// See every route of the proxy, or the one that a request is meant for
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr routes")]
pub struct Routes {
    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
enum Question {
    Match(Match),
}

/// Say which route answers a request, and what becomes of it
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr routes match https://blog.example.org/about")]
struct Match {
    /// The address
    #[arg(value_parser = address)]
    url: String,
}

/// What can be asked for, as it was typed.
fn address(text: &str) -> Result<String, InvalidName> {
    Asked::parse(text).map(|_| text.to_owned())
}

impl Routes {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self.question {
            None => {
                let answer = session.client.get("/api/routes").await?;
                session.show(&answer, |routes: wire::List<Route>| words(&routes.items))
            }
            Some(Question::Match(Match { url })) => {
                let answer = session.client.get(&format!("/api/routes/match?url={}", encoded(&url))).await?;
                session.show(&answer, |found: RouteMatch| fate(&found))
            }
        }
    }
}

fn words(routes: &[Route]) -> String {
    if routes.is_empty() {
        return "There are no routes: nothing is live that has a domain.\n".to_owned();
    }
    let row = |Route { host, path, app, release, service, targets, rules }: &Route| {
        let release = release.map(|number| number.to_string());
        [
            host.clone(),
            path.clone(),
            who(app.as_deref(), service.as_deref()),
            or_dash(release.as_deref()),
            or_dash(Some(&addresses(targets))),
            or_dash(Some(&rules.join("; "))),
        ]
    };
    let heading = ["HOST", "PATH", "APP", "RELEASE", "TARGETS", "RULES"];
    table(heading, &routes.iter().map(row).collect::<Vec<_>>())
}

/// What answers.
fn who(app: Option<&str>, service: Option<&str>) -> String {
    let service = || service.map(|service| format!("service {service}"));
    app.map(str::to_owned).or_else(service).unwrap_or_else(|| "rivetr".to_owned())
}

fn addresses(targets: &[RouteTarget]) -> String {
    targets.iter().map(|target| target.address.as_str()).collect::<Vec<_>>().join(" ")
}

fn fate(RouteMatch { route, outcome, detail, conditions }: &RouteMatch) -> String {
    let mut lines = vec![("outcome", outcome.clone()), ("answer", detail.clone())];
    lines.extend(conditions.iter().map(|condition| ("but", condition.clone())));
    if let Some(Route { host, path, app, release, service, targets, rules }) = route {
        let release = release.map(|number| format!(" release {number}")).unwrap_or_default();
        lines.push(("route", format!("{host}{path}")));
        lines.push(("app", format!("{}{release}", who(app.as_deref(), service.as_deref()))));
        lines.extend(targets.iter().map(|target| ("target", format!("{} {}", target.name, target.address))));
        lines.extend(rules.iter().map(|rule| ("rule", rule.clone())));
    }
    facts(&lines)
}
