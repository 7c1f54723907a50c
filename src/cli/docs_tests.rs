//! The documentation, held against the command line: every command that it names parses, and the reference of all
//! commands is made from their definitions.

#[path = "../../tests/support/console.rs"]
mod console;
#[path = "../../tests/support/markdown.rs"]
mod markdown;
#[path = "../../tests/support/shell.rs"]
mod shell;

use std::fmt::Write;

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory, Parser};
use console::commands;
use markdown::{Page, Part, pages};
use shell::calls;

use super::Cli;
use crate::reference;

/// What the reference shows as it is on every machine.
const EVERYWHERE: [&str; 7] = ["json", "config", "socket", "server", "ca", "help", "version"];

#[test]
fn every_command_in_the_documentation_parses() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages("").into_iter().chain(pages("docs")) {
        for (line, words) in named(&page) {
            seen += 1;
            if let Err(error) = parse(&words) {
                wrong.push(format!("{}:{line}: {}\n{error}", page.path, words.join(" ")));
            }
        }
        for (line, words) in mentioned(&page) {
            seen += 1;
            if let Err(error) = parse(&words)
                && !is_unfinished(&words, error.kind())
            {
                wrong.push(format!("{}:{line}: {}\n{error}", page.path, words.join(" ")));
            }
        }
    }
    assert!(seen > 100, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_commands_of_a_line_of_a_shell_are_found() {
    for (line, expect) in [
        ("rivetr apps list # all", vec![vec!["rivetr", "apps", "list"]]),
        (
            "sudo rivetr env set blog T --secret < 'my file' | cat",
            vec![vec!["rivetr", "env", "set", "blog", "T", "--secret"], vec!["cat"]],
        ),
        (
            "cd x && A=1 rivetr run blog -- sh -c 'a; b'",
            vec![vec!["cd", "x"], vec!["rivetr", "run", "blog", "--", "sh", "-c", "a; b"]],
        ),
        (
            "export T=$(rivetr tokens create me)",
            vec![vec!["rivetr", "tokens", "create", "me"], vec!["export", "T=1"]],
        ),
        ("echo \"a $(rivetr status)\" 2>&1 > b", vec![vec!["rivetr", "status"], vec!["echo", "a 1", "2"]]),
        ("# nothing", vec![]),
    ] {
        assert_eq!(calls(line), expect, "{line}");
    }
}

#[test]
fn the_reference_of_commands_is_made_from_the_code() {
    let mut root = Cli::command();
    root.build();
    let shown = root.get_subcommands().filter(|command| is_shown(command));
    let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let line = |command: &Command| {
        format!("| [`{0}`](#rivetr-{0}) | {1} |\n", command.get_name(), escape(&about(command)))
    };
    let commands: String = shown.map(line).collect();
    let options: String = root.get_arguments().filter(|argument| !is_own(argument)).map(row).collect();
    let more = root.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut made = format!(
        "| command | |\n| --- | --- |\n{commands}\n\
         ## Everywhere\n\n| | |\n| --- | --- |\n{options}\n```text\n{more}\n```\n"
    );
    for command in root.get_subcommands().filter(|command| is_shown(command)) {
        let name = format!("rivetr {}", command.get_name());
        writeln!(made, "\n## {name}").unwrap();
        describe(command, &name, 3, &mut made);
    }
    reference::check("cli.md", "commands", &made);
}

/// Commands in blocks: of a terminal those behind `$ `, of a shell all lines.
fn named(page: &Page) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for part in &page.parts {
        let lines: Vec<(usize, String)> = match part.fence.as_deref() {
            Some("console") => {
                commands(&part.text, part.line).into_iter().map(|shown| (shown.line, shown.command)).collect()
            }
            Some("sh" | "") => script(part),
            _ => continue,
        };
        for (line, text) in lines {
            found.extend(calls(&text.replace("\\\n", " ")).into_iter().map(|words| (line, words)));
        }
    }
    found.retain(|(_, words)| is_ours(words));
    found
}

fn script(part: &Part) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, text) in (part.line..).zip(part.text.lines()) {
        match lines.last_mut() {
            Some((_, open)) if open.ends_with('\\') => {
                open.push('\n');
                open.push_str(text);
            }
            _ => lines.push((number, text.to_owned())),
        }
    }
    lines
}

