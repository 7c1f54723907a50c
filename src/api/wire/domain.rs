//! Domains of apps and services, as JSON says them.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, Patch};
use crate::domain::domain::{Inlet, PathPrefix, Pattern, Site};
use crate::domain::name::HostName;
use crate::engine::NewServiceDomain;

/// A domain of an app or a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in the JSON")]
pub struct Domain {
    /// Its number.
    pub id: i64,
    /// The name of its app; null: a service has it.
    pub app: Option<String>,
    /// The name of its service; null: an app has it.
    #[serde(default)]
    pub service: Option<String>,
    /// The container of the service that answers, by its name in the compose file.
    #[serde(default)]
    pub container: Option<String>,
    /// The port that the container listens on.
    #[serde(default)]
    pub port: Option<u16>,
    /// The host, or `*.example.org` for all with one label more.
    pub host: String,
    /// Only paths that are this one or below it; `/`: all.
    pub path: String,
    /// Whether who answers sees the path without that part.
    pub strip: bool,
    /// The host of the same app or service that requests are sent on to.
    pub redirect_to: Option<String>,
    /// Whether plain HTTP is redirected to HTTPS, once there is a certificate.
    pub https_redirect: bool,
    /// rivetr gave it to the app, and changes it with its own configuration.
    pub automatic: bool,
    /// Where people find it; null: at many hosts, or where it redirects to.
    pub url: Option<String>,
    /// Whether there is a certificate for it.
    pub certificate: bool,
    /// Where its name leads; null: nobody looked.
    #[serde(default)]
    pub dns: Option<Dns>,
}

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dns {
    /// `here`, `elsewhere`, `nowhere`, or `unknown` if the look did not tell.
    pub status: String,
    /// The same in words.
    pub detail: String,
}

/// A new domain of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDomain {
    /// The host, or `*.example.org` for all with one label more.
    pub host: String,
    /// Only paths that are this one or below it: `/api`; all if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether the app sees the path without that part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip: bool,
    /// A host of the same app that requests are sent on to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<String>,
    /// Whether plain HTTP is redirected to HTTPS, once there is a certificate; it is if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<bool>,
}

/// A domain that a service is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateServiceDomain {
    /// The host, or `*.example.org` for all with one label more.
    pub host: String,
    /// The container, by its name in the compose file. One that redirects needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The port that it listens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Only paths that are this one or below it: `/api`; all if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether the container sees the path without that part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip: bool,
    /// A host of the same service that requests are sent on to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<String>,
    /// Whether plain HTTP is redirected to HTTPS, once there is a certificate; it is, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<bool>,
}

/// What is to change at a domain; what is not there stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeDomain {
    /// Whether who answers sees the path without the domain's own part.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<bool>)]
    pub strip: Patch<bool>,
    /// A host of the same app or service that requests are sent on to; null: they are answered.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>)]
    pub redirect_to: Patch<String>,
    /// Whether plain HTTP is redirected to HTTPS, once there is a certificate.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<bool>)]
    pub https_redirect: Patch<bool>,
}

impl CreateDomain {
    /// The domain that is asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<Site, FieldErrors> {
        let Self { host, path, strip, redirect_to, https_redirect } = self;
        let mut errors = FieldErrors::default();
        let host = errors.take("host", Pattern::parse(&host));
        let path = path.as_deref().map_or_else(|| Ok(PathPrefix::root()), PathPrefix::parse);
        let path = errors.take("path", path);
        let redirect_to = redirect_to.as_deref().map(HostName::parse).transpose();
        let redirect_to = errors.take("redirect_to", redirect_to).flatten();
        match (host, path) {
            (Some(host), Some(path)) if errors.0.is_empty() => {
                Ok(Site { host, path, strip, redirect_to, https_redirect: https_redirect.unwrap_or(true) })
            }
            _ => Err(errors),
        }
    }
}

