//! `rivetr compose convert`: a compose file as plain Quadlets. It needs no daemon, starts nothing, and writes only
//! where it is told to.

mod output;

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::{Exit, Failure};
use super::input;
use crate::compose::{self, Notice, Reading, Refusal, Request, absolute};
use crate::config::environment::Environment;
use crate::quadlet::features::{MINIMUM, PodmanFeatures};
use crate::quadlet::stack::{Naming, Note, Refused, Written, units};

/// The longest compose file in bytes: far more than anybody writes by hand.
const FILE_MAX: u64 = 16 << 20;

/// What can be done with compose files.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Compose {
    /// Turn a compose file into plain Quadlets, for hosts with Podman 5.4 or newer
    #[command(
        after_help = "Example: rivetr compose convert compose.yaml --out ~/.config/containers/systemd/blog"
    )]
    Convert(Convert),
}

/// `rivetr compose convert`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Convert {
    /// The compose file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take variables from this file in place of the .env beside the compose file; of several, the last wins
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// What the project is called, in place of its folder's name
    #[arg(long, value_name = "NAME")]
    project_name: Option<String>,
    /// Also convert the services of this profile; `*` for all
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Write into this folder, which is made if it is missing, and not to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Compose {
    pub(super) fn run(
        &self,
        environment: &Environment,
        json: bool,
        output: &mut dyn Write,
        remarks: &mut dyn Write,
    ) -> Result<(), Failure> {
        let Self::Convert(convert) = self;
        convert.run(environment, json, output, remarks)
    }
}

impl Convert {
    fn run(
        &self,
        environment: &Environment,
        json: bool,
        output: &mut dyn Write,
        remarks: &mut dyn Write,
    ) -> Result<(), Failure> {
        let request = self.request(environment)?;
        let reading = compose::read(&request, &further).map_err(|refusal| refused(refusal, remarks))?;
        let origin = match self.file.file_name() {
            Some(name) if self.file != Path::new("-") => name.to_string_lossy().into_owned(),
            _ => "a compose file".to_owned(),
        };
        let features = PodmanFeatures::of(&MINIMUM.to_string())
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let about = |notes: Vec<Note>| notes.into_iter().map(|note| placed(&reading, &request, note));
        let naming = Naming::plain(&reading.stack, &origin);
        let written = units(&reading.stack, &naming, features).map_err(|Refused { problems, notes }| {
            let warnings = reading.warnings.iter().cloned().chain(about(notes)).collect();
            refused(Refusal { problems: about(problems).collect(), warnings }, remarks)
        })?;
        let Written { files, notes } = written;
        let warnings: Vec<_> = reading.warnings.iter().cloned().chain(about(notes)).collect();
        say(&warnings, "warning", remarks)?;
        match &self.out {
            Some(directory) => {
                output::write(directory, &files)?;
                if json {
                    output::document(&files, &warnings, output)?;
                }
            }
            None if json => output::document(&files, &warnings, output)?,
            None => output::print(&files, output)?,
        }
        Ok(())
    }

    fn request(&self, environment: &Environment) -> Result<Request, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::new(Exit::Failed, format!("the current folder cannot be told: {error}"))
        })?;
        let mut environment = environment.variables();
        // As Docker Compose says it where a shell does not.
        environment.entry("PWD".to_owned()).or_insert_with(|| here.display().to_string());
        Ok(Request {
            file: absolute(&here, &self.file),
            text: input::text(&self.file, FILE_MAX)?,
            project_name: self.project_name.clone(),
            profiles: self.profiles.clone(),
            environment,
            env_files: self.env_files.iter().map(|path| absolute(&here, path)).collect(),
        })
    }
}

/// A file that the first one refers to. What is no regular file may never end.
fn further(path: &Path) -> io::Result<String> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let too_long = || io::Error::other(format!("it is larger than {} MiB", FILE_MAX >> 20));
    let bytes = input::bounded(std::fs::File::open(path)?, FILE_MAX)?.ok_or_else(too_long)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// A note with the place that it is about.
fn placed(reading: &Reading, request: &Request, note: Note) -> Notice {
    let Note { key, message } = note;
    let place = reading.place(&key.split('.').collect::<Vec<_>>());
    let (file, line) = place.map_or((&request.file, 0), |place| (&place.file, place.line));
    Notice { file: file.clone(), line, column: 0, key, message }
}

/// Says what is wrong, line by line; what is left to say is that nothing was converted.
fn refused(refusal: Refusal, remarks: &mut dyn Write) -> Failure {
    let Refusal { problems, warnings } = refusal;
    let said = say(&warnings, "warning", remarks).and_then(|()| say(&problems, "error", remarks));
    match said {
        Ok(()) => Failure::new(Exit::Failed, "the compose file is not converted"),
        Err(error) => error.into(),
    }
}

