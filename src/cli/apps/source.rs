//! `rivetr apps source`: where the code of an app comes from; and the same arguments for `rivetr apps create`.

use std::path::PathBuf;

use clap::Args;

use super::super::failure::Failure;
use super::super::git::{GitArgs, URL};
use super::super::input;
use super::super::session::Session;
use crate::api::wire::{App, SetSource};
use crate::domain::image::ImageRef;
use crate::domain::instructions::Instructions;
use crate::domain::name::Slug;
use crate::domain::source::{Branch, GitUrl};

/// The arguments of `rivetr apps source`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Example: rivetr apps source blog --git git@example.org:me/blog.git --git-key deploy --tag v2\n\n\
                        The source is said whole: what is left out is not kept from before. Without --git, code comes \
                        by git push to rivetr."
)]
pub struct Source {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    #[command(flatten)]
    from: From,
}

/// Where the code of an app comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct From {
    /// A repository to fetch from, in place of `git push` to rivetr
    #[arg(id = URL, long = "git", value_name = "URL", value_parser = GitUrl::parse)]
    git: Option<GitUrl>,
    /// The branch that is deployed [default: main]
    #[arg(long, value_parser = Branch::parse, conflicts_with_all = ["tag", "commit"])]
    branch: Option<Branch>,
    #[command(flatten)]
    options: GitArgs,
    /// An image of a registry, in place of code
    #[arg(long, value_name = "IMAGE", value_parser = ImageRef::parse, conflicts_with_all = [URL, "branch"])]
    image: Option<ImageRef>,
    /// A Containerfile that is built without any other file, in place of code; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = [URL, "branch", "image"])]
    containerfile: Option<PathBuf>,
    /// Send the code with each `rivetr deploy --from`
    #[arg(long, conflicts_with_all = [URL, "branch", "image", "containerfile"])]
    upload: bool,
}

impl Source {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let request = self.from.request()?;
        let answer = session.client.put(&format!("/api/apps/{}/source", self.name), &request).await?;
        session.show(&answer, |app: App| {
            format!("{} comes from {}, from its next deployment on.\n", app.name, origin(&app))
        })
    }
}

impl From {
    /// What is asked of the API.
    pub(super) fn request(self) -> Result<SetSource, Failure> {
        let Self { git, branch, options, image, containerfile, upload } = self;
        let containerfile =
            containerfile.map(|path| input::text(&path, Instructions::MAX as u64)).transpose()?;
        Ok(SetSource {
            git: git.map(|git| git.to_string()),
            options: options.request(branch)?,
            image: image.map(|image| image.to_string()),
            containerfile,
            upload,
        })
    }
}

/// Where an app comes from, in a few words.
pub(super) fn origin(app: &App) -> String {
    let place = place(app);
    match app.source.as_str() {
        "push" | "git" => format!("{place}, {}", reference(app)),
        _ => place,
    }
}

/// The same, without what of its repository is deployed.
pub(super) fn place(app: &App) -> String {
    let App { source, git, image, .. } = app;
    match (git, image, source.as_str()) {
        (Some(git), ..) => git.clone(),
        (_, Some(image), _) => image.clone(),
        (_, _, "push") => "git push".to_owned(),
        (_, _, "inline") => "a Containerfile".to_owned(),
        (_, _, other) => other.to_owned(),
    }
}

/// What of its repository an app is deployed from, in words.
pub(super) fn reference(app: &App) -> String {
    match (&app.branch, &app.tag, &app.commit) {
        (Some(branch), ..) => format!("branch {branch}"),
        (None, Some(tag), _) => format!("tag {tag}"),
        (None, None, Some(commit)) => format!("commit {commit}"),
        (None, None, None) => "-".to_owned(),
    }
}
