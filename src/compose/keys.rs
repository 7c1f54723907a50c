//! The keys of compose files, and what becomes of each. The readers go by these tables, and `docs/compose.md` is made
//! from them.

mod build;
mod deploy;
mod service;
mod top;

pub use build::BUILD;
pub use deploy::{
    DEPLOY, DEVICE_RESERVATION, LIMITS, PLACEMENT, RESERVATIONS, RESOURCES, RESTART_POLICY, UPDATE_CONFIG,
};
pub use service::{
    ATTACHMENT, BLKIO, BLKIO_RATE, BLKIO_WEIGHT, DEPENDENCY, DEVICE, ENV_FILE, EXTENDS, GRANT, HEALTHCHECK,
    HOOK, LOGGING, MOUNT, MOUNT_BIND, MOUNT_IMAGE, MOUNT_TMPFS, MOUNT_VOLUME, PORT, SERVICE, ULIMIT,
};
pub use top::{CONFIG, EXTERNAL, INCLUDE, IPAM, IPAM_RANGE, NETWORK, SECRET, TOP, VOLUME};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is translated.
    Taken,
    /// It has no meaning here, and the reader is told so.
    Warned(&'static str),
    /// The file would mean something else without it.
    Refused(&'static str),
}

/// A key that docker compose knows.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    pub fate: Fate,
}

/// The keys of one kind of mapping.
pub type Table = &'static [Key];

const fn taken(name: &'static str) -> Key {
    Key { name, fate: Fate::Taken }
}

const fn warned(name: &'static str, why: &'static str) -> Key {
    Key { name, fate: Fate::Warned(why) }
}

const fn refused(name: &'static str, why: &'static str) -> Key {
    Key { name, fate: Fate::Refused(why) }
}

/// All tables in reading order, by the path of their mapping.
#[cfg(test)]
pub const TABLES: &[(&str, Table)] = &[
    ("top level", TOP),
    ("include[]", INCLUDE),
    ("services.*", SERVICE),
    ("services.*.extends", EXTENDS),
    ("services.*.build", BUILD),
    ("services.*.depends_on.*", DEPENDENCY),
    ("services.*.deploy", DEPLOY),
    ("services.*.deploy.resources", RESOURCES),
    ("services.*.deploy.resources.limits", LIMITS),
    ("services.*.deploy.resources.reservations", RESERVATIONS),
    ("services.*.deploy.resources.reservations.devices[], services.*.gpus[]", DEVICE_RESERVATION),
    ("services.*.deploy.restart_policy", RESTART_POLICY),
    ("services.*.deploy.update_config, services.*.deploy.rollback_config", UPDATE_CONFIG),
    ("services.*.deploy.placement", PLACEMENT),
    ("services.*.env_file[]", ENV_FILE),
    ("services.*.healthcheck", HEALTHCHECK),
    ("services.*.logging", LOGGING),
    ("services.*.networks.*", ATTACHMENT),
    ("services.*.ports[]", PORT),
    ("services.*.volumes[]", MOUNT),
    ("services.*.volumes[].bind", MOUNT_BIND),
    ("services.*.volumes[].volume", MOUNT_VOLUME),
    ("services.*.volumes[].tmpfs", MOUNT_TMPFS),
    ("services.*.volumes[].image", MOUNT_IMAGE),
    ("services.*.secrets[], services.*.configs[]", GRANT),
    ("services.*.devices[]", DEVICE),
    ("services.*.ulimits.*", ULIMIT),
    ("services.*.blkio_config", BLKIO),
    ("services.*.blkio_config.device_*[]", BLKIO_RATE),
    ("services.*.blkio_config.weight_device[]", BLKIO_WEIGHT),
    ("services.*.post_start[], services.*.pre_stop[]", HOOK),
    ("networks.*", NETWORK),
    ("networks.*.ipam", IPAM),
    ("networks.*.ipam.config[]", IPAM_RANGE),
    ("volumes.*", VOLUME),
    ("secrets.*", SECRET),
    ("configs.*", CONFIG),
    ("networks.*.external, volumes.*.external, secrets.*.external, configs.*.external", EXTERNAL),
];

#[cfg(test)]
mod tests;
