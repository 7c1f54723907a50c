//! What `podman build` is told: where it finds what it builds, and its options.

use std::path::{Path, PathBuf};

use crate::build::{self, Recipe};
use crate::domain::build::{BuildOptions, RepoPath};
use crate::engine::build::Build;
use crate::engine::context::Halt;
use crate::host::workspace::Workspace;

/// The directory that a build sees and its file of instructions, both within the checkout: a link that leads out of
/// it would show the build what is rivetr's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) context: PathBuf,
    pub(super) containerfile: PathBuf,
}

impl Place {
    /// Finds both in the checkout.
    pub(super) fn find(workspace: &Workspace, of: &Build<'_>) -> Result<Self, Halt> {
        let options = of.options;
        let base = options.base_dir.as_ref().map_or("", RepoPath::as_str);
        let within = |path: &Path| {
            let missing =
                || format!("there is no {} in the repository, or it leads out of it", path.display());
            workspace.within(&of.source, path).ok_or_else(|| Halt::Failed(missing()))
        };
        let context = within(Path::new(base))?;
        let name = if let Some(path) = &options.containerfile {
            path.to_string()
        } else {
            let listing = workspace.names(&context);
            let listing = listing.map_err(|error| Halt::because("listing the checkout", error))?;
            let names: Vec<&str> = listing.iter().map(String::as_str).collect();
            let Recipe::Containerfile { path } =
                build::recipe(&names).map_err(|error| Halt::Failed(error.to_string()))?;
            path
        };
        let containerfile = within(&Path::new(base).join(name))?;
        // Over such a file Podman runs a preprocessor, outside of any container, which reads what it is told to.
        if containerfile.as_os_str().as_encoded_bytes().ends_with(b".in") {
            let message = "the file of instructions may not end in .in, nor lead to a file that does";
            return Err(Halt::Failed(message.to_owned()));
        }
        Ok(Self { context, containerfile })
    }
}

/// The whole command. Left to itself, Podman runs each step in a scope beside the build's unit: neither capped nor
/// stopped with it.
pub(super) fn arguments(build: &Build<'_>, place: &Place, cgroup: &str, inputs: &[String]) -> Vec<String> {
    let mut words = vec![
        "podman".to_owned(),
        "--cgroup-manager=cgroupfs".to_owned(),
        "build".to_owned(),
        // Not the unit's own cgroup: Podman empties the one it is given.
        format!("--cgroup-parent={cgroup}/steps"),
        format!("--tag={}", build.tag),
        format!("--file={}", place.containerfile.display()),
    ];
    words.extend(build.labels.iter().map(|label| format!("--label={label}")));
    words.extend(options(build.options));
    words.extend(build.options.args.iter().map(|arg| format!("--build-arg={arg}")));
    words.extend_from_slice(inputs);
    words.push(format!("--iidfile={}", build.image_file.display()));
    words.extend(["--".to_owned(), place.context.display().to_string()]);
    words
}

fn options(build: &BuildOptions) -> impl Iterator<Item = String> {
    let target = build.target.as_ref().map(|stage| format!("--target={stage}"));
    let fresh = (!build.cache).then(|| "--no-cache".to_owned());
    target.into_iter().chain(fresh).chain(build.options.iter().map(ToString::to_string))
}
