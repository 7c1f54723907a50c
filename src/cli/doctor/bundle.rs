//! `rivetr doctor --bundle FILE.tar.zst`: what a report of a bug needs, without secrets.
//!
//! Everything that could not be had says so in its place: a bundle is most wanted where something does not work.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::repair::Managers;
use crate::api::wire::{Health, value};
use crate::files;
use crate::host::process::{Spawn, printable};

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How many of the last lines of the journal of each unit are taken along.
const LINES: &str = "--lines=1000";
/// The units whose journals are: those of rivetr itself, never those of apps.
const JOURNALS: [&str; 3] = ["rivetr.service", "rivetr-proxy.service", "rivetr-netns.service"];
/// How hard zstd tries.
const LEVEL: i32 = 3;
/// Who may read the bundle.
const MODE: u32 = 0o600;

/// Names and texts of the files in a bundle.
type Files = Vec<(&'static str, Vec<u8>)>;

/// Gathers everything, and writes it whole.
pub(super) async fn write(
    path: &Path,
    session: &Session,
    health: &Health,
    managers: &Managers,
) -> Result<(), Failure> {
    let mut gathered: Files = vec![
        ("doctor.json", pretty(&value(health))),
        ("report.json", report(session).await),
        ("versions.txt", versions().await.into_bytes()),
    ];
    let user = managers.own || managers.containers.is_some();
    for unit in JOURNALS {
        let name = match unit {
            "rivetr.service" => "journal/rivetr.txt",
            "rivetr-proxy.service" => "journal/rivetr-proxy.txt",
            _ => "journal/rivetr-netns.txt",
        };
        gathered.push((name, journal(unit, managers.own || user && unit == "rivetr-netns.service").await));
    }
    let packed = packed(&gathered);
    let packed = packed
        .map_err(|error| Failure::new(Exit::Failed, format!("the bundle cannot be packed: {error}")))?;
    files::write_whole(path, &packed, MODE)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()).cure("name a file that you may write"))
}

async fn report(session: &Session) -> Vec<u8> {
    let answer = session.client.get("/api/system/report").await;
    match answer.and_then(|answer| answer.decode::<serde_json::Value>()) {
        Ok(report) => pretty(&report),
        Err(error) => format!("rivetr did not say: {error}\n").into_bytes(),
    }
}

async fn versions() -> String {
    let mut text = String::new();
    // To write into a string cannot fail.
    let mut say = |what: &str, version: &str| writeln!(text, "{what}: {version}").unwrap_or_default();
    say("rivetr", env!("CARGO_PKG_VERSION"));
    for (program, words) in [
        ("systemctl", &["--version"][..]),
        ("podman", &["--version"]),
        ("uname", &["--kernel-name", "--kernel-release", "--machine"]),
    ] {
        match Spawn::new(program).args(words).limit(LIMIT).run().await {
            Ok(output) => {
                let first = String::from_utf8_lossy(&output.stdout);
                say(program, &printable(first.lines().next().unwrap_or_default()));
            }
            Err(error) => say(program, &error.to_string()),
        }
    }
    let release = files::read_text(Path::new("/etc/os-release")).ok().flatten().unwrap_or_default();
    if let Some(name) = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")) {
        say("system", &printable(name));
    }
    text
}

async fn journal(unit: &str, of_user: bool) -> Vec<u8> {
    let option = if of_user { "--user-unit" } else { "--unit" };
    let words = [option, unit, LINES, "--no-pager", "--output=short-iso-precise", "--quiet"];
    match Spawn::new("journalctl").args(words).limit(LIMIT).run().await {
        Ok(output) => output.stdout,
        Err(error) => format!("the journal was not read: {error}\n").into_bytes(),
    }
}

fn pretty(document: &serde_json::Value) -> Vec<u8> {
    // What was made of JSON is JSON again.
    serde_json::to_vec_pretty(document).unwrap_or_default()
}

fn packed(gathered: &Files) -> std::io::Result<Vec<u8>> {
    let encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    let mut archive = tar::Builder::new(encoder);
    for (name, text) in gathered {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(MODE);
        archive.append_data(&mut header, format!("rivetr-bundle/{name}"), text.as_slice())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_bundle_holds_what_was_gathered() {
        let gathered: Files = vec![("a.txt", b"one".to_vec()), ("journal/b.txt", vec![b'x'; 100_000])];
        let packed = packed(&gathered).unwrap();
        assert!(packed.len() < 10_000);
        let mut archive = tar::Archive::new(zstd::Decoder::new(packed.as_slice()).unwrap());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (name, mode) = (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap());
            let mut text = Vec::new();
            entry.read_to_end(&mut text).unwrap();
            found.push((name, mode, text.len()));
        }
        let name = |name: &str| format!("rivetr-bundle/{name}");
        assert_eq!(found, [(name("a.txt"), MODE, 3), (name("journal/b.txt"), MODE, 100_000)]);
    }
}
