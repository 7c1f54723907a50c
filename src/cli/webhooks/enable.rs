//! `rivetr webhooks enable`: makes a secret, and says what to enter at the provider.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::facts;
use super::{Whose, parse_provider};
use crate::api::wire::{EnableWebhook, EnabledWebhook};
use crate::domain::name::Slug;
use crate::domain::webhook::Provider;

/// The arguments of `rivetr webhooks enable`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr webhooks enable blog --watch 'api/**' --watch '!**/*.md'\n\n\
                  Enabling it again makes a new secret; the old one is worthless at once.")]
pub struct Enable {
    #[command(flatten)]
    whose: Whose,
    /// Who sends: github, gitlab, gitea (also Forgejo), bitbucket, dockerhub, ghcr or generic [default: as the
    /// repository's host says]
    #[arg(long, value_parser = parse_provider)]
    provider: Option<Provider>,
    /// Deploy only for pushes that change such files; `!` leaves some out; `**` alone is all of them
    #[arg(long, value_name = "GLOB")]
    watch: Vec<String>,
}

impl Enable {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { whose, provider, watch } = self;
        let request = EnableWebhook {
            provider: provider.map(|provider| provider.to_string()),
            watch: (!watch.is_empty()).then_some(watch),
        };
        let answer = session.client.post(&whose.path(), &request).await?;
        session.show(&answer, |enabled: EnabledWebhook| words(&whose.name, enabled))
    }
}

fn words(name: &Slug, enabled: EnabledWebhook) -> String {
    let EnabledWebhook { provider, url, path, secret, signing_token, watch } = enabled;
    let advice = Provider::parse(&provider).map_or("", advice);
    let mut rows = vec![("url", url.unwrap_or_else(|| format!("http://HOST{path}")))];
    rows.extend(secret.map(|secret| ("secret", secret)));
    rows.extend(signing_token.map(|token| ("signing token", token)));
    if !watch.is_empty() {
        rows.push(("watched", watch.join(" ")));
    }
    format!(
        "{name} takes webhooks of {provider}. The secret is shown this once.\n\n{}\n{advice}\n",
        facts(&rows)
    )
}

/// What to choose at the provider.
fn advice(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => {
            "Enter both at GitHub under Settings, Webhooks; content type application/json, just the push event."
        }
        Provider::Gitlab => {
            "Enter the address at GitLab under Settings, Webhooks, with the signing token, or the secret as secret \
             token where there is no signing token; push events."
        }
        Provider::Gitea => {
            "Enter both at Gitea or Forgejo under Settings, Webhooks; POST, application/json, push events."
        }
        Provider::Bitbucket => {
            "Enter both at Bitbucket under Repository settings, Webhooks; trigger: repository push."
        }
        Provider::Dockerhub => {
            "Enter it at Docker Hub on the repository's page, Webhooks. Docker Hub signs nothing: the address is the \
             secret, so keep it like one."
        }
        Provider::Ghcr => {
            "Enter both at GitHub under Settings, Webhooks, of the package's owner; content type application/json, \
             packages."
        }
        Provider::Generic => {
            "POST JSON such as {\"ref\": \"refs/heads/main\", \"head\": \"COMMIT\"}, with the field\n\
             X-Rivetr-Signature-256: sha256=HEX, the HMAC-SHA256 of the body under the secret. Something in each body \
             must differ,\nfor one that came before is not taken again for 7 days. Also known: repository, message, \
             files, deleted."
        }
    }
}
