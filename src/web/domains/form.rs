//! What the forms of domains send, and what becomes of it.

use serde::Deserialize;

use super::super::form::Errors;
use crate::api::wire::{ChangeDomain, CreateDomain, CreateServiceDomain, Patch};
use crate::domain::domain::Site;
use crate::engine::NewServiceDomain;

/// A new domain as a form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    pub host: String,
    #[serde(default)]
    pub path: String,
    #[serde(default)]
    pub strip: bool,
    #[serde(default)]
    pub redirect_to: String,
    /// Only of a service.
    #[serde(default)]
    pub container: String,
    #[serde(default)]
    pub port: String,
}

/// A change of a domain as a form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default)]
    pub strip: bool,
    #[serde(default)]
    pub redirect_to: String,
    #[serde(default)]
    pub https_redirect: bool,
}

impl Add {
    /// The domain of an app.
    pub fn parse(&self) -> Result<Site, Errors> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let create = CreateDomain {
            host: self.host.trim().to_owned(),
            path: some(&self.path),
            strip: self.strip,
            redirect_to: some(&self.redirect_to),
            https_redirect: None,
        };
        create.parse().map_err(Errors::from)
    }

    /// The domain of a service.
    pub fn parse_for_service(&self) -> Result<NewServiceDomain, Errors> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        // What is no number is as little a port as 0 is.
        let port = some(&self.port).map(|port| port.parse().unwrap_or(0));
        let create = CreateServiceDomain {
            host: self.host.trim().to_owned(),
            // The first container is chosen wherever nobody chose: without a port it is not meant.
            container: some(&self.container).filter(|_| port.is_some() || self.redirect_to.trim().is_empty()),
            port,
            path: some(&self.path),
            strip: self.strip,
            redirect_to: some(&self.redirect_to),
            https_redirect: None,
        };
        create.parse().map_err(Errors::from)
    }
}

impl Change {
    /// What there is.
    pub fn of(site: &Site) -> Self {
        Self {
            strip: site.strip,
            redirect_to: site.redirect_to.as_ref().map(ToString::to_string).unwrap_or_default(),
            https_redirect: site.https_redirect,
        }
    }

    /// What is to change.
    pub fn wish(&self) -> ChangeDomain {
        let to = self.redirect_to.trim();
        ChangeDomain {
            strip: Patch::Set(self.strip),
            redirect_to: if to.is_empty() { Patch::Reset } else { Patch::Set(to.to_owned()) },
            https_redirect: Patch::Set(self.https_redirect),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_site() {
        let add = |host: &str, path: &str, to: &str| Add {
            host: host.to_owned(),
            path: path.to_owned(),
            redirect_to: to.to_owned(),
            ..Add::default()
        };
        let site = add(" Blog.example ", "", "").parse().unwrap();
        assert_eq!((site.to_string().as_str(), site.https_redirect), ("blog.example", true));
        let errors = add("a b", "x", "*.y").parse().unwrap_err();
        assert!(["host", "path", "redirect_to"].iter().all(|field| !errors.of(field).is_empty()));
        let of_service = |port: &str, to: &str| {
            let form = Add { container: "web".to_owned(), port: port.to_owned(), ..add("a.org", "/api", to) };
            form.parse_for_service().map(|new| new.inlet.map(|inlet| inlet.port.get()))
        };
        assert_eq!(of_service(" 80 ", "").unwrap(), Some(80));
        assert_eq!(of_service("", "b.org").unwrap(), None, "it only redirects");
        for port in ["", "x", "0", "70000"] {
            assert!(!of_service(port, "").unwrap_err().of("port").is_empty(), "{port:?}");
        }
        let changed = Change { redirect_to: "  ".to_owned(), ..Change::default() };
        let after = changed.wish().parse(&site).unwrap();
        assert_eq!((after.redirect_to, after.https_redirect), (None, false));
    }
}