fn say(notices: &[Notice], kind: &str, remarks: &mut dyn Write) -> io::Result<()> {
    notices.iter().try_for_each(|notice| writeln!(remarks, "{kind}: {notice}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What is printed, what is remarked, and how it ends.
    fn convert(convert: &Convert, json: bool) -> (String, String, Result<(), Exit>) {
        let (mut output, mut remarks) = (Vec::new(), Vec::new());
        let environment = Environment::of(0, "/root", [("TAG", "17")]);
        let outcome = convert.run(&environment, json, &mut output, &mut remarks);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output), text(remarks), outcome.map_err(|failure| failure.exit))
    }

    fn of(file: &Path, out: Option<PathBuf>) -> Convert {
        Convert {
            file: file.to_owned(),
            env_files: Vec::new(),
            project_name: None,
            profiles: Vec::new(),
            out,
        }
    }

    /// A folder `blog` with a compose file of this text.
    fn folder(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("blog/compose.yaml");
        files_of(&file, text);
        (directory, file)
    }

    fn files_of(file: &Path, text: &str) {
        crate::files::make_dirs(file.parent().unwrap(), 0o755).unwrap();
        crate::files::write_whole(file, text.as_bytes(), 0o644).unwrap();
    }

    const DATABASE: &str = "services:\n  db:\n    image: postgres:${TAG}\n";

    #[test]
    fn a_file_that_is_referred_to_is_a_regular_one() {
        let directory = tempfile::tempdir().unwrap();
        let kind = |path: &Path| further(path).map_err(|error| error.kind());
        assert_eq!(kind(directory.path()), Err(ErrorKind::IsADirectory));
        assert_eq!(kind(&directory.path().join("none")), Err(ErrorKind::NotFound));
        assert_eq!(kind(Path::new("/dev/zero")), Err(ErrorKind::Other));
        let file = directory.path().join("file");
        crate::files::write_whole(&file, b"A=\xff", 0o600).unwrap();
        assert_eq!(kind(&file), Err(ErrorKind::InvalidData));
        crate::files::write_whole(&file, b"A=1", 0o600).unwrap();
        assert_eq!(kind(&file), Ok("A=1".to_owned()));
    }

    #[test]
    fn a_folder_called_dot_env_is_none_of_the_env_files() {
        let (directory, file) = folder(DATABASE);
        crate::files::make_dirs(&directory.path().join("blog/.env"), 0o755).unwrap();
        let (_, remarks, outcome) = convert(&of(&file, None), false);
        assert_eq!((remarks.as_str(), outcome), ("", Ok(())));
    }

    #[test]
    fn units_are_printed_below_their_names() {
        let (_directory, file) = folder(DATABASE);
        let (output, remarks, outcome) = convert(&of(&file, None), false);
        assert_eq!((remarks.as_str(), outcome), ("", Ok(())));
        assert!(
            output.starts_with(
                "# --- blog-db.container\n# The service db of compose.yaml, written by rivetr.\n"
            )
        );
        assert!(output.contains("\nImage=docker.io/library/postgres:17\n"));
        assert!(output.contains("\n\n# --- blog-default.network\n"));
        let document: serde_json::Value = serde_json::from_str(&convert(&of(&file, None), true).0).unwrap();
        assert_eq!(document["files"][0]["name"], "blog-db.container");
    }

    #[test]
    fn a_folder_is_written_again_but_nothing_of_anybody_else() {
        let (directory, file) = folder(DATABASE);
        let out = directory.path().join("a/b");
        for _ in 0..2 {
            let (output, _, outcome) = convert(&of(&file, Some(out.clone())), false);
            assert_eq!((output.as_str(), outcome), ("", Ok(())));
        }
        let unit = out.join("blog-db.container");
        assert!(fs::read_to_string(&unit).unwrap().contains("ContainerName=blog-db-1\n"));
        files_of(&unit, "[Container]\nImage=mine\n");
        fs::remove_file(out.join("blog-default.network")).unwrap();
        assert_eq!(convert(&of(&file, Some(out.clone())), false).2, Err(Exit::Failed));
        assert_eq!(fs::read_to_string(&unit).unwrap(), "[Container]\nImage=mine\n");
        assert!(!out.join("blog-default.network").exists(), "all or nothing");
    }

    #[test]
    fn remarks_name_the_file_and_the_line() {
        let (_directory, file) =
            folder("services:\n  db:\n    image: postgres\n    logging:\n      driver: syslog\n");
        let (_, remarks, outcome) = convert(&of(&file, None), false);
        let place = format!("warning: {}:4: services.db.logging.driver: ", file.display());
        assert!(remarks.starts_with(&place) && outcome == Ok(()), "{remarks}");

        let (_directory, file) = folder("services:\n  db:\n    image: postgres\n    nonsense: 1\n");
        let (output, remarks, outcome) = convert(&of(&file, None), false);
        assert_eq!((output.as_str(), outcome), ("", Err(Exit::Failed)));
        assert!(remarks.starts_with(&format!("error: {}:4: ", file.display())), "{remarks}");
        assert_eq!(convert(&of(Path::new("/nowhere/compose.yaml"), None), false).2, Err(Exit::Usage));
    }

    #[test]
    fn paths_are_made_absolute_as_docker_does() {
        for (path, expect) in
            [("a.yaml", "/here/a.yaml"), ("./x/../a", "/here/a"), ("/b/./c", "/b/c"), ("../../../a", "/a")]
        {
            assert_eq!(absolute(Path::new("/here"), Path::new(path)), Path::new(expect), "{path}");
        }
    }
}
