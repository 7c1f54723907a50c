//! The units of an app as they would be with other settings, made by the code that starts releases. Nothing is
//! written, no secret is made, and values that nobody may see stay what they are in a unit: names of secrets.

use std::net::Ipv4Addr;

use super::{Engine, EngineError};
use crate::domain::app::{App, Settings};
use crate::domain::deployment::{Deployment, DeploymentId, ImageId, State, Trigger};
use crate::domain::project::Subnet;
use crate::quadlet::UnitFiles;

/// Units as text, each with the name of its file.
pub type Texts = Vec<(String, String)>;

/// What there is, and what there would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The number of the release that serves, whose number, image and addresses both sides show; none: nothing was
    /// deployed yet, and they are made up.
    pub release: Option<u32>,
    /// What that release was made of; as the app is set now, where there is none.
    pub before: Texts,
    /// What the next one would be made of, were the settings these.
    pub after: Texts,
}

impl Engine {
    /// The units of an app as they are, and as they would be with these settings; refused where these would be.
    pub async fn preview(
        &self,
        app: &App,
        settings: &Settings,
        administrator: bool,
    ) -> Result<Preview, EngineError> {
        self.check_runtime(&app.slug, settings, Some(&app.settings.runtime), administrator).await?;
        let carried = self.reader().carried(app.id, self.injected(app).await?).await?;
        let files = self.reader().files(app.id).await?;
        let next = Settings { variables: carried, files, ..settings.clone() };
        let live = match app.live {
            Some(id) => Some(self.deployment(id).await?),
            None => None,
        };
        let base = match &live {
            Some(live) => live.clone(),
            None => made_up(app, Settings { variables: Vec::new(), files: Vec::new(), ..next.clone() })?,
        };
        let replicas = usize::from(next.replicas.get());
        let wanted = Deployment { settings: next, ..base.clone() };
        let before = match &live {
            Some(live) => self.texts(app, live, &live.addresses).await?,
            None => Texts::new(),
        };
        let addresses = enough(&base.addresses, app.project.subnet, replicas);
        let after = self.texts(app, &wanted, &addresses).await?;
        Ok(Preview { release: live.map(|live| live.number), before, after })
    }

    async fn texts(
        &self,
        app: &App,
        release: &Deployment,
        addresses: &[Ipv4Addr],
    ) -> Result<Texts, EngineError> {
        let (files, _) = self.release_files(app, release, addresses, true).await?;
        Ok(texts(files))
    }
}

pub(super) fn texts(files: UnitFiles) -> Texts {
    files.into_iter().map(|(path, text)| (path.file().to_owned(), text)).collect()
}

/// The first release of an app that has none: its number is 1, and its image is nobody's.
fn made_up(app: &App, settings: Settings) -> Result<Deployment, EngineError> {
    let image = ImageId::parse(&"0".repeat(64)).map_err(EngineError::internal)?;
    Ok(Deployment {
        id: DeploymentId(0),
        app: app.id,
        app_slug: app.slug.clone(),
        number: 1,
        trigger: Trigger::Request,
        back_to: None,
        reason: None,
        settings,
        commit: None,
        digest: None,
        image: Some(image),
        addresses: Vec::new(),
        state: State::Starting,
        failure: None,
        created: app.created,
        ended: None,
    })
}

/// So many addresses, those that are there first.
fn enough(there: &[Ipv4Addr], subnet: Subnet, count: usize) -> Vec<Ipv4Addr> {
    let free = (Subnet::FIRST_HOST..=Subnet::LAST_HOST).map(|number| subnet.host(number));
    let more = free.filter(|address| !there.contains(address));
    there.iter().copied().chain(more).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_addresses_as_containers() {
        let subnet = Subnet::around(Ipv4Addr::new(10, 90, 0, 0));
        let there = [subnet.host(3)];
        assert_eq!(enough(&there, subnet, 3), [subnet.host(3), subnet.host(2), subnet.host(4)]);
        assert_eq!(enough(&there, subnet, 0), [] as [Ipv4Addr; 0]);
    }
}
