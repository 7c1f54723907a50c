//! Server-sent events from bytes, as the HTML standard reads them. Pure; connections are for `events`.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name; `message` if the server gave none.
    pub name: String,
    /// Its data; several lines are joined by newlines.
    pub data: String,
}

/// The largest event that is taken, in bytes.
const EVENT_MAX: usize = 4 << 20;

/// A stream whose event grows beyond [`EVENT_MAX`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {EVENT_MAX} bytes")]
pub(super) struct TooLarge;

/// Reads events from bytes that arrive in any pieces.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    after_return: bool,
    began: bool,
    name: String,
    data: Option<String>,
    last_id: Option<String>,
}

impl Parser {
    /// Takes more bytes and hands each event that they complete, and the id then in force, to `take`.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(Event, Option<&str>),
    ) -> Result<(), TooLarge> {
        for byte in bytes {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    if let Some(event) = self.end_line() {
                        take(event, self.last_id.as_deref());
                    }
                }
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_MAX {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<Event> {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let began = std::mem::replace(&mut self.began, true);
        let text = if began { &text } else { text.strip_prefix('\u{feff}').unwrap_or(&text) };
        if text.is_empty() {
            return self.end_event();
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => data.extend(["\n", value]),
                none => *none = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            // Comments have an empty field name; `retry` is left to the client's own pace; others mean nothing.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = self.data.take()?;
        Some(Event { name: if name.is_empty() { "message".to_owned() } else { name }, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<(String, String, Option<String>)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            let take = |event: Event, id: Option<&str>| {
                events.push((event.name, event.data, id.map(str::to_owned)));
            };
            parser.push(piece, take).unwrap();
        }
        events
    }

    fn event(name: &str, data: &str, id: Option<&str>) -> (String, String, Option<String>) {
        (name.to_owned(), data.to_owned(), id.map(str::to_owned))
    }

    #[test]
    fn streams() {
        for (text, expect) in [
            ("data: a\n\n", vec![event("message", "a", None)]),
            ("data:a\ndata: b\ndata\n\n", vec![event("message", "a\nb\n", None)]),
            ("event: end\ndata: live\nid: 7\n\n", vec![event("end", "live", Some("7"))]),
            ("\u{feff}data: a\n\n", vec![event("message", "a", None)]),
            (
                ": keep-alive\n\ndata: a\r\n\r\ndata: b\r\r",
                vec![event("message", "a", None), event("message", "b", None)],
            ),
            (
                "id: 1\ndata: a\n\ndata: b\n\n",
                vec![event("message", "a", Some("1")), event("message", "b", Some("1"))],
            ),
            ("id: 1\n\nid: 2\0\ndata: b\n\n", vec![event("message", "b", Some("1"))]),
            ("event: x\n\ndata: a\n\n", vec![event("message", "a", None)]),
            ("retry: 10\nother: 1\ndata:  two\n\n", vec![event("message", " two", None)]),
            ("data: cut", vec![]),
            ("data: cut\n", vec![]),
        ] {
            assert_eq!(parse(&[text.as_bytes()]), expect, "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(parse(&bytes), expect, "{text:?}, byte by byte");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        let piece = vec![b'a'; 1 << 20];
        let outcomes: Vec<_> = (0..5).map(|_| parser.push(&piece, |_, _| {})).collect();
        assert_eq!(outcomes.iter().position(Result::is_err), Some(4));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        proptest::proptest!(|(bytes: Vec<u8>, cut: u8)| {
            let (a, b) = bytes.split_at(usize::from(cut).min(bytes.len()));
            assert_eq!(parse(&[a, b]), parse(&[&bytes]));
        });
    }
}