/// Commands in the midst of a sentence, between backticks.
fn mentioned(page: &Page) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for part in page.parts.iter().filter(|part| part.fence.is_none()) {
        // A span may begin in one line of a paragraph and end in the next.
        let mut line = part.line;
        for paragraph in part.text.split("\n\n") {
            for span in paragraph.split('`').skip(1).step_by(2) {
                found.extend(calls(span).into_iter().map(|words| (line, words)));
            }
            line += paragraph.matches('\n').count() + 2;
        }
    }
    found.retain(|(_, words)| is_ours(words));
    found
}

fn is_ours(words: &[String]) -> bool {
    words.first().is_some_and(|program| program == "rivetr" || program.ends_with("/rivetr"))
        && words.get(1).is_none_or(|word| word != "…")
}

/// In a sentence a command may stand without what it needs, and an option without its value.
fn is_unfinished(words: &[String], error: ErrorKind) -> bool {
    let lacks = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let ends_with_option = words.last().is_some_and(|word| word.starts_with("--"));
    lacks.contains(&error) || ends_with_option && error == ErrorKind::InvalidValue
}

/// Reads a command as it stands, or with what the reader has in place of words in capitals: a number is good for most.
fn parse(words: &[String]) -> Result<(), clap::Error> {
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "…").collect();
    let is_capital = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let filled = words.iter().map(|word| match *word {
        "URL" => "https://example.org/blog.git",
        word if is_capital(word) => "7",
        word => word,
    });
    let outcome = Cli::try_parse_from(&words).or_else(|_| Cli::try_parse_from(filled));
    match outcome {
        Err(error) if !error.use_stderr() => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

/// Writes down a command, or those that it holds.
fn describe(command: &Command, name: &str, level: usize, into: &mut String) {
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        writeln!(into, "\n{}", escape(&about.to_string())).unwrap();
    }
    let below: Vec<&Command> = command.get_subcommands().filter(|command| is_shown(command)).collect();
    if below.is_empty() || command.get_arguments().any(is_own) {
        let usage = command.clone().render_usage().to_string();
        let usage: Vec<&str> = usage.trim_start_matches("Usage:").lines().map(str::trim).collect();
        let has_options =
            command.get_arguments().any(|argument| is_own(argument) && !argument.is_positional());
        let unneeded = if has_options { "" } else { " [OPTIONS]" };
        let mut text = usage.join("\n").replace(unneeded, "");
        if let Some(more) = command.get_after_help() {
            write!(text, "\n\n{more}").unwrap();
        }
        writeln!(into, "\n```text\n{}\n```", text.trim()).unwrap();
        let options: Vec<&Arg> = command.get_arguments().filter(|argument| is_own(argument)).collect();
        if !options.is_empty() {
            into.push_str("\n| | |\n| --- | --- |\n");
            into.extend(options.into_iter().map(row));
        }
    }
    for command in below {
        let name = format!("{name} {}", command.get_name());
        writeln!(into, "\n{} {name}", "#".repeat(level)).unwrap();
        describe(command, &name, level + 1, into);
    }
}

fn is_shown(command: &Command) -> bool {
    command.get_name() != "help" && !command.is_hide_set()
}

fn is_own(argument: &Arg) -> bool {
    !EVERYWHERE.contains(&argument.get_id().as_str()) && !argument.is_hide_set()
}

fn row(argument: &Arg) -> String {
    let about = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<&str> = about.split("\n\n").map(|text| text.trim().trim_end_matches('.')).collect();
    let short = argument.get_short().map(|letter| format!("`-{letter}`, ")).unwrap_or_default();
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let takes_value = argument.get_action().takes_values();
    let values =
        if takes_value && !values.is_empty() { format!(": {}", values.join(", ")) } else { String::new() };
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .filter(|_| takes_value)
        .map(|value| format!(" (`{}` if not said)", value.to_string_lossy()))
        .collect();
    format!(
        "| {short}`{}` | {}{values}{} |\n",
        argument.to_string().replace('|', "\\|"),
        escape(&paragraphs.join(". ")),
        defaults.concat()
    )
}

/// Angle brackets of a sentence would be taken for HTML, and a bar for the end of a cell.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for (at, piece) in text.split('`').enumerate() {
        let in_code = at % 2 == 1;
        escaped.push_str(if at > 0 { "`" } else { "" });
        let piece = piece.replace('|', "\\|");
        escaped.push_str(&if in_code { piece } else { piece.replace('<', "&lt;").replace('*', "\\*") });
    }
    escaped
}
