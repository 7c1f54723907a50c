//! The keys of the file itself, and of networks, volumes, secrets and configs.

use super::{Table, refused, taken, warned};

/// The top level.
pub const TOP: Table = &[
    taken("configs"),
    taken("include"),
    warned("models", "there is no model runner here"),
    taken("name"),
    taken("networks"),
    taken("secrets"),
    taken("services"),
    taken("version"),
    taken("volumes"),
];

/// `include[]`
pub const INCLUDE: Table = &[taken("env_file"), taken("path"), taken("project_directory")];

/// `networks.*`
pub const NETWORK: Table = &[
    warned("attachable", "any container may be put on a network here"),
    taken("driver"),
    taken("driver_opts"),
    taken("enable_ipv4"),
    taken("enable_ipv6"),
    taken("external"),
    taken("internal"),
    taken("ipam"),
    taken("labels"),
    taken("name"),
];

/// `networks.*.ipam`
pub const IPAM: Table = &[taken("config"), taken("driver"), taken("options")];

/// `networks.*.ipam.config[]`
pub const IPAM_RANGE: Table = &[
    warned("aux_addresses", "Podman cannot set addresses aside: choose an ip_range without them"),
    taken("gateway"),
    taken("ip_range"),
    taken("subnet"),
];

/// `volumes.*`
pub const VOLUME: Table =
    &[taken("driver"), taken("driver_opts"), taken("external"), taken("labels"), taken("name")];

/// `secrets.*`
pub const SECRET: Table = &[
    refused("driver", "secrets of a driver are for clusters: use file, environment or external"),
    refused("driver_opts", "secrets of a driver are for clusters: use file, environment or external"),
    taken("environment"),
    taken("external"),
    taken("file"),
    warned("labels", "secrets that are mounted as files have no labels"),
    taken("name"),
    refused("template_driver", "templates of secrets are for clusters"),
];

/// `configs.*`
pub const CONFIG: Table = &[
    taken("content"),
    taken("environment"),
    taken("external"),
    taken("file"),
    warned("labels", "configs that are mounted as files have no labels"),
    taken("name"),
    refused("template_driver", "templates of configs are for clusters"),
];

/// `networks.*.external` and the like, where it is a mapping.
pub const EXTERNAL: Table = &[taken("name")];
