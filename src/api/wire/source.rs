//! Where the code of an app comes from, as JSON says it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DEFAULT_BRANCH, FieldErrors, Hidden};
use crate::domain::image::ImageRef;
use crate::domain::instructions::Instructions;
use crate::domain::name::Slug;
use crate::domain::source::{
    Branch, CommitId, GitAccess, GitSource, GitToken, GitUrl, Reference, Source, Tag, TokenUser,
};

/// Where the code of an app comes from, said whole: what is left out is not kept from before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSource {
    /// A repository to fetch from; without it, code comes by `git push` to rivetr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// What of the repository is deployed, and how it is opened.
    #[serde(flatten)]
    pub options: GitOptions,
    /// An image of a registry, in place of code: `nginx:1.29`, `ghcr.io/owner/name:tag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The text of a Containerfile, in place of code; it is built without any other file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerfile: Option<String>,
    /// The code comes as an archive with each deployment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upload: bool,
}

/// What of a repository is deployed, and how rivetr is let in: said of apps and of services alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GitOptions {
    /// The branch that is deployed; `main` if neither tag nor commit is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The tag that is deployed; only of a repository elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The full name of the one commit that is deployed; only of a repository elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The name of the key that opens the repository over SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_key: Option<String>,
    /// The token that opens the repository over HTTPS; never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub git_token: Option<Hidden>,
    /// The user name that goes with the token; `git` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_token_user: Option<String>,
    /// Whether submodules are fetched too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub submodules: bool,
    /// Whether large files are fetched too (Git LFS).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lfs: bool,
}

impl SetSource {
    /// The source that is asked for, and the token that goes into it, or what is wrong with each field.
    pub fn parse(self) -> Result<(Source, Option<GitToken>), FieldErrors> {
        let mut errors = FieldErrors::default();
        let parsed = self.parse_into(&mut errors);
        parsed.filter(|_| errors.0.is_empty()).ok_or(errors)
    }

    /// The same, with the errors added to those of other fields.
    pub(super) fn parse_into(self, errors: &mut FieldErrors) -> Option<(Source, Option<GitToken>)> {
        let Self { git, options, image, containerfile, upload } = self;
        let without_repository = parse_without_repository(image, containerfile, upload, errors);
        if let Some((field, _)) = &without_repository
            && (git.is_some() || options.branch.is_some())
        {
            errors.put(field, "an app that does not come from a repository has neither git nor branch");
        }
        let Some(url) = git else {
            for field in options.only_elsewhere() {
                errors.put(field, "it goes with a repository to fetch from: name one in git");
            }
            if let Some((_, source)) = without_repository {
                return source.map(|source| (source, None));
            }
            let branch = options.branch.as_deref().unwrap_or(DEFAULT_BRANCH);
            let branch = errors.take("branch", Branch::parse(branch));
            return branch.map(|branch| (Source::Push { branch }, None));
        };
        options.parse_into(&url, errors).map(|(git, token)| (Source::Git(git), token))
    }
}

impl GitOptions {
    /// The repository of that address, and the token that opens it, with the errors added to those of other fields.
    pub(super) fn parse_into(
        self,
        url: &str,
        errors: &mut FieldErrors,
    ) -> Option<(GitSource, Option<GitToken>)> {
        let Self { branch, tag, commit, git_key, git_token, git_token_user, submodules, lfs } = self;
        let url = errors.take("git", GitUrl::parse(url));
        let reference = parse_reference(branch, tag, commit, errors);
        let key = git_key.and_then(|name| errors.take("git_key", Slug::parse(&name)));
        let token = parse_token(git_token, git_token_user, errors);
        let (url, reference) = (url?, reference?);
        match (url.scheme(), &key, &token) {
            ("ssh", None, _) => errors.put(
                "git_key",
                "over SSH, a repository is opened by a key: make one with `rivetr keys create NAME`, then name it here",
            ),
            ("ssh", Some(_), Some(_)) => errors.put("git_token", "a token goes with https://, a key with ssh://"),
            ("ssh", Some(_), None) | (_, None, _) => {}
            (_, Some(_), _) => errors.put("git_key", "a key goes with ssh://, a token with https://"),
        }
        let access = key.map_or(GitAccess::Public, GitAccess::Key);
        Some((GitSource { url, reference, access, submodules, lfs }, token))
    }

    /// What was said that only a repository elsewhere has.
    fn only_elsewhere(&self) -> impl Iterator<Item = &'static str> {
        let Self { branch: _, tag, commit, git_key, git_token, git_token_user, submodules, lfs } = self;
        let said = [
            ("tag", tag.is_some()),
            ("commit", commit.is_some()),
            ("git_key", git_key.is_some()),
            ("git_token", git_token.is_some()),
            ("git_token_user", git_token_user.is_some()),
            ("submodules", *submodules),
            ("lfs", *lfs),
        ];
        said.into_iter().filter(|(_, is_said)| *is_said).map(|(field, _)| field)
    }
}

