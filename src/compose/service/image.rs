//! Where the image of a service comes from, and how many containers are made of it.

use super::{Context, build, text};
use crate::compose::field::Field;
use crate::compose::log::Log;
use crate::compose::{keys, units};
use crate::domain::stack::container::{Build, Container, ImageSource, Pull};

/// The registry that names without one are of.
const DOCKER_HUB: &str = "docker.io";
/// Other names of it.
const DOCKER_HUB_TOO: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// The most containers of one service.
const REPLICAS_MAX: u64 = 1000;

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    let reference = text(field, "image", &mut context.log).map(|image| qualify(&image));
    let build = field.get("build").map(|field| build::read(&field, context));
    let log = &mut context.log;
    container.image = match (build, reference) {
        (Some(build), reference) => ImageSource::Build { build: Box::new(build), reference },
        (None, Some(reference)) => ImageSource::Reference(reference),
        // That is refused already.
        (None, None) if field.get("provider").is_some() => ImageSource::default(),
        (None, None) => {
            field.problem(log, "this service has neither image nor build: say what it runs");
            ImageSource::default()
        }
    };
    container.container_name = text(field, "container_name", log);
    container.platform = text(field, "platform", log);
    if let ImageSource::Build { build, reference } = &mut container.image {
        platform(field, build, container.platform.as_ref(), log);
        // Without a slash it is a name for what is built.
        if let Some(reference) = reference
            && let Some(said) =
                field.get("image").filter(|said| said.text(log).is_some_and(|it| it.contains('/')))
            && field.get("pull_policy").is_none()
        {
            let message = format!(
                "the image is built here, where docker compose looks for {reference} first: remove build to have it fetched"
            );
            said.warn(log, message);
        }
    }
    container.pull = pull(field, log);
    container.replicas = replicas(field, log);
    if let (Some(name), true) = (&container.container_name, container.replicas > 1) {
        let count = container.replicas;
        field.problem(
            log,
            format!("{count} containers cannot all be called {name}: remove container_name, or run one"),
        );
    }
}

/// What starts containers builds for the one platform that they run on.
fn platform(field: &Field<'_>, build: &mut Build, own: Option<&String>, log: &mut Log) {
    let all = std::mem::replace(&mut build.platforms, own.into_iter().cloned().collect());
    match own {
        Some(own) if !all.is_empty() && !all.contains(own) => {
            field.problem(log, format!("build.platforms must name the service's own platform {own} too"));
        }
        None if !all.is_empty() => field.warn(
            log,
            "build.platforms is left out, as docker compose up does: the image is built for this host; say platform where it must be another",
        ),
        Some(_) | None => {}
    }
}

/// A reference with its registry: what stands before the first slash is one where it has a dot or a colon, or is
/// `localhost`.
pub fn qualify(image: &str) -> String {
    let is_id =
        image.starts_with("sha256:") || (image.len() == 64 && image.chars().all(|c| c.is_ascii_hexdigit()));
    if is_id {
        return image.to_owned();
    }
    let is_registry =
        |host: &str| host.contains(['.', ':']) || host == "localhost" || host.chars().any(char::is_uppercase);
    let (registry, path) = match image.split_once('/') {
        Some((host, path)) if is_registry(host) => (host, path),
        Some(_) | None => (DOCKER_HUB, image),
    };
    if registry != DOCKER_HUB && !DOCKER_HUB_TOO.contains(&registry) {
        return image.to_owned();
    }
    let library = if path.contains('/') { "" } else { "library/" };
    format!("{DOCKER_HUB}/{library}{path}")
}

fn pull(field: &Field<'_>, log: &mut Log) -> Option<Pull> {
    let field = field.get("pull_policy")?;
    let policy = field.filled(log)?;
    let after_a_while = || policy.strip_prefix("every_").is_some_and(|time| units::duration(time).is_some());
    match policy.as_str() {
        "always" => Some(Pull::Always),
        "never" => Some(Pull::Never),
        "missing" | "if_not_present" => Some(Pull::Missing),
        // An image that is built is not pulled.
        "build" => None,
        "daily" | "weekly" | "refresh" => Some(newer(&field, &policy, log)),
        _ if after_a_while() => Some(newer(&field, &policy, log)),
        _ => {
            field.problem(
                log,
                format!("{policy:?} is none of always, never, missing, build, daily, weekly and every_TIME"),
            );
            None
        }
    }
}

fn newer(field: &Field<'_>, policy: &str, log: &mut Log) -> Pull {
    field.warn(log, format!("{policy}: Podman looks for a newer image at each start, not after a time"));
    Pull::Newer
}

fn replicas(field: &Field<'_>, log: &mut Log) -> u32 {
    let scale = field.get("scale").and_then(|field| field.unsigned(log));
    let deploy = field.get("deploy");
    let count =
        deploy.as_ref().and_then(|deploy| deploy.get("replicas")).and_then(|field| field.unsigned(log));
    if let (Some(scale), Some(count)) = (scale, count)
        && scale != count
    {
        field.problem(log, format!("scale says {scale} and deploy.replicas says {count}: write one of them"));
    }
    if let Some(deploy) = &deploy {
        read_deploy(deploy, log);
    }
    let wanted = scale.or(count).unwrap_or(1);
    if wanted > REPLICAS_MAX {
        field.problem(log, format!("{wanted} containers of one service are more than {REPLICAS_MAX}"));
    }
    u32::try_from(wanted.min(REPLICAS_MAX)).unwrap_or(1)
}

/// What `deploy` says besides replicas, resources and restarts.
fn read_deploy(deploy: &Field<'_>, log: &mut Log) {
    deploy.known(log, keys::DEPLOY);
    for (key, table) in [
        ("update_config", keys::UPDATE_CONFIG),
        ("rollback_config", keys::UPDATE_CONFIG),
        ("placement", keys::PLACEMENT),
    ] {
        if let Some(field) = deploy.get(key) {
            field.known(log, table);
        }
    }
    if let Some(field) = deploy.get("mode")
        && let Some(mode) = field.filled(log)
    {
        match mode.as_str() {
            "replicated" => {}
            "global" => field.warn(log, "a container on each host is one container here"),
            _ => field
                .problem(log, format!("{mode:?} is neither replicated nor global; jobs are for clusters")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::qualify;

    #[test]
    fn references() {
        for (image, expect) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.29", "docker.io/library/nginx:1.29"),
            ("a/b", "docker.io/a/b"),
            ("a/b:1@sha256:00", "docker.io/a/b:1@sha256:00"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/a/b", "docker.io/a/b"),
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            ("localhost/a", "localhost/a"),
            ("host:5000/a", "host:5000/a"),
            ("localhost:5000/a/b", "localhost:5000/a/b"),
            ("Registry/a", "Registry/a"),
            ("sha256:ab", "sha256:ab"),
        ] {
            assert_eq!(qualify(image), expect, "{image:?}");
        }
    }
}
