//! Databases: what people do with them. What brings a database to where it should be is [`tend`].

mod inside;
mod links;
mod log;
mod preview;
mod standing;
mod tend;
mod trash;

use super::{Engine, EngineError};
use crate::domain::database::{Credentials, Database, DatabaseKind, DatabaseWord, Settings, Wish};
use crate::domain::image::ImageRef;
use crate::domain::name::Slug;
use crate::domain::quota::OverQuota;
use crate::domain::secret::Secret;
use crate::host::sockets::port_is_free;
use crate::quadlet::database::Opened;
use crate::quadlet::path::Owner;
use crate::store::{DatabaseError, NewDatabase};

pub use self::links::Linked;
pub use self::standing::DatabaseStanding;
pub use self::trash::KEPT;

/// A database that somebody wants.
#[derive(Debug, Clone)]
pub struct WantedDatabase {
    /// Its name.
    pub slug: Slug,
    /// The name of its project.
    pub project: Slug,
    /// What kind of server it is.
    pub kind: DatabaseKind,
    /// How it runs.
    pub settings: Settings,
    /// The user; none: called like it.
    pub user: Option<DatabaseWord>,
    /// The database within the server; none: called like it.
    pub database: Option<DatabaseWord>,
}

/// How many random bytes a password has; it is written in hexadecimal digits, which need no escaping anywhere.
const PASSWORD_LEN: usize = 16;

impl Engine {
    /// Creates a database with new passwords and begins to bring it up.
    pub async fn create_database(&self, wanted: WantedDatabase) -> Result<Database, EngineError> {
        let WantedDatabase { slug, project, kind, settings, user, database } = wanted;
        if !kind.has_names() && (user.is_some() || database.is_some()) {
            let message = format!("{} knows no users and databases by name: leave them out", kind.title());
            return Err(EngineError::Invalid { field: "user", message });
        }
        let _alone = self.0.changing.lock().await;
        self.check_public(None, &settings).await?;
        let (usual_user, usual_database) = kind.names(&slug);
        let volume = format!("rivetr-db-{slug}_{}", &random_hex()?[..8]);
        let place = Credentials::place(&volume);
        let _sealing = self.0.sealing.read().await;
        let new_password =
            || Ok::<_, EngineError>(self.vault().seal(&place, &Secret::from(&*random_hex()?))?);
        let credentials = Credentials {
            user: user.unwrap_or(usual_user),
            database: database.unwrap_or(usual_database),
            password: new_password()?,
            root_password: new_password()?,
        };
        let new = NewDatabase { slug, project, kind, settings, credentials, volume, scratch: false };
        let database = self.0.writer.create_database(new, self.now()).await?;
        if database.settings.public.is_some() {
            self.publish_routes().await?;
        }
        self.tend_soon(database.id, true);
        Ok(database)
    }

    /// The database of that name.
    pub async fn database(&self, slug: &Slug) -> Result<Database, EngineError> {
        let found = self.reader().database(slug).await?;
        found.ok_or_else(|| EngineError::NotFound { what: "database", name: slug.to_string() })
    }

    /// The passwords of a database, opened.
    pub fn open_database(&self, database: &Database) -> Result<Opened, EngineError> {
        let place = Credentials::place(&database.volume);
        let open = |sealed| {
            self.vault().open(&place, sealed).map_err(|error| {
                EngineError::Unavailable(format!(
                    "the passwords of the database {} cannot be read: {error}",
                    database.slug
                ))
            })
        };
        Ok(Opened {
            password: open(&database.credentials.password)?,
            root_password: open(&database.credentials.root_password)?,
        })
    }

    /// Changes how a database runs. New limits bind it at once; for anything else it is started anew. What another image makes
    /// of the data cannot be undone, so they are backed up first, unless that is not wanted.
    pub async fn change_database<E: From<EngineError>>(
        &self,
        slug: &Slug,
        without_backup: bool,
        change: impl Fn(&Database) -> Result<Settings, E>,
    ) -> Result<Database, E> {
        let now = self.database(slug).await?;
        let wanted = change(&now)?;
        if wanted.image != now.settings.image && !without_backup {
            self.check_database_change(&now, &wanted).await?;
            self.backup_before(&now).await?;
        }
        let _alone = self.0.changing.lock().await;
        let before = self.database(slug).await?;
        let settings = change(&before)?;
        Ok(self.store_database_change(&before, settings).await?)
    }

