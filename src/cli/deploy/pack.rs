//! A folder as one archive, the same bytes whenever it holds the same files: sorted, without owners and times.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, HeaderMode};

use super::super::failure::{Exit, Failure};

/// What is not sent: it is large, and no build needs it.
const LEFT_OUT: &str = ".git";

/// What is to be sent: the archive itself, or a folder packed into a file without a name.
pub(super) async fn open(from: &Path) -> Result<tokio::fs::File, Failure> {
    let folder = from.to_owned();
    let packed = tokio::task::spawn_blocking(move || {
        if folder.is_dir() { pack(&folder) } else { File::open(&folder).map_err(|error| (folder, error)) }
    });
    let packed = packed.await.map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let unreadable = |(path, error): (PathBuf, io::Error)| {
        Failure::new(Exit::Usage, format!("{} cannot be read: {error}", path.display()))
    };
    Ok(tokio::fs::File::from_std(packed.map_err(unreadable)?))
}

fn pack(folder: &Path) -> Result<File, (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let file = tempfile::tempfile().map_err(at(folder))?;
    let mut archive = Builder::new(GzEncoder::new(file, Compression::default()));
    archive.follow_symlinks(false);
    archive.mode(HeaderMode::Deterministic);
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        let here = folder.join(&below);
        let entries: io::Result<Vec<_>> = std::fs::read_dir(&here).and_then(Iterator::collect);
        let mut entries = entries.map_err(at(&here))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), below.join(entry.file_name()));
            let kind = entry.file_type().map_err(at(&path))?;
            if entry.file_name() == LEFT_OUT {
                continue;
            }
            archive.append_path_with_name(&path, &name).map_err(at(&path))?;
            if kind.is_dir() {
                waiting.push(name);
            }
        }
    }
    let finished = archive.into_inner().and_then(GzEncoder::finish);
    let mut file = finished.map_err(at(folder))?;
    file.rewind().map_err(at(folder))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::host::archive::{Limits, unpack};

    fn bytes(folder: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(folder).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_folder_arrives_as_it_was_without_its_history() {
        let [from, to, aside] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let put = |name: &str, text: &str| {
            let path = from.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            io::Write::write_all(&mut File::create(path).unwrap(), text.as_bytes()).unwrap();
        };
        put("Containerfile", "FROM a\n");
        put("sub/deep/file", "text");
        put(&format!("{0}/{0}", "long".repeat(30)), "a name that needs an extension");
        put(".git/config", "secret");
        std::os::unix::fs::symlink("sub/deep", from.path().join("link")).unwrap();
        let first = bytes(from.path());
        put("Containerfile", "FROM a\n");
        assert_eq!(first, bytes(from.path()), "the same files are the same bytes");

        let archive = aside.path().join("archive");
        io::Write::write_all(&mut File::create(&archive).unwrap(), &first).unwrap();
        unpack(&archive, to.path(), Limits::default(), &tokio_util::sync::CancellationToken::new()).unwrap();
        let read = |name: &str| std::fs::read_to_string(to.path().join(name)).unwrap();
        assert_eq!((read("Containerfile").as_str(), read("link/file").as_str()), ("FROM a\n", "text"));
        assert_eq!(read(&format!("{0}/{0}", "long".repeat(30))), "a name that needs an extension");
        assert!(!to.path().join(".git").exists());
    }
}
