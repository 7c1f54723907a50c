//! What a stack builds of its repository: each becomes an image of the revision, and is built before anything stops.

use std::collections::BTreeMap;
use std::path::Path;

use super::reading::FOLDER;
use crate::domain::build::{BuildArg, BuildOptions, RepoPath, Stage};
use crate::domain::name::Slug;
use crate::domain::stack::Stack;
use crate::domain::stack::container::{Build, Container, ImageSource, Pull};
use crate::quadlet::stack::Note;

/// What the names of all images begin with that services have built.
pub(super) const IMAGES: &str = "localhost/rivetr-service/";

/// An image to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceBuild {
    /// The container that it is for.
    pub container: String,
    /// How.
    pub options: BuildOptions,
}

/// What is built, with what of that is not quite as it was said.
pub(super) type Taken = (Vec<ServiceBuild>, Vec<Note>);

/// The name of an image: `localhost/rivetr-service/shop:7-web`.
pub(super) fn tag(slug: &Slug, number: u32, container: &str) -> String {
    format!("{IMAGES}{slug}:{number}-{container}")
}

/// The number of the revision that an image was built for.
pub(super) fn number_of(slug: &Slug, name: &str) -> Option<u32> {
    let tag = name.strip_prefix(IMAGES)?.strip_prefix(slug.as_str())?.strip_prefix(':')?;
    tag.split_once('-')?.0.parse().ok()
}

/// Has each container that is built run the image that will be; or says what of it cannot be.
pub(super) fn take(stack: &mut Stack, slug: &Slug, number: u32) -> Result<Taken, Vec<Note>> {
    let (mut builds, mut notes, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    let builders = builders(stack);
    for (name, container) in &mut stack.containers {
        if let Some(builder) = builders.get(name) {
            container.image = ImageSource::Reference(tag(slug, number, builder));
            container.pull = Some(Pull::Never);
        }
        let ImageSource::Build { build, .. } = &container.image else { continue };
        let note = |(of, message): (&str, String)| {
            let key = format!("services.{name}.build");
            Note { key: if of.is_empty() { key } else { format!("{key}.{of}") }, message }
        };
        let refused = unknown(build);
        match options(build) {
            Ok(options) if refused.is_empty() => {
                notes.extend(left_out(build).into_iter().map(note));
                builds.push(ServiceBuild { container: name.clone(), options });
            }
            Ok(_) => {}
            Err(why) => wrong.push(note(why)),
        }
        wrong.extend(refused.into_iter().map(note));
        container.image = ImageSource::Reference(tag(slug, number, name));
        container.pull = Some(Pull::Never);
    }
    builds.retain(|build| stack.containers.get(&build.container).is_some_and(|one| one.replicas > 0));
    if wrong.is_empty() { Ok((builds, notes)) } else { Err(wrong) }
}

/// Those that run what another one builds, with its name.
fn builders(stack: &Stack) -> BTreeMap<String, String> {
    let builder = |container: &Container| match &container.image {
        ImageSource::Reference(reference) => stack.builder_of(reference).map(str::to_owned),
        ImageSource::Build { .. } => None,
    };
    let all = stack.containers.iter();
    all.filter_map(|(name, container)| Some((name.clone(), builder(container)?))).collect()
}

fn options(build: &Build) -> Result<BuildOptions, (&'static str, String)> {
    let Ok(context) = Path::new(&build.context).strip_prefix(FOLDER) else {
        let message = format!("{} is no folder of the repository, and only that is built", build.context);
        return Err(("context", message));
    };
    let within = |of: &'static str, path: &Path| {
        let text = path.display().to_string();
        let parsed = (!text.is_empty()).then(|| RepoPath::parse(&text)).transpose();
        parsed.map_err(|error| (of, error.to_string()))
    };
    let containerfile = match &build.dockerfile {
        None => None,
        Some(file) => {
            let within_context = Path::new(file).strip_prefix(&build.context);
            let file = within_context.map_err(|_| {
                ("dockerfile", "it lies outside of the context: name a folder that holds both".to_owned())
            })?;
            within("dockerfile", file)?
        }
    };
    let args = build.args.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
    let args = args.map(|arg| BuildArg::parse(&arg)).collect::<Result<_, _>>();
    let target = build.target.as_deref().map(Stage::parse).transpose();
    Ok(BuildOptions {
        containerfile,
        base_dir: within("context", context)?,
        target: target.map_err(|error| ("target", error.to_string()))?,
        args: args.map_err(|error| ("args", error.to_string()))?,
        cache: !build.no_cache,
        ..BuildOptions::default()
    })
}

/// What would make another image than is meant, or reach further than a build may.
fn unknown(build: &Build) -> Vec<(&'static str, String)> {
    let Build {
        context: _,
        dockerfile: _,
        dockerfile_inline,
        args: _,
        target: _,
        labels: _,
        tags: _,
        additional_contexts,
        cache_from: _,
        cache_to: _,
        extra_hosts,
        network,
        secrets,
        ssh,
        shm_size,
        ulimits,
        platforms,
        pull: _,
        no_cache: _,
        privileged,
    } = build;
    let said = [
        ("dockerfile_inline", dockerfile_inline.is_some()),
        ("additional_contexts", !additional_contexts.is_empty()),
        ("extra_hosts", !extra_hosts.is_empty()),
        ("network", network.is_some()),
        ("secrets", !secrets.is_empty()),
        ("ssh", !ssh.is_empty()),
        ("shm_size", shm_size.is_some()),
        ("ulimits", !ulimits.is_empty()),
        ("platforms", !platforms.is_empty()),
        ("privileged", *privileged),
    ];
    let known = "builds of services know context, dockerfile, args, target and no_cache: take it out";
    said.into_iter().filter(|(_, is_said)| *is_said).map(|(of, _)| (of, known.to_owned())).collect()
}

