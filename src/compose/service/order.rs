//! When a container starts, ends, and is started again.

use std::collections::BTreeMap;

use super::{Context, text};
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::log::Log;
use crate::domain::stack::container::{Container, Namespace, Peer};
use crate::domain::stack::network::NetworkMode;
use crate::domain::stack::start::{Condition, Dependency, Restart, StopPolicy};

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    let mut wanted: BTreeMap<String, Dependency> = BTreeMap::new();
    if let Some(field) = field.get("depends_on") {
        for dependency in dependencies(&field, &mut context.log) {
            wanted.insert(dependency.service.clone(), dependency);
        }
    }
    for (service, restart) in implied(container, context) {
        wanted.entry(service.clone()).or_insert(Dependency {
            service,
            condition: Condition::Started,
            required: true,
            restart,
        });
    }
    container.depends_on =
        wanted.into_values().filter(|dependency| exists(field, dependency, context)).collect();
    let log = &mut context.log;
    container.restart = restart(field, log);
    container.stop = StopPolicy {
        stop_signal: text(field, "stop_signal", log),
        stop_grace_period: field.get("stop_grace_period").and_then(|field| field.duration(log)),
    };
}

fn dependencies(field: &Field<'_>, log: &mut Log) -> Vec<Dependency> {
    if field.is_list() {
        let started = |service: String| Dependency {
            service,
            condition: Condition::Started,
            required: true,
            restart: false,
        };
        return field.texts(log).into_iter().map(started).collect();
    }
    let mut all = Vec::new();
    for (service, entry) in field.named(log) {
        entry.entries(log);
        entry.known(log, keys::DEPENDENCY);
        let condition = match text(&entry, "condition", log).as_deref() {
            None | Some("service_started") => Condition::Started,
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            Some(other) => {
                entry.problem(log, format!("{other:?} is none of service_started, service_healthy and service_completed_successfully"));
                continue;
            }
        };
        let required = entry.get("required").and_then(|field| field.boolean(log)).unwrap_or(true);
        let restart = super::boolean(&entry, "restart", log);
        all.push(Dependency { service: service.to_owned(), condition, required, restart });
    }
    all
}

/// Services that must run because their namespace, their mounts or their name is used; and whether this one is
/// restarted with them.
fn implied(container: &Container, context: &Context<'_>) -> Vec<(String, bool)> {
    let service = |peer: &Peer| match peer {
        Peer::Service(name) => Some(name.clone()),
        Peer::Container(_) => None,
    };
    let of = |namespace: &Option<Namespace>| match namespace {
        Some(Namespace::Of(peer)) => service(peer),
        Some(Namespace::Host | Namespace::Shareable | Namespace::Private | Namespace::None) | None => None,
    };
    let network = match &container.network_mode {
        Some(NetworkMode::Of(peer)) => service(peer),
        Some(NetworkMode::Host | NetworkMode::None | NetworkMode::Bridge | NetworkMode::Other(_)) | None => {
            None
        }
    };
    let linked =
        context.links.iter().filter(|link| link.from == container.service).map(|link| link.to.clone());
    let shared = [network, of(&container.ipc), of(&container.pid)].into_iter().flatten();
    let mounted = container.volumes_from.iter().filter_map(|from| service(&from.from));
    linked.chain(shared).map(|name| (name, true)).chain(mounted.map(|name| (name, false))).collect()
}

fn exists(field: &Field<'_>, dependency: &Dependency, context: &mut Context<'_>) -> bool {
    let service = &dependency.service;
    if context.enabled.contains(service) {
        return true;
    }
    let is_disabled = context.services.contains(service);
    if is_disabled && !dependency.required {
        return false;
    }
    let place = field.get("depends_on").unwrap_or_else(|| field.clone());
    let why = if is_disabled {
        format!(
            "the service {service:?} is needed, and is of a profile that was not asked for: use --profile, or write required: false"
        )
    } else {
        format!("there is no service {service:?}")
    };
    place.problem(&mut context.log, why);
    false
}

fn restart(field: &Field<'_>, log: &mut Log) -> Restart {
    let own = field.get("restart").and_then(|field| policy(&field, log));
    let deployed = field.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
    let deployed = deployed.and_then(|field| deployed_policy(&field, own.is_some(), log));
    deployed.or(own).unwrap_or_default()
}

fn policy(field: &Field<'_>, log: &mut Log) -> Option<Restart> {
    let text = field.filled(log)?;
    let (name, attempts) = text.split_once(':').unwrap_or((&text, ""));
    let policy = match (name, attempts) {
        ("no" | "false" | "never" | "none", "") => Restart::No,
        ("always", _) => Restart::Always,
        ("unless-stopped", _) => Restart::UnlessStopped,
        ("on-failure", "") => Restart::OnFailure { attempts: None, delay: None, window: None },
        ("on-failure", attempts) if attempts.parse::<u32>().is_ok() => {
            let attempts = attempts.parse().ok().filter(|attempts| *attempts > 0);
            Restart::OnFailure { attempts, delay: None, window: None }
        }
        _ => {
            field.problem(
                log,
                format!("{text:?} is none of no, always, unless-stopped, on-failure and on-failure:N"),
            );
            return None;
        }
    };
    Some(policy)
}

/// What `deploy` says, which counts before `restart`.
fn deployed_policy(field: &Field<'_>, has_own: bool, log: &mut Log) -> Option<Restart> {
    field.entries(log);
    field.known(log, keys::RESTART_POLICY);
    let condition = text(field, "condition", log);
    let delay = field.get("delay").and_then(|field| field.duration(log));
    let window = field.get("window").and_then(|field| field.duration(log));
    let attempts =
        field.get("max_attempts").and_then(|field| field.unsigned(log)).filter(|attempts| *attempts > 0);
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok());
    let loses_details = |log: &mut Log| {
        if delay.is_some() || window.is_some() || attempts.is_some() {
            field.warn(log, "delay, max_attempts and window count for the condition on-failure alone");
        }
    };
    match condition.as_deref() {
        Some("none" | "no" | "never") => Some(Restart::No),
        Some("on-failure") => Some(Restart::OnFailure { attempts, delay, window }),
        Some("unless-stopped") => {
            loses_details(log);
            Some(Restart::UnlessStopped)
        }
        None if has_own => {
            loses_details(log);
            None
        }
        None | Some("any" | "always") => {
            loses_details(log);
            Some(Restart::Always)
        }
        Some(other) => {
            field.problem(log, format!("{other:?} is none of none, on-failure and any"));
            None
        }
    }
}
