//! The files of a service, gathered around its compose file: what it names of its own folder goes along.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::super::failure::{Exit, Failure};
use super::super::input;
use crate::api::wire::ServiceFiles;
use crate::compose::{self, Request, absolute};
use crate::domain::stack::Stack;
use crate::domain::stack::mount::{FileOrigin, MountSource};

/// The longest file in bytes: all together may have no more.
const FILE_MAX: u64 = 1 << 20;
/// The most files of a folder that go along.
const FILES_MAX: usize = 50;

/// The compose file, the `.env` beside it or the one that is named, and the files of its folder that it names.
pub(super) fn gather(compose: &Path, env_file: Option<&Path>) -> Result<ServiceFiles, Failure> {
    let here = std::env::current_dir()?;
    let compose = absolute(&here, compose);
    let folder = compose.parent().unwrap_or(Path::new("/")).to_owned();
    let mut files = BTreeMap::from([("compose.yaml".to_owned(), input::text(&compose, FILE_MAX)?)]);
    let env = folder.join(".env");
    if let Some(file) = env_file {
        files.insert(".env".to_owned(), input::text(file, FILE_MAX)?);
    } else if env.is_file() {
        files.insert(".env".to_owned(), input::text(&env, FILE_MAX)?);
    }
    for path in named(&compose, &files, &folder) {
        let Some(name) = path.strip_prefix(&folder).ok().and_then(Path::to_str) else { continue };
        if path != compose && !files.contains_key(name) {
            files.insert(name.to_owned(), input::text(&path, FILE_MAX)?);
        }
    }
    if files.len() > FILES_MAX {
        let message =
            format!("the compose file names {} files of its folder: put data into volumes", files.len());
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(ServiceFiles { files })
}

/// The files below the folder that the compose file names. What is wrong with it is for the server to say.
fn named(compose: &Path, files: &BTreeMap<String, String>, folder: &Path) -> BTreeSet<PathBuf> {
    let read = RefCell::new(BTreeSet::new());
    let text = |path: &Path| {
        if path == folder.join(".env") {
            return files.get(".env").cloned().ok_or_else(|| io::Error::from(ErrorKind::NotFound));
        }
        if !path.starts_with(folder) {
            return Err(ErrorKind::NotFound.into());
        }
        let kind = std::fs::metadata(path)?;
        if !kind.is_file() || kind.len() > FILE_MAX {
            return Err(ErrorKind::NotFound.into());
        }
        let text = std::fs::read_to_string(path)?;
        read.borrow_mut().insert(path.to_owned());
        Ok(text)
    };
    let request = Request {
        file: compose.to_owned(),
        text: files.get("compose.yaml").cloned().unwrap_or_default(),
        ..Request::default()
    };
    let stack = compose::read(&request, &text).map(|reading| reading.stack).unwrap_or_default();
    let mut found = read.into_inner();
    for path in mounted(&stack).into_iter().filter(|path| path.starts_with(folder)) {
        below(&path, &mut found);
    }
    found
}

fn mounted(stack: &Stack) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for container in stack.containers.values() {
        for mount in &container.mounts {
            if let MountSource::Bind { path, .. } = &mount.source {
                paths.push(path.clone());
            }
        }
        for file in &container.files {
            if let FileOrigin::Path(path) = &file.origin {
                paths.push(path.clone());
            }
        }
    }
    paths
}

/// The file, or the files of the folder.
fn below(path: &Path, found: &mut BTreeSet<PathBuf>) {
    if path.is_file() {
        found.insert(path.to_owned());
        return;
    }
    // What is not there, or cannot be read, the server misses and says so.
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if found.len() > FILES_MAX {
            return;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir()) {
            below(&entry.path(), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compose_file_names_of_its_folder_goes_along_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            crate::files::make_dirs(path.parent().unwrap(), 0o755).unwrap();
            crate::files::write_whole(&path, text.as_bytes(), 0o644).unwrap();
        };
        put(
            "docker-compose.yml",
            "services:\n  web:\n    image: nginx\n    env_file: web.env\n    volumes:\n      - ./conf:/etc/nginx/conf.d:ro\n      \
             - /etc/hostname:/x\n      - data:/data\nvolumes:\n  data:\n",
        );
        put(".env", "A=1\n");
        put("web.env", "B=1\n");
        put("conf/a.conf", "x");
        put("conf/deep/b.conf", "y");
        put("other", "z");
        let gathered = gather(&folder.path().join("docker-compose.yml"), None).unwrap();
        let names: Vec<_> = gathered.files.keys().map(String::as_str).collect();
        assert_eq!(names, [".env", "compose.yaml", "conf/a.conf", "conf/deep/b.conf", "web.env"]);
    }
}