fn left_out(build: &Build) -> Vec<(&'static str, String)> {
    let said = [
        ("labels", !build.labels.is_empty()),
        ("tags", !build.tags.is_empty()),
        ("cache_from", !build.cache_from.is_empty()),
        ("cache_to", !build.cache_to.is_empty()),
        ("pull", build.pull),
    ];
    let out = "it is left out: the image is this service's alone";
    said.into_iter().filter(|(_, is_said)| *is_said).map(|(of, _)| (of, out.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(build: Build) -> Result<(Stack, Taken), String> {
        let image = ImageSource::Build { build: Box::new(build), reference: None };
        let web = Container { image, replicas: 1, ..Container::default() };
        let containers = BTreeMap::from([("web".to_owned(), web)]);
        let mut stack = Stack { containers, ..Stack::default() };
        match take(&mut stack, &Slug::parse("shop").unwrap(), 7) {
            Ok(taken) => Ok((stack, taken)),
            Err(notes) => {
                let lines = notes.iter().map(|note| format!("{}: {}", note.key, note.message));
                Err(lines.collect::<Vec<_>>().join("\n"))
            }
        }
    }

    #[test]
    fn who_names_what_another_one_builds_runs_it() {
        let build = Build { context: "/compose".to_owned(), ..Build::default() };
        let reference = Some("docker.io/library/own".to_owned());
        let of = |image| Container { image, replicas: 1, ..Container::default() };
        let containers = BTreeMap::from([
            ("web".to_owned(), of(ImageSource::Build { build: Box::new(build), reference })),
            ("worker".to_owned(), of(ImageSource::Reference("docker.io/library/own:latest".to_owned()))),
            ("cache".to_owned(), of(ImageSource::Reference("docker.io/library/own:2".to_owned()))),
        ]);
        let mut stack = Stack { containers, ..Stack::default() };
        let (builds, _) = take(&mut stack, &Slug::parse("shop").unwrap(), 7).unwrap();
        assert_eq!(builds.len(), 1);
        let image = |name: &str| (stack.containers[name].image.clone(), stack.containers[name].pull);
        let own = ImageSource::Reference("localhost/rivetr-service/shop:7-web".to_owned());
        assert_eq!(image("worker"), (own, Some(Pull::Never)));
        assert_eq!(image("cache").1, None);
    }

    #[test]
    fn a_build_becomes_an_image_of_the_revision() {
        let build = Build {
            context: "/compose/app".to_owned(),
            dockerfile: Some("/compose/app/docker/Containerfile".to_owned()),
            args: BTreeMap::from([("A".to_owned(), Some("1".to_owned()))]),
            target: Some("final".to_owned()),
            no_cache: true,
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..Build::default()
        };
        let (stack, (builds, notes)) = taken(build).unwrap();
        let name = "localhost/rivetr-service/shop:7-web";
        assert_eq!(stack.containers["web"].image, ImageSource::Reference(name.to_owned()));
        let [ServiceBuild { container, options }] = builds.as_slice() else { panic!("{builds:?}") };
        assert_eq!(container, "web");
        assert_eq!(options.base_dir.as_ref().unwrap().as_str(), "app");
        assert_eq!(options.containerfile.as_ref().unwrap().as_str(), "docker/Containerfile");
        assert_eq!((options.args.len(), options.target.is_some(), options.cache), (1, true, false));
        assert_eq!(notes[0].key, "services.web.build.labels");
        let whole = Build { context: "/compose".to_owned(), ..Build::default() };
        assert_eq!(taken(whole).unwrap().1.0[0].options, BuildOptions::default());
    }

    #[test]
    fn what_leads_out_or_is_not_known_is_refused_by_its_key() {
        let own = || Build { context: "/compose/app".to_owned(), ..Build::default() };
        let check = |build: Build, key: &str| {
            let words = taken(build).unwrap_err();
            assert!(words.contains(&format!("services.web.build.{key}: ")), "{words}");
        };
        check(Build { context: "/etc".to_owned(), ..own() }, "context");
        check(Build { context: "https://example.org/a.git".to_owned(), ..own() }, "context");
        check(Build { context: "/compose/.git".to_owned(), ..own() }, "context");
        check(Build { dockerfile: Some("/compose/D".to_owned()), ..own() }, "dockerfile");
        check(Build { target: Some("--x".to_owned()), ..own() }, "target");
        check(Build { network: Some("host".to_owned()), ..own() }, "network");
        check(Build { privileged: true, ..own() }, "privileged");
        check(Build { dockerfile_inline: Some("FROM x".to_owned()), ..own() }, "dockerfile_inline");
    }

    #[test]
    fn an_image_tells_of_which_revision_it_is() {
        let shop = Slug::parse("shop").unwrap();
        assert_eq!(number_of(&shop, &tag(&shop, 12, "a-b")), Some(12));
        for other in ["localhost/rivetr-service/shop-2:1-web", "localhost/rivetr/shop:1", "shop:1-web"] {
            assert_eq!(number_of(&shop, other), None, "{other}");
        }
    }
}
