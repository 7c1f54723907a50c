//! What there is to export: the units of what is live, what reaches it from outside, and the values of its secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::database::Database;
use crate::domain::deployment::Deployment;
use crate::domain::domain::{Domain, Site};
use crate::domain::name::Slug;
use crate::domain::secret::Secret;
use crate::domain::service::Service;
use crate::quadlet::database;
use crate::quadlet::path::{Owner, Place, UnitPath};
use crate::quadlet::plain::{Found, Reach};

/// All of it.
#[derive(Default)]
pub(in crate::engine) struct Gathered {
    pub(in crate::engine) found: Vec<Found>,
    pub(in crate::engine) reached: BTreeMap<String, Vec<Reach>>,
    /// By the names that Podman has for them.
    pub(in crate::engine) secrets: BTreeMap<String, Secret>,
    pub(in crate::engine) notes: Vec<String>,
}

impl Engine {
    pub(in crate::engine) async fn gather(&self) -> Result<Gathered, EngineError> {
        let mut gathered = Gathered::default();
        for app in self.reader().apps().await?.iter().filter(|app| !app.deleting) {
            match app.live {
                Some(live) => self.gather_app(app, &self.deployment(live).await?, &mut gathered)?,
                None => {
                    gathered.notes.push(format!("The app {} was never deployed: it is left out.", app.slug));
                }
            }
        }
        for database in self.reader().databases().await? {
            self.gather_database(&database, &mut gathered)?;
        }
        for service in self.reader().services().await?.iter().filter(|service| !service.deleting) {
            self.gather_service(service, &mut gathered).await?;
        }
        let projects: BTreeSet<Slug> = gathered.found.iter().map(|one| one.project.clone()).collect();
        for project in projects {
            self.take_units(&Owner::Project(project.clone()), &project, &mut gathered, |_| true)?;
        }
        Ok(gathered)
    }

    fn gather_app(&self, app: &App, live: &Deployment, gathered: &mut Gathered) -> Result<(), EngineError> {
        let project = &app.project.slug;
        let names: BTreeSet<String> =
            live.replicas().map(|(number, _)| format!("{}.container", live.replica_name(number))).collect();
        let wanted = |file: &str| names.contains(file) || file.ends_with(".volume");
        self.take_units(&Owner::App(app.slug.clone()), project, gathered, wanted)?;
        self.take_units(&Owner::Jobs(app.slug.clone()), project, gathered, |_| true)?;
        let sites = app.domains.iter().map(|domain| &domain.site);
        let hosts: Vec<String> = sites.filter(|site| site.redirect_to.is_none()).map(found_at).collect();
        for (number, _) in live.replicas() {
            let reach = Reach { port: live.settings.port.get(), hosts: hosts.clone() };
            gathered.reached.insert(live.replica_name(number), vec![reach]);
        }
        let given = self.given(live).map_err(|error| EngineError::Unavailable(error.to_string()))?;
        gathered.secrets.extend(given.secrets().map(|(name, value)| (name.to_owned(), value.clone())));
        Ok(())
    }

    fn gather_database(&self, database: &Database, gathered: &mut Gathered) -> Result<(), EngineError> {
        let owner = Owner::Database(database.slug.clone());
        // Backups are asked of rivetr.
        let quadlet = |file: &str| file.ends_with(".container") || file.ends_with(".volume");
        self.take_units(&owner, &database.project.slug, gathered, quadlet)?;
        let opened = self.open_database(database)?;
        for file in database::files(database.kind, &database.settings, &opened) {
            gathered.secrets.insert(database::secret_name(&database.slug, file.name), file.content);
        }
        if let Some(public) = &database.settings.public {
            gathered.notes.push(format!(
                "The database {} was reached from outside on port {}: add PublishPort={}:{} to its container, and let \
                 a firewall say who may come.",
                database.slug,
                public.port,
                public.port,
                database.kind.port()
            ));
        }
        if self.machine().units.read(&owner).is_ok_and(|files| files.keys().any(UnitPath::is_timer)) {
            gathered.notes.push(format!("Backups of the database {} are not made any more.", database.slug));
        }
        Ok(())
    }

    async fn gather_service(&self, service: &Service, gathered: &mut Gathered) -> Result<(), EngineError> {
        let Some((revision, secrets)) = self.live_secrets(service).await? else {
            gathered.notes.push(format!("The service {} never came up: it is left out.", service.slug));
            return Ok(());
        };
        let owner = Owner::Service(service.slug.clone());
        self.take_units(&owner, &service.project.slug, gathered, |_| true)?;
        for Domain { site, inlet, .. } in &service.domains {
            let Some(inlet) = inlet.as_ref().filter(|_| site.redirect_to.is_none()) else { continue };
            let (port, host) = (inlet.port.get(), found_at(site));
            let container = revision.parts.iter().find(|one| one.name == inlet.container);
            for unit in container.into_iter().flat_map(|one| &one.units) {
                let known = gathered.reached.entry(unit.clone()).or_default();
                match known.iter_mut().find(|reach| reach.port == port) {
                    Some(reach) => reach.hosts.push(host.clone()),
                    None => known.push(Reach { port, hosts: vec![host.clone()] }),
                }
            }
        }
        gathered.secrets.extend(secrets);
        Ok(())
    }

    /// Adds the units of an owner, with what people put beside them.
    fn take_units(
        &self,
        owner: &Owner,
        project: &Slug,
        gathered: &mut Gathered,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), EngineError> {
        let units = &self.machine().units;
        for (path, text) in units.read(owner).map_err(EngineError::internal)? {
            // The target of an app does nothing without its releases.
            if !wanted(path.file()) || path.file().ends_with(".target") {
                continue;
            }
            let beside = match path.place() {
                Place::Quadlet => units.dropins_of(&path),
                Place::Systemd => units.plain_dropins_of(path.file()),
            };
            let beside = beside.map_err(EngineError::internal)?.into_iter();
            let drop_ins =
                beside.filter_map(|(file, text)| Some((file.file_name()?.to_str()?.to_owned(), text)));
            let (owner, project) = (owner.clone(), project.clone());
            gathered.found.push(Found { owner, project, path, text, drop_ins: drop_ins.collect() });
        }
        Ok(())
    }
}

/// Where a site was found.
fn found_at(site: &Site) -> String {
    if site.path.is_root() { site.host.to_string() } else { format!("{}{}", site.host, site.path) }
}
