//! Every route, with who may come in and what it takes and gives.
//!
//! The router, the OpenAPI document and a test are made from it.

mod backups;
mod databases;
mod drift;
mod instance;
mod jobs;
mod services;

use http::StatusCode;
use utoipa::openapi::schema::Type;

use super::{
    Api, Route, app, audit, certificate, deployment, domain, exec, git, hooks, key, metrics, operate,
    project, registry, routing, secret, settings, system, team, token, traffic, upload, user, variable,
    volume, webhook, wire,
};

/// Every route.
#[must_use]
pub fn table() -> Vec<Route<Api>> {
    let parts = [
        of_system(),
        drift::of_units(),
        instance::of_instance(),
        of_apps(),
        of_deployments(),
        of_projects(),
        jobs::of_jobs(),
        of_keys(),
        of_volumes(),
        of_registries(),
        of_certificates(),
        of_tokens(),
        of_people(),
        of_teams(),
        of_git(),
        of_variables(),
        of_webhooks(),
        of_running_apps(),
        of_domains(),
        backups::of_backups(),
        databases::of_databases(),
        databases::of_trashed_databases(),
        services::of_all(),
        services::of_one(),
        services::of_webhooks(),
    ];
    parts.into_iter().flatten().collect()
}

fn of_system() -> Vec<Route<Api>> {
    vec![
        Route::get("/health", system::alive).about("Whether rivetr answers").answers("text/plain"),
        Route::get("/api/openapi.json", system::document).about("This document").answers("application/json"),
        Route::get("/api/system/health", system::health)
            .about("How rivetr and its host do")
            .gives::<wire::Health>(StatusCode::OK),
        Route::get("/metrics", metrics::show)
            .about("What rivetr and its proxy count, for Prometheus")
            .answers("text/plain"),
        Route::get("/api/requests", metrics::by_app)
            .about("What was answered for each app since the proxy started")
            .lists::<wire::Requests>(),
    ]
}

fn of_apps() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/apps", app::list).about("Every app").lists::<wire::App>(),
        Route::post("/api/apps", app::create)
            .about("Create an app")
            .takes::<wire::CreateApp>()
            .gives::<wire::App>(StatusCode::CREATED),
        Route::get("/api/apps/{id}", app::show).about("One app").gives::<wire::App>(StatusCode::OK),
        Route::patch("/api/apps/{id}", settings::change)
            .about("Change an app; null brings an option back to its default")
            .takes::<wire::ChangeApp>()
            .gives::<wire::ChangedApp>(StatusCode::OK),
        Route::delete("/api/apps/{id}", app::delete)
            .about("Delete an app and all it has but its volumes")
            .query("volumes", Type::Boolean, "Whether its volumes go too, with their data")
            .answers_nothing(),
        Route::put("/api/apps/{id}/source", app::set_source)
            .about("Say where the code of an app comes from, from its next deployment on")
            .takes::<wire::SetSource>()
            .gives::<wire::App>(StatusCode::OK),
        Route::post("/api/apps/{id}/deploy", app::deploy)
            .about("Deploy an app")
            .takes::<wire::Deploy>()
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
        Route::post("/api/apps/{id}/upload", upload::deploy)
            .about("Deploy an archive, tar.gz or zip, that is the body")
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
        Route::post("/api/apps/{id}/exec", exec::open)
            .about("Run a command in an app's container; the connection then carries frames (Upgrade: rivetr-exec)")
            .takes::<wire::Exec>()
            .answers("application/octet-stream"),
        Route::post("/api/apps/{id}/run", exec::run)
            .about("Run a command in a container of its own, made like the app's live release; frames as with exec")
            .takes::<wire::Exec>()
            .answers("application/octet-stream"),
        Route::get("/api/apps/{id}/deployments", app::deployments)
            .about("The deployments of an app, newest first")
            .query("limit", Type::Integer, "How many; 20 if not said, at most 100")
            .query("before", Type::Integer, "Only those older than this id")
            .lists::<wire::Deployment>(),
        Route::get("/api/apps/{id}/status", app::status)
            .about("How an app does right now")
            .gives::<wire::AppStatus>(StatusCode::OK),
        Route::get("/api/apps/{id}/logs/stream", app::log)
            .about("What an app writes; Last-Event-ID goes on after that event")
            .query("lines", Type::Integer, "How many past lines come first; at most 10,000")
            .query("follow", Type::Boolean, "Whether to wait for more")
            .streams::<wire::RuntimeLine>(),
    ]
}

