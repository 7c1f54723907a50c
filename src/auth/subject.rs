//! What a route is about, read from its pattern: an object of a team, the caller's own, or the instance. One table for
//! the API and the pages, whose addresses have the same words.

use crate::store::Object;

/// What a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// What is the caller's own, and lists that show no more than that.
    Own,
    /// What is no team's: only who stands above all teams.
    Instance,
    /// One object, which the first parameter of the pattern names.
    Of(Object),
}

/// Where a parameter behind the word names an object of a team; without one it is a list.
const OBJECTS: [(&str, Object); 14] = [
    ("apps", Object::App),
    ("deployments", Object::Deployment),
    ("projects", Object::Project),
    ("backups", Object::Backup),
    ("volumes", Object::Volume),
    ("databases", Object::Database),
    ("trashed-databases", Object::TrashedDatabase),
    ("domains", Object::Domain),
    ("webhook-deliveries", Object::Delivery),
    ("certificates", Object::Certificate),
    ("keys", Object::Key),
    ("services", Object::Service),
    ("teams", Object::Team),
    ("git", Object::Repository),
];

/// What may stand before the word: the API, and what pages follow while they are open.
const FACES: [&str; 2] = ["/api", "/live"];

const OWN: [&str; 11] = [
    "",
    "audit",
    "database-kinds",
    "me",
    "openapi.json",
    "overview",
    "palette",
    "requests",
    "routes",
    "templates",
    "tokens",
];

const INSTANCE: [&str; 11] = [
    "acme-account",
    "backup-destinations",
    "backup-key",
    "host",
    "known-hosts",
    "metrics",
    "registries",
    "secrets",
    "setup-link",
    "system",
    "users",
];

/// What the route of this pattern is about, whichever face it is of; none: nobody has said.
#[must_use]
pub fn of(pattern: &str) -> Option<Subject> {
    let path = FACES.iter().find_map(|face| pattern.strip_prefix(face).filter(|rest| rest.starts_with('/')));
    let mut words = path.unwrap_or(pattern).trim_start_matches('/').split('/');
    let (first, second) = (words.next()?, words.next());
    if let Some((_, object)) = OBJECTS.iter().find(|(word, _)| *word == first) {
        let named = second.is_some_and(|word| word.starts_with('{'));
        return Some(if named { Subject::Of(*object) } else { Subject::Own });
    }
    if OWN.contains(&first) {
        return Some(Subject::Own);
    }
    INSTANCE.contains(&first).then_some(Subject::Instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, expect) in [
            ("/api/apps", Some(Subject::Own)),
            ("/apps", Some(Subject::Own)),
            ("/apps/new", Some(Subject::Own)),
            ("/api/apps/{id}", Some(Subject::Of(Object::App))),
            ("/apps/{id}/settings/{tab}", Some(Subject::Of(Object::App))),
            ("/live/apps/{id}/logs", Some(Subject::Of(Object::App))),
            ("/live/deployments/{id}", Some(Subject::Of(Object::Deployment))),
            ("/live/overview", Some(Subject::Own)),
            ("/palette", Some(Subject::Own)),
            ("/api/databases/{id}/links/{app}", Some(Subject::Of(Object::Database))),
            ("/trashed-databases/{id}/restore", Some(Subject::Of(Object::TrashedDatabase))),
            ("/users/{user}/delete", Some(Subject::Instance)),
            ("/git/{repo}/info/refs", Some(Subject::Of(Object::Repository))),
            (
                "/api/projects/{project}/environments/{environment}/env-vars",
                Some(Subject::Of(Object::Project)),
            ),
            ("/api/tokens/{id}", Some(Subject::Own)),
            ("/", Some(Subject::Own)),
            ("/api/system/health", Some(Subject::Instance)),
            ("/metrics", Some(Subject::Instance)),
            ("/apiary", None),
            ("/api/frobnicate/{id}", None),
        ] {
            assert_eq!(of(pattern), expect, "{pattern}");
        }
    }
}
