//! A named volume of a stack.

use super::super::unit::{Section, Unit};
use super::draft::{Draft, Notes};
use super::{Context, REMARK_END};
use crate::domain::stack::mount::Volume;

/// The unit of a volume.
pub(super) fn unit(context: &Context<'_>, key: &str, volume: &Volume, notes: &mut Notes) -> Unit {
    let Volume { name, external: _, driver, driver_opts, labels } = volume;
    let mut draft = Draft::new(Section::Volume, format!("volumes.{key}"), notes);
    draft.remark(&format!("The volume {key} of {}{REMARK_END}", context.naming.origin));
    draft.scalar("name", "VolumeName", name);
    if let Some(service) = context.names.volumes.get(key).and_then(|called| called.told.as_ref()) {
        draft.scalar("", "ServiceName", service);
    }
    match driver.as_deref() {
        None | Some("default") => {}
        // Quadlet would want to know which image.
        Some("image") => draft.podman("driver", "--driver=image"),
        Some(driver) => {
            if driver != "local" {
                draft.note("driver", format!("Podman needs a plugin called {driver} in its containers.conf"));
            }
            draft.scalar("driver", "Driver", driver);
        }
    }
    let is_mounted = driver_opts.get("device").is_some_and(|device| !device.is_empty());
    for (name, value) in driver_opts {
        let key = match name.as_str() {
            "device" => Some("Device"),
            "type" => Some("Type"),
            "o" => Some("Options"),
            _ => None,
        };
        match key.filter(|_| is_mounted && !value.is_empty()) {
            Some(key) => draft.option("driver_opts", key, &format!("--opt={name}"), value),
            // Quadlet takes the others only where there is a device.
            None => draft.podman("driver_opts", &format!("--opt={name}={value}")),
        }
    }
    for (name, value) in labels {
        draft.pair("labels", "Label", name, value);
    }
    draft.finish()
}