fn of_deployments() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/deployments/{id}", deployment::show)
            .about("One deployment")
            .gives::<wire::Deployment>(StatusCode::OK),
        Route::get("/api/deployments/{id}/logs", deployment::log)
            .about("The log of a deployment, until its end; Last-Event-ID goes on after that event")
            .streams::<wire::LogLine>(),
        Route::post("/api/deployments/{id}/cancel", deployment::cancel)
            .about("Stop a deployment that is not live yet")
            .gives::<wire::Deployment>(StatusCode::OK),
    ]
}

fn of_projects() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/projects", project::list).about("Every project").lists::<wire::Project>(),
        Route::post("/api/projects", project::create)
            .about("Create a project")
            .takes::<wire::CreateProject>()
            .gives::<wire::Project>(StatusCode::CREATED),
        Route::get("/api/projects/{id}", project::show)
            .about("One project")
            .gives::<wire::Project>(StatusCode::OK),
        Route::delete("/api/projects/{id}", project::delete)
            .about("Delete a project that has no apps")
            .answers_nothing(),
        Route::post("/api/projects/{id}/environments", project::add_environment)
            .about("Add an environment to a project")
            .takes::<wire::CreateEnvironment>()
            .gives::<wire::Project>(StatusCode::CREATED),
        Route::delete("/api/projects/{id}/environments/{environment}", project::delete_environment)
            .about("Remove an environment that has no apps")
            .answers_nothing(),
    ]
}

fn of_keys() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/keys", key::list).about("Every key that opens repositories").lists::<wire::Key>(),
        Route::post("/api/keys", key::create)
            .about("Keep a key: a new one, or one that is handed in")
            .takes::<wire::CreateKey>()
            .gives::<wire::Key>(StatusCode::CREATED),
        Route::get("/api/keys/{name}", key::show)
            .about("One key, and the apps that use it")
            .gives::<wire::Key>(StatusCode::OK),
        Route::delete("/api/keys/{name}", key::delete)
            .about("Delete a key that no app uses")
            .answers_nothing(),
        Route::get("/api/known-hosts", key::hosts)
            .about("The servers that are known by their keys")
            .lists::<wire::KnownHost>(),
        Route::delete("/api/known-hosts/{host}", key::forget)
            .about("Forget a server's keys, so that the next ones it shows are taken")
            .answers_nothing(),
    ]
}

fn of_volumes() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/volumes", volume::list)
            .about("Every volume that an app or a service has or had")
            .query("size", Type::Boolean, "Whether to measure them, which looks at every file")
            .lists::<wire::Volume>(),
        Route::get("/api/volumes/{name}", volume::show)
            .about("One volume, measured")
            .gives::<wire::Volume>(StatusCode::OK),
        Route::delete("/api/volumes/{name}", volume::delete)
            .about("Delete a volume that no app mounts, with its data")
            .answers_nothing(),
    ]
}

fn of_registries() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/registries", registry::list)
            .about("The registries that rivetr signs in at")
            .lists::<wire::Registry>(),
        Route::post("/api/registries", registry::put)
            .about("Hand in a sign-in at a registry, in place of the one it had")
            .takes::<wire::PutRegistry>()
            .gives::<wire::Registry>(StatusCode::CREATED),
        Route::delete("/api/registries/{host}", registry::remove)
            .about("Forget a sign-in at a registry")
            .answers_nothing(),
    ]
}

