//! Manual pages and completions: one page for each command that people call, and scripts that their shells can read.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "what cannot be run fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `./dev package` looks for them after a test.
fn written() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let status = Command::new(env!("CARGO_BIN_EXE_rivetr-pages")).arg(&folder).status().unwrap();
    assert!(status.success());
    folder
}

/// The names of the pages that a command and those below it have.
fn pages_of(command: &clap::Command, name: &str) -> BTreeSet<String> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    let below = below.flat_map(|command| pages_of(command, &format!("{name}-{}", command.get_name())));
    below.chain([format!("{name}.1")]).collect()
}

#[test]
fn every_command_has_a_page_and_every_shell_its_completions() {
    let folder = written();
    let names = fs::read_dir(folder.join("man")).unwrap();
    let names: BTreeSet<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, pages_of(&rivetr::cli::command(), "rivetr"));
    assert!(names.len() > 100 && names.contains("rivetr-apps-create.1"));
    for name in &names {
        let page = fs::read_to_string(folder.join("man").join(name)).unwrap();
        for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(page.contains(section), "{name} has no {section}");
        }
    }
    let bash = folder.join("completions/rivetr.bash");
    assert!(Command::new("bash").arg("-n").arg(&bash).status().unwrap().success());
    // As it does when somebody presses the key behind `rivetr ap`.
    let press = "source \"$0\"; COMP_WORDS=(rivetr ap); COMP_CWORD=1; _rivetr rivetr ap rivetr; echo \"${COMPREPLY[*]}\"";
    let offered = Command::new("bash").args(["-c", press]).arg(&bash).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&offered.stdout).trim(), "apps");
    for (file, words) in [("_rivetr", "#compdef rivetr"), ("rivetr.fish", "__fish_rivetr")] {
        assert!(fs::read_to_string(folder.join("completions").join(file)).unwrap().contains(words), "{file}");
    }
}
