//! Secrets that do not belong into an address, where proxies, logs and shells keep them.

use super::Secret;

/// What stood in a query.
#[derive(Debug)]
pub(super) enum Found {
    /// No credential.
    Nothing,
    /// A parameter that is named like one, or a text that begins like a token.
    Word,
    /// A well-formed token.
    Secret(Secret),
}

/// Looks through a query for a token.
pub(super) fn secret(query: &str) -> Found {
    let mut found = Found::Nothing;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        for text in [name, value] {
            if let Ok(secret) = Secret::parse(text) {
                return Found::Secret(secret);
            }
        }
        let named = ["token", "access_token", "api_key", "password"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word));
        if named || name.contains("rvt_") || value.contains("rvt_") {
            found = Found::Word;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let token = Secret::from_random(&[1; 32]).reveal().to_owned();
        for harmless in ["", "limit=3", "service=git-receive-pack", "a&b=c&=", "lines=5&follow=true"] {
            assert!(matches!(secret(harmless), Found::Nothing), "{harmless}");
        }
        for word in ["token=x", "a=b&Access_Token=", "x=rvt_12", "password=1"] {
            assert!(matches!(secret(word), Found::Word), "{word}");
        }
        for query in [format!("x={token}"), format!("token=1&{token}"), format!("token={token}&a=b")] {
            assert!(matches!(secret(&query), Found::Secret(_)), "{query}");
        }
    }
}
