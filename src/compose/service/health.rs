//! How the health of a container is told.

use super::boolean;
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::log::Log;
use crate::domain::stack::container::Container;
use crate::domain::stack::health::{Health, HealthCheck, Test};

pub fn read(field: &Field<'_>, container: &mut Container, log: &mut Log) {
    let Some(field) = field.get("healthcheck") else { return };
    field.entries(log);
    field.known(log, keys::HEALTHCHECK);
    if boolean(&field, "disable", log) {
        container.health = Some(Health::Off);
        return;
    }
    let test = match field.get("test").map(|field| test(&field, log)) {
        Some(Told::Off) => {
            container.health = Some(Health::Off);
            return;
        }
        Some(Told::Test(test)) => Some(test),
        Some(Told::Nothing) | None => None,
    };
    // Zero is what Docker calls the default.
    let time = |key: &str, log: &mut Log| {
        field.get(key).and_then(|field| field.duration(log)).filter(|time| !time.is_zero())
    };
    container.health = Some(Health::Check(HealthCheck {
        test,
        interval: time("interval", log),
        timeout: time("timeout", log),
        retries: field.get("retries").and_then(|field| field.unsigned(log)).filter(|retries| *retries > 0),
        start_period: time("start_period", log),
        start_interval: time("start_interval", log),
    }));
}

enum Told {
    Nothing,
    Off,
    Test(Test),
}

fn test(field: &Field<'_>, log: &mut Log) -> Told {
    if let Some(scalar) = field.scalar() {
        return Told::Test(Test::Shell(scalar.text.clone()));
    }
    let words = field.words(log);
    match words.split_first().map(|(kind, rest)| (kind.as_str(), rest)) {
        None => Told::Nothing,
        Some(("NONE", _)) => Told::Off,
        Some(("CMD" | "CMD-SHELL", [])) => {
            field.problem(log, "there is no command behind CMD or CMD-SHELL");
            Told::Nothing
        }
        Some(("CMD", words)) => Told::Test(Test::Words(words.to_vec())),
        Some(("CMD-SHELL", [line])) => Told::Test(Test::Shell(line.clone())),
        Some(("CMD-SHELL", words)) => {
            field.warn(
                log,
                "Podman runs all that is behind CMD-SHELL, Docker the first word alone: write all of it as one",
            );
            Told::Test(Test::ShellWords(words.to_vec()))
        }
        Some(_) => {
            field.problem(log, "the list must begin with CMD, CMD-SHELL or NONE");
            Told::Nothing
        }
    }
}
