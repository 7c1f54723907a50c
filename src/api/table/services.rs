//! The routes of services, and of the templates that they may be made of.

use http::StatusCode;
use utoipa::openapi::schema::Type;

use super::super::{Api, Route, domain, exec, service, template, traffic, webhook, wire};

/// Templates, services, and what their files are.
pub(super) fn of_all() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/templates", template::list)
            .about("The compose files that are there for everybody")
            .lists::<wire::Template>(),
        Route::get("/api/templates/{name}", template::show)
            .about("One template, and what it wants to be told")
            .gives::<wire::Template>(StatusCode::OK),
        Route::get("/api/services", service::list).about("Every service").lists::<wire::Service>(),
        Route::post("/api/services", service::create)
            .about("Create a service from a compose file or a repository, and bring it up")
            .takes::<wire::CreateService>()
            .gives::<wire::SubmittedRevision>(StatusCode::CREATED),
        Route::get("/api/services/{id}", service::show)
            .about("A service and its containers as they stand")
            .gives::<wire::ServiceStatus>(StatusCode::OK),
        Route::delete("/api/services/{id}", service::delete)
            .about("Delete a service and all it has but its volumes")
            .query("volumes", Type::Boolean, "Whether its volumes go too, with their data")
            .answers_nothing(),
        Route::get("/api/services/{id}/files", service::files)
            .about("The files of a service, with the secrets in them")
            .query("revision", Type::Integer, "Those of this revision, not of the live one")
            .gives::<wire::ServiceFiles>(StatusCode::OK),
        Route::put("/api/services/{id}/files", service::update)
            .about("Replace the files of a service, and bring up what they say")
            .takes::<wire::ServiceFiles>()
            .gives::<wire::SubmittedRevision>(StatusCode::ACCEPTED),
        Route::put("/api/services/{id}/source", service::set_source)
            .about("Have the files of a service come from a repository, or be handed in, from its next revision on")
            .takes::<wire::SetServiceSource>()
            .gives::<wire::Service>(StatusCode::OK),
        Route::post("/api/services/{id}/deploy", service::deploy)
            .about("Fetch what the repository of a service has, and bring it up")
            .gives::<wire::SubmittedRevision>(StatusCode::ACCEPTED),
        Route::post("/api/services/{id}/preview", service::preview)
            .about("The units that files, or what the repository has now, would become, and what would be done")
            .takes::<wire::PreviewService>()
            .gives::<wire::ServicePreview>(StatusCode::OK),
    ]
}

/// What can be done with one service.
pub(super) fn of_one() -> Vec<Route<Api>> {
    vec![
        Route::post("/api/services/{id}/start", service::start)
            .about("Start a service, also what somebody stopped by hand of it")
            .gives::<wire::Service>(StatusCode::OK),
        Route::post("/api/services/{id}/stop", service::stop)
            .about("Stop a service until it is started, also over reboots")
            .gives::<wire::Service>(StatusCode::OK),
        Route::post("/api/services/{id}/restart", service::restart)
            .about("Stop and start the containers of a service")
            .query("container", Type::String, "Only this one, by its name in the compose file")
            .gives::<wire::Service>(StatusCode::OK),
        Route::get("/api/services/{id}/logs/stream", service::log)
            .about("What the containers of a service write; Last-Event-ID goes on after that event")
            .query("lines", Type::Integer, "How many past lines come first; at most 10,000")
            .query("container", Type::String, "Only this one, by its name in the compose file")
            .query("follow", Type::Boolean, "Whether to wait for more")
            .streams::<wire::RuntimeLine>(),
        Route::post("/api/services/{id}/containers/{container}/exec", exec::in_service)
            .about("Run a command in a container of a service; frames as with the exec of an app")
            .takes::<wire::Exec>()
            .answers("application/octet-stream"),
        Route::get("/api/services/{id}/revisions", service::revisions)
            .about("The revisions of a service, newest first")
            .lists::<wire::Revision>(),
        Route::get("/api/services/{id}/revisions/{number}", service::revision)
            .about("One revision")
            .query("wait", Type::Boolean, "Whether to wait a while for its end")
            .gives::<wire::Revision>(StatusCode::OK),
        Route::get("/api/services/{id}/revisions/{number}/log", service::revision_log)
            .about("What was fetched and built for a revision")
            .gives::<wire::RevisionLog>(StatusCode::OK),
        Route::get("/api/services/{id}/revisions/{number}/log/stream", service::follow_revision_log)
            .about("The same as it comes, until the revision has ended; Last-Event-ID goes on after that event")
            .streams::<wire::LogLine>(),
        Route::post("/api/services/{id}/revisions/{number}/rollback", service::roll_back)
            .about("Bring back the files of a revision")
            .gives::<wire::SubmittedRevision>(StatusCode::ACCEPTED),
        Route::get("/api/services/{id}/domains", domain::list_of_service)
            .about("The domains of a service")
            .query("dns", Type::Boolean, "Whether to look up where they point")
            .lists::<wire::Domain>(),
        Route::post("/api/services/{id}/domains", domain::add_to_service)
            .about("Have a host lead to a port of a container")
            .takes::<wire::CreateServiceDomain>()
            .gives::<wire::Domain>(StatusCode::CREATED),
        Route::delete("/api/services/{id}/domains/{host}", domain::remove_from_service)
            .about("Take a domain from a service")
            .query("path", Type::String, "The path of the domain; / if not said")
            .answers_nothing(),
        Route::get("/api/services/{id}/traffic", traffic::show_of_service)
            .about("What the proxy does with the requests of a service, where that is not the default")
            .gives::<wire::TrafficOptions>(StatusCode::OK),
        Route::patch("/api/services/{id}/traffic", traffic::change_of_service)
            .about("Change what the proxy does with the requests of a service; null brings an option back to its default")
            .takes::<wire::TrafficOptions>()
            .gives::<wire::TrafficOptions>(StatusCode::OK),
    ]
}

/// The webhooks of services.
pub(super) fn of_webhooks() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/services/{id}/webhooks", webhook::list_of_service)
            .about("The webhooks of a service and what was delivered to them, newest first")
            .query("limit", Type::Integer, "How many deliveries; 20 if not said, at most 100")
            .query("before", Type::Integer, "Only deliveries older than this id")
            .gives::<wire::Webhooks>(StatusCode::OK),
        Route::post("/api/services/{id}/webhooks", webhook::enable_of_service)
            .about("Take webhooks of a provider for a service, with a new secret that is shown once")
            .takes::<wire::EnableWebhook>()
            .gives::<wire::EnabledWebhook>(StatusCode::CREATED),
        Route::delete("/api/services/{id}/webhooks/{provider}", webhook::disable_of_service)
            .about("Take webhooks of a provider for a service no more")
            .answers_nothing(),
    ]
}
