//! The documentation, typed in: what its pages show of a terminal is run in a host, in order. Each command has to end
//! well, and to print what the page shows of it.
//!
//! A block that begins with ```` ```console ```` is run. One with `file=NAME` behind its language becomes that file,
//! in the folder where the page stands by then. Blocks of `sh` are read (`src/cli/docs_tests.rs`) and not run.

#[path = "../support/console.rs"]
mod console;
#[path = "../support/markdown.rs"]
mod markdown;

use std::fs;

use console::{Shown, commands};
use markdown::{Page, pages};

use crate::host::{Host, Mode};

/// What the pages call the host, the secret of a token, and the number of the last backup that was told of.
const ADDRESS: &str = "192.0.2.10";
const TOKEN: &str = "TOKEN";
const NUMBER: &str = "NUMBER";
/// Where the shell says in which folder it has ended.
const FOLDER: &str = "/run/docs.folder";

/// The host has no sudo, and its root is nobody to git.
const PRELUDE: &str = r#"
exec 2>&1 </dev/null
set -euo pipefail
export GIT_TERMINAL_PROMPT=0 GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@example.org
export GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org
sudo() {
  if [ "$1" = -u ]; then
    local user=$2
    shift 2
    setpriv --reuid "$user" --regid "$user" --init-groups env "HOME=$(getent passwd "$user" | cut -d: -f6)" "$@"
  else
    env "$@"
  fi
}
"#;

#[test]
fn the_quick_start_can_be_typed() {
    let host = Host::bare("typed");
    let mut reader = Reader::new(&host);
    reader.go_through(&page("docs/quick-start.md"));
    assert_eq!(host.get("blog").status, 200);
}

#[test]
fn every_other_page_can_be_typed() {
    let host = Host::boot("pages");
    host.rivetr(["apps", "create", "blog", "--port", "8080"]).succeeds();
    host.sample("blog").push().succeeds();
    let mut reader = Reader::new(&host);
    reader.token = host.token("deploy");
    let mut typed = Vec::new();
    for page in pages("docs") {
        let shows = page.parts.iter().any(|part| part.fence.as_deref() == Some("console"));
        if shows && page.path != "docs/quick-start.md" {
            reader.go_through(&page);
            typed.push(page.path);
        }
    }
    assert!(typed.len() > 5, "only {typed:?} show a terminal");
}

fn page(path: &str) -> Page {
    pages("docs").into_iter().find(|page| page.path == path).unwrap()
}

/// Somebody who types what the pages show.
struct Reader<'a> {
    host: &'a Host,
    token: String,
    number: String,
    folder: String,
}

impl<'a> Reader<'a> {
    fn new(host: &'a Host) -> Self {
        Self { host, token: TOKEN.to_owned(), number: NUMBER.to_owned(), folder: String::new() }
    }

    /// Reads a page from its beginning, in a folder of its own.
    fn go_through(&mut self, page: &Page) {
        self.folder = format!("/root/{}", page.path.rsplit('/').next().unwrap());
        fs::create_dir_all(self.host.path(&self.folder)).unwrap();
        self.know_hosts_of(page);
        for part in &page.parts {
            match part.fence.as_deref() {
                Some("console") => {
                    for shown in commands(&part.text, part.line) {
                        self.type_in(&page.path, &shown);
                    }
                }
                Some(info) => {
                    if let Some((_, name)) = info.split_once("file=") {
                        let path = self.host.path(&format!("{}/{name}", self.folder));
                        fs::create_dir_all(path.parent().unwrap()).unwrap();
                        fs::write(path, self.said(&part.text)).unwrap();
                    }
                }
                None => {}
            }
        }
    }

    fn type_in(&mut self, page: &str, shown: &Shown) {
        let place = format!("{page}:{}", shown.line);
        let (folder, command) = (&self.folder, self.said(&shown.command));
        let script = format!("{PRELUDE}\ncd '{folder}'\n{command}\npwd > {FOLDER}");
        eprintln!("{place}: $ {command}");
        let ran = self.host.run(["timeout", "300", "bash", "-c", &script]);
        assert_eq!(ran.code, 0, "{place}: {command}\n{}{}", ran.stdout, ran.stderr);
        let expected: Vec<String> = shown.output.iter().map(|line| self.said(line)).collect();
        let printed: Vec<&str> = ran.stdout.trim_end().lines().collect();
        let fine = expected.is_empty() || fits(&expected, &printed);
        assert!(fine, "{place}: {command}\nprinted\n{}\nand not\n{}", ran.stdout, expected.join("\n"));
        let folder = fs::read_to_string(self.host.path(FOLDER)).unwrap();
        folder.trim_end().clone_into(&mut self.folder);
        if let Some((_, rest)) = ran.stdout.split_once("Your token, shown only now: ") {
            rest.lines().next().unwrap().clone_into(&mut self.token);
        }
        let told = ran.stdout.split("ackup ").nth(1).and_then(|rest| rest.split(' ').next());
        if let Some(number) = told.filter(|word| word.parse::<u64>().is_ok()) {
            number.clone_into(&mut self.number);
        }
    }

    /// A text of a page, as it is on this host.
    fn said(&self, text: &str) -> String {
        let text = text.replace(ADDRESS, self.host.address());
        let text = text.replace(TOKEN, &self.token).replace(NUMBER, &self.number);
        match self.host.mode() {
            Mode::Rootless => text,
            Mode::Rootful => text
                .replace("rivetr setup", "rivetr setup --system-wide")
                .replace("systemctl --user -M rivetr@", "systemctl")
                .replace("sudo -u rivetr", "sudo"),
        }
    }

    /// No name service knows the host: names that a page asks lead to it.
    fn know_hosts_of(&self, page: &Page) {
        let shown = page.parts.iter().filter(|part| part.fence.as_deref() == Some("console"));
        let text = shown.map(|part| self.said(&part.text)).collect::<String>();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
        let names = words.filter(|word| word.ends_with(".sslip.io") || word.ends_with("example.org"));
        let path = self.host.path("/etc/hosts");
        let mut hosts = fs::read_to_string(&path).unwrap_or_default();
        names.for_each(|name| hosts.push_str(&format!("{} {name}\n", self.host.address())));
        fs::write(path, hosts).unwrap();
    }
}

/// Whether these lines were printed, where a line of `…` stands for any lines.
fn fits(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "…" => (0..=printed.len()).any(|skip| fits(rest, &printed[skip..])),
        Some((line, rest)) => match printed.split_first() {
            Some((first, others)) => line_fits(line, first) && fits(rest, others),
            None => false,
        },
    }
}

/// Whether a line was printed, where `…` stands for anything and blanks of a table are as wide as they like.
fn line_fits(expected: &str, printed: &str) -> bool {
    let even = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (expected, printed) = (even(expected), even(printed));
    let mut rest = printed.as_str();
    let mut pieces = expected.split('…').peekable();
    let Some(after) = pieces.next().and_then(|first| rest.strip_prefix(first)) else { return false };
    if pieces.peek().is_none() {
        return after.is_empty();
    }
    rest = after;
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    true
}

#[test]
fn what_is_shown_is_held_against_what_was_printed() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (expected, printed, fine) in [
        ("a", "a", true),
        ("a", "a\nb", false),
        ("a\n…", "a\nb\nc", true),
        ("…\nc", "a\nb\nc", true),
        ("a\n…\nd", "a\nb\nc", false),
        ("A  B…\nc 1 …", "A B2\nc   1 min", true),
        ("a…c", "abd", false),
        ("a …", "a", false),
    ] {
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(fits(&lines(expected), &printed), fine, "{expected:?} and {printed:?}");
    }
}