fn of_certificates() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/certificates", certificate::list)
            .about("Every certificate: those that rivetr orders, and those that were handed in")
            .lists::<wire::Certificate>(),
        Route::post("/api/certificates", certificate::add)
            .about("Hand in a certificate with its key, in place of the one of the same name")
            .takes::<wire::AddCertificate>()
            .gives::<wire::Certificate>(StatusCode::CREATED),
        Route::get("/api/certificates/{name}", certificate::show)
            .about("One certificate")
            .gives::<wire::Certificate>(StatusCode::OK),
        Route::delete("/api/certificates/{name}", certificate::remove)
            .about("Take back a certificate that was handed in")
            .answers_nothing(),
        Route::post("/api/certificates/{name}/renew", certificate::renew)
            .about("Order a new certificate for a name now")
            .takes::<wire::RenewCertificate>()
            .gives::<wire::Certificate>(StatusCode::ACCEPTED),
        Route::post("/api/acme-account/rotate-key", certificate::change_account_key)
            .about("Have the ACME server know rivetr's account by a new key")
            .answers_nothing(),
    ]
}

fn of_tokens() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/tokens", token::list).about("Every token").lists::<wire::Token>(),
        Route::post("/api/tokens", token::create)
            .about("Make a token; its secret is shown once")
            .takes::<wire::CreateToken>()
            .gives::<wire::CreatedToken>(StatusCode::CREATED),
        Route::delete("/api/tokens/{id}", token::revoke).about("Revoke a token").answers_nothing(),
    ]
}

fn of_people() -> Vec<Route<Api>> {
    vec![
        Route::post("/api/setup-link", user::setup_link)
            .about("Make the link by which the first user comes in, in place of the one before")
            .gives::<wire::Link>(StatusCode::CREATED),
        Route::get("/api/me", user::me)
            .about("Who asks, and with which parts")
            .gives::<wire::Me>(StatusCode::OK),
        Route::delete("/api/me/teams/{team}", user::leave).about("Leave a team").answers_nothing(),
        Route::get("/api/users", user::list).about("Every user").lists::<wire::User>(),
        Route::post("/api/users", user::create)
            .about("Make a user; without a password, with a link to set one")
            .takes::<wire::CreateUser>()
            .gives::<wire::CreatedUser>(StatusCode::CREATED),
        Route::patch("/api/users/{login}", user::change)
            .about("Keep a user out or let them in, or make them an administrator of the instance or not")
            .takes::<wire::ChangeUser>()
            .gives::<wire::User>(StatusCode::OK),
        Route::delete("/api/users/{login}", user::delete)
            .about("Delete a user, with their sessions and tokens")
            .answers_nothing(),
        Route::post("/api/users/{login}/reset", user::reset)
            .about("Make a link by which a user sets a new password")
            .takes::<wire::Reset>()
            .gives::<wire::Link>(StatusCode::CREATED),
        Route::get("/api/audit", audit::list)
            .about("What was done, the last first: about teams that you lead, and by yourself")
            .query("team", Type::String, "Only what is about this team")
            .query("user", Type::String, "Only what this user did")
            .query("action", Type::String, "Only actions that begin so, such as app.")
            .query("object", Type::String, "Only where this stands in the object")
            .query("since", Type::String, "Only from this moment on (RFC 3339)")
            .query("until", Type::String, "Only before this moment (RFC 3339)")
            .query("limit", Type::Integer, "How many; 20 if not said, at most 100")
            .query("before", Type::Integer, "Only those older than this id")
            .lists::<wire::Deed>(),
        Route::get("/api/audit/export", audit::export)
            .about("All of that, one JSON object a line; takes what the list takes, but for the limit")
            .answers("application/x-ndjson"),
        Route::get("/api/audit/verify", audit::verify)
            .about("Whether every entry is as it was written")
            .gives::<wire::Verified>(StatusCode::OK),
    ]
}

