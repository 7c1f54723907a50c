//! What the proxy does with the requests of an app or a service is changed, without a deployment.

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::task::spawn_blocking;

use super::{Engine, EngineError};
use crate::domain::domain::Behind;
use crate::domain::secret::Secret;
use crate::domain::traffic::{Traffic, User, UserName};
use crate::store::SetTrafficError;

/// What hashing a password takes: 19 MiB, two passes, one lane, as OWASP recommends at least. The proxy pays it once for
/// each credential that it meets.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// What is to be done from now on, and the new passwords of some of its users.
pub type NewTraffic = (Traffic, Vec<(UserName, Secret)>);

impl Engine {
    /// What is done with the requests of an app or a service.
    pub async fn traffic(&self, of: Behind) -> Result<Traffic, EngineError> {
        let missing = match of {
            Behind::App(_) => SetTrafficError::Nothing("app"),
            Behind::Service(_) => SetTrafficError::Nothing("service"),
        };
        Ok(self.reader().traffic(of).await?.ok_or(missing)?)
    }

    /// Changes it by what `change` makes of it; returns when the proxy does it.
    pub async fn change_traffic<E: From<EngineError>>(
        &self,
        of: Behind,
        change: impl FnOnce(Traffic) -> Result<NewTraffic, E>,
    ) -> Result<Traffic, E> {
        // Nobody else changes it between the look and the leap.
        let _alone = self.0.changing.lock().await;
        let (traffic, passwords) = change(self.traffic(of).await?)?;
        Ok(self.store_traffic(of, traffic, passwords).await?)
    }

    async fn store_traffic(
        &self,
        of: Behind,
        mut traffic: Traffic,
        passwords: Vec<(UserName, Secret)>,
    ) -> Result<Traffic, EngineError> {
        // Each takes some hundredths of a second of a processor.
        let hashed = spawn_blocking(|| passwords.into_iter().map(hash).collect::<Result<Vec<_>, _>>()).await;
        for user in hashed.map_err(EngineError::internal)?? {
            traffic.users.retain(|known| known.name != user.name);
            traffic.users.push(user);
        }
        traffic.users.sort_by(|a, b| a.name.cmp(&b.name));
        self.0.writer.set_traffic(of, traffic.clone()).await?;
        self.publish_routes().await?;
        Ok(traffic)
    }
}

/// The user with the hash of a password, in the PHC format, under a salt of its own. Takes its time.
fn hash((name, password): (UserName, Secret)) -> Result<User, EngineError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(EngineError::internal)?;
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(EngineError::internal)?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = hasher.hash_password_with_salt(password.reveal(), &salt).map_err(EngineError::internal)?;
    Ok(User { name, hash: hash.to_string() })
}

impl From<SetTrafficError> for EngineError {
    fn from(error: SetTrafficError) -> Self {
        let message = error.to_string();
        match error {
            SetTrafficError::Nothing(what) => Self::NotFound { what, name: String::new() },
            SetTrafficError::Deleting(what, _) => Self::Conflict { field: what, message },
            SetTrafficError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    #[test]
    fn a_hash_says_what_it_cost_and_fits_its_password_alone() {
        let ada = || (UserName::parse("ada").unwrap(), Secret::from("correct horse"));
        let (first, second) = (hash(ada()).unwrap(), hash(ada()).unwrap());
        assert!(first.hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", first.hash);
        assert_ne!(first.hash, second.hash, "no salt");
        let parsed = PasswordHash::new(&first.hash).unwrap();
        let verify = |password: &[u8]| Argon2::default().verify_password(password, &parsed).is_ok();
        assert_eq!((verify(b"correct horse"), verify(b"correct hors")), (true, false));
    }
}
