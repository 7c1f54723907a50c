//! A repository elsewhere as forms have it: what of it is deployed, and how it is opened. `templates/repository.html` shows
//! it for apps and for services.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::error::PageError;
use crate::api::wire::{GitOptions, Hidden};
use crate::domain::person::TeamId;
use crate::domain::source::{GitAccess, GitSource, Reference};
use crate::store::Reader;

/// The fields.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RepositoryFields {
    pub git: String,
    /// What the reference is: `branch`, `tag` or `commit`.
    pub at: String,
    pub reference: String,
    pub git_key: String,
    pub git_token: String,
    pub git_token_user: String,
    #[serde(deserialize_with = "ticked")]
    pub submodules: bool,
    #[serde(deserialize_with = "ticked")]
    pub lfs: bool,
}

impl fmt::Debug for RepositoryFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryFields").field("git", &self.git).finish_non_exhaustive()
    }
}

/// A box that is ticked. Fields that stand in another form are read as text.
fn ticked<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    String::deserialize(deserializer).map(|text| text == "true")
}

impl RepositoryFields {
    /// A repository as it is; its token is not shown.
    pub fn of(git: &GitSource) -> Self {
        let (at, reference) = match &git.reference {
            Reference::Branch(branch) => ("branch", branch.as_str()),
            Reference::Tag(tag) => ("tag", tag.as_str()),
            Reference::Commit(commit) => ("commit", commit.as_str()),
        };
        let (git_key, git_token_user) = match &git.access {
            GitAccess::Public => (String::new(), String::new()),
            GitAccess::Token { user, token: _ } => (String::new(), user.as_str().to_owned()),
            GitAccess::Key(name) => (name.to_string(), String::new()),
        };
        Self {
            git: git.url.to_string(),
            at: at.to_owned(),
            reference: reference.to_owned(),
            git_key,
            git_token: String::new(),
            git_token_user,
            submodules: git.submodules,
            lfs: git.lfs,
        }
    }

    /// What the API is asked for besides the address.
    pub fn options(&self) -> GitOptions {
        let Self { git: _, at, reference, git_key, git_token, git_token_user, submodules, lfs } = self;
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut options = GitOptions {
            git_key: some(git_key),
            git_token: some(git_token).map(Hidden),
            // A name alone goes with the token that is there.
            git_token_user: some(git_token_user).filter(|_| !git_token.trim().is_empty()),
            submodules: *submodules,
            lfs: *lfs,
            ..GitOptions::default()
        };
        match at.as_str() {
            "tag" => options.tag = Some(reference.trim().to_owned()),
            "commit" => options.commit = Some(reference.trim().to_owned()),
            _ => options.branch = some(reference),
        }
        options
    }

    /// What may be written down of it: the token may not.
    pub fn said(&self) -> Value {
        let Self { git, at, reference, git_key, git_token: _, git_token_user: _, submodules, lfs } = self;
        json!({ "git": git, at.as_str(): reference, "git_key": git_key, "submodules": submodules, "lfs": lfs })
    }

    /// The same without the token, to be shown again.
    pub fn without_token(self) -> Self {
        Self { git_token: String::new(), ..self }
    }
}

/// Keeps the token that is there, where none was typed and the address is the same.
pub(super) fn keep_token(new: &mut GitSource, before: &GitSource) {
    if let (GitAccess::Public, GitAccess::Token { .. }) = (&new.access, &before.access)
        && new.url == before.url
    {
        new.access = before.access.clone();
    }
}

/// The names of the keys that these teams have.
pub(super) async fn keys(reader: &Reader, has: impl Fn(TeamId) -> bool) -> Result<Vec<String>, PageError> {
    let keys = reader.keys().await?.into_iter().filter(|key| has(key.team));
    Ok(keys.map(|key| key.name.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_shown_and_sent_again() {
        let text =
            "git=https%3A%2F%2Fexample.org%2Fa.git&at=tag&reference=v1&submodules=true&git_token=canary";
        let typed: RepositoryFields = serde_html_form::from_str(text).unwrap();
        assert!(!format!("{typed:?}{}", typed.said()).contains("canary"));
        let options = typed.options();
        assert_eq!((options.tag.as_deref(), options.branch), (Some("v1"), None));
        assert!(options.submodules && !options.lfs && options.git_token.is_some());
        assert_eq!(typed.without_token().options().git_token, None);
        let blank: RepositoryFields = serde_html_form::from_str("at=branch&reference=").unwrap();
        assert_eq!(blank.options(), GitOptions::default());
    }
}