fn of_teams() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/teams", team::list).about("Your teams").lists::<wire::Team>(),
        Route::post("/api/teams", team::create)
            .about("Make a team")
            .takes::<wire::NameTeam>()
            .gives::<wire::Team>(StatusCode::CREATED),
        Route::get("/api/teams/{team}", team::show).about("One team").gives::<wire::Team>(StatusCode::OK),
        Route::patch("/api/teams/{team}", team::change)
            .about("Give a team another name, or have it ask for a second factor")
            .takes::<wire::ChangeTeam>()
            .gives::<wire::Team>(StatusCode::OK),
        Route::delete("/api/teams/{team}", team::delete)
            .about("Delete a team that has neither projects nor keys")
            .answers_nothing(),
        Route::put("/api/teams/{team}/limits", team::limit)
            .about("Say what the apps, databases and services of a team may use together; what is not said is not limited")
            .takes::<wire::TeamLimits>()
            .gives::<wire::Team>(StatusCode::OK),
        Route::get("/api/teams/{team}/members", team::members)
            .about("The members of a team")
            .lists::<wire::Member>(),
        Route::patch("/api/teams/{team}/members/{login}", team::change_role)
            .about("Give a member another part, at most your own")
            .takes::<wire::ChangeRole>()
            .gives::<wire::Member>(StatusCode::OK),
        Route::delete("/api/teams/{team}/members/{login}", team::remove_member)
            .about("Take a member out of a team")
            .answers_nothing(),
        Route::get("/api/teams/{team}/invitations", team::invitations)
            .about("The open invitations into a team")
            .lists::<wire::Invitation>(),
        Route::post("/api/teams/{team}/invitations", team::invite)
            .about("Invite somebody, to at most your own part; the link is shown once")
            .takes::<wire::Invite>()
            .gives::<wire::Link>(StatusCode::CREATED),
        Route::delete("/api/teams/{team}/invitations/{id}", team::revoke_invitation)
            .about("Take an invitation back")
            .answers_nothing(),
    ]
}

fn of_git() -> Vec<Route<Api>> {
    vec![
        Route::get("/git/{repo}/info/refs", git::advertise)
            .about("For git push: what an app's repository has")
            .query("service", Type::String, "git-receive-pack")
            .answers("application/x-git-receive-pack-advertisement"),
        Route::post("/git/{repo}/git-receive-pack", git::receive)
            .about("For git push: take in commits and deploy them")
            .answers("application/x-git-receive-pack-result"),
    ]
}

fn of_running_apps() -> Vec<Route<Api>> {
    vec![
        Route::post("/api/apps/{id}/rollback", operate::roll_back)
            .about("Bring back a release that was live before, without a build")
            .takes::<wire::RollBack>()
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
        Route::post("/api/apps/{id}/restart", operate::restart)
            .about("Replace the containers of the live release by new ones, without losing a request")
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
        Route::post("/api/apps/{id}/start", operate::start)
            .about("Start an app that was stopped; answers when it does")
            .gives::<wire::App>(StatusCode::OK),
        Route::post("/api/apps/{id}/stop", operate::stop)
            .about("Stop an app until it is started or deployed, also over reboots")
            .gives::<wire::App>(StatusCode::OK),
        Route::post("/api/apps/{id}/scale", operate::scale)
            .about("Have more or fewer containers answer, without a deployment")
            .takes::<wire::Scale>()
            .gives::<wire::App>(StatusCode::OK),
        Route::post("/api/deployments/{id}/rollback", operate::roll_back_to)
            .about("Bring back what this deployment made live, without a build")
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
    ]
}

fn of_variables() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/apps/{id}/env-vars", variable::list)
            .about("The variables of an app; secret values are not shown")
            .lists::<wire::Variable>(),
        Route::put("/api/apps/{id}/env-vars", variable::set)
            .about("Set variables of an app, all or none; its next deployment gets them")
            .takes::<wire::SetVariables>()
            .lists::<wire::Variable>(),
        Route::delete("/api/apps/{id}/env-vars/{key}", variable::unset)
            .about("Remove a variable of an app")
            .answers_nothing(),
        Route::get("/api/projects/{project}/env-vars", variable::list)
            .about("The variables that every app of a project gets")
            .lists::<wire::Variable>(),
        Route::put("/api/projects/{project}/env-vars", variable::set)
            .about("Set variables of a project, all or none")
            .takes::<wire::SetVariables>()
            .lists::<wire::Variable>(),
        Route::delete("/api/projects/{project}/env-vars/{key}", variable::unset)
            .about("Remove a variable of a project")
            .answers_nothing(),
        Route::get("/api/projects/{project}/environments/{environment}/env-vars", variable::list)
            .about("The variables that every app of a project's environment gets")
            .lists::<wire::Variable>(),
        Route::put("/api/projects/{project}/environments/{environment}/env-vars", variable::set)
            .about("Set variables of a project's environment, all or none")
            .takes::<wire::SetVariables>()
            .lists::<wire::Variable>(),
        Route::delete("/api/projects/{project}/environments/{environment}/env-vars/{key}", variable::unset)
            .about("Remove a variable of a project's environment")
            .answers_nothing(),
        Route::get("/api/apps/{id}/files", secret::files)
            .about("The files that are mounted into an app's container")
            .lists::<wire::File>(),
        Route::put("/api/apps/{id}/files", secret::set_file)
            .about("Set a file that is mounted into an app's container; its next deployment gets it")
            .takes::<wire::SetFile>()
            .answers_nothing(),
        Route::delete("/api/apps/{id}/files", secret::unset_file)
            .about("Remove a mounted file")
            .query("path", Type::String, "Where it appears in the container")
            .answers_nothing(),
        Route::post("/api/secrets/rotate-key", secret::rotate_key)
            .about("Change the master key and seal every secret anew")
            .gives::<wire::Rotated>(StatusCode::OK),
    ]
}

