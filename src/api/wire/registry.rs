//! Sign-ins at registries, as JSON says them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, Hidden};
use crate::domain::image::RegistryHost;
use crate::domain::secret::Secret;

/// The longest user name or password of a registry, in bytes: tokens of the large ones are 1 to 2 KiB.
const SIGN_IN_MAX: usize = 4096;

/// A sign-in at a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registry {
    /// The registry: `ghcr.io`, `registry.example.org:5000`.
    pub host: String,
    /// The name that rivetr signs in by.
    pub user: String,
    /// When the password was handed in (RFC 3339, UTC).
    pub changed: String,
}

/// A new sign-in at a registry, in place of the one it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRegistry {
    /// The registry: `ghcr.io`, `registry.example.org:5000`.
    pub host: String,
    /// The name to sign in by.
    pub user: String,
    /// The password or token; it is never shown again.
    #[schema(value_type = String)]
    pub password: Hidden,
}

impl PutRegistry {
    /// Host, user and password, or what is wrong with each field.
    pub fn parse(self) -> Result<(RegistryHost, String, Secret), FieldErrors> {
        let Self { host, user, password: Hidden(password) } = self;
        let mut errors = FieldErrors::default();
        let host = errors.take("host", RegistryHost::parse(&host));
        let plain =
            |text: &str| !text.is_empty() && text.len() <= SIGN_IN_MAX && !text.chars().any(char::is_control);
        // What stands between the two is a colon (RFC 7617).
        if !plain(&user) || user.contains(':') {
            errors.put("user", "use 1 to 4096 characters without a colon and without control characters");
        }
        if !plain(&password) {
            errors.put("password", "use 1 to 4096 characters without control characters");
        }
        match host {
            Some(host) if errors.0.is_empty() => Ok((host, user, Secret::new(password.into_bytes()))),
            _ => Err(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_ins() {
        let check = |host: &str, user: &str, password: &str, wrong: &[&str]| {
            let [host, user, password] = [host, user, password].map(str::to_owned);
            let outcome = PutRegistry { host, user, password: Hidden(password) }.parse();
            let fields = outcome.map_or_else(|errors| errors.0.into_keys().collect(), |_| vec![]);
            assert_eq!(fields, wrong);
        };
        check("GHCR.io", "ada", "p:w ü", &[]);
        check("https://ghcr.io", "a:b", "", &["host", "password", "user"]);
        check("ghcr.io", "", "a\nb", &["password", "user"]);
    }
}
