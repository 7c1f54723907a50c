//! How much of the host a container may have.

use std::collections::BTreeMap;

use super::{boolean, text};
use crate::compose::field::Field;
use crate::compose::keys::{self, Table};
use crate::compose::log::Log;
use crate::domain::stack::container::Container;
use crate::domain::stack::resources::{Resources, Ulimit};

pub fn read(field: &Field<'_>, container: &mut Container, log: &mut Log) {
    let mut resources = own(field, log);
    if let Some(field) = field.get("blkio_config") {
        block_io(&field, &mut resources, log);
    }
    deployed(field, &mut resources, log);
    container.resources = resources;
    container.shm_size = field.get("shm_size").and_then(|field| field.bytes(log)).filter(|size| *size > 0);
    container.storage_opt = field.get("storage_opt").map(|field| field.filled_pairs(log)).unwrap_or_default();
    container.ulimits = field.get("ulimits").map(|field| ulimits(&field, log)).unwrap_or_default();
    container.sysctls = field.get("sysctls").map(|field| field.filled_pairs(log)).unwrap_or_default();
}

/// What stands in the service itself. Zero is what Docker calls no limit.
fn own(field: &Field<'_>, log: &mut Log) -> Resources {
    let whole = |key: &str, log: &mut Log| {
        field.get(key).and_then(|field| field.integer(log)).filter(|number| *number != 0)
    };
    let above = |key: &str, log: &mut Log| {
        field.get(key).and_then(|field| field.unsigned(log)).filter(|number| *number != 0)
    };
    let bytes = |key: &str, log: &mut Log| {
        field.get(key).and_then(|field| size(&field, log)).filter(|size| *size != 0)
    };
    let memory = |key: &str, log: &mut Log| bytes(key, log).and_then(|size| u64::try_from(size).ok());
    Resources {
        cpus: field.get("cpus").and_then(|field| field.number(log)),
        cpu_shares: above("cpu_shares", log),
        cpuset: text(field, "cpuset", log),
        cpu_period: microseconds(field, "cpu_period", log).and_then(|time| u64::try_from(time).ok()),
        cpu_quota: microseconds(field, "cpu_quota", log),
        cpu_rt_period: microseconds(field, "cpu_rt_period", log).and_then(|time| u64::try_from(time).ok()),
        cpu_rt_runtime: microseconds(field, "cpu_rt_runtime", log),
        memory: memory("mem_limit", log),
        memory_reservation: memory("mem_reservation", log),
        memory_swap: bytes("memswap_limit", log),
        memory_swappiness: field.get("mem_swappiness").and_then(|field| field.unsigned(log)),
        pids: whole("pids_limit", log),
        oom_kill_disable: boolean(field, "oom_kill_disable", log),
        oom_score_adj: whole("oom_score_adj", log),
        ..Resources::default()
    }
}

/// A size in bytes; a negative number is no limit.
fn size(field: &Field<'_>, log: &mut Log) -> Option<i64> {
    if field.scalar().is_some_and(|scalar| scalar.text.trim().starts_with('-')) {
        return field.integer(log).map(|_| -1);
    }
    field.bytes(log).and_then(|size| i64::try_from(size).ok())
}

/// A number of microseconds, or a time.
fn microseconds(field: &Field<'_>, key: &str, log: &mut Log) -> Option<i64> {
    let field = field.get(key)?;
    let scalar = field.scalar()?;
    let number = if scalar.text.ends_with('s') {
        field.duration(log).and_then(|time| i64::try_from(time.as_micros()).ok())
    } else {
        field.integer(log)
    };
    number.filter(|number| *number != 0)
}

