//! Blocks of the documentation that show a terminal: commands behind `$ `, and what they print.

/// A command as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// The number of its line in the page.
    pub line: usize,
    /// The command, over several lines where those before end with `\`.
    pub command: String,
    /// What it prints; `…` stands for anything.
    pub output: Vec<String>,
}

/// The commands of a block whose first line has this number in its page.
pub fn commands(text: &str, first: usize) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for (line, text) in (first..).zip(text.lines()) {
        if let Some(command) = text.strip_prefix("$ ") {
            shown.push(Shown { line, command: command.to_owned(), output: Vec::new() });
            continue;
        }
        let last = shown.last_mut().expect("a block of a terminal begins with a command");
        if last.output.is_empty() && last.command.ends_with('\\') {
            last.command.push('\n');
            last.command.push_str(text);
        } else {
            last.output.push(text.trim_end().to_owned());
        }
    }
    shown
}
