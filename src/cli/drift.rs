//! `rivetr drift …`: unit files that somebody changed by hand, and what is to become of that.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use super::table::harmless;
use crate::api::wire::{self, Drift as Drifted, DriftDecision};
use crate::domain::name::Slug;

/// See the unit files that somebody changed by hand, and decide what becomes of that
///
/// rivetr overwrites no such file: deployments, restarts and updates of what it belongs to are refused until it is
/// decided. What you put beside a file, into a folder NAME.container.d, is yours and no drift.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = "Example: rivetr drift blog")]
pub struct Drift {
    /// Only the files of the app, database, service or project of this name
    #[arg(value_parser = Slug::parse)]
    name: Option<Slug>,
    /// Those too of which it was decided that they stay as they are
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    decision: Option<Decision>,
}

/// What can be decided.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Decision {
    /// Put back what rivetr wrote; what stood there is kept aside
    #[command(after_help = "Example: rivetr drift restore rivetr-app-blog-7.container")]
    Restore(Unit),
    /// Take the change over: into a drop-in if one can say it, else the file stays until rivetr would write another
    #[command(after_help = "Example: rivetr drift adopt rivetr-app-blog-7.container")]
    Adopt(Unit),
    /// Leave the file as it is, and show it no more until it or what rivetr would write changes
    #[command(after_help = "Example: rivetr drift ignore rivetr-app-blog-7.container")]
    Ignore(Unit),
}

/// The file that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Unit {
    /// The name of the file or of its unit, as `rivetr drift` prints it
    #[arg(value_parser = unit_name)]
    unit: String,
}

impl Drift {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, all, decision } = self;
        let (verb, unit) = match decision {
            None => return show(session, name.as_ref(), all).await,
            Some(Decision::Restore(Unit { unit })) => ("restore", unit),
            Some(Decision::Adopt(Unit { unit })) => ("adopt", unit),
            Some(Decision::Ignore(Unit { unit })) => ("ignore", unit),
        };
        let answer = session.client.post(&format!("/api/system/drift/{unit}/{verb}"), &()).await?;
        session.show(&answer, |decision: DriftDecision| outcome(&decision))
    }
}

async fn show(session: &mut Session, name: Option<&Slug>, all: bool) -> Result<(), Failure> {
    let named = name.map(|name| format!("&name={name}")).unwrap_or_default();
    let answer = session.client.get(&format!("/api/system/drift?all={all}{named}")).await?;
    session.show(&answer, |found: wire::List<Drifted>| words(&found.items))
}

fn words(found: &[Drifted]) -> String {
    if found.is_empty() {
        return "Nobody changed a unit file by hand.\n".to_owned();
    }
    let mut text = String::new();
    for Drifted { file, unit: _, owner, path, change, decision, diff } in found {
        let decided = decision.as_ref().map(|decision| format!(", {decision}")).unwrap_or_default();
        // To write into a string cannot fail.
        writeln!(text, "{file} of {owner}: {change}{decided}").unwrap_or_default();
        match diff {
            Some(diff) => {
                for line in diff.lines() {
                    writeln!(text, "  {}", harmless(line)).unwrap_or_default();
                }
            }
            None => {
                writeln!(text, "  {path}; what rivetr would write cannot be told").unwrap_or_default();
            }
        }
        text.push('\n');
    }
    text.push_str("Decide with: rivetr drift adopt, restore or ignore FILE\n");
    text
}

fn outcome(DriftDecision { file, unit, outcome, drop_in, kept_aside }: &DriftDecision) -> String {
    let aside =
        kept_aside.as_ref().map(|path| format!("What stood there is kept as {path}.\n")).unwrap_or_default();
    match (outcome.as_str(), drop_in) {
        ("drop_in", Some(at)) => {
            format!("The change of {file} is in {at} now, and goes on to later releases.\n{aside}")
        }
        ("restored", _) => format!(
            "{file} is as rivetr wants it. {unit}, if it runs, goes on as it was started until it is started anew.\n{aside}"
        ),
        ("adopted", _) => format!(
            "{file} stays as it is until rivetr would write another one: no drop-in can say the same.\n"
        ),
        _ => {
            format!("{file} stays as it is, and is not shown until it or what rivetr would write changes.\n")
        }
    }
}

/// A name as systemd and Podman take it, so that it is one word of an address.
fn unit_name(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-@:".contains(c);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(fine) {
        return Err("name a file as `rivetr drift` prints it".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_what_can_be_decided() {
        let drifted = |diff: Option<&str>, decision: Option<&str>| Drifted {
            file: "a.container".to_owned(),
            unit: "a.service".to_owned(),
            owner: "app-a".to_owned(),
            path: "/q/a.container".to_owned(),
            change: "edited".to_owned(),
            decision: decision.map(str::to_owned),
            diff: diff.map(str::to_owned),
        };
        let shown = words(&[drifted(Some("-a\n+b\u{1b}\n"), None), drifted(None, Some("ignored"))]);
        assert!(shown.starts_with("a.container of app-a: edited\n  -a\n  +b"), "{shown}");
        assert!(
            shown.contains("edited, ignored\n  /q/a.container; what") && !shown.contains('\u{1b}'),
            "{shown}"
        );
        assert_eq!(words(&[]), "Nobody changed a unit file by hand.\n");
    }

    #[test]
    fn each_outcome_says_what_is_so_now() {
        for (outcome, drop_in, expect) in [
            ("drop_in", Some("/q/a.container.d/50-local.conf"), "is in /q/a.container.d/50-local.conf now"),
            ("restored", None, "kept as /aside"),
            ("adopted", None, "no drop-in can say the same"),
            ("ignored", None, "is not shown"),
        ] {
            let decision = DriftDecision {
                file: "a.container".to_owned(),
                unit: "a.service".to_owned(),
                outcome: outcome.to_owned(),
                drop_in: drop_in.map(str::to_owned),
                kept_aside: Some("/aside".to_owned()),
            };
            let shown = super::outcome(&decision);
            assert!(shown.contains(expect), "{outcome}: {shown}");
        }
        assert!(unit_name("rivetr-app-blog-7.container").is_ok());
        for bad in ["", "../x", "a/b", "a?b", ".x", "a b"] {
            assert!(unit_name(bad).is_err(), "{bad}");
        }
    }
}
