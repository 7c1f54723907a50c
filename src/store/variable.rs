//! Variables of projects, environments and apps. Values come sealed and stay so.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::app::AppId;
use crate::domain::name::EnvKey;
use crate::domain::secret::Sealed;
use crate::domain::variable::{NewVariable, Owner, Usage, Variable, merge};

/// Names and sealed values of one owner together, in bytes: more than `execve` takes, with room for the seals.
const OWNER_MAX: i64 = 2_000_000;

/// Why variables could not be set; none of them was.
#[derive(Debug, Error)]
pub enum SetVariablesError {
    /// There is no such project, environment or app.
    #[error("there is no such project, environment or app")]
    NoOwner,
    /// They would be more than a process can be given.
    #[error(
        "all variables together would be longer than a process can be given: mount large values as files, or \
         remove some"
    )]
    TooLong,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Sets variables, all or none. With `replace`, those that are not among them go.
    pub async fn set_variables(
        &self,
        owner: &Owner,
        new: Vec<NewVariable<Sealed>>,
        replace: bool,
    ) -> Result<(), SetVariablesError> {
        let owner = owner.clone();
        self.write(move |tx| set(tx, &owner, &new, replace)).await
    }

    /// Removes a variable; false: there is none of that name.
    pub async fn unset_variable(&self, owner: &Owner, key: &EnvKey) -> Result<bool, SetVariablesError> {
        let (owner, key) = (owner.clone(), key.clone());
        self.write(move |tx| {
            let at = resolve(tx, &owner)?.ok_or(SetVariablesError::NoOwner)?;
            Ok(remove(tx, at, &key)?)
        })
        .await
    }
}

impl Reader {
    /// The variables of an owner, by name; none: there is no such owner.
    pub async fn variables(&self, owner: &Owner) -> Result<Option<Vec<Variable>>, StoreError> {
        let owner = owner.clone();
        self.read(move |tx| resolve(tx, &owner)?.map(|at| of(tx, at)).transpose()).await
    }

    /// What the next deployment of an app would carry: those of its project, its environment and its own, over what
    /// it is told.
    pub async fn carried(&self, app: AppId, told: Vec<Variable>) -> Result<Vec<Variable>, StoreError> {
        self.read(move |tx| Ok(merge(std::iter::once(told).chain(levels(tx, app)?)))).await
    }
}

/// An owner as its column and number.
#[derive(Debug, Clone, Copy)]
struct At {
    column: &'static str,
    id: i64,
}

fn resolve(tx: &Transaction<'_>, owner: &Owner) -> Result<Option<At>, StoreError> {
    let one = |row: &Row<'_>| row.get::<_, i64>(0);
    let (column, id) = match owner {
        Owner::Project(slug) => {
            ("project", tx.query_row("SELECT id FROM project WHERE slug = ?1", [slug.as_str()], one))
        }
        Owner::Environment { project, environment } => (
            "environment",
            tx.query_row(
                "SELECT environment.id FROM environment JOIN project ON project.id = environment.project \
                 WHERE project.slug = ?1 AND environment.slug = ?2",
                [project.as_str(), environment.as_str()],
                one,
            ),
        ),
        Owner::App(id) => ("app", tx.query_row("SELECT id FROM app WHERE id = ?1", [id.0], one)),
    };
    Ok(id.optional()?.map(|id| At { column, id }))
}

fn set(
    tx: &Transaction<'_>,
    owner: &Owner,
    new: &[NewVariable<Sealed>],
    replace: bool,
) -> Result<(), SetVariablesError> {
    let at = resolve(tx, owner)?.ok_or(SetVariablesError::NoOwner)?;
    if replace {
        let kept: BTreeSet<&EnvKey> = new.iter().map(|new| &new.key).collect();
        for old in of(tx, at)?.iter().filter(|old| !kept.contains(&old.key)) {
            remove(tx, at, &old.key)?;
        }
    }
    for new in new {
        upsert(tx, at, new)?;
    }
    if length(tx, at)? > OWNER_MAX {
        return Err(SetVariablesError::TooLong);
    }
    Ok(())
}

fn upsert(tx: &Transaction<'_>, At { column, id }: At, new: &NewVariable<Sealed>) -> Result<(), StoreError> {
    let NewVariable { key, value, secret, usage } = new;
    tx.prepare_cached(&format!(
        "INSERT INTO variable ({column}, key, value, secret, usage) \
         VALUES (?1, ?2, ?3, coalesce(?4, 0), coalesce(?5, ?6)) ON CONFLICT ({column}, key) DO UPDATE SET \
         value = excluded.value, secret = coalesce(?4, secret), usage = coalesce(?5, usage)"
    ))?
    .execute((
        id,
        key.as_str(),
        &value.0,
        secret,
        usage.map(Usage::as_str),
        Usage::default().as_str(),
    ))?;
    Ok(())
}

