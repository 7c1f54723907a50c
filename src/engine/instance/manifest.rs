//! What an archive of the instance says of itself, before anything else in it.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

/// The number of this form of archive. Another form is another number, and is refused by who does not know it.
pub(super) const FORMAT: u32 = 1;
/// The first file.
pub(super) const FILE: &str = "manifest.json";
/// What is put in place as it is.
pub(super) const STATE: &str = "state";
/// The database.
pub(super) const DATABASE: &str = "state/rivetr.db";
/// The configuration of the host that it was taken on.
pub(super) const CONFIGURATION: &str = "state/former-configuration";
/// The keys that open what is sealed in it.
pub(super) const KEYS: &str = "state/master.keys";

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The version that wrote it.
    pub(super) rivetr: String,
    /// When it was begun, in milliseconds since 1970.
    pub(super) created: i64,
    pub(super) apps: Vec<String>,
    pub(super) databases: Vec<String>,
    pub(super) services: Vec<String>,
    pub(super) images: Vec<ManifestImage>,
    pub(super) volumes: Vec<ManifestVolume>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ManifestImage {
    /// Its digits.
    pub(super) id: String,
    /// A name that it goes by.
    pub(super) name: Option<String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ManifestVolume {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    /// Whether its data are there.
    pub(super) data: bool,
}

impl Manifest {
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(io::Error::other)
    }

    /// Reads the first file of an archive.
    pub(super) fn of(name: &str, bytes: &[u8]) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let refuse = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        if name != FILE {
            return Err(refuse(
                "this is no backup of a rivetr: it does not begin with what it holds".to_owned(),
            ));
        }
        let form: Form = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        if form.format != FORMAT {
            return Err(refuse(format!(
                "it is written in form {}, and this rivetr reads form {FORMAT}: install the version that wrote it, or a \
                 newer one",
                form.format
            )));
        }
        serde_json::from_slice(bytes)
            .map_err(|error| refuse(format!("its first file cannot be read: {error}")))
    }
}

/// The file of an image.
pub(super) fn image_file(digits: &str) -> String {
    format!("images/{digits}.tar")
}

/// The file of a volume's data.
pub(super) fn volume_file(name: &str) -> String {
    format!("volumes/{name}.tar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_form_is_read() {
        let manifest = Manifest {
            format: FORMAT,
            rivetr: "0.1.0".to_owned(),
            created: 1,
            apps: vec!["blog".to_owned()],
            databases: Vec::new(),
            services: Vec::new(),
            images: Vec::new(),
            volumes: Vec::new(),
        };
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(Manifest::of(FILE, &bytes).unwrap(), manifest);
        let said = |name: &str, bytes: &[u8]| Manifest::of(name, bytes).unwrap_err().to_string();
        assert!(said("rivetr.db", &bytes).contains("no backup of a rivetr"));
        assert!(said(FILE, b"{\"format\": 2}").contains("form 2"));
        assert!(said(FILE, b"{\"format\": 1}").contains("cannot be read"));
    }
}
