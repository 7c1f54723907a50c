//! Invitations: a link for one login into one team, good for a week and once.

use std::time::Duration;

use super::Auth;
use super::audit::{Actor, Deed, Doer};
use super::link::{self, Link};
use super::people::{ChangeError, of};
use super::session::Origin;
use super::setup::{ClaimError, check_new_password};
use super::sign_in::{SignInError, SignedIn};
use crate::domain::person::{Login, Role, TeamId};
use crate::store::{Entrant, Invitation, InvitationId, NewInvitation, StoreError};

/// How long an invitation is good.
const INVITATION: Duration = Duration::from_hours(7 * 24);

impl Auth {
    /// Invites somebody into a team, to at most the caller's own part there, and returns what stands in the link. It
    /// takes the place of the one they had into this team.
    pub async fn invite(
        &self,
        by: Actor<'_>,
        team: TeamId,
        login: &str,
        role: Role,
    ) -> Result<(String, Invitation), ChangeError> {
        let login = Login::parse(login).map_err(|error| ChangeError::field("login", &error.rule))?;
        let link = Link::new()?;
        let (now, expires) = (self.now(), self.now().after(INVITATION));
        let new = NewInvitation { team, login, role, by: by.caller.to_string(), now, expires };
        let invitation = self.0.writer.invite(of(by), new, link.digest).await?;
        let deed = Deed::new("invitation.made", in_words(&invitation)).of(team).after(role.as_str());
        self.record(by.doer, deed).await;
        Ok((link.text, invitation))
    }

    /// The open invitations into a team, by login.
    pub async fn invitations(&self, team: TeamId) -> Result<Vec<Invitation>, StoreError> {
        self.0.reader.invitations(team, self.now()).await
    }

    /// Takes an invitation back.
    pub async fn revoke_invitation(
        &self,
        by: Actor<'_>,
        team: TeamId,
        id: InvitationId,
    ) -> Result<(), ChangeError> {
        let invitation = self.0.writer.revoke_invitation(of(by), team, id).await?;
        self.record(by.doer, Deed::new("invitation.revoked", in_words(&invitation)).of(team)).await;
        Ok(())
    }

    /// The invitation of a link, if it is still good. Looking at it uses nothing up.
    pub async fn invitation(&self, secret: &str) -> Result<Option<Invitation>, StoreError> {
        match link::digest(secret) {
            Some(hash) => self.0.reader.invitation(&hash, self.now()).await,
            None => Ok(None),
        }
    }

    /// Takes the person of an invitation into the team, and begins a session. Who is known here shows their own
    /// password; who is new sets one.
    pub async fn accept(&self, secret: &str, password: &str, from: &Origin) -> Result<SignedIn, ClaimError> {
        let hash = link::digest(secret).ok_or(ClaimError::Closed)?;
        let invitation = self.0.reader.invitation(&hash, self.now()).await?.ok_or(ClaimError::Closed)?;
        let login = invitation.login.as_str();
        let entrant = if invitation.user_exists {
            Entrant::Known(self.prove(login, password, from).await?.1)
        } else {
            check_new_password(password, login)?;
            Entrant::New(self.hash_password(password).await?)
        };
        let link = Link::new().map_err(SignInError::from)?;
        let begin = self.beginning(link.digest, from);
        let (user, pending) = self.0.writer.accept_invitation(hash, entrant, begin).await?;
        let by = Doer::at_the_door(login, Some(user), from);
        let deed = Deed::new("invitation.accepted", in_words(&invitation)).of(invitation.team);
        self.record(&by, deed.after(invitation.role.as_str())).await;
        Ok(self.signed_in(link.text, pending))
    }
}

fn in_words(Invitation { login, team_name, .. }: &Invitation) -> String {
    format!("invitation of {login} into team {team_name}")
}
