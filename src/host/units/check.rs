//! What Podman's generator says to unit files before they are in place.
//!
//! The service manager does not tell: a file that the generator rejects is a unit that does not exist
//! (FACTS 11.1). So the very same program is run here, over the new files in front of those in place.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::{UnitDirectory, UnitsError};
use crate::files;
use crate::host::layout::Manager;
use crate::host::process::{Output, Spawn};
use crate::quadlet::UnitFiles;
use crate::quadlet::path::{Place, UnitPath};

/// A thousand Quadlets take it a quarter of a second (FACTS 3); a busy machine far longer.
const LIMIT: Duration = Duration::from_secs(30);
/// All units of a thousand apps, as the generator prints them.
const OUTPUT_MAX: usize = 64 << 20;
/// Where distributions put the generator, besides systemd's own directories of generators.
const PLACES: [&str; 3] =
    ["/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet", "/usr/local/libexec/podman/quadlet"];

/// Finds Podman's generator: the program behind the one that the service manager itself runs.
pub fn generator(manager: Manager) -> Result<PathBuf, UnitsError> {
    let run_by_systemd = match manager {
        Manager::User => ["user-generators", "podman-user-generator"],
        Manager::System => ["system-generators", "podman-system-generator"],
    };
    let [folder, name] = run_by_systemd;
    let by_systemd = ["/usr/lib/systemd", "/usr/local/lib/systemd", "/lib/systemd"]
        .map(|root| Path::new(root).join(folder).join(name));
    let candidates: Vec<PathBuf> = by_systemd.into_iter().chain(PLACES.map(PathBuf::from)).collect();
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        UnitsError::NoGenerator(looked.join(", "))
    })
}

/// One thing that Podman's generator does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitProblem {
    /// The file it is about.
    pub file: String,
    /// The line, where the generator names it.
    pub line: Option<u32>,
    /// What is wrong, in the generator's words.
    pub problem: String,
}

impl fmt::Display for UnitProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}

/// All that Podman's generator does not take about a set of files.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Podman's generator does not take these units:\n  {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
pub struct UnitProblems(pub Vec<UnitProblem>);

impl UnitDirectory {
    /// What Podman's generator does not take of the files in place.
    pub async fn problems(&self) -> Result<Vec<UnitProblem>, UnitsError> {
        let output = self.generate(self.quadlets.as_os_str()).await?;
        Ok(complaints(&output.stderr))
    }

    async fn generate(&self, directories: &OsStr) -> Result<Output, UnitsError> {
        let user = match self.manager {
            Manager::User => Some("-user"),
            Manager::System => None,
        };
        let run = Spawn::new(&self.generator).args(["-dryrun", "-no-kmsg-log"]).args(user);
        Ok(run.env("QUADLET_UNIT_DIRS", directories).limit(LIMIT).cap(OUTPUT_MAX).output().await?)
    }

    /// Runs the generator over a folder and all that are in place. The first file of a name wins, so those in place do
    /// not hide the new ones.
    pub(super) async fn generate_before(&self, folder: &Path) -> Result<Output, UnitsError> {
        let mut directories = folder.as_os_str().to_owned();
        directories.push(":");
        directories.push(&self.quadlets);
        self.generate(&directories).await
    }

