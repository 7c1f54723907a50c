//! Where an app's code comes from, as the JSON that stands in a column.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::domain::image::ImageRef;
use crate::domain::instructions::Instructions;
use crate::domain::name::Slug;
use crate::domain::secret::Sealed;
use crate::domain::source::{
    Branch, CommitId, GitAccess, GitSource, GitUrl, Reference, Source, Tag, TokenUser,
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Stored {
    Push { branch: String },
    Git(StoredGit),
    Image { image: String },
    Upload,
    Inline { containerfile: String },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredGit {
    url: String,
    #[serde(flatten)]
    reference: StoredReference,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<StoredAccess>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    submodules: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lfs: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredReference {
    Branch(String),
    Tag(String),
    Commit(String),
}

/// The name of a key is looked for in `$.git.access.key`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredAccess {
    Token { user: String, sealed: String },
    Key(String),
}

/// A source as JSON.
pub(super) fn to_json(source: &Source) -> Result<String, StoreError> {
    let stored = match source {
        Source::Push { branch } => Stored::Push { branch: branch.to_string() },
        Source::Git(git) => Stored::Git(store(git)),
        Source::Image { image } => Stored::Image { image: image.to_string() },
        Source::Upload => Stored::Upload,
        Source::Inline { instructions } => Stored::Inline { containerfile: instructions.as_str().to_owned() },
    };
    serde_json::to_string(&stored).map_err(|_| StoreError::Malformed("source"))
}

/// A source from JSON.
pub(super) fn from_json(text: &str) -> Result<Source, StoreError> {
    read(text).ok_or(StoreError::Malformed("source"))
}

fn store(GitSource { url, reference, access, submodules, lfs }: &GitSource) -> StoredGit {
    let reference = match reference {
        Reference::Branch(branch) => StoredReference::Branch(branch.to_string()),
        Reference::Tag(tag) => StoredReference::Tag(tag.to_string()),
        Reference::Commit(commit) => StoredReference::Commit(commit.to_string()),
    };
    let access = match access {
        GitAccess::Public => None,
        GitAccess::Token { user, token: Sealed(bytes) } => Some(StoredAccess::Token {
            user: user.as_str().to_owned(),
            sealed: BASE64_STANDARD.encode(bytes),
        }),
        GitAccess::Key(name) => Some(StoredAccess::Key(name.to_string())),
    };
    StoredGit { url: url.to_string(), reference, access, submodules: *submodules, lfs: *lfs }
}

fn read(text: &str) -> Option<Source> {
    Some(match serde_json::from_str(text).ok()? {
        Stored::Push { branch } => Source::Push { branch: Branch::parse(&branch).ok()? },
        Stored::Git(git) => Source::Git(read_git(git)?),
        Stored::Image { image } => Source::Image { image: ImageRef::parse(&image).ok()? },
        Stored::Upload => Source::Upload,
        Stored::Inline { containerfile } => {
            Source::Inline { instructions: Instructions::parse(&containerfile).ok()? }
        }
    })
}

fn read_git(StoredGit { url, reference, access, submodules, lfs }: StoredGit) -> Option<GitSource> {
    let reference = match reference {
        StoredReference::Branch(branch) => Reference::Branch(Branch::parse(&branch).ok()?),
        StoredReference::Tag(tag) => Reference::Tag(Tag::parse(&tag).ok()?),
        StoredReference::Commit(commit) => Reference::Commit(CommitId::parse(&commit).ok()?),
    };
    let access = match access {
        None => GitAccess::Public,
        Some(StoredAccess::Token { user, sealed }) => GitAccess::Token {
            user: TokenUser::parse(&user).ok()?,
            token: Sealed(BASE64_STANDARD.decode(sealed).ok()?),
        },
        Some(StoredAccess::Key(name)) => GitAccess::Key(Slug::parse(&name).ok()?),
    };
    Some(GitSource { url: GitUrl::parse(&url).ok()?, reference, access, submodules, lfs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_read() {
        let branch = Branch::parse("trunk").unwrap();
        let url = GitUrl::parse("https://example.org/a.git").unwrap();
        let of = |reference| GitSource::new(url.clone(), reference);
        let commit = Reference::Commit(CommitId::parse(&"a".repeat(40)).unwrap());
        let token = GitAccess::Token { user: TokenUser::default(), token: Sealed(vec![0, 1, 255]) };
        let image = ImageRef::parse("nginx").unwrap();
        let instructions = Instructions::parse("FROM nginx\n").unwrap();
        for source in [
            Source::Push { branch: branch.clone() },
            Source::Git(of(Reference::Branch(branch))),
            Source::Git(GitSource { access: token, lfs: true, ..of(commit) }),
            Source::Git(GitSource {
                access: GitAccess::Key(Slug::parse("deploy").unwrap()),
                submodules: true,
                ..of(Reference::Tag(Tag::parse("v1").unwrap()))
            }),
            Source::Image { image },
            Source::Upload,
            Source::Inline { instructions },
        ] {
            assert_eq!(from_json(&to_json(&source).unwrap()).unwrap(), source);
        }
        for bad in [
            "",
            "{}",
            r#"{"push":{"branch":"-u"}}"#,
            r#"{"push":{"branch":"a","more":1}}"#,
            r#"{"git":{"url":"https://example.org/a.git"}}"#,
            r#"{"git":{"url":"https://example.org/a.git","branch":"a","tag":"b"}}"#,
        ] {
            assert!(from_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_an_earlier_rivetr_stored_is_read() {
        let before = r#"{"git":{"url":"https://example.org/a.git","branch":"trunk"}}"#;
        assert_eq!(to_json(&from_json(before).unwrap()).unwrap(), before);
    }
}