    /// Refuses what a database cannot be.
    async fn check_database_change(&self, before: &Database, settings: &Settings) -> Result<(), EngineError> {
        self.check_public(Some(before), settings).await?;
        self.refuse_drift(&[owner(before)]).await?;
        if settings.image != before.settings.image {
            refuse_other_major(before.kind, &before.settings.image, &settings.image)?;
        }
        Ok(())
    }

    async fn store_database_change(
        &self,
        before: &Database,
        settings: Settings,
    ) -> Result<Database, EngineError> {
        self.check_database_change(before, &settings).await?;
        let after = self.0.writer.set_database_settings(before.id, settings).await?;
        if after.settings == before.settings {
            return Ok(after);
        }
        if after.settings.public != before.settings.public {
            self.publish_routes().await?;
        }
        if after.settings.image != before.settings.image || after.settings.config != before.settings.config {
            // Who pulls an image that is wanted no more hears of it.
            self.stir();
            self.restart_soon(&after);
        } else {
            self.tend_soon(after.id, false);
        }
        Ok(after)
    }

    /// Fetches the image of a database anew; where its tag names another one by now, that runs from then on.
    pub async fn upgrade_database(&self, slug: &Slug) -> Result<Database, EngineError> {
        let database = self.database(slug).await?;
        self.refuse_drift(&[owner(&database)]).await?;
        self.renew_image(&database).await?;
        self.database(slug).await
    }

    /// Starts a database that was stopped.
    pub async fn start_database(&self, slug: &Slug) -> Result<Database, EngineError> {
        let database = self.database(slug).await?;
        self.refuse_drift(&[owner(&database)]).await?;
        self.0.writer.set_database_wish(database.id, Wish::Run).await?;
        self.tend_soon(database.id, true);
        self.database(slug).await
    }

    /// Stops a database; returns when it has stopped. It stays so until it is started.
    pub async fn stop_database(&self, slug: &Slug) -> Result<Database, EngineError> {
        let database = self.database(slug).await?;
        self.0.writer.set_database_wish(database.id, Wish::Stop).await?;
        // Whoever waits for its start holds the lock, and lets go when the unit is stopped; who pulls, when it hears of it.
        self.stir();
        self.halt_database(&database).await?;
        self.tend(database.id, false).await?;
        self.database(slug).await
    }

    /// Stops a database and starts it again.
    pub async fn restart_database(&self, slug: &Slug) -> Result<Database, EngineError> {
        let database = self.database(slug).await?;
        self.refuse_drift(&[owner(&database)]).await?;
        self.0.writer.set_database_wish(database.id, Wish::Run).await?;
        self.restart_soon(&database);
        self.database(slug).await
    }

    /// Gives a database another name. It is started anew, and so are the apps that are told of it.
    pub async fn rename_database(&self, slug: &Slug, to: Slug) -> Result<Database, EngineError> {
        let before = self.database(slug).await?;
        if to == before.slug {
            return Ok(before);
        }
        self.refuse_drift(&[owner(&before)]).await?;
        // Looked up before anything stops; the store looks again.
        if self.reader().database(&to).await?.is_some() {
            return Err(DatabaseError::NameTaken(to).into());
        }
        let after = {
            // Whoever waits for its start holds the lock, and lets go when the unit is stopped; who pulls, when it hears
            // of this.
            let _renaming = self.begin_renaming(before.id);
            self.halt_database(&before).await?;
            let _alone = self.0.tending.take(before.id).await;
            self.halt_database(&before).await?;
            let after = self.0.writer.rename_database(before.id, to).await?;
            self.move_database_units(&before, &after).await?;
            after
        };
        self.stir_backups();
        self.tend_soon(after.id, true);
        self.tell_linked_apps(after.id).await?;
        Ok(after)
    }

    /// Gives the user of a database a new password, made here; what is told of it is started anew.
    pub async fn change_database_password(&self, slug: &Slug) -> Result<Database, EngineError> {
        let database = self.database(slug).await?;
        self.refuse_drift(&[owner(&database)]).await?;
        let password = random_hex()?;
        self.set_password_inside(&database, &password).await?;
        {
            let _sealing = self.0.sealing.read().await;
            let place = Credentials::place(&database.volume);
            let sealed = self.vault().seal(&place, &Secret::from(&*password))?;
            self.0.writer.set_database_password(database.id, sealed).await?;
        }
        let database = self.database(slug).await?;
        self.restart_soon(&database);
        self.tell_linked_apps(database.id).await?;
        Ok(database)
    }

