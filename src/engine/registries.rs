//! Sign-ins at registries: kept sealed, and written out for one pull or one build at a time.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Engine, EngineError};
use crate::domain::image::RegistryHost;
use crate::domain::secret::Secret;
use crate::store::Registry;

/// The file that Podman reads sign-ins from, beside the deployment's checkout.
const AUTH_FILE: &str = "auth.json";

impl Engine {
    /// Takes a sign-in, in place of the one that the registry had.
    pub async fn put_registry(
        &self,
        host: RegistryHost,
        user: String,
        password: Secret,
    ) -> Result<Registry, EngineError> {
        let _sealing = self.0.sealing.read().await;
        let password = self.vault().seal(&place(&host), &password);
        let password = password.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let registry = Registry { host, user, password, changed: self.now() };
        self.0.writer.put_registry(registry.clone()).await?;
        Ok(registry)
    }

    /// Forgets a sign-in.
    pub async fn remove_registry(&self, host: &RegistryHost) -> Result<(), EngineError> {
        if self.0.writer.remove_registry(host).await? {
            return Ok(());
        }
        Err(EngineError::NotFound { what: "registry", name: host.to_string() })
    }

    /// Writes the sign-ins that a build or pull may need below its folder, for its owner alone: those of one registry,
    /// or all for a build that names its images itself. None if there are none. The file goes with the folder.
    ///
    /// Blocks for one small file.
    pub(super) async fn auth_file(
        &self,
        folder: &Path,
        only: Option<&RegistryHost>,
    ) -> Result<Option<PathBuf>, EngineError> {
        let mut known = self.reader().registries().await?;
        known.retain(|registry| only.is_none_or(|host| registry.host == *host));
        if known.is_empty() {
            return Ok(None);
        }
        let mut opened = Vec::new();
        for registry in &known {
            let password = self.vault().open(&place(&registry.host), &registry.password);
            let password = password.map_err(|error| EngineError::Invalid {
                field: "registry",
                message: format!(
                    "the password for {host} cannot be opened: {error}. Or hand it in anew: rivetr registries add {host}",
                    host = registry.host
                ),
            })?;
            opened.push((registry, password));
        }
        let text = auth_json(&opened);
        let written = self.machine().workspace.write_private_in(folder, AUTH_FILE, text.as_bytes());
        written.map(Some).map_err(EngineError::internal)
    }

    /// A command of Podman with the sign-ins that there are: the option goes behind the subcommand.
    pub(super) async fn with_sign_ins(
        &self,
        folder: &Path,
        only: Option<&RegistryHost>,
        subcommand: &str,
        mut argv: Vec<String>,
    ) -> Result<Vec<String>, EngineError> {
        if let Some(path) = self.auth_file(folder, only).await?
            && let Some(at) = argv.iter().position(|word| word == subcommand)
        {
            argv.insert(at + 1, format!("--authfile={}", path.display()));
        }
        Ok(argv)
    }
}

/// What a password is sealed for.
fn place(host: &RegistryHost) -> String {
    format!("registry/{host}")
}

/// In the form of containers-auth.json(5). Neither hosts nor Base64 hold what JSON would escape.
fn auth_json(registries: &[(&Registry, Secret)]) -> Zeroizing<String> {
    let mut text = Zeroizing::new("{\"auths\":{".to_owned());
    for (index, (registry, password)) in registries.iter().enumerate() {
        let pair = Zeroizing::new([registry.user.as_bytes(), b":", password.reveal()].concat());
        let auth = Zeroizing::new(STANDARD.encode(&*pair));
        let comma = if index == 0 { "" } else { "," };
        text.extend([comma, "\"", registry.host.as_str(), "\":{\"auth\":\"", auth.as_str(), "\"}"]);
    }
    text.push_str("}}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Sealed;
    use crate::domain::time::Timestamp;

    #[test]
    fn the_file_is_as_podman_reads_it() {
        let registry = |host: &str, user: &str| Registry {
            host: RegistryHost::parse(host).unwrap(),
            user: user.to_owned(),
            password: Sealed(vec![]),
            changed: Timestamp(0),
        };
        let (hub, own) = (registry("docker.io", "ada"), registry("h.example:5000", "\"<ü>\""));
        let text = auth_json(&[(&hub, Secret::new(b"p:w".to_vec())), (&own, Secret::new(vec![0, 255]))]);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["auths"]["docker.io"]["auth"], STANDARD.encode("ada:p:w"));
        let pair = ["\"<ü>\":".as_bytes(), &[0, 255]].concat();
        assert_eq!(read["auths"]["h.example:5000"]["auth"], STANDARD.encode(pair));
        assert_eq!(&*auth_json(&[]), r#"{"auths":{}}"#);
    }
}