fn remove(tx: &Transaction<'_>, At { column, id }: At, key: &EnvKey) -> Result<bool, StoreError> {
    let sql = format!("DELETE FROM variable WHERE {column} = ?1 AND key = ?2");
    Ok(tx.prepare_cached(&sql)?.execute((id, key.as_str()))? > 0)
}

fn length(tx: &Transaction<'_>, At { column, id }: At) -> Result<i64, StoreError> {
    let sql =
        format!("SELECT coalesce(sum(length(key) + length(value)), 0) FROM variable WHERE {column} = ?1");
    Ok(tx.query_row(&sql, [id], |row| row.get(0))?)
}

fn of(tx: &Transaction<'_>, At { column, id }: At) -> Result<Vec<Variable>, StoreError> {
    let sql = format!("SELECT key, value, secret, usage FROM variable WHERE {column} = ?1 ORDER BY key");
    row::all(tx, &sql, [id], read)
}

fn read(row: &Row<'_>) -> Result<Variable, StoreError> {
    Ok(Variable {
        key: row::parsed(row, "key", EnvKey::parse)?,
        value: Sealed(row::number(row, "value")?),
        secret: row::number(row, "secret")?,
        usage: row::parsed(row, "usage", row::word(Usage::parse))?,
    })
}

/// What a deployment of an app gets: those of its project, its environment and itself, in this order.
pub(super) fn levels(tx: &Transaction<'_>, app: AppId) -> Result<[Vec<Variable>; 3], StoreError> {
    let (project, environment) = tx.query_row(
        "SELECT app.project, environment.id FROM app JOIN environment \
         ON environment.project = app.project AND environment.slug = app.environment WHERE app.id = ?1",
        [app.0],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok([
        of(tx, At { column: "project", id: project })?,
        of(tx, At { column: "environment", id: environment })?,
        of(tx, At { column: "app", id: app.0 })?,
    ])
}

/// Gives a new app its first variables.
pub(super) fn insert_first(
    tx: &Transaction<'_>,
    app: AppId,
    variables: &[Variable],
) -> Result<(), StoreError> {
    for Variable { key, value, secret, usage } in variables {
        let new = NewVariable {
            key: key.clone(),
            value: value.clone(),
            secret: Some(*secret),
            usage: Some(*usage),
        };
        upsert(tx, At { column: "app", id: app.0 }, &new)?;
    }
    Ok(())
}

/// The names of an app's own variables.
pub(super) fn names(connection: &Connection, app: AppId) -> Result<Vec<EnvKey>, StoreError> {
    let sql = "SELECT key FROM variable WHERE app = ?1 ORDER BY key";
    row::all(connection, sql, [app.0], |row| row::parsed(row, "key", EnvKey::parse))
}

/// The same of every app that has any.
pub(super) fn names_by_app(connection: &Connection) -> Result<BTreeMap<AppId, Vec<EnvKey>>, StoreError> {
    let sql = "SELECT app, key FROM variable WHERE app IS NOT NULL ORDER BY key";
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (app, key) in row::all(connection, sql, [], |row| {
        Ok((AppId(row::number(row, "app")?), row::parsed(row, "key", EnvKey::parse)?))
    })? {
        found.entry(app).or_default().push(key);
    }
    Ok(found)
}

/// Forgets the variables of an app.
pub(super) fn forget(tx: &Transaction<'_>, app: AppId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM variable WHERE app = ?1", [app.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Wish;
    use super::super::testing::{Fixture, new_app, slug};
    use super::*;

    fn key(text: &str) -> EnvKey {
        EnvKey::parse(text).unwrap()
    }

    fn new(name: &str, value: u8) -> NewVariable<Sealed> {
        NewVariable { key: key(name), value: Sealed(vec![value]), secret: None, usage: None }
    }

    fn shown(variables: &[Variable]) -> Vec<(&str, u8, bool, Usage)> {
        let shown = |variable: &Variable| (variable.value.0[0], variable.secret, variable.usage);
        let all = variables.iter().map(|one| (one.key.as_str(), shown(one)));
        all.map(|(key, (value, secret, usage))| (key, value, secret, usage)).collect()
    }

    #[tokio::test]
    async fn what_is_set_is_read_and_what_is_not_said_stays() {
        let store = Fixture::new();
        let owner = Owner::App(store.app("blog").await.id);
        let token = NewVariable { secret: Some(true), usage: Some(Usage::Both), ..new("TOKEN", 1) };
        store.writer.set_variables(&owner, vec![token, new("PLAIN", 2)], true).await.unwrap();
        let first = store.reader.variables(&owner).await.unwrap().unwrap();
        let plain = ("PLAIN", 2, false, Usage::Run);
        assert_eq!(shown(&first), [plain, ("TOKEN", 1, true, Usage::Both)], "GREETING is replaced");

        store.writer.set_variables(&owner, vec![new("TOKEN", 3)], false).await.unwrap();
        let second = store.reader.variables(&owner).await.unwrap().unwrap();
        assert_eq!(shown(&second), [plain, ("TOKEN", 3, true, Usage::Both)], "a secret stays one");

        assert!(store.writer.unset_variable(&owner, &key("PLAIN")).await.unwrap());
        assert!(!store.writer.unset_variable(&owner, &key("PLAIN")).await.unwrap());
        let app = store.reader.app(&slug("blog")).await.unwrap().unwrap();
        assert_eq!(app.variables, [key("TOKEN")]);
    }

    #[tokio::test]
    async fn too_much_is_refused_whole_and_an_owner_must_exist() {
        let store = Fixture::new();
        let owner = Owner::App(store.app("blog").await.id);
        let long = NewVariable { value: Sealed(vec![0; 1_000_000]), ..new("LONG", 0) };
        store.writer.set_variables(&owner, vec![long.clone()], false).await.unwrap();
        let refused = store
            .writer
            .set_variables(&owner, vec![new("A", 1), NewVariable { key: key("MORE"), ..long }], false)
            .await;
        assert!(matches!(refused, Err(SetVariablesError::TooLong)));
        let names = store.reader.app(&slug("blog")).await.unwrap().unwrap().variables;
        assert_eq!(names, [key("GREETING"), key("LONG")]);
        let staging = Owner::Environment { project: slug("default"), environment: slug("staging") };
        for nobody in [Owner::App(AppId(99)), Owner::Project(slug("other")), staging] {
            assert_eq!(store.reader.variables(&nobody).await.unwrap(), None);
            let refused = store.writer.set_variables(&nobody, vec![new("A", 1)], false).await;
            assert!(matches!(refused, Err(SetVariablesError::NoOwner)), "{nobody:?}");
        }
    }

    #[tokio::test]
    async fn a_deployment_takes_a_copy_in_which_the_nearest_wins() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        store.project("other").await;
        let (project, own) = (Owner::Project(slug("default")), Owner::App(app.id));
        let environment = Owner::Environment { project: slug("default"), environment: slug("production") };
        for (owner, variables) in [
            (&project, vec![new("A", 1), new("B", 1), new("C", 1), new("I", 1)]),
            (&environment, vec![new("B", 2), new("C", 2)]),
            (&own, vec![new("C", 3)]),
            (&Owner::Project(slug("other")), vec![new("D", 4)]),
        ] {
            store.writer.set_variables(owner, variables, true).await.unwrap();
        }
        let injected = ["I", "J"].map(|name| Variable {
            key: key(name),
            value: Sealed(vec![0]),
            secret: false,
            usage: Usage::Run,
        });
        let asked = crate::domain::deployment::Trigger::Request;
        let now = super::super::testing::NOW;
        let enqueued = store
            .writer
            .enqueue(app.id, Wish { injected: injected.to_vec(), ..Wish::of(asked) }, now)
            .await
            .unwrap();
        let variables = &enqueued.deployment.settings.variables;
        let values: Vec<_> = shown(variables).iter().map(|(name, value, ..)| (*name, *value)).collect();
        assert_eq!(values, [("A", 1), ("B", 2), ("C", 3), ("I", 1), ("J", 0)]);

        store.writer.set_variables(&own, vec![], true).await.unwrap();
        let kept = store.reader.deployment(enqueued.deployment.id).await.unwrap().unwrap();
        assert_eq!(&kept.settings.variables, variables, "it keeps what it was asked for with");
    }

    #[tokio::test]
    async fn nothing_of_a_deleted_app_is_left() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let mark = b"this is sealed and goes".to_vec();
        let sealed = NewVariable { value: Sealed(mark.clone()), ..new("A", 1) };
        store.writer.set_variables(&Owner::App(app.id), vec![sealed], true).await.unwrap();
        let there = |bytes: &[u8]| bytes.windows(mark.len()).any(|part| part == mark);
        assert!(there(&store.copy_of_everything()));
        store.writer.begin_deletion(app.id, false).await.unwrap();
        store.writer.finish_deletion(app.id).await.unwrap();
        assert!(!there(&store.copy_of_everything()));
        let again = store.writer.create_app(new_app("blog"), None, super::super::testing::NOW).await.unwrap();
        assert_eq!(again.variables, [key("GREETING")]);
    }
}
