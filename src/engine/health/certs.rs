//! How the certificates of all hosts stand, for the doctor.

use std::time::Duration;

use super::super::Engine;
use super::Check;
use crate::domain::certificate::{Facts, Managed, Own, State};
use crate::domain::time::Timestamp;
use crate::store::StoreError;

/// Certificates that end within this time should have been renewed: those of 90 days are a month before their end.
const SOON: Duration = Duration::from_hours(14 * 24);
/// How many names a person is shown.
const SHOWN: usize = 3;

impl Engine {
    pub(super) async fn check_certificates(&self) -> Check {
        let now = self.now();
        match self.troubled(now).await {
            Ok((all, troubled)) if troubled.is_empty() => Check::ok(
                "certificates",
                match all {
                    0 => "none is needed".to_owned(),
                    1 => "1 is valid".to_owned(),
                    many => format!("{many} are valid"),
                },
            ),
            Ok((_, troubled)) => {
                let shown: Vec<&str> = troubled.iter().take(SHOWN).map(String::as_str).collect();
                let more = match troubled.len() - shown.len() {
                    0 => String::new(),
                    left => format!("; and {left} more"),
                };
                let detail = shown.join("; ") + &more;
                Check::warn("certificates", detail, "`rivetr certs list` shows them all")
            }
            Err(error) => Check::fail("certificates", error, "see the check of the database"),
        }
    }

    /// How many certificates there are to be, and what is wrong with some of them.
    async fn troubled(&self, now: Timestamp) -> Result<(usize, Vec<String>), StoreError> {
        let own = self.reader().own_certificates().await?;
        let ordered = self.reader().certificates().await?;
        let of_own = own.iter().filter_map(|own| of_own(own, now));
        let troubled = of_own.chain(ordered.iter().filter_map(|managed| of_ordered(managed, now)));
        Ok((own.len() + ordered.len(), troubled.collect()))
    }
}

fn of_own(Own { name, held, added: _ }: &Own, now: Timestamp) -> Option<String> {
    let ends = ends_soon(&held.facts, now)?;
    Some(format!("the one that was handed in for {name} {ends}: hand in another one"))
}

fn of_ordered(Managed { name, state, held, revoking: _ }: &Managed, now: Timestamp) -> Option<String> {
    let ends = match held {
        Some(held) => Some(ends_soon(&held.facts, now)?),
        None => None,
    };
    let reason = match state {
        State::WaitingForDns { reason, .. } | State::Failed { reason, .. } => reason,
        // It is seen to right now.
        State::Queued | State::Ordering { .. } | State::Valid { .. } => return None,
    };
    Some(match ends {
        Some(ends) => format!("that of {name} {ends}: {reason}"),
        None => format!("{name} has none: {reason}"),
    })
}

fn ends_soon(facts: &Facts, now: Timestamp) -> Option<String> {
    let left = Duration::from_millis(facts.not_after.millis_since(now));
    if left > SOON {
        return None;
    }
    Some(match left.as_secs() / (24 * 3600) {
        _ if left.is_zero() => "has expired".to_owned(),
        0 => "ends within a day".to_owned(),
        1 => "ends tomorrow".to_owned(),
        days => format!("ends in {days} days"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::certificate::{CertName, Failures, Held};
    use crate::domain::name::HostName;
    use crate::domain::secret::Sealed;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn held(hours: u64) -> Held {
        let facts = Facts {
            names: vec![CertName::parse("a.test").unwrap()],
            issuer: "A CA".into(),
            not_before: Timestamp(0),
            not_after: NOW.after(Duration::from_hours(hours)),
        };
        Held { facts, chain: String::new(), key: Sealed(vec![]) }
    }

    #[test]
    fn one_that_ends_soon_is_told_only_when_nobody_sees_to_it() {
        let check = |state: &State, hours: Option<u64>, expect: Option<&str>| {
            let managed = Managed {
                name: HostName::parse("a.test").unwrap(),
                state: state.clone(),
                held: hours.map(held),
                revoking: None,
            };
            assert_eq!(of_ordered(&managed, NOW).as_deref(), expect);
        };
        let failures = Failures::default();
        let failed = State::Failed { reason: "no".into(), next: NOW, failures };
        check(&failed, None, Some("a.test has none: no"));
        check(&failed, Some(24 * 9), Some("that of a.test ends in 9 days: no"));
        check(&failed, Some(24 * 20), None);
        check(&State::Ordering { failures }, Some(2), None);
        check(&State::Queued, None, None);
    }

    #[test]
    fn nobody_but_its_owner_sees_to_one_that_was_handed_in() {
        for (hours, expect) in [
            (0, Some("the one that was handed in for a.test has expired: hand in another one")),
            (2, Some("the one that was handed in for a.test ends within a day: hand in another one")),
            (30, Some("the one that was handed in for a.test ends tomorrow: hand in another one")),
            (24 * 15, None),
        ] {
            let own = Own { name: CertName::parse("a.test").unwrap(), held: held(hours), added: NOW };
            assert_eq!(of_own(&own, NOW).as_deref(), expect);
        }
    }
}
