//! How the health of a container is told.

use std::time::Duration;

use super::draft::Draft;
use super::process::json;
use crate::domain::stack::container::Container;
use crate::domain::stack::health::{Health, HealthCheck, Test};

pub(super) fn write(draft: &mut Draft<'_>, container: &Container) {
    match &container.health {
        None => {}
        Some(Health::Off) => draft.scalar("healthcheck", "HealthCmd", "none"),
        Some(Health::Check(check)) => checked(draft, check),
    }
}

fn checked(draft: &mut Draft<'_>, check: &HealthCheck) {
    let HealthCheck { test, interval, timeout, retries, start_period, start_interval } = check;
    let command = test.as_ref().map(|test| command(draft, test));
    match &command {
        Some(command) => draft.option("healthcheck.test", "HealthCmd", "--health-cmd", command),
        None if interval.or(*timeout).or(*start_period).or(*start_interval).is_none()
            && retries.is_none() => {}
        None => {
            draft
                .note("healthcheck", "Podman changes times only together with a test; the image's own stand");
        }
    }
    let times = [
        ("healthcheck.interval", "HealthInterval", interval),
        ("healthcheck.timeout", "HealthTimeout", timeout),
        ("healthcheck.start_period", "HealthStartPeriod", start_period),
    ];
    for (of, key, time) in times {
        // Of nothing Docker makes the default.
        if let Some(time) = time.filter(|time| !time.is_zero()) {
            draft.scalar(of, key, &duration(time));
        }
    }
    if let Some(retries) = retries.filter(|retries| *retries > 0) {
        draft.scalar("healthcheck.retries", "HealthRetries", &retries.to_string());
    }
    let start_interval = start_interval.filter(|time| !time.is_zero());
    if let (Some(start_interval), Some(command)) = (start_interval, &command) {
        // Until it has succeeded once it is asked this often; it is never restarted for want of success.
        draft.option("healthcheck.start_interval", "HealthStartupCmd", "--health-startup-cmd", command);
        draft.scalar("healthcheck.start_interval", "HealthStartupInterval", &duration(start_interval));
        draft.scalar("healthcheck.start_interval", "HealthStartupRetries", "0");
        if let Some(timeout) = timeout.filter(|time| !time.is_zero()) {
            draft.scalar("healthcheck.start_interval", "HealthStartupTimeout", &duration(timeout));
        }
    }
}

/// As Podman has to be told it (FACTS 13.5): an array that begins with `CMD` would be one word, and an array of one
/// word a line for the shell.
fn command(draft: &mut Draft<'_>, test: &Test) -> String {
    match test {
        Test::Shell(line) => shell(std::slice::from_ref(line)),
        // Podman joins them.
        Test::ShellWords(words) => shell(words),
        Test::Words(words) => match words.as_slice() {
            [word] => {
                if !word.contains(char::is_whitespace) {
                    return format!("CMD {word}");
                }
                draft.note(
                    "healthcheck.test",
                    "a program with a blank in its name is looked for, as Docker does: write its words apart",
                );
                // Podman parts it at the blank unless a shell is told otherwise.
                shell(&[format!("'{}'", word.replace('\'', r"'\''"))])
            }
            words => json(words),
        },
    }
}

fn shell(words: &[String]) -> String {
    let words: Vec<String> = std::iter::once("CMD-SHELL".to_owned()).chain(words.iter().cloned()).collect();
    json(&words)
}

/// As Go writes it.
fn duration(time: Duration) -> String {
    if time.subsec_nanos() == 0 {
        format!("{}s", time.as_secs())
    } else if time.subsec_nanos().is_multiple_of(1_000_000) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{}us", time.as_micros())
    }
}
