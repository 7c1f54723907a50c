//! What the apps, databases and services of a team may use together. What one may use is what its limits say, times its
//! containers: a second release beside the first while it takes over, builds, one-off commands and what is made to try a
//! backup are not counted.

use super::app::Settings;
use super::runtime::amount::shown;
use super::runtime::{Cpus, Limits, Memory};
use super::service::Part;

/// What a new app may use that does not say it, in bytes: enough for most.
const USUAL_MEMORY: u64 = 512 << 20;
/// Likewise in percent of a processor.
const USUAL_CPU_PERCENT: u64 = 100;

/// What the apps, databases and services of a team may use together; none: as much as there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// How many there may be.
    pub apps: Option<u32>,
    /// What their limits of memory may come to.
    pub memory: Option<Memory>,
    /// What their limits of processor time may come to.
    pub cpus: Option<Cpus>,
}

/// What one of them may use, all its containers together; none: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    memory: Option<u64>,
    cpus: Option<u64>,
}

/// Why something would be more than a team may use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OverQuota {
    /// The field that says too much: `name`, `runtime.memory` or `runtime.cpus`.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Share {
    /// What an app may use that is set to this.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self::of_limits(settings.runtime.limits, u64::from(settings.replicas.get()))
    }

    /// What so many containers with these limits may use.
    #[must_use]
    pub fn of_limits(limits: Limits, times: u64) -> Self {
        Self {
            memory: limits.memory.map(|memory| memory.bytes().saturating_mul(times)),
            cpus: limits.cpus.map(|cpus| u64::from(cpus.percent()).saturating_mul(times)),
        }
    }

    /// What the containers of a service may use. One without a limit makes that of all of them none.
    #[must_use]
    pub fn of_parts(parts: &[Part]) -> Self {
        let sum = |part: fn(&Part) -> Option<u64>| {
            parts.iter().try_fold(0_u64, |sum, one| {
                let times = u64::try_from(one.units.len()).unwrap_or(u64::MAX);
                if times == 0 {
                    Some(sum)
                } else {
                    Some(sum.saturating_add(part(one)?.saturating_mul(times)))
                }
            })
        };
        Self { memory: sum(|part| part.memory), cpus: sum(|part| part.cpus) }
    }

    /// The larger of two, of each part.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        let most = |one: Option<u64>, other: Option<u64>| Some(one?.max(other?));
        Self { memory: most(self.memory, other.memory), cpus: most(self.cpus, other.cpus) }
    }
}

