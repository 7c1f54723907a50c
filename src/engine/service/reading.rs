//! From the files of a service to its units: read as Docker Compose reads them, judged, written, and shown to Podman's
//! generator before any of it is stored.

use std::collections::BTreeMap;
use std::io::{self, Error, ErrorKind};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::super::{Engine, EngineError};
use super::builds::{self, ServiceBuild};
use super::secret_name;
use crate::compose::{self, Notice, Reading, Request};
use crate::domain::dotenv;
use crate::domain::service::{FileName, Files, Service, compose_file};
use crate::domain::source::CommitId;
use crate::domain::stack::policy::{self, Circumstances};
use crate::host::layout::Manager;
use crate::host::units::UnitsError;
use crate::quadlet;
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::service::{Place, RenderError, Rendered, adapt, images, render};
use crate::quadlet::stack::Note;

/// The folder that stands for the files which were handed in. Nothing on the machine is read there.
pub(super) const FOLDER: &str = "/compose";
/// The most lines that are said of what is wrong.
const LINES_MAX: usize = 100;

/// Files, and where they come from.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    /// The files, by their names below the folder.
    pub(super) files: Files,
    /// Which of them is the compose file; none: the one that has a usual name.
    pub(super) origin: Option<FileName>,
    /// The commit of the repository that they come from, with which goes what they have built; none: somebody handed them
    /// in.
    pub(super) commit: Option<CommitId>,
}

impl Handed {
    /// Files that somebody handed in.
    pub(super) fn by_hand(files: Files) -> Self {
        Self { files, origin: None, commit: None }
    }
}

/// Files that may be applied.
pub(super) struct Prepared {
    /// The units.
    pub(super) rendered: Rendered,
    /// The images, and whether each is fetched although it is there.
    pub(super) images: BTreeMap<String, bool>,
    /// What is built of the repository.
    pub(super) builds: Vec<ServiceBuild>,
    /// What is not quite as the files say.
    pub(super) warnings: Vec<String>,
}

impl Engine {
    /// Makes units of files, for the revision of that number. With `claim` their names and addresses are taken; without, nothing is changed, and a container
    /// that is new has no address yet.
    pub(super) async fn prepare_service(
        &self,
        service: &Service,
        handed: &Handed,
        number: u32,
        administrator: bool,
        claim: bool,
    ) -> Result<Prepared, EngineError> {
        let files = &handed.files;
        let origin = handed.origin.as_ref().or_else(|| compose_file(files)).map(FileName::to_string);
        let origin =
            origin.ok_or_else(|| invalid(vec!["there is no compose.yaml among the files".to_owned()]))?;
        let read = {
            let (files, origin, name) = (files.clone(), origin.clone(), service.slug.to_string());
            tokio::task::spawn_blocking(move || read_handed(&files, &origin, name))
        };
        let reading = read.await.map_err(EngineError::internal)?;
        let reading = reading.map_err(|refusal| invalid(refusal.problems.iter().map(said).collect()))?;
        let socket = &self.machine().layout.podman_socket;
        let (mut stack, mut adapted) =
            adapt(reading.stack.clone(), &service.slug, Path::new(FOLDER), files, socket);
        let mut refusals = Vec::new();
        let mut built = Vec::new();
        if handed.commit.is_some() {
            match builds::take(&mut stack, &service.slug, number) {
                Ok((found, notes)) => {
                    built = found;
                    adapted.extend(notes);
                }
                Err(notes) => refusals = notes,
            }
        }
        refusals.extend(self.judge(service, &stack, administrator).await?);
        let at = |note: &Note| said(&placed(&reading, &origin, note));
        if !refusals.is_empty() {
            return Err(invalid(refusals.iter().map(at).collect()));
        }
        let mut place = Place {
            slug: &service.slug,
            project: &service.project,
            addresses: &BTreeMap::new(),
            features: self.podman_features().await?,
            origin: &origin,
            variables: &variables(files, &origin),
            name: &|value| secret_name(service, value),
        };
        let written = |outcome: Result<Rendered, RenderError>| {
            outcome.map_err(|error| match error {
                RenderError::Refused(notes) => invalid(notes.iter().map(at).collect()),
                RenderError::Text(error) => invalid(vec![error.to_string()]),
            })
        };
        let named = written(render(&stack, &place))?;
        let addresses = self.addresses_of(service, &named, claim).await?;
        place.addresses = &addresses;
        let rendered = written(render(&stack, &place))?;
        let mut checked = rendered.files.clone();
        checked.extend(quadlet::project::network(&service.project).map_err(EngineError::internal)?);
        match self.machine().units.check(&checked).await {
            Err(UnitsError::Problems(problems)) => return Err(invalid(vec![problems.to_string()])),
            other => other.map_err(EngineError::internal)?,
        }
        let notes = adapted.iter().chain(&rendered.notes).map(at);
        let warnings = reading.warnings.iter().map(said).chain(notes).collect();
        Ok(Prepared { images: images(&stack), rendered, builds: built, warnings })
    }

