//! Reads a compressed tape archive: the classic, POSIX and GNU forms, and of their extensions long names only.
//!
//! Extensions are read here and not by the library, which would read one of any length into memory.

use std::fs::File;
use std::io::{BufReader, Read};

use flate2::read::MultiGzDecoder;
use tar::{EntryType, PaxExtensions};

use super::ArchiveError;
use super::tree::Tree;

/// The longest extension, in bytes: long names, and what Git and other packers note beside them.
const EXTENSION_MAX: u64 = 64 * 1024;
/// The bits of a mode that would let a file run as somebody else.
const SET_ID: u32 = 0o6000;
const EXECUTABLE: u32 = 0o100;

/// What extensions say of the entry that follows them.
#[derive(Default)]
struct Next {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

pub(super) fn read(file: File, tree: &mut Tree) -> Result<(), ArchiveError> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    let entries = archive.entries().map_err(ArchiveError::broken)?;
    let mut next = Next::default();
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(ArchiveError::broken)?;
        let kind = entry.header().entry_type();
        let own_name = entry.path_bytes().into_owned();
        if kind == EntryType::XHeader {
            next.take_pax(&own_name, &extension(&own_name, &mut entry, tree)?)?;
        } else if kind == EntryType::XGlobalHeader {
            // Git notes the commit so. What would rename or resize all that follows is not taken.
            let mut all = Next::default();
            all.take_pax(&own_name, &extension(&own_name, &mut entry, tree)?)?;
            if all.name.is_some() || all.target.is_some() || all.size.is_some() {
                return Err(ArchiveError::refused(&own_name, "it changes all entries after it"));
            }
        } else if kind == EntryType::GNULongName {
            next.name = Some(until_nul(extension(&own_name, &mut entry, tree)?));
        } else if kind == EntryType::GNULongLink {
            next.target = Some(until_nul(extension(&own_name, &mut entry, tree)?));
        } else {
            let said = std::mem::take(&mut next);
            take(entry, own_name, said, tree)?;
        }
    }
    Ok(())
}

fn take(
    mut entry: tar::Entry<'_, impl Read>,
    own_name: Vec<u8>,
    said: Next,
    tree: &mut Tree,
) -> Result<(), ArchiveError> {
    let name = said.name.unwrap_or(own_name);
    let header = entry.header();
    let size = header.entry_size().map_err(ArchiveError::broken)?;
    let mode = header.mode().map_err(ArchiveError::broken)?;
    let kind = header.entry_type();
    if said.size.is_some_and(|said| said != size) {
        return Err(ArchiveError::refused(&name, "its two sizes differ"));
    }
    // Before POSIX a directory was told by its last letter alone.
    let is_directory = kind == EntryType::Directory || kind == EntryType::Regular && name.ends_with(b"/");
    if is_directory {
        if size > 0 {
            return Err(ArchiveError::refused(&name, "a directory cannot hold bytes"));
        }
        return tree.directory(&name);
    }
    if kind == EntryType::Symlink {
        if size > 0 {
            return Err(ArchiveError::refused(&name, "a link cannot hold bytes"));
        }
        let own_target = header.link_name_bytes().map(std::borrow::Cow::into_owned);
        return tree.link(&name, &said.target.or(own_target).unwrap_or_default());
    }
    if kind == EntryType::Regular {
        if mode & SET_ID != 0 {
            return Err(ArchiveError::refused(&name, "it would run as its owner (setuid or setgid)"));
        }
        return tree.file(&name, mode & EXECUTABLE != 0, size, &mut entry);
    }
    let rule = if kind == EntryType::Link {
        "hard links are not taken: pack it with --hard-dereference"
    } else {
        "only files, directories and symbolic links are taken"
    };
    Err(ArchiveError::refused(&name, rule))
}

impl Next {
    fn take_pax(&mut self, entry: &[u8], bytes: &[u8]) -> Result<(), ArchiveError> {
        for extension in PaxExtensions::new(bytes) {
            let extension = extension.map_err(ArchiveError::broken)?;
            let value = extension.value_bytes();
            match extension.key_bytes() {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => {
                    let size = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    let rule = "its size is no number";
                    self.size = Some(size.ok_or_else(|| ArchiveError::refused(entry, rule))?);
                }
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(ArchiveError::refused(entry, "files with holes are not taken"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What an entry takes in the archive besides its bytes.
const HEADER: u64 = 512;

fn extension(name: &[u8], from: &mut impl Read, tree: &mut Tree) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    from.take(EXTENSION_MAX + 1).read_to_end(&mut bytes).map_err(ArchiveError::broken)?;
    if bytes.len() as u64 > EXTENSION_MAX {
        return Err(ArchiveError::refused(name, "its extension is too long"));
    }
    tree.spend(name, HEADER + bytes.len() as u64)?;
    Ok(bytes)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
