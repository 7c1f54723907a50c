//! Variables: sealed where they come in, opened where a build or a release needs them, and nowhere else.
//!
//! A value that cannot be opened is an error with its name; it is never taken for an empty one.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::{Engine, EngineError};
use crate::domain::app::{App, NewApp, Settings};
use crate::domain::deployment::Deployment;
use crate::domain::mount::{MountPath, MountedFile};
use crate::domain::name::EnvKey;
use crate::domain::secret::{Sealed, Secret};
use crate::domain::variable::{EnvValue, NewVariable, Owner, Usage, Variable};
use crate::store::SetVariablesError;
use crate::vault::{OpenError, SealError};

/// A variable as a person may see it.
#[derive(Debug)]
pub struct Shown {
    /// Its name.
    pub key: EnvKey,
    /// Its value, or why it cannot be opened; none: it is secret.
    pub value: Option<Result<EnvValue, Ungiven>>,
    /// Nobody is shown its value.
    pub secret: bool,
    /// When it is there.
    pub usage: Usage,
}

/// Why a build or a release does not get what it is set to get.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Ungiven {
    /// The value of a variable cannot be opened.
    #[error("the variable {} cannot be read: {why}; to go on, set it again", key.as_str())]
    Variable {
        /// Its name.
        key: EnvKey,
        /// Why.
        why: OpenError,
    },
    /// It was opened and is nothing that rivetr ever sealed there.
    #[error("the variable {} holds what no variable can hold; set it again", .0.as_str())]
    NoText(EnvKey),
    /// A mounted file cannot be opened.
    #[error("the mounted file {path} cannot be read: {why}; to go on, set it again")]
    File {
        /// Its path.
        path: MountPath,
        /// Why.
        why: OpenError,
    },
    /// All variables together are more than a process can be given.
    #[error(
        "the variables of the app, its environment and its project are together longer than {} bytes, which a \
         process cannot be given: mount large values as files, or remove some",
        EnvValue::ALL_MAX
    )]
    TooLong,
}

/// How something that two deployments may have differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Only the later one has it.
    Added,
    /// Only the earlier one has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

impl Engine {
    /// The variables and mounted files that differ between the settings of two deployments, by name alone.
    #[must_use]
    pub fn changed_variables(&self, before: &Settings, after: &Settings) -> Vec<(String, Difference)> {
        let same = |a: &Variable, b: &Variable| {
            // Sealed anew, the same value is other bytes.
            let values = || self.open_variable(a).ok().zip(self.open_variable(b).ok());
            a.secret == b.secret
                && a.usage == b.usage
                && (a.value == b.value || values().is_some_and(|(a, b)| a.secret() == b.secret()))
        };
        let same_file = |a: &MountedFile, b: &MountedFile| {
            let contents = || self.open_file(a).ok().zip(self.open_file(b).ok());
            a == b || contents().is_some_and(|(a, b)| a == b)
        };
        let named = |variable: &Variable| variable.key.as_str().to_owned();
        let mut found = differences(&before.variables, &after.variables, named, same);
        found.extend(differences(&before.files, &after.files, |file| file.path.to_string(), same_file));
        found
    }

    /// The variables of an owner, by name.
    pub async fn variables(&self, owner: &Owner) -> Result<Vec<Shown>, EngineError> {
        let found = self.reader().variables(owner).await?.ok_or_else(|| no_owner(owner))?;
        Ok(found.into_iter().map(|variable| self.shown(variable)).collect())
    }

    /// Sets variables, all or none; with `replace`, those that are not among them go. A deployment gets them.
    pub async fn set_variables(
        &self,
        owner: &Owner,
        new: Vec<NewVariable>,
        replace: bool,
    ) -> Result<(), EngineError> {
        let _sealing = self.0.sealing.read().await;
        let sealed = new.into_iter().map(|new| self.sealed(new)).collect::<Result<Vec<_>, _>>()?;
        let set = self.0.writer.set_variables(owner, sealed, replace).await;
        set.map_err(|error| unset(error, owner))
    }

    /// Removes a variable.
    pub async fn unset_variable(&self, owner: &Owner, key: &EnvKey) -> Result<(), EngineError> {
        let removed = self.0.writer.unset_variable(owner, key).await;
        if removed.map_err(|error| unset(error, owner))? {
            return Ok(());
        }
        Err(EngineError::NotFound { what: "variable", name: key.as_str().to_owned() })
    }

