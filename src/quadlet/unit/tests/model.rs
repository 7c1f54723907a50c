//! What Quadlet and systemd make of a unit's text, written from FACTS 2 and sharing no code with the writer.

/// A section, a key and the text behind it, lines joined by a backslash taken as one.
pub(super) type Entry = (String, String, String);

/// Every entry of a unit, as both parsers split it into lines.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut section = String::new();
    let mut lines = text.split('\n');
    while let Some(first) = lines.next() {
        if first.starts_with(['#', ';']) {
            continue;
        }
        let mut line = first.to_owned();
        while line.ends_with('\\') {
            line.pop();
            line.push(' ');
            line.push_str(lines.next().unwrap_or_default());
        }
        let line = line.trim_matches([' ', '\t', '\r']);
        if line.is_empty() {
            continue;
        }
        if line.starts_with('[') && line.ends_with(']') {
            section = line.trim_matches(['[', ']']).to_owned();
        } else {
            let (key, value) = line.split_once('=').expect("a line is a section, a comment or an entry");
            entries.push((section.clone(), key.to_owned(), value.trim_start_matches([' ', '\t']).to_owned()));
        }
    }
    entries
}

/// What a process gets of a key that is split into words; `None` where a parser would drop the line.
pub(super) fn words(text: &str, is_command: bool) -> Option<Vec<String>> {
    split(text)?.into_iter().map(|word| expand(&String::from_utf8(word).ok()?, is_command)).collect()
}

/// What a process gets of a key that is read as it stands.
pub(super) fn scalar(text: &str, is_command: bool) -> Option<String> {
    expand(text.trim_end_matches([' ', '\t']).trim_matches('"'), is_command)
}

/// Specifiers, then variables: one that is not escaped gives what it stands for, which is never itself.
fn expand(word: &str, is_command: bool) -> Option<String> {
    let word = specifiers(word)?;
    if is_command { Some(variables(&word)) } else { Some(word) }
}

fn specifiers(word: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('%', Some('%')) => {
                chars.next();
                out.push('%');
            }
            ('%', Some(letter)) if letter.is_ascii_alphabetic() => return None,
            _ => out.push(c),
        }
    }
    Some(out)
}

fn variables(word: &str) -> String {
    let name = |text: &str| !text.is_empty() && text.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    if word.strip_prefix('$').is_some_and(name) {
        return String::new();
    }
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((_, after)) = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            rest = after;
        } else {
            out.push('$');
        }
    }
    out + rest
}

fn split(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let mut utf8 = [0; 4];
        match (c, quote) {
            (' ' | '\t', None) => words.extend(word.take()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            ('\\', _) => word.get_or_insert_default().extend(unescape(&mut chars)?),
            _ => word.get_or_insert_default().extend(c.encode_utf8(&mut utf8).bytes()),
        }
    }
    words.extend(word);
    Some(words)
}

fn unescape(chars: &mut std::str::Chars<'_>) -> Option<Vec<u8>> {
    let byte = match chars.next()? {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        's' => b' ',
        quoted @ ('\\' | '"' | '\'') => u8::try_from(quoted).ok()?,
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).ok().filter(|byte| *byte != 0)?
        }
        _ => return None,
    };
    Some(vec![byte])
}
