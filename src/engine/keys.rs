//! Keys of SSH and tokens of repositories: made, sealed, and opened for the moment in which git needs them.

use thiserror::Error;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::key::{BadKey, HostKey, Key, PrivateKey, SshHost};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::source::{CommitId, GitAccess, GitSource, GitUrl, Source};
use crate::host::git::{Credential, Remote};
use crate::store::StoreError;
use crate::vault::OpenError;

/// Why a repository cannot be asked. A secret that cannot be opened is never taken for none.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// The key is gone.
    #[error("there is no key {0}: make it anew, or give another source")]
    NoKey(Slug),
    /// The private half does not open.
    #[error("the private half of the key {name} cannot be opened: {cause}")]
    Key {
        /// The key.
        name: Slug,
        /// Why not.
        cause: OpenError,
    },
    /// The token does not open.
    #[error("the token of the repository cannot be opened: {0}")]
    Token(OpenError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Keeps a key: one that was handed in, or a new one.
    pub async fn create_key(
        &self,
        team: TeamId,
        name: Slug,
        given: Option<PrivateKey>,
    ) -> Result<Key, EngineError> {
        let private = match given {
            Some(private) => private,
            None => new_key()?,
        };
        let _sealing = self.0.sealing.read().await;
        let sealed =
            self.vault().seal(&PrivateKey::place(&name), &private.secret).map_err(EngineError::internal)?;
        let key = Key { name, team, public: private.public, created: self.now() };
        self.0.writer.create_key(key.clone(), sealed).await?;
        Ok(key)
    }

    /// Forgets a key that no app and no service uses.
    pub async fn delete_key(&self, name: Slug) -> Result<(), EngineError> {
        Ok(self.0.writer.delete_key(name).await?)
    }

    /// Forgets what a server was known by, so that whatever it shows next is taken.
    pub async fn forget_host(&self, host: SshHost) -> Result<(), EngineError> {
        let name = host.to_string();
        if self.0.writer.forget_host(host).await? {
            return Ok(());
        }
        Err(EngineError::NotFound { what: "known host", name })
    }

    /// The commit that an app's repository elsewhere has now for what is deployed of it; none if there is no such
    /// branch or tag. For an app whose code does not come from elsewhere, none.
    pub async fn head(&self, app: &App) -> Result<Option<CommitId>, EngineError> {
        let Source::Git(git) = &app.source else { return Ok(None) };
        self.head_of(&format!("app/{}", app.slug), git).await
    }

    /// The same of any repository; `whose` its token is, such as `app/blog`.
    pub(super) async fn head_of(
        &self,
        whose: &str,
        git: &GitSource,
    ) -> Result<Option<CommitId>, EngineError> {
        let remote = self.remote(whose, git).await.map_err(EngineError::internal)?;
        let (commit, met) = self.git().head(&remote, &git.reference).await?;
        self.pin(met).await?;
        Ok(commit)
    }

    /// A repository with what opens it: a token of `whose`, such as `app/blog`, or a key.
    pub(super) async fn remote(&self, whose: &str, git: &GitSource) -> Result<Remote, RemoteError> {
        let url = git.url.clone();
        let credential = match &git.access {
            GitAccess::Public => Credential::None,
            GitAccess::Token { user, token } => {
                let token = self.vault().open(&url.token_place(whose), token).map_err(RemoteError::Token)?;
                Credential::Token { user: user.clone(), token }
            }
            GitAccess::Key(name) => {
                let sealed = self.reader().private_key(name).await?;
                let sealed = sealed.ok_or_else(|| RemoteError::NoKey(name.clone()))?;
                let private = self.vault().open(&PrivateKey::place(name), &sealed);
                let private = private.map_err(|cause| RemoteError::Key { name: name.clone(), cause })?;
                Credential::Key { private, known: self.known(&url).await? }
            }
        };
        Ok(Remote { url, credential })
    }

    /// Keeps what a server showed that was met for the first time.
    pub(super) async fn pin(&self, met: Vec<HostKey>) -> Result<(), StoreError> {
        if met.is_empty() { Ok(()) } else { self.0.writer.pin_hosts(met, self.now()).await }
    }

    async fn known(&self, url: &GitUrl) -> Result<Vec<HostKey>, StoreError> {
        let Some(host) = url.ssh_host() else { return Ok(Vec::new()) };
        Ok(self.reader().host_keys(&host).await?.into_iter().map(|known| known.key).collect())
    }
}

fn new_key() -> Result<PrivateKey, EngineError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(EngineError::internal)?;
    PrivateKey::from_seed(&seed).map_err(|error: BadKey| EngineError::internal(error))
}
