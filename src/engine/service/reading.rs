//! From the files of a service to its units: read as Docker Compose reads them, judged, written, and shown to Podman's
//! generator before any of it is stored.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::super::{Engine, EngineError};
use super::secret_name;
use crate::compose::{self, Notice, Reading, Request};
use crate::domain::dotenv;
use crate::domain::service::{FileName, Files, Service, compose_file};
use crate::domain::stack::policy::{self, Circumstances};
use crate::host::layout::Manager;
use crate::host::units::UnitsError;
use crate::quadlet;
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::service::{Place, RenderError, Rendered, adapt, images, render};
use crate::quadlet::stack::Note;

/// The folder that stands for the files which were handed in. Nothing on the machine is read there.
const FOLDER: &str = "/compose";
/// The most lines that are said of what is wrong.
const LINES_MAX: usize = 100;

/// Files that may be applied.
pub(super) struct Prepared {
    /// The units.
    pub(super) rendered: Rendered,
    /// The images, and whether each is fetched although it is there.
    pub(super) images: BTreeMap<String, bool>,
    /// What is not quite as the files say.
    pub(super) warnings: Vec<String>,
}

impl Engine {
    /// Makes units of files. With `claim` their names and addresses are taken; without, nothing is changed, and a container
    /// that is new has no address yet.
    pub(super) async fn prepare_service(
        &self,
        service: &Service,
        files: &Files,
        administrator: bool,
        claim: bool,
    ) -> Result<Prepared, EngineError> {
        let origin = compose_file(files).map(FileName::to_string);
        let origin =
            origin.ok_or_else(|| invalid(vec!["there is no compose.yaml among the files".to_owned()]))?;
        let read = {
            let (files, origin, name) = (files.clone(), origin.clone(), service.slug.to_string());
            tokio::task::spawn_blocking(move || read(&files, &origin, name))
        };
        let reading = read.await.map_err(EngineError::internal)?;
        let reading = reading.map_err(|refusal| invalid(refusal.problems.iter().map(said).collect()))?;
        let socket = &self.machine().layout.podman_socket;
        let (stack, adapted) = adapt(reading.stack.clone(), &service.slug, Path::new(FOLDER), files, socket);
        let refusals = self.judge(service, &stack, administrator).await?;
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
            variables: &variables(files),
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
        Ok(Prepared { images: images(&stack), rendered, warnings })
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
fn read(files: &Files, origin: &str, name: String) -> Result<Reading, compose::Refusal> {
    let folder = Path::new(FOLDER);
    let text = |path: &Path| {
        let below = path.strip_prefix(folder).map_err(|_| Error::from(ErrorKind::NotFound))?;
        let found = files.iter().find(|(name, _)| Path::new(name.as_str()) == below);
        found.map(|(_, text)| text.clone()).ok_or_else(|| Error::from(ErrorKind::NotFound))
    };
    let request = Request {
        file: folder.join(origin),
        text: files
            .iter()
            .find(|(name, _)| name.as_str() == origin)
            .map(|(_, text)| text.clone())
            .unwrap_or_default(),
        project_name: Some(name),
        profiles: Vec::new(),
        environment: BTreeMap::from([("PWD".to_owned(), FOLDER.to_owned())]),
        env_files: Vec::new(),
    };
    compose::read(&request, &text)
}

/// The variables of `.env`; what is wrong with it is said where it is read.
fn variables(files: &Files) -> BTreeMap<String, String> {
    let text = files.iter().find(|(name, _)| name.as_str() == ".env").map_or("", |(_, text)| text.as_str());
    let read = dotenv::parse(text).unwrap_or_default();
    read.into_iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned())).collect()
}

/// A note with the line that it is about.
fn placed(reading: &Reading, origin: &str, note: &Note) -> Notice {
    let Note { key, message } = note.clone();
    let place = reading.place(&key.split('.').collect::<Vec<_>>());
    let (file, line) =
        place.map_or((PathBuf::from(FOLDER).join(origin), 0), |place| (place.file.clone(), place.line));
    Notice { file, line, column: 0, key, message }
}

/// A notice as people read it, with the file as they know it.
fn said(notice: &Notice) -> String {
    let file = notice.file.strip_prefix(FOLDER).unwrap_or(&notice.file).to_path_buf();
    Notice { file, ..notice.clone() }.to_string()
}

fn invalid(mut lines: Vec<String>) -> EngineError {
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    EngineError::Invalid { field: "files", message: lines.join("\n") }
}