impl Quota {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a team may have one more beside so many.
    pub fn allows_another(&self, there: usize) -> Result<(), OverQuota> {
        match self.apps {
            Some(most) if u64::try_from(there).unwrap_or(u64::MAX) >= u64::from(most) => {
                let message = format!(
                    "this team may have {most} apps, databases and services together and has {there}: delete one, or ask \
                     an administrator for more"
                );
                Err(OverQuota { field: "name", message })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What a new app is set to that does not say how much it uses, where its team may use only so much: the usual
    /// limits, or what is left of it.
    #[must_use]
    pub fn filled(&self, others: &[(String, Share)], settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        let times = u64::from(settings.replicas.get());
        settings.runtime.limits = self.filled_limits(others, settings.runtime.limits, times);
        settings
    }

    /// The same of the limits of so many containers.
    #[must_use]
    pub fn filled_limits(&self, others: &[(String, Share)], limits: Limits, times: u64) -> Limits {
        let left = |most: u64, part: fn(&Share) -> Option<u64>| {
            let taken = others.iter().filter_map(|(_, share)| part(share)).fold(0, u64::saturating_add);
            most.saturating_sub(taken) / times.max(1)
        };
        let mut limits = limits;
        if let (Some(most), None) = (self.memory, limits.memory) {
            let memory = left(most.bytes(), |share| share.memory).min(USUAL_MEMORY);
            // Where next to nothing is left it stays without, and is refused.
            limits.memory = Memory::parse(&memory.to_string()).ok();
        }
        if let (Some(most), None) = (self.cpus, limits.cpus) {
            let cpus = left(u64::from(most.percent()), |share| share.cpus).min(USUAL_CPU_PERCENT);
            limits.cpus = Cpus::parse(&hundredths(cpus)).ok();
        }
        limits
    }

    /// Whether one may use so much beside the others of its team. What is no more than it may use already is
    /// never refused, also where the team may use less than it does.
    pub fn allows(
        &self,
        others: &[(String, Share)],
        before: Option<Share>,
        after: Share,
    ) -> Result<(), OverQuota> {
        let fits = |most: Option<u64>, part: fn(&Share) -> Option<u64>, what: &Kind| {
            let Some(most) = most else { return Ok(()) };
            let grows = before.is_none_or(|before| bytes(part(&after)) > bytes(part(&before)));
            if grows { what.fits(most, others, part, part(&after)) } else { Ok(()) }
        };
        fits(self.memory.map(Memory::bytes), |share| share.memory, &MEMORY)?;
        fits(self.cpus.map(|cpus| u64::from(cpus.percent())), |share| share.cpus, &CPUS)
    }
}

/// What is without a limit is more than anything.
fn bytes(part: Option<u64>) -> u64 {
    part.unwrap_or(u64::MAX)
}

/// Memory or processor time, in words.
struct Kind {
    field: &'static str,
    what: &'static str,
    shown: fn(u64) -> String,
}

const MEMORY: Kind = Kind { field: "runtime.memory", what: "memory", shown };
const CPUS: Kind = Kind { field: "runtime.cpus", what: "processors", shown: hundredths };

fn hundredths(percent: u64) -> String {
    match percent % 100 {
        0 => (percent / 100).to_string(),
        rest => format!("{}.{rest:02}", percent / 100),
    }
}

impl Kind {
    fn fits(
        &self,
        most: u64,
        others: &[(String, Share)],
        part: fn(&Share) -> Option<u64>,
        wanted: Option<u64>,
    ) -> Result<(), OverQuota> {
        let Self { field, what, shown } = self;
        let may = format!(
            "the apps, databases and services of this team may use {} of {what} together",
            shown(most)
        );
        let refuse = |message: String| Err(OverQuota { field, message });
        let taken = others.iter().filter_map(|(_, share)| part(share)).fold(0, u64::saturating_add);
        let left = shown(most.saturating_sub(taken));
        let Some(wanted) = wanted else {
            return refuse(format!(
                "{may}, and {left} is left: give this one a limit (each of its containers, if it is a service)"
            ));
        };
        if let Some((other, _)) = others.iter().find(|(_, share)| part(share).is_none()) {
            return refuse(format!("{may}, and {other} has no limit: give it one first"));
        }
        if taken.saturating_add(wanted) <= most {
            return Ok(());
        }
        let (taken, wanted) = (shown(taken), shown(wanted));
        refuse(format!(
            "{may}; the others have {taken}, so {left} is left, and this would be {wanted} with all its containers"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::domain::app::Replicas;

    fn share(memory: &str, cpus: &str, replicas: u8) -> Share {
        let mut settings = Settings::new(NonZeroU16::new(80).unwrap());
        settings.runtime.limits.memory = Memory::parse(memory).ok();
        settings.runtime.limits.cpus = Cpus::parse(cpus).ok();
        settings.replicas = Replicas::new(replicas).unwrap();
        Share::of(&settings)
    }

    fn quota() -> Quota {
        let (memory, cpus) = (Memory::parse("2G").ok(), Cpus::parse("1.5").ok());
        Quota { apps: Some(2), memory, cpus }
    }

    #[test]
    fn what_is_more_than_the_team_may_use_is_refused_at_its_field() {
        let shop = "shop".to_owned();
        let check = |others: &[Share], before: Option<Share>, after: Share, expect: Option<(&str, &str)>| {
            let others: Vec<_> = others.iter().map(|share| (shop.clone(), *share)).collect();
            match (quota().allows(&others, before, after), expect) {
                (Ok(()), None) => {}
                (Err(over), Some((field, words))) => {
                    assert_eq!(over.field, field);
                    assert!(over.message.contains(words), "{}", over.message);
                }
                (outcome, expect) => panic!("{after:?}: {outcome:?}, not {expect:?}"),
            }
        };
        let (memory, cpus) = ("runtime.memory", "runtime.cpus");
        check(&[], None, share("2G", "1.5", 1), None);
        check(&[], None, share("1G", "0.75", 2), None);
        check(&[], None, share("1G", "0.5", 3), Some((memory, "may use 2G of memory")));
        check(&[], None, share("1G", "0.8", 2), Some((cpus, "would be 1.60")));
        check(&[share("1536M", "1", 1)], None, share("1G", "0.1", 1), Some((memory, "so 512M is left")));
        check(&[share("1536M", "1", 1)], None, share("512M", "0.5", 1), None);
        check(&[], None, share("", "1", 1), Some((memory, "give this one a limit")));
        check(&[], None, share("1G", "", 1), Some((cpus, "give this one a limit")));
        check(&[share("", "1", 1)], None, share("1M", "0.1", 1), Some((memory, "this one a limit")));
        check(&[share("", "1", 1)], None, share("8M", "0.1", 1), Some((memory, "shop has no limit")));
        // What is there stays as it is, or becomes less.
        check(&[], Some(share("", "", 1)), share("", "", 1), None);
        check(&[share("8G", "1", 1)], Some(share("8G", "1", 1)), share("4G", "1", 1), None);
        check(&[share("8G", "1", 1)], Some(share("", "1", 1)), share("4G", "1", 1), None);
        check(&[], Some(share("4G", "1", 1)), share("", "1", 1), Some((memory, "give this one a limit")));
    }

    #[test]
    fn a_new_app_that_says_nothing_gets_the_usual_or_what_is_left() {
        let check = |taken: Option<Share>, said: Settings, memory: Option<&str>, cpus: Option<&str>| {
            let others: Vec<_> = taken.map(|share| ("shop".to_owned(), share)).into_iter().collect();
            let limits = quota().filled(&others, &said).runtime.limits;
            let found =
                (limits.memory.map(|memory| memory.to_string()), limits.cpus.map(|cpus| cpus.to_string()));
            assert_eq!((found.0.as_deref(), found.1.as_deref()), (memory, cpus));
        };
        let plain = || Settings::new(NonZeroU16::new(80).unwrap());
        check(None, plain(), Some("512M"), Some("1"));
        check(Some(share("1792M", "1", 1)), plain(), Some("256M"), Some("0.5"));
        check(Some(share("2G", "1.5", 1)), plain(), None, None);
        let mut two = plain();
        two.replicas = Replicas::new(2).unwrap();
        check(Some(share("1536M", "0.5", 1)), two, Some("256M"), Some("0.5"));
        let mut said = plain();
        said.runtime.limits.memory = Memory::parse("1G").ok();
        check(None, said, Some("1G"), Some("1"));
        assert_eq!(Quota::default().filled(&[], &plain()), plain());
    }

    #[test]
    fn so_many_apps_and_no_more() {
        assert!(quota().allows_another(1).is_ok() && Quota::default().allows_another(1000).is_ok());
        let over = quota().allows_another(2).unwrap_err();
        assert_eq!(
            (over.field, over.message.contains("may have 2 apps, databases and services")),
            ("name", true)
        );
        assert!(Quota::default().is_empty() && !quota().is_empty());
    }

    #[test]
    fn a_service_may_use_what_all_its_containers_may() {
        let part = |memory, cpus, replicas: usize| Part {
            name: "web".to_owned(),
            image: String::new(),
            units: vec!["unit".to_owned(); replicas],
            addresses: Vec::new(),
            published: Vec::new(),
            ports: Vec::new(),
            checked: false,
            memory,
            cpus,
        };
        let (half, one) = (Some(512 << 20), Some(1 << 30));
        let parts = [part(half, Some(50), 2), part(one, None, 1)];
        assert_eq!(Share::of_parts(&parts), share("2G", "", 1));
        let parts = [part(half, Some(50), 2), part(None, None, 0)];
        assert_eq!(Share::of_parts(&parts), share("1G", "1", 1));
        assert_eq!(Share::of_parts(&[]).memory, Some(0));
    }

    #[test]
    fn the_larger_of_two_is_what_may_be_used() {
        assert_eq!(share("1G", "2", 1).most(share("2G", "1", 1)), share("2G", "2", 1));
        assert_eq!(share("1G", "2", 1).most(share("", "1", 1)), share("", "2", 1));
    }
}
