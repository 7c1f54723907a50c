//! Devices of the host, graphics cards among them.

use std::path::PathBuf;

use super::text;
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::log::Log;
use crate::domain::stack::container::Container;
use crate::domain::stack::resources::Device;

/// The cards of NVIDIA in the Container Device Interface.
const NVIDIA: &str = "nvidia.com/gpu";
/// The most cards of one reservation.
const CARDS_MAX: u64 = 128;

pub fn read(field: &Field<'_>, container: &mut Container, log: &mut Log) {
    let mut devices: Vec<Device> = Vec::new();
    for item in field.get("devices").map(|field| field.items(log)).unwrap_or_default() {
        devices.extend(if item.is_map() { long(&item, log) } else { short(&item, log) });
    }
    if let Some(field) = field.get("gpus") {
        devices.extend(gpus(&field, log));
    }
    let reservations = field
        .get("deploy")
        .and_then(|field| field.get("resources"))
        .and_then(|field| field.get("reservations"));
    if let Some(field) = reservations.and_then(|field| field.get("devices")) {
        for item in field.items(log) {
            devices.extend(reservation(&item, false, log));
        }
    }
    for device in devices {
        if !container.devices.contains(&device) {
            container.devices.push(device);
        }
    }
}

/// `SOURCE[:TARGET[:PERMISSIONS]]`, or a name of the Container Device Interface.
fn short(item: &Field<'_>, log: &mut Log) -> Option<Device> {
    let text = item.filled(log)?;
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, None),
        [source, permissions] if is_permissions(permissions) => (*source, *source, Some(*permissions)),
        [source, target] => (*source, *target, None),
        [source, target, permissions] => (*source, *target, Some(*permissions)),
        _ => {
            item.problem(log, format!("{text:?} must be written as SOURCE:TARGET:PERMISSIONS"));
            return None;
        }
    };
    device(item, source, target, permissions.map(str::to_owned), log)
}

fn is_permissions(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, 'r' | 'w' | 'm'))
}

fn long(item: &Field<'_>, log: &mut Log) -> Option<Device> {
    item.known(log, keys::DEVICE);
    let Some(source) = text(item, "source", log) else {
        item.problem(log, "this must say which device: source: /dev/…");
        return None;
    };
    let target = text(item, "target", log).unwrap_or_else(|| source.clone());
    let permissions = text(item, "permissions", log);
    device(item, &source, &target, permissions, log)
}

fn device(
    item: &Field<'_>,
    source: &str,
    target: &str,
    permissions: Option<String>,
    log: &mut Log,
) -> Option<Device> {
    if let Some(permissions) = permissions.as_ref().filter(|permissions| !is_permissions(permissions)) {
        item.problem(log, format!("{permissions:?} are no permissions: write some of rwm"));
    }
    if !source.starts_with('/') && source.contains('/') && source.contains('=') {
        return Some(Device::Cdi(source.to_owned()));
    }
    if !source.starts_with('/') || !target.starts_with('/') {
        item.problem(log, format!("{source:?} is no absolute path of a device"));
        return None;
    }
    Some(Device::File { source: PathBuf::from(source), target: PathBuf::from(target), permissions })
}

fn gpus(field: &Field<'_>, log: &mut Log) -> Vec<Device> {
    if let Some(scalar) = field.scalar() {
        if scalar.text == "all" {
            return vec![Device::Cdi(format!("{NVIDIA}=all"))];
        }
        field.problem(log, format!("{:?} is not all: write all, or a list", scalar.text));
        return Vec::new();
    }
    let items = field.items(log);
    items.iter().flat_map(|item| reservation(item, true, log)).collect()
}

/// Devices that are asked for by what they can do.
fn reservation(item: &Field<'_>, is_gpu: bool, log: &mut Log) -> Vec<Device> {
    item.entries(log);
    item.known(log, keys::DEVICE_RESERVATION);
    let capabilities = item.get("capabilities").map(|field| field.texts(log)).unwrap_or_default();
    let ids = item.get("device_ids").map(|field| field.texts(log)).unwrap_or_default();
    let driver = text(item, "driver", log);
    match driver.as_deref() {
        Some("cdi") => return ids.into_iter().map(Device::Cdi).collect(),
        Some("nvidia") => {}
        None if is_gpu
            || capabilities.iter().any(|capability| matches!(capability.as_str(), "gpu" | "nvidia")) => {}
        Some(_) | None => {
            let what = driver.unwrap_or_else(|| capabilities.join(", "));
            item.problem(
                log,
                format!("which devices {what:?} means cannot be told: name them under devices:"),
            );
            return Vec::new();
        }
    }
    let count = item.get("count").and_then(|field| Some((field.clone(), field.filled(log)?)));
    match count {
        Some((field, _)) if !ids.is_empty() => {
            field.problem(log, "count and device_ids cannot both be said: remove one of them");
            Vec::new()
        }
        None if !ids.is_empty() => ids.iter().map(|id| Device::Cdi(format!("{NVIDIA}={id}"))).collect(),
        None => vec![Device::Cdi(format!("{NVIDIA}=all"))],
        Some((_, count)) if matches!(count.as_str(), "all" | "-1") => {
            vec![Device::Cdi(format!("{NVIDIA}=all"))]
        }
        Some((field, _)) => {
            let count = field.unsigned(log).unwrap_or_default();
            (0..count.min(CARDS_MAX)).map(|card| Device::Cdi(format!("{NVIDIA}={card}"))).collect()
        }
    }
}
