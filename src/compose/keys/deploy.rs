//! The keys of `deploy`, most of which were made for clusters.

use super::{Table, taken, warned};

/// `services.*.deploy`
pub const DEPLOY: Table = &[
    warned("endpoint_mode", "it is for clusters"),
    warned(
        "labels",
        "they are of a service in a cluster, and no container gets them; write them under labels",
    ),
    taken("mode"),
    taken("placement"),
    taken("replicas"),
    taken("resources"),
    taken("restart_policy"),
    taken("rollback_config"),
    taken("update_config"),
];

/// `services.*.deploy.resources`
pub const RESOURCES: Table = &[taken("limits"), taken("reservations")];

/// `services.*.deploy.resources.limits`
pub const LIMITS: Table = &[taken("cpus"), taken("memory"), taken("pids")];

/// `services.*.deploy.resources.reservations`
pub const RESERVATIONS: Table = &[
    warned("cpus", "processors are reserved in clusters alone"),
    taken("devices"),
    warned("generic_resources", "they are for clusters"),
    taken("memory"),
];

/// `services.*.deploy.resources.reservations.devices[]`, `services.*.gpus[]`
pub const DEVICE_RESERVATION: Table = &[
    taken("capabilities"),
    taken("count"),
    taken("device_ids"),
    taken("driver"),
    warned("options", "options of a device's driver have no counterpart"),
];

/// `services.*.deploy.restart_policy`
pub const RESTART_POLICY: Table =
    &[taken("condition"), taken("delay"), taken("max_attempts"), taken("window")];

/// `services.*.deploy.update_config`, `services.*.deploy.rollback_config`
pub const UPDATE_CONFIG: Table = &[
    warned("delay", "it is for clusters"),
    warned("failure_action", "it is for clusters"),
    warned("max_failure_ratio", "it is for clusters"),
    warned("monitor", "it is for clusters"),
    warned("order", "it is for clusters"),
    warned("parallelism", "it is for clusters"),
];

/// `services.*.deploy.placement`
pub const PLACEMENT: Table = &[
    warned("constraints", "it is for clusters, and there is one host"),
    warned("max_replicas_per_node", "it is for clusters, and there is one host"),
    warned("preferences", "it is for clusters, and there is one host"),
];
