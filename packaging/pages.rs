//! Writes a manual page for each command and the completions of each shell, from the command line's own definitions.
//!
//! A program of its own: packages ship what it writes, and `rivetr` need not carry it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;
use rivetr::{cli, files};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: rivetr-pages DIR");
        return ExitCode::from(2);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rivetr-pages: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    for folder in [&pages, &completions] {
        // Commands come and go, and what is written is all there is.
        files::remove_tree(folder)?;
        files::make_dirs(folder, 0o755)?;
    }
    clap_mangen::generate_to(cli::command(), &pages)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut cli::command(), "rivetr", &completions)?;
    }
    Ok(())
}
