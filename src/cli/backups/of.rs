//! What is backed up, as it is named: a database, or a volume as `rivetr volumes list` has it.

use std::fmt;

use crate::domain::name::{InvalidName, Slug};
use crate::domain::volume::VolumeId;

/// What is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// A database.
    Database(Slug),
    /// A volume.
    Volume(VolumeId),
}

impl Of {
    /// Takes the name of a database, or that of a volume to Podman.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidName> {
        match VolumeId::parse(text) {
            Ok(volume) => Ok(Self::Volume(volume)),
            Err(_) => Slug::parse(text).map(Self::Database),
        }
    }

    /// Its address in the API.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Database(slug) => format!("/api/databases/{slug}"),
            Self::Volume(volume) => format!("/api/volumes/{volume}"),
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(slug) => fmt::Display::fmt(slug, f),
            Self::Volume(volume) => fmt::Display::fmt(volume, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_addresses() {
        for (name, path) in [
            ("orders", "/api/databases/orders"),
            ("rivetr-vol-blog-data", "/api/volumes/rivetr-vol-blog-data"),
            ("rivetr-svc-shop_data", "/api/volumes/rivetr-svc-shop_data"),
        ] {
            let of = Of::parse(name).unwrap();
            assert_eq!((of.path().as_str(), of.to_string().as_str()), (path, name));
        }
        assert!(Of::parse("../x").is_err() && Of::parse("rivetr-db-x_1").is_err());
    }
}