    /// Refuses a public port that something else of rivetr's has.
    async fn check_public(&self, before: Option<&Database>, settings: &Settings) -> Result<(), EngineError> {
        let Some(public) = &settings.public else { return Ok(()) };
        if before
            .is_some_and(|before| before.settings.public.as_ref().is_some_and(|old| old.port == public.port))
        {
            return Ok(());
        }
        let port = public.port.get();
        let conflict = |message| Err(EngineError::Conflict { field: "public_port", message });
        if self.0.settings.own_ports.contains(&port) {
            return conflict(format!("rivetr itself listens on port {port}: choose another one"));
        }
        let wanted = public.as_published();
        let taken = self.ports_of_others(None).await?;
        if let Some((_, owner)) = taken.iter().find(|(taken, _)| taken.collides_with(&wanted)) {
            return conflict(format!("the {owner} has port {port} of the host: choose another one"));
        }
        if !port_is_free(port) {
            return conflict(format!(
                "another program of this host listens on port {port}: choose another one"
            ));
        }
        Ok(())
    }
}

/// The major version of a tag that begins with a number.
fn major(image: &ImageRef) -> Option<(String, u32)> {
    let text = image.to_string();
    let (name, tag) = text.rsplit_once(':')?;
    let digits: String = tag.chars().take_while(char::is_ascii_digit).collect();
    Some((name.to_owned(), digits.parse().ok()?))
}

/// The files of one major version of `PostgreSQL` and `MongoDB` mean nothing to the next; others bring theirs up to date,
/// and none can go back.
fn refuse_other_major(kind: DatabaseKind, from: &ImageRef, to: &ImageRef) -> Result<(), EngineError> {
    let (Some((old_name, old)), Some((new_name, new))) = (major(from), major(to)) else { return Ok(()) };
    if old_name != new_name || old == new {
        return Ok(());
    }
    let rigid = matches!(kind, DatabaseKind::Postgres | DatabaseKind::Mongodb);
    if new > old && !rigid {
        return Ok(());
    }
    let message = format!(
        "{} {new} cannot read the files of {old}: create another database of that version, restore a backup of this \
         one into it, and link your apps to it",
        kind.title()
    );
    Err(EngineError::Invalid { field: "image", message })
}

fn random_hex() -> Result<String, EngineError> {
    let mut bytes = [0; PASSWORD_LEN];
    getrandom::fill(&mut bytes)
        .map_err(|error| EngineError::Unavailable(format!("the system gives no random bytes: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Whose units a database's are.
fn owner(database: &Database) -> Owner {
    Owner::Database(database.slug.clone())
}

impl From<DatabaseError> for EngineError {
    fn from(error: DatabaseError) -> Self {
        let message = error.to_string();
        match error {
            DatabaseError::NameTaken(_) => Self::Conflict { field: "name", message },
            DatabaseError::PortTaken { .. } => Self::Conflict { field: "public_port", message },
            DatabaseError::NoProject(_) => Self::Invalid { field: "project", message },
            DatabaseError::Gone => Self::NotFound { what: "database", name: String::new() },
            DatabaseError::OverQuota(OverQuota { field, .. }) => {
                // Its own fields stand in no part of a request.
                Self::Invalid { field: field.rsplit('.').next().unwrap_or(field), message }
            }
            DatabaseError::Allocate(_) => Self::Conflict { field: "project", message },
            DatabaseError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_cannot_read_the_files_is_refused() {
        let check = |kind, from: &str, to: &str| {
            let image = |text| ImageRef::parse(text).unwrap();
            refuse_other_major(kind, &image(from), &image(to)).is_ok()
        };
        assert!(check(DatabaseKind::Postgres, "postgres:17.1", "postgres:17.2"));
        assert!(!check(DatabaseKind::Postgres, "postgres:17", "postgres:18"));
        assert!(!check(DatabaseKind::Postgres, "postgres:17", "postgres:16"));
        assert!(check(DatabaseKind::Mariadb, "mariadb:10.11", "mariadb:11.8"));
        assert!(!check(DatabaseKind::Mariadb, "mariadb:11.8", "mariadb:10.11"));
        assert!(check(DatabaseKind::Postgres, "postgres:17", "example.org/mine:1"), "nobody can tell");
    }
}
