//! The Authorization field: `Bearer` for programs, `Basic` for git, whose password is the token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::{Refusal, Secret};

/// The secret that is shown; none if there is no such field.
pub(super) fn secret(headers: &HeaderMap) -> Result<Option<Secret>, Refusal> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(Refusal::Unreadable);
    }
    let (scheme, credentials) =
        field.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refusal::Unreadable)?;
    let text = if scheme.eq_ignore_ascii_case("bearer") {
        credentials.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        password(credentials.trim()).ok_or(Refusal::Unreadable)?
    } else {
        return Err(Refusal::Unreadable);
    };
    Secret::parse(&text).map(Some).map_err(|_| Refusal::Unknown)
}

fn password(credentials: &str) -> Option<String> {
    let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    decoded.split_once(':').map(|(_user, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[&str], expect: Result<Option<&str>, &str>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, field.parse().unwrap());
        }
        let outcome = secret(&headers);
        match expect {
            Ok(text) => {
                assert_eq!(outcome.unwrap().map(|s| s.reveal().to_owned()).as_deref(), text, "{fields:?}");
            }
            Err(words) => {
                let error = outcome.unwrap_err().to_string();
                assert!(error.contains(words), "{fields:?} gave {error}");
            }
        }
    }

    #[test]
    fn fields() {
        let token = Secret::from_random(&[1; 32]);
        let token = token.reveal();
        let bearer = format!("Bearer {token}");
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        check(&[], Ok(None));
        check(&[&bearer], Ok(Some(token)));
        check(&[&format!("bearer  {token} ")], Ok(Some(token)));
        check(&[&basic(&format!("anybody:{token}"))], Ok(Some(token)));
        check(&[&basic(&format!(":{token}"))], Ok(Some(token)));
        check(&[&basic("user:password")], Err("not known here"));
        check(&["Bearer rvt_123"], Err("not known here"));
        for unreadable in ["", "Bearer", "Basic !!!", "Digest x", &basic("no colon")] {
            check(&[unreadable], Err("must be `Bearer`"));
        }
        check(&[&bearer, &bearer], Err("must be `Bearer`"));
    }
}
