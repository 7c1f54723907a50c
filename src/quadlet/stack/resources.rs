//! How much of the host a container may have, its kernel settings, devices and log.

use super::draft::Draft;
use crate::domain::stack::container::{Container, Logging};
use crate::domain::stack::resources::{Device, Resources};

/// Drivers that Podman has by the same name; `local` and `k8s-file` write a file too.
const LOG_DRIVERS: [&str; 5] = ["json-file", "k8s-file", "journald", "none", "passthrough"];

/// Options of logs that Podman reads.
const LOG_OPTIONS: [&str; 3] = ["max-size", "path", "tag"];

pub(super) fn write(draft: &mut Draft<'_>, container: &Container) {
    limits(draft, &container.resources);
    for (name, limit) in &container.ulimits {
        draft.option("ulimits", "Ulimit", "--ulimit", &format!("{name}={}:{}", limit.soft, limit.hard));
    }
    for (name, value) in &container.sysctls {
        draft.plain_word("sysctls", "Sysctl", "--sysctl", &format!("{name}={value}"));
    }
    for device in &container.devices {
        draft.plain_word("devices", "AddDevice", "--device", &device_text(device));
    }
    for rule in &container.device_cgroup_rules {
        draft.podman("device_cgroup_rules", &format!("--device-cgroup-rule={rule}"));
    }
    if let Some(logging) = &container.logging {
        log(draft, logging);
    }
}

fn device_text(device: &Device) -> String {
    match device {
        Device::Cdi(name) => name.clone(),
        Device::File { source, target, permissions } => {
            let permissions = permissions.as_ref().map(|letters| format!(":{letters}")).unwrap_or_default();
            format!("{}:{}{permissions}", source.display(), target.display())
        }
    }
}

fn limits(draft: &mut Draft<'_>, resources: &Resources) {
    processor(draft, resources);
    memory(draft, resources);
    disk(draft, resources);
    if let Some(pids) = resources.pids {
        draft.scalar("pids_limit", "PidsLimit", &pids.to_string());
    }
}

fn processor(draft: &mut Draft<'_>, resources: &Resources) {
    let Resources { cpus, cpu_shares, cpuset, cpu_period, cpu_quota, cpu_rt_period, cpu_rt_runtime, .. } =
        resources;
    flag(draft, "cpus", "--cpus", cpus.as_ref());
    flag(draft, "cpu_shares", "--cpu-shares", cpu_shares.as_ref());
    flag(draft, "cpuset", "--cpuset-cpus", cpuset.as_ref());
    flag(draft, "cpu_period", "--cpu-period", cpu_period.as_ref());
    flag(draft, "cpu_quota", "--cpu-quota", cpu_quota.as_ref());
    if cpu_rt_period.is_some() {
        draft.note("cpu_rt_period", ONLY_V1);
    }
    if cpu_rt_runtime.is_some() {
        draft.note("cpu_rt_runtime", ONLY_V1);
    }
}

/// Podman ends with an error where Docker does without.
const ONLY_V1: &str = "control groups of version 2 have no such limit; it is left out";

fn memory(draft: &mut Draft<'_>, resources: &Resources) {
    let Resources { memory, memory_reservation, memory_swap, memory_swappiness, oom_kill_disable, .. } =
        resources;
    flag(draft, "mem_limit", "--memory", memory.as_ref());
    flag(draft, "mem_reservation", "--memory-reservation", memory_reservation.as_ref());
    match memory_swap {
        Some(_) if memory.is_none() => {
            draft.note("memswap_limit", "without a limit of memory there is none of swap; it is left out");
        }
        swap => flag(draft, "memswap_limit", "--memory-swap", swap.as_ref()),
    }
    if memory_swappiness.is_some() {
        draft.note("mem_swappiness", ONLY_V1);
    }
    if *oom_kill_disable {
        draft.note("oom_kill_disable", ONLY_V1);
    }
    flag(draft, "oom_score_adj", "--oom-score-adj", resources.oom_score_adj.as_ref());
}

fn disk(draft: &mut Draft<'_>, resources: &Resources) {
    let Resources { io_weight, io_weight_device, read_bytes, read_operations, .. } = resources;
    flag(draft, "blkio_config.weight", "--blkio-weight", io_weight.as_ref());
    for (path, weight) in io_weight_device {
        draft.podman("blkio_config.weight_device", &format!("--blkio-weight-device={path}:{weight}"));
    }
    let rates = [
        ("blkio_config.device_read_bps", "--device-read-bps", read_bytes),
        ("blkio_config.device_read_iops", "--device-read-iops", read_operations),
        ("blkio_config.device_write_bps", "--device-write-bps", &resources.write_bytes),
        ("blkio_config.device_write_iops", "--device-write-iops", &resources.write_operations),
    ];
    for (of, name, devices) in rates {
        for (path, rate) in devices {
            draft.podman(of, &format!("{name}={path}:{rate}"));
        }
    }
}

fn log(draft: &mut Draft<'_>, logging: &Logging) {
    let Logging { driver, options } = logging;
    let kept = match driver.as_deref().filter(|driver| !driver.is_empty()) {
        None => true,
        Some("local") => {
            draft.scalar("logging.driver", "LogDriver", "k8s-file");
            true
        }
        Some(driver) if LOG_DRIVERS.contains(&driver) => {
            draft.scalar("logging.driver", "LogDriver", driver);
            true
        }
        Some(other) => {
            draft.note(
                "logging.driver",
                format!(
                    "Podman cannot log to {other}: the journal gets the log, and the options are left out"
                ),
            );
            draft.scalar("logging.driver", "LogDriver", "journald");
            false
        }
    };
    for (name, value) in options.iter().filter(|_| kept) {
        let of = format!("logging.options.{name}");
        if !LOG_OPTIONS.contains(&name.as_str()) {
            draft.note(&of, "Podman takes the option and does nothing about it");
        }
        draft.plain_word(&of, "LogOpt", "--log-opt", &format!("{name}={value}"));
    }
}

fn flag<T: std::fmt::Display>(draft: &mut Draft<'_>, of: &str, flag: &str, value: Option<&T>) {
    if let Some(value) = value {
        draft.podman(of, &format!("{flag}={value}"));
    }
}