fn of_webhooks() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/apps/{id}/webhooks", webhook::list)
            .about("The webhooks of an app and what was delivered to them, newest first")
            .query("limit", Type::Integer, "How many deliveries; 20 if not said, at most 100")
            .query("before", Type::Integer, "Only deliveries older than this id")
            .gives::<wire::Webhooks>(StatusCode::OK),
        Route::post("/api/apps/{id}/webhooks", webhook::enable)
            .about("Take webhooks of a provider, with a new secret that is shown once")
            .takes::<wire::EnableWebhook>()
            .gives::<wire::EnabledWebhook>(StatusCode::CREATED),
        Route::delete("/api/apps/{id}/webhooks/{provider}", webhook::disable)
            .about("Take webhooks of a provider no more")
            .answers_nothing(),
        Route::get("/api/webhook-deliveries/{id}", webhook::show)
            .about("One delivery, with what was sent")
            .gives::<wire::ShownDelivery>(StatusCode::OK),
        Route::post("/api/webhook-deliveries/{id}/replay", webhook::replay)
            .about("Look at a delivery once more, as the app or service is set now")
            .gives::<wire::Delivery>(StatusCode::OK),
        Route::post("/webhooks/{provider}/{app}", hooks::receive)
            .about("For providers: a signed delivery to an app, or to a service as service.NAME")
            .gives::<wire::DeliveryAnswer>(StatusCode::ACCEPTED),
        Route::post("/webhooks/{provider}/{app}/{secret}", hooks::receive_at_secret)
            .about("For Docker Hub, which does not sign: a delivery to an address that is the secret")
            .gives::<wire::DeliveryAnswer>(StatusCode::ACCEPTED),
    ]
}