    /// What the build of a deployment gets: name, value, and whether it is secret.
    pub fn build_variables(&self, deployment: &Deployment) -> Result<Vec<(EnvKey, Secret, bool)>, Ungiven> {
        let variables = deployment.settings.variables.iter().filter(|variable| variable.usage.builds());
        let open = |variable: &Variable| {
            let value = self.open_variable(variable)?.secret();
            Ok((variable.key.clone(), value, variable.secret))
        };
        variables.map(open).collect()
    }

    /// The value of a variable.
    pub(super) fn open_variable(&self, variable: &Variable) -> Result<EnvValue, Ungiven> {
        let key = &variable.key;
        let opened = self.vault().open(&Variable::place(key), &variable.value);
        let opened = opened.map_err(|why| Ungiven::Variable { key: key.clone(), why })?;
        let value = str::from_utf8(opened.reveal()).ok().and_then(|text| EnvValue::parse(text).ok());
        value.ok_or_else(|| Ungiven::NoText(key.clone()))
    }

    /// What stands in a mounted file.
    pub(super) fn open_file(&self, file: &MountedFile) -> Result<Secret, Ungiven> {
        let opened = self.vault().open(&MountedFile::place(&file.path), &file.content);
        opened.map_err(|why| Ungiven::File { path: file.path.clone(), why })
    }

    /// Seals the first variables of a new app.
    pub(super) fn seal_first(&self, new: &mut NewApp) -> Result<(), EngineError> {
        for variable in std::mem::take(&mut new.variables) {
            let NewVariable { key, value, secret, usage } = self.sealed(variable)?;
            let (secret, usage) = (secret.unwrap_or_default(), usage.unwrap_or_default());
            new.settings.variables.push(Variable { key, value, secret, usage });
        }
        Ok(())
    }

    /// What rivetr tells an app about where it stands at the time of a deployment. It is kept with the deployment:
    /// a release does not change because a host was added.
    pub(super) async fn injected(&self, app: &App) -> Result<Vec<Variable>, EngineError> {
        let url = self.urls(app).into_iter().next();
        let environment = Some(app.environment.to_string());
        let all = [("RIVETR_ENV", environment), ("RIVETR_URL", url)];
        let seal = |(name, value): (&str, String)| {
            let key = EnvKey::parse(name).map_err(EngineError::internal)?;
            let value = self.vault().seal(&Variable::place(&key), &Secret::from(value.as_str()))?;
            Ok(Variable { key, value, secret: false, usage: Usage::Run })
        };
        let own = all.into_iter().filter_map(|(name, value)| Some((name, value?))).map(seal);
        let mut all = own.collect::<Result<Vec<_>, EngineError>>()?;
        all.extend(self.told_of_databases(app).await?);
        Ok(all)
    }

    fn sealed(&self, new: NewVariable) -> Result<NewVariable<Sealed>, EngineError> {
        let NewVariable { key, value, secret, usage } = new;
        let value = self.vault().seal(&Variable::place(&key), &value.secret())?;
        Ok(NewVariable { key, value, secret, usage })
    }

    fn shown(&self, variable: Variable) -> Shown {
        let value = (!variable.secret).then(|| self.open_variable(&variable));
        let Variable { key, value: _, secret, usage } = variable;
        Shown { key, value, secret, usage }
    }
}

fn differences<T>(
    before: &[T],
    after: &[T],
    name: impl Fn(&T) -> String,
    same: impl Fn(&T, &T) -> bool,
) -> Vec<(String, Difference)> {
    let old: BTreeMap<String, &T> = before.iter().map(|one| (name(one), one)).collect();
    let new: BTreeMap<String, &T> = after.iter().map(|one| (name(one), one)).collect();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let difference = |key: &String| match (old.get(key), new.get(key)) {
        (None, _) => Some(Difference::Added),
        (_, None) => Some(Difference::Removed),
        (Some(a), Some(b)) => (!same(a, b)).then_some(Difference::Changed),
    };
    names.into_iter().filter_map(|key| Some((key.clone(), difference(key)?))).collect()
}

impl From<SealError> for EngineError {
    fn from(error: SealError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn unset(error: SetVariablesError, owner: &Owner) -> EngineError {
    match error {
        SetVariablesError::NoOwner => no_owner(owner),
        SetVariablesError::TooLong => EngineError::Invalid { field: "variables", message: error.to_string() },
        SetVariablesError::Store(error) => error.into(),
    }
}

fn no_owner(owner: &Owner) -> EngineError {
    let (what, name) = match owner {
        Owner::Project(slug) => ("project", slug.to_string()),
        Owner::Environment { project, environment } => ("environment", format!("{environment} of {project}")),
        Owner::App(id) => ("app", id.0.to_string()),
    };
    EngineError::NotFound { what, name }
}
