//! The keys of how an image is built.

use super::{Table, taken, warned};

/// `services.*.build`
pub const BUILD: Table = &[
    taken("additional_contexts"),
    taken("args"),
    taken("cache_from"),
    taken("cache_to"),
    taken("context"),
    taken("dockerfile"),
    taken("dockerfile_inline"),
    warned("entitlements", "Podman has no entitlements for builds"),
    taken("extra_hosts"),
    warned("isolation", "it has a meaning on Windows alone"),
    taken("labels"),
    taken("network"),
    taken("no_cache"),
    taken("platforms"),
    taken("privileged"),
    warned("provenance", "Podman attests nothing of a build"),
    taken("pull"),
    warned("sbom", "Podman attests nothing of a build"),
    taken("secrets"),
    taken("shm_size"),
    taken("ssh"),
    taken("tags"),
    taken("target"),
    taken("ulimits"),
];