/// What comes from no repository, with the field that says so; its source is none where it is wrong.
fn parse_without_repository(
    image: Option<String>,
    containerfile: Option<String>,
    upload: bool,
    errors: &mut FieldErrors,
) -> Option<(&'static str, Option<Source>)> {
    Some(match (image, containerfile, upload) {
        (None, None, false) => return None,
        (Some(image), None, false) => {
            let image = errors.take("image", ImageRef::parse(&image));
            ("image", image.map(|image| Source::Image { image }))
        }
        (None, Some(text), false) => {
            let instructions = errors.take("containerfile", Instructions::parse(&text));
            ("containerfile", instructions.map(|instructions| Source::Inline { instructions }))
        }
        (None, None, true) => ("upload", Some(Source::Upload)),
        (image, ..) => {
            let field = if image.is_some() { "image" } else { "containerfile" };
            errors.put(field, "an app has one source: an image, a containerfile, uploads or a repository");
            (field, None)
        }
    })
}

fn parse_reference(
    branch: Option<String>,
    tag: Option<String>,
    commit: Option<String>,
    errors: &mut FieldErrors,
) -> Option<Reference> {
    let one = "say one of branch, tag and commit";
    match (branch, tag, commit) {
        (None, Some(tag), None) => errors.take("tag", Tag::parse(&tag)).map(Reference::Tag),
        (None, None, Some(commit)) => errors.take("commit", CommitId::parse(&commit)).map(Reference::Commit),
        (branch, None, None) => {
            let branch = Branch::parse(branch.as_deref().unwrap_or(DEFAULT_BRANCH));
            errors.take("branch", branch).map(Reference::Branch)
        }
        (_, Some(_), _) => {
            errors.put("tag", one);
            None
        }
        (Some(_), None, Some(_)) => {
            errors.put("commit", one);
            None
        }
    }
}

fn parse_token(token: Option<Hidden>, user: Option<String>, errors: &mut FieldErrors) -> Option<GitToken> {
    let user_said = user.is_some();
    let user = user.map_or_else(|| Ok(TokenUser::default()), |user| TokenUser::parse(&user));
    let user = errors.take("git_token_user", user);
    match token {
        Some(token) => errors.take("git_token", GitToken::parse(user?, &token.0)),
        None if user_said => {
            errors.put("git_token", "a user name goes with a token");
            None
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(
        url: &str,
        change: impl FnOnce(&mut GitOptions),
    ) -> Result<(Source, Option<GitToken>), Vec<String>> {
        let mut source = SetSource { git: Some(url.to_owned()), ..SetSource::default() };
        change(&mut source.options);
        source.parse().map_err(|errors| errors.0.into_keys().collect())
    }

    #[test]
    fn a_source_is_said_whole() {
        let Ok((Source::Git(public), None)) = git("https://example.org/a.git", |_| ()) else { panic!() };
        assert_eq!(public.reference.to_string(), "branch main");
        assert_eq!((public.access, public.submodules, public.lfs), (GitAccess::Public, false, false));
        let keyed = git("git@example.org:a.git", |source| {
            source.git_key = Some("deploy".to_owned());
            source.tag = Some("v1".to_owned());
            source.submodules = true;
        });
        let Ok((Source::Git(keyed), None)) = keyed else { panic!("{keyed:?}") };
        assert_eq!(keyed.access, GitAccess::Key(Slug::parse("deploy").unwrap()));
        assert_eq!((keyed.reference.to_string().as_str(), keyed.submodules), ("tag v1", true));
        let opened = git("https://example.org/a.git", |source| {
            source.git_token = Some(Hidden("canary\n".to_owned()));
            source.commit = Some("a".repeat(40));
        });
        assert!(!format!("{opened:?}").contains("canary"));
        assert_eq!(opened.unwrap().1.unwrap().token.reveal(), b"canary");
    }

    #[test]
    fn what_does_not_go_together_is_refused_where_it_stands() {
        let check = |url: &str, change: &dyn Fn(&mut GitOptions), field: &str| {
            assert_eq!(git(url, |source| change(source)).unwrap_err(), [field], "{url}");
        };
        let (https, ssh) = ("https://example.org/a.git", "ssh://git@example.org/a.git");
        let token = || Some(Hidden("token".to_owned()));
        check("ext::sh -c id", &|_| (), "git");
        check(ssh, &|_| (), "git_key");
        check(https, &|source| source.git_key = Some("deploy".to_owned()), "git_key");
        check(
            ssh,
            &|source| {
                source.git_key = Some("deploy".to_owned());
                source.git_token = token();
            },
            "git_token",
        );
        check(https, &|source| source.git_token_user = Some("me".to_owned()), "git_token");
        check(https, &|source| source.git_token = Some(Hidden("a b".to_owned())), "git_token");
        check(https, &|source| source.branch = Some("--upload-pack=x".to_owned()), "branch");
        check(https, &|source| source.tag = Some("-u".to_owned()), "tag");
        check(https, &|source| source.commit = Some("main".to_owned()), "commit");
        check(
            https,
            &|source| {
                source.branch = Some("main".to_owned());
                source.tag = Some("v1".to_owned());
            },
            "tag",
        );
        let options = GitOptions { lfs: true, tag: Some("v1".to_owned()), ..GitOptions::default() };
        let pushed = SetSource { options, ..SetSource::default() }.parse().unwrap_err();
        assert_eq!(pushed.0.into_keys().collect::<Vec<_>>(), ["lfs", "tag"]);
    }
}
