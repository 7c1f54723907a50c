//! The lines of a shell in the documentation, as far as tests read them: which programs are called with which words.

/// The programs that a line of a shell calls, in order, each with its words; a comment at its end is none of them.
pub fn calls(line: &str) -> Vec<Vec<String>> {
    let mut reader = Reader::default();
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' => reader.word().extend(rest.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                while let Some(c) = rest.next().filter(|c| *c != '"') {
                    match c {
                        '\\' => reader.word().extend(rest.next()),
                        '$' if rest.next_if_eq(&'(').is_some() => reader.substitute(&mut rest),
                        c => reader.word().push(c),
                    }
                }
                reader.word();
            }
            '\\' => reader.word().extend(rest.next()),
            '$' if rest.next_if_eq(&'(').is_some() => reader.substitute(&mut rest),
            '#' if reader.open.is_none() => break,
            ' ' | '\t' | '\n' => reader.end_word(),
            // What comes behind an arrow is a file, and no word of the program.
            '<' | '>' => {
                reader.end_word();
                reader.to_file = true;
            }
            '&' if reader.to_file => reader.word().push(c),
            '|' | ';' | '(' | ')' | '&' => reader.end_call(),
            c => reader.word().push(c),
        }
    }
    reader.end_call();
    reader.calls
}

#[derive(Default)]
struct Reader {
    calls: Vec<Vec<String>>,
    words: Vec<String>,
    open: Option<String>,
    to_file: bool,
}

impl Reader {
    fn word(&mut self) -> &mut String {
        self.open.get_or_insert_default()
    }

    fn end_word(&mut self) {
        let Some(word) = self.open.take() else { return };
        if !std::mem::take(&mut self.to_file) {
            self.words.push(word);
        }
    }

    fn end_call(&mut self) {
        self.end_word();
        let words = std::mem::take(&mut self.words);
        // Variables for the program, and the program that runs it as another user, come before it.
        let assigned = |word: &str| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
        let call: Vec<String> =
            words.into_iter().skip_while(|word| word == "sudo" || assigned(word)).collect();
        if !call.is_empty() {
            self.calls.push(call);
        }
    }

    /// Reads what stands in `$( … )`: calls of their own, and a part of the word that nobody knows yet.
    fn substitute(&mut self, rest: &mut impl Iterator<Item = char>) {
        let mut depth = 1;
        let inner: String = rest
            .take_while(|c| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth > 0
            })
            .collect();
        self.calls.extend(calls(&inner));
        self.word().push('1');
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
