//! A command that is written as one line, parted into words as docker compose parts it: by the rules of
//! go-shellwords, which are not quite those of a shell.

/// The words of a line, and whether an unquoted `;`, `&`, `|`, `<` or `>` ended them early.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    pub words: Vec<String>,
    pub cut: bool,
}

#[derive(Default)]
struct Splitter {
    words: Vec<String>,
    word: String,
    /// Whether a word has begun, be it empty.
    begun: bool,
    escaped: bool,
    /// The quote that is open; a parenthesis for `$(`.
    open: Option<char>,
}

/// Parts a line; or says what is wrong with it.
pub fn split(line: &str) -> Result<Words, String> {
    let mut splitter = Splitter::default();
    let mut cut = false;
    for c in line.chars() {
        if splitter.take(c)? {
            cut = true;
            break;
        }
    }
    if splitter.escaped || splitter.open.is_some() {
        return Err(
            "a quote, or a backslash at the end, is left open: close it, or write the command as a list"
                .to_owned(),
        );
    }
    if splitter.begun {
        splitter.words.push(splitter.word);
    }
    Ok(Words { words: splitter.words, cut })
}

impl Splitter {
    /// Takes a character; true where the words end there.
    fn take(&mut self, c: char) -> Result<bool, String> {
        if self.escaped {
            self.take_escaped(c);
            return Ok(false);
        }
        match (c, self.open) {
            ('\\', open) if open != Some('\'') => self.escaped = true,
            (' ' | '\t' | '\r' | '\n', Some(_)) => self.word.push(c),
            (' ' | '\t' | '\r' | '\n', None) => {
                if std::mem::take(&mut self.begun) {
                    self.words.push(std::mem::take(&mut self.word));
                }
            }
            ('"' | '\'', None) => self.open = Some(c),
            ('"' | '\'', Some(open)) if open == c => {
                self.open = None;
                self.begun = true;
            }
            ('(', None) if self.word.ends_with('$') => {
                self.open = Some(c);
                self.word.push(c);
            }
            ('(' | ')', None) | ('(', Some('(')) => return Err(PARENTHESIS.to_owned()),
            (';' | '&' | '|' | '<' | '>', None) => {
                if c == '>' && !self.word.is_empty() && self.word.chars().all(|c| c.is_ascii_digit()) {
                    self.begun = false;
                }
                return Ok(true);
            }
            _ => {
                match (c, self.open) {
                    ('`', None) => self.open = Some(c),
                    ('`', Some('`')) | (')', Some('(')) => self.open = None,
                    _ => {}
                }
                self.begun = true;
                self.word.push(c);
            }
        }
        Ok(false)
    }

    fn take_escaped(&mut self, c: char) {
        let is_kept = matches!(self.open, Some('`' | '('));
        if is_kept {
            self.word.push('\\');
        }
        self.word.push(match c {
            't' if !is_kept => '\t',
            'n' if !is_kept => '\n',
            other => other,
        });
        self.escaped = false;
        self.begun = true;
    }
}

const PARENTHESIS: &str = "a parenthesis must be quoted: docker compose parts this line without a shell; write the command as a list";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, words: &[&str], cut: bool) {
        let expect = Words { words: words.iter().map(|word| (*word).to_owned()).collect(), cut };
        assert_eq!(split(line), Ok(expect), "{line:?}");
    }

    #[test]
    fn lines() {
        check("", &[], false);
        check("  a  b\tc\nd ", &["a", "b", "c", "d"], false);
        check(r#"sh -c "a b" 'c d'"#, &["sh", "-c", "a b", "c d"], false);
        check(r#"redis --save "" x"#, &["redis", "--save", "", "x"], false);
        check("a''", &["a"], false);
        check("--x=\"a b\"c", &["--x=a bc"], false);
        check(r"a\ b \n \t \\ \'", &["a b", "\n", "\t", "\\", "'"], false);
        check(r#"'a\nb' "a\"b" "a\nb""#, &["a\\nb", "a\"b", "a\nb"], false);
        check("echo `id -u` x", &["echo", "`id -u`", "x"], false);
        check("echo $(id -u) x", &["echo", "$(id -u)", "x"], false);
        check("a=b c*?[d] #e {f}", &["a=b", "c*?[d]", "#e", "{f}"], false);
    }

    #[test]
    fn cut() {
        check("a && b", &["a"], true);
        check("a|b", &["a"], true);
        check("a 2>/dev/null", &["a"], true);
        check("a>b", &["a"], true);
        check("sh -c 'a && b'", &["sh", "-c", "a && b"], false);
    }

    #[test]
    fn refused() {
        for line in ["'a", "\"a", "a\\", "(a)", "a)", "echo $(a", "`a"] {
            assert!(split(line).is_err(), "{line:?}");
        }
    }
}
