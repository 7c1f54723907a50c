//! Header fields that a route sets or removes, of requests and of answers.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::fields::is_reserved;
use super::FieldChange;
use super::policy::RuleError;

/// What is changed, in this order.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<(HeaderName, Option<HeaderValue>)>);

impl Changes {
    /// Takes what names fields that are the app's or the visitor's; `rule` is where they stand.
    pub(super) fn check(rule: &'static str, changes: &[FieldChange]) -> Result<Self, RuleError> {
        let change = |change: &FieldChange| {
            let (name, value) = match change {
                FieldChange::Set { name, value } => (name, Some(value)),
                FieldChange::Remove { name } => (name, None),
            };
            let wrong = |why: &str| RuleError::new(rule, name, why.to_owned());
            let known = HeaderName::from_bytes(name.as_bytes());
            let known = known.map_err(|_| wrong("it is not the name of a header field"))?;
            if is_reserved(&known) {
                return Err(wrong("this field is the connection's or the proxy's own, and stays as it is"));
            }
            let value = value.map(|value| HeaderValue::from_str(value)).transpose();
            let value =
                value.map_err(|_| wrong("its value has characters that no header field can carry"))?;
            Ok((known, value))
        };
        changes.iter().map(change).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn make(&self, fields: &mut HeaderMap) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => {
                    fields.insert(name, value.clone());
                }
                None => {
                    fields.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> FieldChange {
        FieldChange::Set { name: name.into(), value: value.into() }
    }

    #[test]
    fn fields_are_set_and_removed_in_order() {
        let remove = |name: &str| FieldChange::Remove { name: name.into() };
        let changes = [set("X-A", "1"), remove("x-b"), set("x-c", "2"), remove("x-c")];
        let mut fields = HeaderMap::new();
        for (name, value) in [("x-a", "0"), ("x-a", "00"), ("x-b", "0"), ("x-d", "0")] {
            fields.append(name, value.parse().unwrap());
        }
        Changes::check("response_fields", &changes).unwrap().make(&mut fields);
        let left: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(left, [("x-a", &b"1"[..]), ("x-d", b"0")]);
    }

    #[test]
    fn what_no_route_may_touch() {
        for name in [
            "connection",
            "Keep-Alive",
            "transfer-encoding",
            "content-length",
            "te",
            "trailer",
            "upgrade",
            "host",
            "expect",
            "X-Forwarded-For",
            "x-real-ip",
            "X-Request-Id",
            "forwarded",
            "proxy",
            "x_forwarded_for",
            "x.real.ip",
            "a b",
            "",
        ] {
            let error = Changes::check("request_fields", &[set(name, "x")]).unwrap_err().to_string();
            assert!(error.contains("request_fields"), "{name:?} gave {error}");
        }
        assert!(Changes::check("request_fields", &[set("x-a", "b\r\nc: d")]).is_err());
    }
}