impl CreateServiceDomain {
    /// The domain that is asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<NewServiceDomain, FieldErrors> {
        let Self { host, container, port, path, strip, redirect_to, https_redirect } = self;
        let site = CreateDomain { host, path, strip, redirect_to, https_redirect }.parse();
        let mut errors = FieldErrors::default();
        let port = port.map(|port| NonZeroU16::new(port).ok_or("use a port from 1 to 65535"));
        let port = errors.take("port", port.transpose()).flatten();
        let inlet = match (container, port) {
            (Some(container), Some(port)) => Some(Inlet { container, port }),
            (Some(_), None) if errors.0.is_empty() => {
                errors.put("port", "say at which port the container listens");
                None
            }
            (None, Some(_)) => {
                errors.put("container", "say which container listens at this port");
                None
            }
            (Some(_) | None, None) => None,
        };
        match site {
            Ok(site) if errors.0.is_empty() => Ok(NewServiceDomain { site, inlet }),
            Ok(_) => Err(errors),
            Err(mut all) => {
                all.0.extend(errors.0);
                Err(all)
            }
        }
    }
}

impl ChangeDomain {
    /// What follows from what is there.
    pub fn parse(self, before: &Site) -> Result<Site, FieldErrors> {
        let Self { strip, redirect_to, https_redirect } = self;
        let over = |patch, before, default| match patch {
            Patch::Keep => before,
            Patch::Reset => default,
            Patch::Set(value) => value,
        };
        let redirect_to = match redirect_to {
            Patch::Keep => before.redirect_to.clone(),
            Patch::Reset => None,
            Patch::Set(text) => match HostName::parse(&text) {
                Ok(host) => Some(host),
                Err(error) => return Err(FieldErrors::one("redirect_to", error.to_string())),
            },
        };
        Ok(Site {
            strip: over(strip, before.strip, false),
            redirect_to,
            https_redirect: over(https_redirect, before.https_redirect, true),
            ..before.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn domains_come_from_requests() {
        let create = |said: Value| {
            let parsed = serde_json::from_value::<CreateDomain>(said).unwrap().parse();
            parsed.map_err(|errors| errors.0.into_keys().collect::<Vec<_>>())
        };
        let plain = create(json!({"host": "A.org"})).unwrap();
        assert_eq!(plain, Site::plain(HostName::parse("a.org").unwrap()));
        let said = json!({"host": "*.a.org", "path": "/api/", "strip": true, "https_redirect": false, "redirect_to": "b.org"});
        let site = create(said).unwrap();
        assert_eq!(
            (site.to_string().as_str(), site.strip, site.https_redirect),
            ("*.a.org/api", true, false)
        );
        assert_eq!(
            create(json!({"host": "a b", "path": "api", "redirect_to": "*.x"})).unwrap_err(),
            ["host", "path", "redirect_to"]
        );

        let of_service = |said: Value| {
            let parsed = serde_json::from_value::<CreateServiceDomain>(said).unwrap().parse();
            parsed.map_err(|errors| errors.0.into_keys().collect::<Vec<_>>())
        };
        let said = json!({"host": "a.org", "path": "/api", "strip": true, "container": "web", "port": 80});
        let new = of_service(said).unwrap();
        assert_eq!((new.site.to_string().as_str(), new.site.strip), ("a.org/api", true));
        assert_eq!(new.inlet.map(|inlet| (inlet.container, inlet.port.get())), Some(("web".to_owned(), 80)));
        let redirects = of_service(json!({"host": "www.a.org", "redirect_to": "a.org"})).unwrap();
        assert_eq!(redirects.inlet, None);
        for (said, expect) in [
            (json!({"host": "a b", "container": "web", "port": 0}), vec!["host", "port"]),
            (json!({"host": "a.org", "container": "web"}), vec!["port"]),
            (json!({"host": "a.org", "port": 80}), vec!["container"]),
        ] {
            assert_eq!(of_service(said.clone()).unwrap_err(), expect, "{said}");
        }

        let change = |said: Value| serde_json::from_value::<ChangeDomain>(said).unwrap().parse(&site);
        assert_eq!(change(json!({})).unwrap(), site);
        let reset = change(json!({"strip": null, "redirect_to": null, "https_redirect": null})).unwrap();
        assert_eq!((reset.strip, reset.redirect_to, reset.https_redirect), (false, None, true));
        assert_eq!(reset.path, site.path);
        assert!(change(json!({"redirect_to": "a b"})).is_err());
        assert!(serde_json::from_value::<ChangeDomain>(json!({"host": "b.org"})).is_err());
    }
}