fn of_domains() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/apps/{id}/domains", domain::list)
            .about("The domains of an app")
            .query("dns", Type::Boolean, "Whether to look up where they point")
            .lists::<wire::Domain>(),
        Route::post("/api/apps/{id}/domains", domain::add)
            .about("Give an app one more domain, which leads to it at once")
            .takes::<wire::CreateDomain>()
            .gives::<wire::Domain>(StatusCode::CREATED),
        Route::patch("/api/domains/{id}", domain::change)
            .about("Change what happens at a domain; null brings an option back to its default")
            .takes::<wire::ChangeDomain>()
            .gives::<wire::Domain>(StatusCode::OK),
        Route::delete("/api/domains/{id}", domain::remove)
            .about("Take a domain from its app or service")
            .answers_nothing(),
        Route::get("/api/apps/{id}/traffic", traffic::show)
            .about("What the proxy does with the requests of an app, where that is not the default")
            .gives::<wire::TrafficOptions>(StatusCode::OK),
        Route::patch("/api/apps/{id}/traffic", traffic::change)
            .about("Change what the proxy does with the requests of an app; null brings an option back to its default")
            .takes::<wire::TrafficOptions>()
            .gives::<wire::TrafficOptions>(StatusCode::OK),
        Route::get("/api/routes", routing::list).about("Every route of the proxy").lists::<wire::Route>(),
        Route::get("/api/routes/match", routing::find)
            .about("What would become of a request")
            .query("url", Type::String, "Its address")
            .gives::<wire::RouteMatch>(StatusCode::OK),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::openapi;
    use super::*;
    use crate::auth::gate::Access;
    use crate::domain::right::Right;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one line for each route")]
    fn every_route_with_its_rule() {
        let read = Access::Needs(Right::Read);
        let deploy = Access::Needs(Right::Deploy);
        let manage = Access::Needs(Right::Manage);
        let administer = Access::Needs(Right::Administer);
        let (lead, own) = (Access::Needs(Right::Lead), Access::Needs(Right::Own));
        let expect = [
            ("GET /health", Access::Open),
            ("GET /api/openapi.json", read),
            ("GET /api/system/health", read),
            ("GET /metrics", read),
            ("GET /api/requests", read),
            ("GET /api/system/drift", administer),
            ("POST /api/system/drift/{unit}/adopt", administer),
            ("POST /api/system/drift/{unit}/restore", administer),
            ("POST /api/system/drift/{unit}/ignore", administer),
            ("GET /api/system/report", administer),
            ("GET /api/system/export", administer),
            ("GET /api/system/backup", administer),
            ("POST /api/system/restore", administer),
            ("GET /api/system/export/images/{image}", administer),
            ("GET /api/system/export/volumes/{volume}", administer),
            ("GET /api/apps", read),
            ("POST /api/apps", manage),
            ("GET /api/apps/{id}", read),
            ("PATCH /api/apps/{id}", manage),
            ("DELETE /api/apps/{id}", manage),
            ("PUT /api/apps/{id}/source", manage),
            ("POST /api/apps/{id}/deploy", deploy),
            ("POST /api/apps/{id}/upload", deploy),
            ("POST /api/apps/{id}/exec", manage),
            ("POST /api/apps/{id}/run", manage),
            ("GET /api/apps/{id}/deployments", read),
            ("GET /api/apps/{id}/status", read),
            ("GET /api/apps/{id}/logs/stream", read),
            ("GET /api/deployments/{id}", read),
            ("GET /api/deployments/{id}/logs", read),
            ("POST /api/deployments/{id}/cancel", deploy),
            ("GET /api/projects", read),
            ("POST /api/projects", lead),
            ("GET /api/projects/{id}", read),
            ("DELETE /api/projects/{id}", lead),
            ("POST /api/projects/{id}/environments", lead),
            ("DELETE /api/projects/{id}/environments/{environment}", lead),
            ("GET /api/apps/{id}/jobs", read),
            ("POST /api/apps/{id}/jobs", manage),
            ("GET /api/apps/{id}/jobs/{job}", read),
            ("PATCH /api/apps/{id}/jobs/{job}", manage),
            ("DELETE /api/apps/{id}/jobs/{job}", manage),
            ("POST /api/apps/{id}/jobs/{job}/run", deploy),
            ("GET /api/apps/{id}/jobs/{job}/runs", read),
            ("GET /api/apps/{id}/jobs/{job}/runs/{run}/logs", read),
            ("POST /api/apps/{id}/jobs/{job}/runs/{run}/cancel", deploy),
            ("GET /api/keys", read),
            ("POST /api/keys", lead),
            ("GET /api/keys/{name}", read),
            ("DELETE /api/keys/{name}", lead),
            ("GET /api/known-hosts", read),
            ("DELETE /api/known-hosts/{host}", administer),
            ("GET /api/volumes", read),
            ("GET /api/volumes/{name}", read),
            ("DELETE /api/volumes/{name}", manage),
            ("GET /api/registries", read),
            ("POST /api/registries", administer),
            ("DELETE /api/registries/{host}", administer),
            ("GET /api/certificates", read),
            ("POST /api/certificates", administer),
            ("GET /api/certificates/{name}", read),
            ("DELETE /api/certificates/{name}", administer),
            ("POST /api/certificates/{name}/renew", manage),
            ("POST /api/acme-account/rotate-key", administer),
            ("GET /api/tokens", read),
            ("POST /api/tokens", Access::Oneself),
            ("DELETE /api/tokens/{id}", Access::Oneself),
            ("POST /api/setup-link", administer),
            ("GET /api/me", read),
            ("DELETE /api/me/teams/{team}", Access::Oneself),
            ("GET /api/users", administer),
            ("POST /api/users", administer),
            ("PATCH /api/users/{login}", administer),
            ("DELETE /api/users/{login}", administer),
            ("POST /api/users/{login}/reset", administer),
            ("GET /api/audit", read),
            ("GET /api/audit/export", read),
            ("GET /api/audit/verify", administer),
            ("GET /api/teams", read),
            ("POST /api/teams", administer),
            ("GET /api/teams/{team}", read),
            ("PATCH /api/teams/{team}", own),
            ("DELETE /api/teams/{team}", own),
            ("PUT /api/teams/{team}/limits", administer),
            ("GET /api/teams/{team}/members", read),
            ("PATCH /api/teams/{team}/members/{login}", lead),
            ("DELETE /api/teams/{team}/members/{login}", lead),
            ("GET /api/teams/{team}/invitations", lead),
            ("POST /api/teams/{team}/invitations", lead),
            ("DELETE /api/teams/{team}/invitations/{id}", lead),
            ("GET /git/{repo}/info/refs", deploy),
            ("POST /git/{repo}/git-receive-pack", deploy),
            ("GET /api/apps/{id}/env-vars", read),
            ("PUT /api/apps/{id}/env-vars", manage),
            ("DELETE /api/apps/{id}/env-vars/{key}", manage),
            ("GET /api/projects/{project}/env-vars", read),
            ("PUT /api/projects/{project}/env-vars", manage),
            ("DELETE /api/projects/{project}/env-vars/{key}", manage),
            ("GET /api/projects/{project}/environments/{environment}/env-vars", read),
            ("PUT /api/projects/{project}/environments/{environment}/env-vars", manage),
            ("DELETE /api/projects/{project}/environments/{environment}/env-vars/{key}", manage),
            ("GET /api/apps/{id}/files", read),
            ("PUT /api/apps/{id}/files", manage),
            ("DELETE /api/apps/{id}/files", manage),
            ("POST /api/secrets/rotate-key", administer),
            ("GET /api/apps/{id}/webhooks", read),
            ("POST /api/apps/{id}/webhooks", manage),
            ("DELETE /api/apps/{id}/webhooks/{provider}", manage),
            ("GET /api/webhook-deliveries/{id}", read),
            ("POST /api/webhook-deliveries/{id}/replay", deploy),
            // Whoever has the secret: each verifies by itself, counts its peer and bounds its body.
            ("POST /webhooks/{provider}/{app}", Access::Open),
            ("POST /webhooks/{provider}/{app}/{secret}", Access::Open),
            ("POST /api/apps/{id}/rollback", deploy),
            ("POST /api/apps/{id}/restart", deploy),
            ("POST /api/apps/{id}/start", deploy),
            ("POST /api/apps/{id}/stop", deploy),
            ("POST /api/apps/{id}/scale", manage),
            ("POST /api/deployments/{id}/rollback", deploy),
            ("GET /api/apps/{id}/domains", read),
            ("POST /api/apps/{id}/domains", manage),
            ("PATCH /api/domains/{id}", manage),
            ("DELETE /api/domains/{id}", manage),
            ("GET /api/apps/{id}/traffic", read),
            ("PATCH /api/apps/{id}/traffic", manage),
            ("GET /api/routes", read),
            ("GET /api/routes/match", read),
            ("GET /api/backups", read),
            ("GET /api/backups/{id}", read),
            ("DELETE /api/backups/{id}", manage),
            ("GET /api/backups/{id}/file", manage),
            ("POST /api/backups/{id}/restore", manage),
            ("GET /api/databases/{id}/backups", read),
            ("POST /api/databases/{id}/backups", deploy),
            ("POST /api/databases/{id}/backups/import", manage),
            ("GET /api/databases/{id}/backup-schedule", read),
            ("PUT /api/databases/{id}/backup-schedule", manage),
            ("DELETE /api/databases/{id}/backup-schedule", manage),
            ("GET /api/volumes/{name}/backups", read),
            ("POST /api/volumes/{name}/backups", deploy),
            ("POST /api/volumes/{name}/backups/import", manage),
            ("GET /api/volumes/{name}/backup-schedule", read),
            ("PUT /api/volumes/{name}/backup-schedule", manage),
            ("DELETE /api/volumes/{name}/backup-schedule", manage),
            ("GET /api/backup-destinations", read),
            ("POST /api/backup-destinations", administer),
            ("DELETE /api/backup-destinations/{name}", administer),
            ("GET /api/backup-key", administer),
            ("GET /api/database-kinds", read),
            ("GET /api/databases", read),
            ("POST /api/databases", manage),
            ("GET /api/databases/{id}", read),
            ("PATCH /api/databases/{id}", manage),
            ("DELETE /api/databases/{id}", manage),
            ("POST /api/databases/{id}/start", deploy),
            ("POST /api/databases/{id}/stop", deploy),
            ("POST /api/databases/{id}/restart", deploy),
            ("POST /api/databases/{id}/upgrade", manage),
            ("POST /api/databases/{id}/password", manage),
            ("GET /api/databases/{id}/credentials", manage),
            ("GET /api/databases/{id}/logs/stream", read),
            ("POST /api/databases/{id}/links", manage),
            ("DELETE /api/databases/{id}/links/{app}", manage),
            ("GET /api/trashed-databases", read),
            ("POST /api/trashed-databases/{id}/restore", manage),
            ("DELETE /api/trashed-databases/{id}", manage),
            ("GET /api/templates", read),
            ("GET /api/templates/{name}", read),
            ("GET /api/services", read),
            ("POST /api/services", manage),
            ("GET /api/services/{id}", read),
            ("DELETE /api/services/{id}", manage),
            ("GET /api/services/{id}/files", manage),
            ("PUT /api/services/{id}/files", manage),
            ("PUT /api/services/{id}/source", manage),
            ("POST /api/services/{id}/deploy", deploy),
            ("POST /api/services/{id}/preview", manage),
            ("POST /api/services/{id}/start", deploy),
            ("POST /api/services/{id}/stop", deploy),
            ("POST /api/services/{id}/restart", deploy),
            ("GET /api/services/{id}/logs/stream", read),
            ("POST /api/services/{id}/containers/{container}/exec", manage),
            ("GET /api/services/{id}/revisions", read),
            ("GET /api/services/{id}/revisions/{number}", read),
            ("GET /api/services/{id}/revisions/{number}/log", read),
            ("GET /api/services/{id}/revisions/{number}/log/stream", read),
            ("POST /api/services/{id}/revisions/{number}/rollback", manage),
            ("GET /api/services/{id}/domains", read),
            ("POST /api/services/{id}/domains", manage),
            ("DELETE /api/services/{id}/domains/{host}", manage),
            ("GET /api/services/{id}/traffic", read),
            ("PATCH /api/services/{id}/traffic", manage),
            ("GET /api/services/{id}/webhooks", read),
            ("POST /api/services/{id}/webhooks", manage),
            ("DELETE /api/services/{id}/webhooks/{provider}", manage),
        ];
        let name = |route: &Route<Api>| {
            let method = serde_json::to_value(&route.method).unwrap();
            format!("{} {}", method.as_str().unwrap().to_uppercase(), route.path)
        };
        let table = table();
        let listed: Vec<_> = table.iter().map(|route| (name(route), route.access)).collect();
        let expect: Vec<_> = expect.into_iter().map(|(name, access)| (name.to_owned(), access)).collect();
        assert_eq!(listed, expect);
    }

    #[test]
    fn the_document_names_every_route_and_only_schemas_it_has() {
        let table = table();
        let document = serde_json::to_value(openapi::document(&table)).unwrap();
        for route in &table {
            let method = serde_json::to_value(&route.method).unwrap();
            let operation = &document["paths"][route.path][method.as_str().unwrap()];
            assert!(operation["summary"].is_string(), "{} has no summary", route.path);
        }
        let text = document.to_string();
        let references = text.split("\"#/components/schemas/").skip(1);
        for name in references.filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name} is named, but not there");
        }
    }
}
