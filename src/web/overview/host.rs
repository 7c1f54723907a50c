//! The host at a glance: load, memory, disk, and in one line what the doctor warns of.

use crate::engine::{CheckStatus, Engine, Glance, Health, Room, readable_bytes};
use crate::web::shell::Shell;

/// What the overview says of the host.
pub(in crate::web) struct Host {
    /// Each figure: what it is of, and the words.
    pub figures: Vec<Figure>,
    /// What the doctor warns of, for whoever can do something about it.
    pub warning: Option<Warning>,
}

/// One figure.
pub(in crate::web) struct Figure {
    pub name: &'static str,
    pub words: String,
    /// How much of it is used, in percent; none: not known.
    pub used: Option<u64>,
}

/// What the doctor warns of.
pub(in crate::web) struct Warning {
    /// Something does not work.
    pub fails: bool,
    /// The first thing, and how many there are besides.
    pub words: String,
}

impl Host {
    pub fn of(engine: &Engine, shell: &Shell) -> Self {
        let Glance { load, cores, memory, disk, health } = engine.glance();
        let warning = health.filter(|_| shell.may_administer()).and_then(|health| Warning::of(&health));
        let figures = vec![figure_of_load(load, cores), of_room("Memory", memory), of_room("Disk", disk)];
        Self { figures, warning }
    }
}

fn figure_of_load(load: Option<f64>, cores: Option<usize>) -> Figure {
    let words = match (load, cores) {
        (None, _) => "unknown".to_owned(),
        (Some(load), None) => format!("{load:.2}"),
        (Some(load), Some(1)) => format!("{load:.2} of 1 core"),
        (Some(load), Some(cores)) => format!("{load:.2} of {cores} cores"),
    };
    let used = load.zip(cores).and_then(|(load, cores)| {
        // Tenths are near enough for a bar.
        let tenths = format!("{:.0}", load * 1000.0).parse::<u64>().ok()?;
        Some((tenths / 10 / u64::try_from(cores.max(1)).ok()?).min(100))
    });
    Figure { name: "Load", words, used }
}

fn of_room(name: &'static str, room: Option<Room>) -> Figure {
    let Some(room) = room else {
        return Figure { name, words: "unknown".to_owned(), used: None };
    };
    let words = format!("{} used, {} free", readable_bytes(room.used), readable_bytes(room.free));
    Figure { name, words, used: room.percent() }
}

impl Warning {
    fn of(health: &Health) -> Option<Self> {
        let bad: Vec<_> = health.checks.iter().filter(|check| check.status != CheckStatus::Ok).collect();
        let worst = bad.iter().max_by_key(|check| check.status)?;
        let more = match bad.len() {
            1 => String::new(),
            2 => " And one more thing.".to_owned(),
            many => format!(" And {} more things.", many - 1),
        };
        let words = format!("{}: {}.{more}", worst.name, worst.detail.trim_end_matches('.'));
        Some(Self { fails: worst.status == CheckStatus::Fail, words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Check;

    #[test]
    fn what_is_not_known_says_so() {
        let unknown = of_room("Disk", None);
        assert_eq!((unknown.words.as_str(), unknown.used), ("unknown", None));
        assert_eq!(figure_of_load(None, Some(2)).words, "unknown");
        let known = of_room("Disk", Some(Room { used: 3 << 30, free: 1 << 30, total: 5 << 30 }));
        assert_eq!((known.words.as_str(), known.used), ("3.0 GiB used, 1.0 GiB free", Some(75)));
        assert_eq!(figure_of_load(Some(1.0), Some(2)).used, Some(50));
    }

    #[test]
    fn the_doctor_is_heard_only_where_something_is_wrong() {
        let check = |name, status| Check { name, status, detail: "seen".to_owned(), cure: None };
        let mut health = Health { checks: vec![check("disk", CheckStatus::Ok)] };
        assert!(Warning::of(&health).is_none());
        health.checks.push(check("clock", CheckStatus::Warn));
        health.checks.push(check("proxy", CheckStatus::Fail));
        let warning = Warning::of(&health).unwrap();
        assert_eq!((warning.words.as_str(), warning.fails), ("proxy: seen. And one more thing.", true));
    }
}