    /// Runs Podman's generator over these files as if they were in place, together with all that are; drop-ins
    /// count. Problems of other files are not this caller's and are only logged.
    pub async fn check(&self, files: &UnitFiles) -> Result<(), UnitsError> {
        let quadlets: Vec<(&UnitPath, &String)> =
            files.iter().filter(|(path, _)| path.place() == Place::Quadlet).collect();
        if quadlets.is_empty() {
            return Ok(());
        }
        let aside = files::temporary_dir(&self.runtime)?;
        for (path, text) in &quadlets {
            let folder = aside.path().join(path.folder().unwrap_or_default());
            files::make_dirs(&folder, 0o700)?;
            files::write_whole(&folder.join(path.file()), text.as_bytes(), 0o600)?;
        }
        let output = self.generate_before(aside.path()).await?;
        let made = String::from_utf8_lossy(&output.stdout);
        let said = output.stderr.replace(&format!("{}/", aside.path().display()), "");
        let (mut problems, others): (Vec<UnitProblem>, Vec<UnitProblem>) = complaints(&said)
            .into_iter()
            .partition(|problem| quadlets.iter().any(|(path, _)| path.file() == problem.file));
        for other in others {
            tracing::warn!(
                file = other.file,
                line = other.line,
                "a unit in place is not taken: {}",
                other.problem
            );
        }
        for (path, _) in quadlets {
            let vanished = !made.lines().any(|line| line == format!("---{}---", path.unit()));
            if vanished && !problems.iter().any(|problem| problem.file == path.file()) {
                let problem = format!("the generator makes no {} of it and does not say why", path.unit());
                problems.push(UnitProblem { file: path.file().to_owned(), line: None, problem });
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(UnitProblems(problems).into()) }
    }
}

/// The generator's complaints, as Podman 5.4 to 5.8 word them:
/// `converting "FILE": WHY` and `error loading "PATH", file contains line N: WHY` or `error loading "PATH", WHY`.
pub(super) fn complaints(stderr: &str) -> Vec<UnitProblem> {
    let mut problems = Vec::new();
    for line in stderr.lines() {
        // `quadlet-generator[PID]: ` stands before the first of several complaints.
        let said = line
            .split_once("]: ")
            .map_or(line, |(tag, rest)| if tag.starts_with("quadlet-") { rest } else { line });
        let loading = said.strip_prefix("error loading ");
        let Some(rest) = loading.or_else(|| said.strip_prefix("converting ")) else { continue };
        let Some((path, why)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) else {
            continue;
        };
        let why = why.trim_start_matches([':', ',', ' ']);
        let numbered = why.strip_prefix("file contains line ").and_then(|rest| rest.split_once(": "));
        let (line, problem) = match numbered.map(|(number, problem)| (number.parse().ok(), problem)) {
            Some((Some(number), problem)) => (Some(number), problem),
            Some((None, _)) | None => (None, why),
        };
        let file = Path::new(path).file_name().map_or_else(|| path.into(), |name| name.to_string_lossy());
        problems.push(UnitProblem { file: file.into_owned(), line, problem: problem.to_owned() });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_the_generator() {
        // As Podman 5.4.2 prints them.
        let stderr = "quadlet-generator[159]: Loading source unit file /q/app-blog/a.container\n\
            quadlet-generator[159]: No files parsed from [/q /q/app-blog]\n\
            quadlet-generator[159]: error loading \"/q/app-blog/a.container\", file contains line 2: “nonsense here” which is not a key-value pair, group, or comment\n\
            error loading \"/q/app-x/b.container\", key file does not start with a group\n\
            quadlet-generator[167]: converting \"c.container\": no Image or Rootfs key specified\n\
            quadlet-generator[167]: converting \"d.container\": unsupported key 'Foo' in group 'Container' in /q/d.container\n";
        let seen: Vec<String> = complaints(stderr).iter().map(ToString::to_string).collect();
        let expected = [
            "a.container, line 2: “nonsense here” which is not a key-value pair, group, or comment",
            "b.container: key file does not start with a group",
            "c.container: no Image or Rootfs key specified",
            "d.container: unsupported key 'Foo' in group 'Container' in /q/d.container",
        ];
        assert_eq!(seen, expected);
        assert!(complaints("").is_empty());
    }

    #[test]
    fn all_problems_are_shown() {
        let problem =
            |file: &str, line| UnitProblem { file: file.to_owned(), line, problem: "no".to_owned() };
        let shown = UnitProblems(vec![problem("a", Some(3)), problem("b", None)]).to_string();
        assert_eq!(shown, "Podman's generator does not take these units:\n  a, line 3: no\n  b: no");
    }
}
