//! What somebody pasted: the address of a repository, or the name of an image; and what the app might be called.

use crate::domain::name::SLUG_MAX;

/// Hosts at which people paste an address without its beginning.
const HOSTS: [&str; 6] =
    ["github.com", "gitlab.com", "codeberg.org", "bitbucket.org", "git.sr.ht", "gitea.com"];

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A repository at this address.
    Repository(String),
    /// An image of this name.
    Image(String),
}

impl Found {
    /// The address, or the name.
    pub fn text(&self) -> &str {
        match self {
            Self::Repository(text) | Self::Image(text) => text,
        }
    }
}

/// What a text names; none: it names nothing.
pub(super) fn find(text: &str) -> Option<Found> {
    let text = text.trim().trim_start_matches("git clone ").trim();
    if text.is_empty() {
        return None;
    }
    let first = text.split('/').next().unwrap_or_default();
    let by_user =
        text.split_once(':').is_some_and(|(before, _)| before.contains('@') && !before.contains('/'));
    if text.contains("://") || by_user {
        // As it stands in the address bar of a browser.
        let page = HOSTS.iter().any(|host| text.starts_with(&format!("https://{host}/")));
        return Some(Found::Repository(if page { whole(text) } else { text.to_owned() }));
    }
    if HOSTS.contains(&first)
        || text.split(['?', '#']).next().is_some_and(|path| path.strip_suffix(".git").is_some())
    {
        return Some(Found::Repository(whole(&format!("https://{text}"))));
    }
    Some(Found::Image(text.to_owned()))
}

/// An address without what a browser puts behind it.
fn whole(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let repository = url.split_once("/tree/").map_or(url, |(before, _)| before);
    repository.trim_end_matches("/-").trim_end_matches('/').to_owned()
}

/// A name for the app; empty: it has to be said.
pub(super) fn name(text: &str) -> String {
    let Some(found) = find(text) else { return String::new() };
    let text = found.text().trim_end_matches('/').trim_end_matches(".git");
    let last = text.rsplit(['/', ':']).next().unwrap_or_default();
    let last = match &found {
        Found::Repository(_) => last,
        Found::Image(image) => {
            let name = image.split('@').next().unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or_default();
            name.split(':').next().unwrap_or_default()
        }
    };
    let dashed: String =
        last.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    // Room for a number behind it.
    let short: String = dashed.trim_matches('-').chars().take(SLUG_MAX - 4).collect();
    short.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, repository: bool, expect: &str, called: &str) {
        let found = find(text).unwrap();
        assert_eq!((found.text(), matches!(found, Found::Repository(_))), (expect, repository), "{text}");
        assert_eq!(name(text), called, "{text}");
    }

    #[test]
    fn what_people_paste() {
        check("https://example.org/a/Blog.git", true, "https://example.org/a/Blog.git", "blog");
        check(" github.com/ada/my.site ", true, "https://github.com/ada/my.site", "my-site");
        check(
            "https://github.com/ada/site/tree/main/x?tab=readme",
            true,
            "https://github.com/ada/site",
            "site",
        );
        check("https://gitlab.com/ada/site/-/tree/main", true, "https://gitlab.com/ada/site", "site");
        check("git clone https://example.org/x.git", true, "https://example.org/x.git", "x");
        check("git@example.org:ada/Site_2.git", true, "git@example.org:ada/Site_2.git", "site-2");
        check("ssh://git@example.org:2222/ada/site", true, "ssh://git@example.org:2222/ada/site", "site");
        check("example.org/ada/site.git", true, "https://example.org/ada/site.git", "site");
        check("nginx", false, "nginx", "nginx");
        check("ghcr.io/ada/app:1.2", false, "ghcr.io/ada/app:1.2", "app");
        check(
            "registry.example.org:5000/ada/app@sha256:00",
            false,
            "registry.example.org:5000/ada/app@sha256:00",
            "app",
        );
        check("https://example.org/---.git", true, "https://example.org/---.git", "");
        assert_eq!(find("  "), None);
        assert!(name(&format!("https://example.org/{}", "x".repeat(90))).len() <= SLUG_MAX - 4);
    }
}
