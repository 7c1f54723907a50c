//! A change of an app, and what came of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parse::{parse_hosts, parse_port};
use super::{App, BuildOptions, DeployOptions, FieldErrors, HealthOptions, RuntimeOptions};
use crate::domain::app::Settings;
use crate::domain::name::HostName;

/// What is to change about an app; what is not there stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeApp {
    /// The hosts that it answers at, whole, besides the automatic one: all of them. Its other domains stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// The port it listens on in its container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How to tell that it answers.
    #[serde(skip_serializing_if = "HealthOptions::is_empty")]
    pub health: HealthOptions,
    /// How its container runs.
    #[serde(skip_serializing_if = "RuntimeOptions::is_empty")]
    pub runtime: RuntimeOptions,
    /// How its image is built.
    #[serde(skip_serializing_if = "BuildOptions::is_empty")]
    pub build: BuildOptions,
    /// How it is deployed.
    #[serde(skip_serializing_if = "DeployOptions::is_empty")]
    pub deploy: DeployOptions,
}

/// An app that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedApp {
    /// The app as it is now.
    pub app: App,
    /// What of the change is in force already: `hosts`, `limits`.
    pub applied: Vec<String>,
    /// The next deployment brings the rest.
    pub needs_deployment: bool,
}

impl ChangeApp {
    /// The settings that follow from those that the app has, and its hosts if they are to change.
    pub fn parse(self, before: &Settings) -> Result<(Settings, Option<Vec<HostName>>), FieldErrors> {
        let Self { hosts, port, health, runtime, build, deploy } = self;
        let mut errors = FieldErrors::default();
        let mut settings = before.clone();
        let hosts = hosts.map(|hosts| parse_hosts(&hosts, &mut errors));
        if let Some(port) = port.and_then(|port| errors.take("port", parse_port(port))) {
            settings.port = port;
        }
        health.lay_over(&mut settings.health, &mut errors);
        runtime.lay_over(&mut settings.runtime, &mut errors);
        build.lay_over(&mut settings.build, &mut errors);
        deploy.lay_over(&mut settings, &mut errors);
        if errors.0.is_empty() { Ok((settings, hosts)) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_said_changes() {
        let before = Settings::new(NonZeroU16::MIN);
        let parse = |said| serde_json::from_value::<ChangeApp>(said).unwrap().parse(&before);
        assert_eq!(parse(json!({})).unwrap(), (before.clone(), None));
        let (settings, hosts) = parse(json!({"port": 80, "hosts": []})).unwrap();
        assert_eq!((settings.port.get(), hosts), (80, Some(vec![])));
        assert_eq!(settings.runtime, before.runtime);
        let errors = parse(json!({"port": 0, "hosts": ["a b"], "runtime": {"cpus": "0"}})).unwrap_err();
        let fields: Vec<_> = errors.0.keys().map(String::as_str).collect();
        assert_eq!(fields, ["hosts[0]", "port", "runtime.cpus"]);
        assert!(serde_json::from_value::<ChangeApp>(json!({"name": "x"})).is_err());
    }
}
