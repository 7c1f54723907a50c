//! The files that a compose file of a checkout is made of: itself, what it names, and nothing from outside.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::reading::{FOLDER, placed, read, said};
use crate::compose::Reading;
use crate::domain::service::{BYTES_MAX, FILES_MAX, FileName, Files};
use crate::domain::stack::mount::{FileKind, FileOrigin, MountSource};
use crate::host::checkout::{Checkout, outside};
use crate::quadlet::stack::Note;

/// Reads a compose file where it lies, and gathers each file that it is made of; or says what is wrong, each line with
/// its place. `variables` are added to those of the `.env` beside it, and win.
pub(super) fn gather(
    checkout: &Checkout,
    origin: &FileName,
    name: String,
    variables: &str,
) -> Result<Files, Vec<String>> {
    let dotenv = Path::new(origin.as_str()).with_file_name(".env");
    let met: RefCell<BTreeMap<PathBuf, String>> = RefCell::default();
    let text = |path: &Path| {
        let below = path.strip_prefix(FOLDER).map_err(|_| outside())?;
        let text = if below == dotenv && !variables.is_empty() {
            beside(checkout, below, variables)?
        } else {
            checkout.text(below, BYTES_MAX)?
        };
        met.borrow_mut().insert(below.to_owned(), text.clone());
        Ok(text)
    };
    // What the compose file itself has to say is in it, also where nothing else can be read.
    if let Err(error) = text(&Path::new(FOLDER).join(origin.as_str())) {
        return Err(vec![format!("{origin}: it cannot be read: {error}")]);
    }
    let reading = read(&text, origin.as_str(), name);
    let reading = reading.map_err(|refusal| refusal.problems.iter().map(said).collect::<Vec<_>>())?;
    let mut found = met.into_inner();
    let mut wrong = Vec::new();
    for (key, path) in shown(&reading) {
        if let Err(message) = take(checkout, &path, &mut found) {
            wrong.push(said(&placed(&reading, origin.as_str(), &Note { key, message })));
        }
    }
    let mut files = Files::new();
    for (path, text) in found {
        let name = path.display().to_string();
        match FileName::parse(&name) {
            Ok(name) => drop(files.insert(name, text)),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(wrong) }
}

/// The variables of a file of the checkout, if it is there, and more of them.
fn beside(checkout: &Checkout, path: &Path, variables: &str) -> std::io::Result<String> {
    match checkout.text(path, BYTES_MAX) {
        Ok(text) => Ok(format!("{}\n{variables}", text.trim_end())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(variables.to_owned()),
        Err(error) => Err(error),
    }
}

/// The paths of the repository that containers are shown, with the keys that say so.
fn shown(reading: &Reading) -> Vec<(String, PathBuf)> {
    let mut paths = Vec::new();
    for (name, container) in &reading.stack.containers {
        let mut add = |key: &str, path: &Path| {
            if let Ok(below) = path.strip_prefix(FOLDER) {
                paths.push((format!("services.{name}.{key}"), below.to_owned()));
            }
        };
        for mount in &container.mounts {
            if let MountSource::Bind { path, .. } = &mount.source {
                add("volumes", path);
            }
        }
        for file in &container.files {
            if let FileOrigin::Path(path) = &file.origin {
                let key = match file.kind {
                    FileKind::Secret => "secrets",
                    FileKind::Config => "configs",
                };
                add(key, path);
            }
        }
    }
    paths
}

/// Takes in the file at a path, or those of the folder there. What is not there is missed where the stack is judged.
fn take(checkout: &Checkout, path: &Path, found: &mut BTreeMap<PathBuf, String>) -> Result<(), String> {
    let paths = match checkout.files(path, FILES_MAX) {
        Ok(paths) => paths,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{} cannot be shown to the container: {error}", path.display())),
    };
    if paths.len() > FILES_MAX {
        return Err(format!(
            "{} has more than {FILES_MAX} files, which is the limit: put data into volumes",
            path.display()
        ));
    }
    for path in paths {
        let text = checkout.text(&path, BYTES_MAX);
        let text =
            text.map_err(|error| format!("{} cannot be shown to the container: {error}", path.display()))?;
        found.insert(path, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn checkout(files: &[(&str, &str)]) -> (tempfile::TempDir, Checkout) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
        }
        let checkout = Checkout::at(folder.path().to_owned());
        (folder, checkout)
    }

    fn gathered(checkout: &Checkout, origin: &str) -> Result<Vec<String>, String> {
        let files = gather(checkout, &FileName::parse(origin).unwrap(), "shop".to_owned(), "");
        let files = files.map_err(|wrong| wrong.join("\n"))?;
        Ok(files.keys().map(ToString::to_string).collect())
    }

    #[test]
    fn what_the_compose_file_names_goes_along() {
        let compose = "include: [../more/other.yaml]\nservices:\n  web:\n    image: nginx\n    env_file: web.env\n    \
                       volumes: [./conf:/etc/conf:ro, data:/data]\n    configs: [motd]\n    build: ./app\n\
                       configs:\n  motd: {file: ../motd}\nvolumes: {data: {}}\n";
        let (_folder, checkout) = checkout(&[
            ("deploy/compose.yaml", compose),
            ("deploy/.env", "A=1\n"),
            ("deploy/web.env", "B=1\n"),
            ("deploy/conf/a.conf", "x"),
            ("deploy/conf/deep/b.conf", "y"),
            ("deploy/app/Containerfile", "FROM scratch\n"),
            ("more/other.yaml", "services: {other: {image: busybox}}\n"),
            ("motd", "hello"),
            ("other", "z"),
        ]);
        assert_eq!(
            gathered(&checkout, "deploy/compose.yaml").unwrap(),
            [
                "deploy/.env",
                "deploy/compose.yaml",
                "deploy/conf/a.conf",
                "deploy/conf/deep/b.conf",
                "deploy/web.env",
                "more/other.yaml",
                "motd"
            ]
        );
    }

    #[test]
    fn nothing_from_outside_is_taken_and_the_line_is_said() {
        let check = |more: &str, line: usize, words: &str| {
            let compose = format!("services:\n  web:\n    image: nginx\n{more}");
            let (folder, checkout) = checkout(&[("compose.yaml", &compose), ("real.env", "A=1\n")]);
            symlink("/etc/hostname", folder.path().join("link")).unwrap();
            let wrong = gathered(&checkout, "compose.yaml").unwrap_err();
            let place = format!("compose.yaml:{line}:");
            assert!(wrong.contains(&place) && wrong.contains(words), "{more}: {wrong}");
            assert!(!wrong.contains("/compose/"), "{wrong}");
        };
        check("    env_file: ../../etc/passwd\n", 4, "outside of the repository");
        check("    env_file: /etc/passwd\n", 4, "outside of the repository");
        check("    env_file: link\n", 4, "link is a link");
        check("    volumes: [./link:/x]\n", 4, "link is a link");
        check("    configs: [c]\nconfigs: {c: {file: link}}\n", 4, "link is a link");
        check("    secrets: [c]\nsecrets: {c: {file: ./link}}\n", 4, "link is a link");
        check("include: [link]\n", 4, "link is a link");
        check("    extends: {file: ../x.yaml, service: web}\n", 4, "outside of the repository");
        check("    imagge: x\n", 4, "imagge");
    }

    #[test]
    fn variables_besides_those_of_the_repository_win() {
        let compose = "services: {web: {image: \"${IMAGE}:${TAG}\"}}\n";
        let (_folder, checkout) = checkout(&[("compose.yaml", compose), (".env", "IMAGE=nginx\nTAG=1\n")]);
        let origin = FileName::parse("compose.yaml").unwrap();
        let files = gather(&checkout, &origin, "shop".to_owned(), "TAG=2\nPASSWORD=canary\n").unwrap();
        let dotenv = &files[&FileName::parse(".env").unwrap()];
        assert_eq!(dotenv, "IMAGE=nginx\nTAG=1\nTAG=2\nPASSWORD=canary\n");
        let read = read(
            &|path| {
                Ok(files[&FileName::parse(path.strip_prefix(FOLDER).unwrap().to_str().unwrap()).unwrap()]
                    .clone())
            },
            "compose.yaml",
            "shop".to_owned(),
        );
        let image = &read.unwrap().stack.containers["web"].image;
        let expect = "docker.io/library/nginx:2".to_owned();
        assert_eq!(*image, crate::domain::stack::container::ImageSource::Reference(expect));
    }

    #[test]
    fn a_compose_file_that_is_a_link_is_refused() {
        let (folder, checkout) = checkout(&[("a", "services: {}\n")]);
        symlink("a", folder.path().join("compose.yaml")).unwrap();
        let wrong = gathered(&checkout, "compose.yaml").unwrap_err();
        assert!(wrong.contains("compose.yaml is a link"), "{wrong}");
    }
}
