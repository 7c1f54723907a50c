//! Values and files of variables as a person hands them in, from a file or from standard input.

use std::path::Path;

use super::super::failure::{Exit, Failure};
use super::super::input;
use crate::domain::dotenv;
use crate::domain::name::EnvKey;
use crate::domain::variable::EnvValue;

/// The most that is read, in bytes; the API takes less.
const MAX: u64 = 4 << 20;

/// The variables of a `.env` file, `-` for standard input; every wrong line is said.
pub fn read_variables(path: &Path) -> Result<Vec<(EnvKey, EnvValue)>, Failure> {
    let name = path.display();
    let text = text(path)?;
    dotenv::parse(&text).map_err(|errors| {
        let lines: Vec<String> =
            errors.iter().map(|error| format!("{name}:{}: {}", error.line, error.problem)).collect();
        Failure::new(Exit::Usage, lines.join("\n")).cure("rivetr env import --help")
    })
}

/// A value from standard input. The line end behind a single line is left out: it is the terminal's or `echo`'s.
pub fn read_value() -> Result<EnvValue, Failure> {
    let text = text(Path::new("-"))?;
    EnvValue::parse(without_line_end(&text)).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

/// The bytes of a file, `-` for standard input.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    input::bytes(path, MAX)
}

fn text(path: &Path) -> Result<String, Failure> {
    let hint = |failure: Failure| failure.cure("mount other bytes as a file: rivetr files set --help");
    input::text(path, MAX).map_err(hint)
}

fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains('\n') { text } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_single_line_is_left_out() {
        for (text, value) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a", "a"),
            ("a\nb\n", "a\nb\n"),
            ("a\n\n", "a\n\n"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_line_end(text), value, "{text:?}");
        }
    }

    #[test]
    fn every_wrong_line_is_said_without_its_value() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), b"A=1\nsecret\nB='secret\n").unwrap();
        let text = read_variables(file.path()).unwrap_err().text();
        assert!(text.contains(":2: this is no variable") && text.contains(":3: the quote"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