fn block_io(field: &Field<'_>, resources: &mut Resources, log: &mut Log) {
    field.entries(log);
    field.known(log, keys::BLKIO);
    let weight =
        |field: &Field<'_>, log: &mut Log| field.unsigned(log).and_then(|weight| u16::try_from(weight).ok());
    resources.io_weight =
        field.get("weight").and_then(|field| weight(&field, log)).filter(|weight| *weight != 0);
    resources.io_weight_device =
        per_device(field, "weight_device", "weight", keys::BLKIO_WEIGHT, log, weight);
    let bytes = |field: &Field<'_>, log: &mut Log| field.bytes(log);
    let rate = |field: &Field<'_>, log: &mut Log| field.unsigned(log);
    resources.read_bytes = per_device(field, "device_read_bps", "rate", keys::BLKIO_RATE, log, bytes);
    resources.write_bytes = per_device(field, "device_write_bps", "rate", keys::BLKIO_RATE, log, bytes);
    resources.read_operations = per_device(field, "device_read_iops", "rate", keys::BLKIO_RATE, log, rate);
    resources.write_operations = per_device(field, "device_write_iops", "rate", keys::BLKIO_RATE, log, rate);
}

fn per_device<T>(
    field: &Field<'_>,
    key: &str,
    amount: &str,
    table: Table,
    log: &mut Log,
    read: impl Fn(&Field<'_>, &mut Log) -> Option<T>,
) -> Vec<(String, T)> {
    let Some(field) = field.get(key) else { return Vec::new() };
    let mut all = Vec::new();
    for item in field.items(log) {
        item.entries(log);
        item.known(log, table);
        let path = text(&item, "path", log);
        let amount = item.get(amount).and_then(|field| read(&field, log));
        match (path, amount) {
            (Some(path), Some(amount)) => all.push((path, amount)),
            _ => item.problem(log, "this must say a path and how much"),
        }
    }
    all
}

/// What `deploy.resources` says, which must not differ from what the service says.
fn deployed(field: &Field<'_>, resources: &mut Resources, log: &mut Log) {
    let Some(deploy) = field.get("deploy").and_then(|deploy| deploy.get("resources")) else { return };
    deploy.entries(log);
    deploy.known(log, keys::RESOURCES);
    if let Some(limits) = deploy.get("limits") {
        limits.entries(log);
        limits.known(log, keys::LIMITS);
        let cpus = limits.get("cpus").and_then(|field| field.number(log));
        agree(&limits, "cpus", cpus, &mut resources.cpus, log);
        let memory = limits.get("memory").and_then(|field| field.bytes(log)).filter(|size| *size > 0);
        agree(&limits, "memory", memory, &mut resources.memory, log);
        let pids = limits.get("pids").and_then(|field| field.integer(log)).filter(|pids| *pids != 0);
        agree(&limits, "pids", pids, &mut resources.pids, log);
    }
    if let Some(reservations) = deploy.get("reservations") {
        reservations.entries(log);
        reservations.known(log, keys::RESERVATIONS);
        let memory = reservations.get("memory").and_then(|field| field.bytes(log)).filter(|size| *size > 0);
        agree(&reservations, "memory", memory, &mut resources.memory_reservation, log);
    }
}

fn agree<T: PartialEq>(field: &Field<'_>, key: &str, said: Option<T>, other: &mut Option<T>, log: &mut Log) {
    let Some(said) = said else { return };
    match other {
        Some(other) if *other != said => {
            field.problem(log, format!("{key} is said in the service too, and differently: write it once"));
        }
        Some(_) | None => *other = Some(said),
    }
}

/// Limits of processes: one number for both, or soft and hard.
pub fn ulimits(field: &Field<'_>, log: &mut Log) -> BTreeMap<String, Ulimit> {
    let mut all = BTreeMap::new();
    for (name, entry) in field.entries(log) {
        let limit = if entry.is_map() {
            entry.known(log, keys::ULIMIT);
            let soft = entry.get("soft").and_then(|field| field.integer(log));
            let hard = entry.get("hard").and_then(|field| field.integer(log));
            soft.zip(hard).map(|(soft, hard)| Ulimit { soft, hard })
        } else {
            entry.integer(log).map(|both| Ulimit { soft: both, hard: both })
        };
        match limit {
            Some(limit) => {
                all.insert(name.to_owned(), limit);
            }
            None => entry.problem(log, "this must be a number, or have both soft and hard"),
        }
    }
    all
}
