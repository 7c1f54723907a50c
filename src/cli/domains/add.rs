//! `rivetr domains add`: a domain leads to the app at once, and where its name points is said.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::sentence;
use crate::api::wire::{CreateDomain, Domain};
use crate::domain::domain::{PathPrefix, Pattern};
use crate::domain::name::{HostName, Slug};

/// The arguments of `rivetr domains add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples: rivetr domains add blog example.org\n          \
                        rivetr domains add blog www.example.org --redirect-to example.org\n          \
                        rivetr domains add shop example.org --path /shop --strip")]
pub struct Add {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The host, or *.example.org for all with one label more
    #[arg(value_name = "HOST", value_parser = Pattern::parse)]
    host: Pattern,
    /// Only for paths that are this one or below it
    #[arg(long, value_name = "PATH", value_parser = PathPrefix::parse)]
    path: Option<PathPrefix>,
    /// The app sees the path without that part
    #[arg(long)]
    strip: bool,
    /// Send requests on to this host of the same app
    #[arg(long, value_name = "HOST", value_parser = HostName::parse)]
    redirect_to: Option<HostName>,
    /// Serve plain HTTP too once there is a certificate, in place of redirecting to HTTPS
    #[arg(long)]
    no_https_redirect: bool,
}

impl Add {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, host, path, strip, redirect_to, no_https_redirect } = self;
        let request = CreateDomain {
            host: host.to_string(),
            path: path.map(|path| path.to_string()),
            strip,
            redirect_to: redirect_to.map(|host| host.to_string()),
            https_redirect: no_https_redirect.then_some(false),
        };
        let answer = session.client.post(&format!("/api/apps/{name}/domains"), &request).await?;
        session.show(&answer, |domain: Domain| sentence(&domain))
    }
}
