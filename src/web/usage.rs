//! What containers use of the machine, as the pages of apps, databases and services show it.

use askama::Template;

use crate::engine::{Bound, UnitSummary, Usage, readable_bytes};

/// What a container uses, and may use.
#[derive(Debug)]
pub(super) struct InUse {
    /// Its name.
    pub name: String,
    /// Memory.
    pub memory: Used,
    /// Processors.
    pub cpu: Used,
}

/// So much of something, and the most of it.
#[derive(Debug)]
pub(super) struct Used {
    /// None: not known.
    pub words: Option<String>,
    /// In percent of what it may use, where that is limited.
    pub percent: Option<u64>,
}

/// The table of it, as a fragment of its own.
#[derive(Template)]
#[template(source = "{% import \"usage.html\" as u %}{% call u::usage(in_use) %}{% endcall %}", ext = "html")]
pub(super) struct ShownUsage<'a> {
    pub in_use: &'a [InUse],
}

impl InUse {
    /// Of a container; none: it does not run.
    pub fn of(unit: &UnitSummary) -> Option<Self> {
        let runs = !matches!(unit.active_state, "inactive" | "failed");
        runs.then(|| Self::named(unit.name.trim_end_matches(".service"), &unit.usage))
    }

    /// Of one of which nothing is known.
    pub fn unknown(name: &str) -> Self {
        Self::named(name, &Usage::default())
    }

    fn named(name: &str, usage: &Usage) -> Self {
        let Usage { memory, memory_limit, cpu, cpu_limit } = *usage;
        Self {
            name: name.to_owned(),
            memory: Used::of(memory, memory_limit, readable_bytes),
            cpu: Used::of(cpu, cpu_limit, processors),
        }
    }
}

impl Used {
    fn of(now: Option<u64>, most: Option<Bound>, shown: fn(u64) -> String) -> Self {
        let Some(now) = now else { return Self { words: None, percent: None } };
        let (bound, percent) = match most {
            Some(Bound::At(most)) => {
                (format!(" of {}", shown(most)), now.saturating_mul(100).checked_div(most))
            }
            Some(Bound::Unlimited) => (", no limit".to_owned(), None),
            None => (", limit unknown".to_owned(), None),
        };
        Self { words: Some(format!("{}{bound}", shown(now))), percent: percent.map(|part| part.min(100)) }
    }
}

/// Percent of one processor as a number of processors.
fn processors(percent: u64) -> String {
    format!("{}.{:02}", percent / 100, percent % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_zero() {
        let words = |now, most| Used::of(now, most, processors).words;
        assert_eq!(words(None, Some(Bound::At(50))), None);
        assert_eq!(words(Some(7), Some(Bound::At(150))).as_deref(), Some("0.07 of 1.50"));
        assert_eq!(words(Some(207), Some(Bound::Unlimited)).as_deref(), Some("2.07, no limit"));
        assert_eq!(words(Some(0), None).as_deref(), Some("0.00, limit unknown"));
        assert_eq!(Used::of(Some(75), Some(Bound::At(100)), processors).percent, Some(75));
        assert_eq!(Used::of(Some(750), Some(Bound::At(100)), processors).percent, Some(100));
        assert_eq!(Used::of(Some(75), Some(Bound::At(0)), processors).percent, None);
    }

    #[test]
    fn a_controller_that_is_not_there_is_said() {
        let usage = Usage { cpu: Some(50), cpu_limit: Some(Bound::At(100)), ..Usage::default() };
        let in_use = [InUse::named("rivetr-db-orders", &usage)];
        let html = ShownUsage { in_use: &in_use }.render().unwrap();
        assert!(html.contains("unknown") && html.contains("0.50 of 1.00"), "{html}");
        assert!(html.contains("value=\"50\"") && !html.contains(">0 "), "{html}");
        assert!(ShownUsage { in_use: &[] }.render().unwrap().is_empty(), "nothing runs");
    }
}
