//! The certificates that the proxy shows, as the control plane hands them over: `certs/index.json`, and beside it a file
//! of PEM for each, the key first, then the chain.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::table::TableError;
use crate::files;

/// The name of the index in the folder of certificates.
pub const INDEX: &str = "index.json";

/// The content of `index.json`. A file that it names never changes; another certificate has another file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// What is shown to those who ask for one of the names.
    pub certificates: Vec<Certificate>,
    /// What is shown, for one name each, to an ACME server that speaks `acme-tls/1` (RFC 8737).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<Certificate>,
}

/// One certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The hosts it is for, lower-case; `*.example.org` for all with one label more.
    pub names: Vec<String>,
    /// The name of its file in the same folder.
    pub file: String,
}

/// Writes the index whole, readable by the owner alone; its files must be there already.
pub fn write(folder: &Path, index: &Index) -> Result<(), TableError> {
    let path = folder.join(INDEX);
    let mut text = serde_json::to_vec_pretty(index)
        .map_err(|source| TableError::Parse { path: path.clone(), source })?;
    text.push(b'\n');
    Ok(files::write_whole(&path, &text, 0o600)?)
}

/// An index that cannot be used.
#[derive(Debug, Error)]
pub(super) enum IndexError {
    #[error("cannot read the index of certificates in {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path} is not an index of certificates: {source}; start the control plane, it writes the file anew"
    )]
    Parse { path: PathBuf, source: serde_json::Error },
}

/// Reads what `write` wrote; an index that is not there yet names nothing.
pub(super) fn read(folder: &Path) -> Result<Index, IndexError> {
    let path = folder.join(INDEX);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::default()),
        Err(source) => return Err(IndexError::Read { path, source }),
    };
    serde_json::from_slice(&text).map_err(|source| IndexError::Parse { path, source })
}
