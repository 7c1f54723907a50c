//! What containers of a stack see of files: volumes, folders of the host, secrets and configs.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// What Podman calls it: `project_key`, or just what the file says.
    pub name: String,
    /// Whether somebody else made it.
    pub external: bool,
    /// Its driver.
    pub driver: Option<String>,
    /// Options of its driver: `type`, `o`, `device` and others.
    pub driver_opts: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Something at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What.
    pub source: MountSource,
    /// Where: absolute.
    pub target: String,
    /// Whether it cannot be written.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A named volume of the stack, by its name in the file.
    Volume {
        /// The key in [`super::Stack::volumes`].
        key: String,
        /// Whether what the image has at the path is not copied into an empty volume.
        no_copy: bool,
        /// A folder of the volume in place of all of it.
        subpath: Option<String>,
        /// How its files are labelled.
        relabel: Option<Relabel>,
    },
    /// A volume without a name, which goes with the container.
    Anonymous,
    /// A file or folder of the host.
    Bind {
        /// Absolute.
        path: PathBuf,
        /// Whether a folder is made where nothing is.
        create: bool,
        /// `rprivate`, `rshared` and the like.
        propagation: Option<String>,
        /// How its files are labelled.
        relabel: Option<Relabel>,
        /// `disabled`, `enabled`, `writable`, `readonly`: mounts below it.
        recursive: Option<String>,
        /// Further words of the short form: `U`, `O`, `cached`.
        options: Vec<String>,
    },
    /// A file system in memory.
    Tmpfs {
        /// At most, in bytes.
        size: Option<u64>,
        /// Permissions of its root.
        mode: Option<u32>,
    },
    /// An image's files.
    Image {
        /// The reference.
        reference: String,
        /// A folder of it.
        subpath: Option<String>,
    },
}

/// How what is mounted is labelled where labels say who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relabel {
    /// For several containers: `z`.
    Shared,
    /// For this one: `Z`.
    Private,
}

/// A file system in memory, in the words of `tmpfs:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where: absolute.
    pub target: String,
    /// `size=64m`, `mode=1777`, `noexec`.
    pub options: Vec<String>,
}

/// A secret or config that a container is given as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedFile {
    /// Which of the two it is.
    pub kind: FileKind,
    /// The name in the file.
    pub key: String,
    /// Where its bytes are.
    pub origin: FileOrigin,
    /// Where it is seen: absolute, `/run/secrets/KEY` or `/KEY` where the file says nothing.
    pub target: String,
    /// Its owner in the container.
    pub uid: Option<String>,
    /// Its group in the container.
    pub gid: Option<String>,
    /// Its permissions.
    pub mode: Option<u32>,
}

/// A secret or a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// Not to be read by others.
    Secret,
    /// Anything else.
    Config,
}

/// Where the bytes of a secret or config come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOrigin {
    /// A file of the host: absolute.
    Path(PathBuf),
    /// Text that stands in the file, or in a variable of its reader.
    Content(String),
    /// A variable of its reader that was not set.
    Variable(String),
    /// A secret that Podman already holds under this name.
    External(String),
}
