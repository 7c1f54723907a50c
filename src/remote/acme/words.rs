//! What went wrong, in words that say what to do, and whether the name has a fault in it.

use std::cell::Cell;
use std::error::Error as _;
use std::time::Duration;

use instant_acme::{Error, Problem};

use super::AcmeError;
use super::http::TOLD;
use crate::domain::certificate::Trouble;
use crate::domain::name::HostName;

/// The longest reason that is kept, in characters: servers quote what they were answered.
const REASON_MAX: usize = 600;
/// How long to leave a server alone that wants to be left alone and does not say for how long.
const RATE_LIMITED: Duration = Duration::from_hours(1);

/// Something that a server is asked, for a name or not.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The server.
    pub directory: &'a str,
    /// The name it is about.
    pub name: Option<&'a HostName>,
}

impl Asked<'_> {
    /// Waits for the answer, and says what is wrong with it.
    pub async fn of<T>(self, request: impl Future<Output = Result<T, Error>>) -> Result<T, AcmeError> {
        TOLD.scope(Cell::new(None), async {
            let answer = request.await;
            answer.map_err(|error| self.error(&error, TOLD.with(Cell::get)))
        })
        .await
    }

    fn error(self, error: &Error, told: Option<Duration>) -> AcmeError {
        if let Error::Api(problem) = error {
            return self.problem(problem, told);
        }
        let words = if let Error::Timeout(_) = error {
            "it has not decided in time".to_owned()
        } else if let Error::Json(_) = error {
            "its answer is not ACME: look at directory in [acme]".to_owned()
        } else {
            chain(error)
        };
        let reason = tidy(&format!("{}: {words}", self.directory));
        AcmeError::Trouble(Trouble::Server { reason, retry_after: told })
    }

    /// What the server said is wrong (RFC 8555, 6.7).
    pub fn problem(self, problem: &Problem, told: Option<Duration>) -> AcmeError {
        let said = said(problem);
        let server = |hint: &str, retry_after| {
            let reason = tidy(&format!("{}: {said}{hint}", self.directory));
            AcmeError::Trouble(Trouble::Server { reason, retry_after })
        };
        match kind(problem) {
            "accountDoesNotExist" => AcmeError::NoAccount,
            "badNonce" | "serverInternal" => server("", told),
            "rateLimited" => server("", told.or(Some(RATE_LIMITED))),
            "externalAccountRequired" => {
                server(". Set eab_kid and eab_hmac_key_file in [acme] to what it gave you", told)
            }
            "userActionRequired" => server(". Its terms have changed: agree to them there", told),
            kind => self.refused(&format!("{said}{}", self.hint(kind)), told),
        }
    }

    /// The server does not give a certificate for the name.
    pub fn refused(self, words: &str, retry_after: Option<Duration>) -> AcmeError {
        let reason = match self.name {
            Some(name) => format!("{} refuses {name}: {words}", self.directory),
            None => format!("{} refuses: {words}", self.directory),
        };
        AcmeError::Trouble(Trouble::Refused { reason: tidy(&reason), retry_after })
    }

    /// What to do about it.
    fn hint(self, kind: &str) -> String {
        let name = self.name.map(HostName::as_str).unwrap_or_default();
        match kind {
            "connection" => format!(
                ". {name} must be reachable from there at ports 80 and 443: look at firewalls and forwarded ports"
            ),
            "dns" => format!(". Look at the DNS records of {name}"),
            "caa" => format!(". A CAA record of {name} or above it names other issuers alone: add this one"),
            "unauthorized" | "incorrectResponse" | "tls" => {
                format!(". Something else than this machine answers for {name}, or stands before it")
            }
            "rejectedIdentifier" | "unsupportedIdentifier" => {
                ". It gives none for this name: hand in one of your own with `rivetr certs add`".to_owned()
            }
            "unsupportedContact" | "invalidContact" => ". Look at email in [acme]".to_owned(),
            _ => String::new(),
        }
    }
}

/// The last part of a problem's type.
pub(super) fn kind(problem: &Problem) -> &str {
    problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default()
}

fn said(problem: &Problem) -> String {
    let mut said = problem.detail.clone().unwrap_or_else(|| kind(problem).to_owned());
    for detail in problem.subproblems.iter().filter_map(|part| part.detail.as_deref()) {
        said = format!("{said}; {detail}");
    }
    said.trim_end_matches('.').to_owned()
}

/// An error with its causes.
fn chain(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.ends_with(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    words
}

/// On one line, without what could drive a terminal, and not too long.
fn tidy(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, told: Option<u64>, expect: &str) {
        let json = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"No way\u001b[1m."}}"#);
        let problem: Problem = serde_json::from_str(&json).unwrap();
        let name = HostName::parse("blog.example").unwrap();
        let asked = Asked { directory: "https://ca.test/dir", name: Some(&name) };
        let seen = format!("{:?}", asked.problem(&problem, told.map(Duration::from_secs)));
        assert!(expect.split('…').all(|part| seen.contains(part)), "{kind} gave {seen}");
    }

    #[test]
    fn problems_in_words() {
        check("accountDoesNotExist", None, "NoAccount");
        check("badNonce", None, "Server…https://ca.test/dir: No way…None");
        check("rateLimited", None, "Server…3600s");
        check("rateLimited", Some(7), "Server…7s");
        check("caa", None, "Refused…refuses blog.example…A CAA record of blog.example");
        check("connection", Some(9), "Refused…ports 80 and 443…9s");
        check("rejectedIdentifier", None, "rivetr certs add");
        check("externalAccountRequired", None, "Server…eab_kid");
        check("somethingNew", None, "Refused…No way [1m");
    }
}