    async fn judge(
        &self,
        service: &Service,
        stack: &crate::domain::stack::Stack,
        administrator: bool,
    ) -> Result<Vec<Note>, EngineError> {
        let taken = self.ports_of_others(Some(&Owner::Service(service.slug.clone()))).await?;
        let settings = &self.0.settings;
        let circumstances = Circumstances {
            administrator,
            rootless: self.machine().layout.manager == Manager::User,
            own_ports: &settings.own_ports,
            taken: &taken,
            bind_roots: &settings.bind_roots,
            folder: Path::new(FOLDER),
            podman_socket: &self.machine().layout.podman_socket,
            real_path: &|path| self.machine().workspace.real_path(path),
        };
        let refusals = policy::check(stack, &circumstances).into_iter();
        Ok(refusals.map(|policy::Refusal { key, message }| Note { key, message }).collect())
    }

    async fn addresses_of(
        &self,
        service: &Service,
        named: &Rendered,
        claim: bool,
    ) -> Result<BTreeMap<String, Ipv4Addr>, EngineError> {
        let joined: Vec<String> = named.joined.iter().cloned().collect();
        if claim {
            let units = named.files.keys().map(UnitPath::unit);
            let units = units.map(|unit| unit.trim_end_matches(".service").to_owned()).collect();
            let given = self.0.writer.claim_units(service, units, joined).await?;
            return Ok(given.into_iter().collect());
        }
        let parts = self.reader().revisions(service.id).await?.into_iter().flat_map(|one| one.parts);
        let known = parts.flat_map(|part| part.units.into_iter().zip(part.addresses));
        Ok(known.filter(|(unit, _)| joined.contains(unit)).collect())
    }
}

/// Reads the files as if they lay in the folder, with nothing else there and no variables but theirs.
fn read_handed(files: &Files, origin: &str, name: String) -> Result<Reading, compose::Refusal> {
    let text = |path: &Path| {
        let below = path.strip_prefix(FOLDER).map_err(|_| Error::from(ErrorKind::NotFound))?;
        let found = files.iter().find(|(name, _)| Path::new(name.as_str()) == below);
        found.map(|(_, text)| text.clone()).ok_or_else(|| Error::from(ErrorKind::NotFound))
    };
    read(&text, origin, name)
}

/// Reads a compose file of the folder; `text` has what lies there.
pub(super) fn read(
    text: &dyn Fn(&Path) -> io::Result<String>,
    origin: &str,
    name: String,
) -> Result<Reading, compose::Refusal> {
    let file = Path::new(FOLDER).join(origin);
    let folder = file.parent().unwrap_or(Path::new(FOLDER)).display().to_string();
    let request = Request {
        text: text(&file).unwrap_or_default(),
        file,
        project_name: Some(name),
        profiles: Vec::new(),
        environment: BTreeMap::from([("PWD".to_owned(), folder)]),
        env_files: Vec::new(),
    };
    compose::read(&request, text)
}

/// The variables of the `.env` beside the compose file; what is wrong with it is said where it is read.
fn variables(files: &Files, origin: &str) -> BTreeMap<String, String> {
    let beside = Path::new(origin).with_file_name(".env");
    let found = files.iter().find(|(name, _)| Path::new(name.as_str()) == beside);
    let text = found.map_or("", |(_, text)| text.as_str());
    let read = dotenv::parse(text).unwrap_or_default();
    read.into_iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned())).collect()
}

/// A note with the line that it is about.
pub(super) fn placed(reading: &Reading, origin: &str, note: &Note) -> Notice {
    let Note { key, message } = note.clone();
    let place = reading.place(&key.split('.').collect::<Vec<_>>());
    let (file, line) =
        place.map_or((PathBuf::from(FOLDER).join(origin), 0), |place| (place.file.clone(), place.line));
    Notice { file, line, column: 0, key, message }
}

/// A notice as people read it, with the file as they know it.
pub(super) fn said(notice: &Notice) -> String {
    let file = notice.file.strip_prefix(FOLDER).unwrap_or(&notice.file).to_path_buf();
    let message = notice.message.replace(&format!("{FOLDER}/"), "");
    Notice { file, message, ..notice.clone() }.to_string()
}

pub(super) fn invalid(mut lines: Vec<String>) -> EngineError {
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    EngineError::Invalid { field: "files", message: lines.join("\n") }
}
