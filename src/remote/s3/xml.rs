//! The little of XML that storages answer with: elements that hold text or elements. No entity is expanded but the five
//! of XML itself and characters by number; whatever is not understood is left out.

/// The inner text of each element of this name, in order; one within another of the same name is part of that.
pub(super) fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(open.as_str()) {
        rest = after;
        // Another element whose name only begins so.
        if !after.starts_with(['>', ' ', '/', '\t', '\n', '\r']) {
            continue;
        }
        let Some((head, inner)) = after.split_once('>') else { break };
        if head.ends_with('/') {
            found.push("");
            rest = inner;
            continue;
        }
        let Some((inner, after)) = inner.split_once(close.as_str()) else { break };
        found.push(inner);
        rest = after;
    }
    found
}

/// The text of the first element of this name.
pub(super) fn text(from: &str, name: &str) -> Option<String> {
    elements(from, name).first().map(|inner| decoded(inner))
}

fn decoded(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let Some((entity, after)) = after.split_once(';') else {
            rest = after;
            text.push('&');
            continue;
        };
        text.extend(character(entity));
        rest = after;
    }
    text.push_str(rest);
    text
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_storage_says() {
        let answer = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3/\"><KeyCount>2</KeyCount>\
                      <Contents><Key>a&amp;b</Key><Size>3</Size><ETag>&#34;x&#x22;</ETag></Contents>\
                      <Contents><Key>c</Key><Size>4</Size></Contents><Next/></ListBucketResult>";
        let contents = elements(answer, "Contents");
        assert_eq!(contents.len(), 2);
        assert_eq!(text(contents[0], "Key").as_deref(), Some("a&b"));
        assert_eq!(text(contents[0], "ETag").as_deref(), Some("\"x\""));
        assert_eq!(text(contents[1], "Key").as_deref(), Some("c"));
        assert_eq!(text(answer, "Next").as_deref(), Some(""));
        assert_eq!(text(answer, "Key").as_deref(), Some("a&b"));
        assert_eq!(text(answer, "Nothing"), None);
        assert_eq!(text("<Key>cut", "Key"), None);
    }

    proptest! {
        #[test]
        fn strangers_text_does_no_harm(answer in "[<>/a&;# x]{0,60}") {
            for inner in elements(&answer, "a") {
                prop_assert!(inner.len() < answer.len());
                decoded(inner);
            }
        }
    }
}
