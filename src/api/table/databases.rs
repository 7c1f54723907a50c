//! The routes of databases: those that are there, and those in the trash.

use http::StatusCode;
use utoipa::openapi::schema::Type;

use super::super::{Api, Route, database, wire};

pub(super) fn of_databases() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/database-kinds", database::kinds)
            .about("The kinds of databases, with their versions")
            .lists::<wire::DatabaseKind>(),
        Route::get("/api/databases", database::list).about("Every database").lists::<wire::Database>(),
        Route::post("/api/databases", database::create)
            .about("Create a database, and begin to bring it up")
            .takes::<wire::CreateDatabase>()
            .gives::<wire::Database>(StatusCode::CREATED),
        Route::get("/api/databases/{id}", database::show)
            .about("One database")
            .gives::<wire::Database>(StatusCode::OK),
        Route::patch("/api/databases/{id}", database::change)
            .about("Change a database, or give it another name; null takes an option away")
            .takes::<wire::ChangeDatabase>()
            .gives::<wire::Database>(StatusCode::OK),
        Route::delete("/api/databases/{id}", database::delete)
            .about("Stop a database and put it into the trash, where its data is kept for a week")
            .answers_nothing(),
        Route::post("/api/databases/{id}/start", database::start)
            .about("Start a database that was stopped")
            .gives::<wire::Database>(StatusCode::OK),
        Route::post("/api/databases/{id}/stop", database::stop)
            .about("Stop a database until it is started")
            .gives::<wire::Database>(StatusCode::OK),
        Route::post("/api/databases/{id}/restart", database::restart)
            .about("Stop a database and start it again")
            .gives::<wire::Database>(StatusCode::OK),
        Route::post("/api/databases/{id}/upgrade", database::upgrade)
            .about("Fetch the image of a database anew and run it; one that does not start is taken back")
            .gives::<wire::Database>(StatusCode::OK),
        Route::post("/api/databases/{id}/password", database::change_password)
            .about("Give the user of a database a new password, and tell the linked apps")
            .gives::<wire::Database>(StatusCode::OK),
        Route::get("/api/databases/{id}/credentials", database::credentials)
            .about("How to come into a database; the audit says who asked")
            .gives::<wire::DatabaseCredentials>(StatusCode::OK),
        Route::get("/api/databases/{id}/logs/stream", database::log)
            .about("What a database writes; Last-Event-ID goes on after that event")
            .query("lines", Type::Integer, "How many past lines come first; at most 10,000")
            .query("follow", Type::Boolean, "Whether to wait for more")
            .streams::<wire::RuntimeLine>(),
        Route::post("/api/databases/{id}/links", database::link)
            .about("Tell an app of a database; what serves is started anew with it")
            .takes::<wire::LinkDatabase>()
            .gives::<wire::DatabaseLink>(StatusCode::CREATED),
        Route::delete("/api/databases/{id}/links/{app}", database::unlink)
            .about("Tell an app of a database no more, from its next deployment on")
            .answers_nothing(),
    ]
}

pub(super) fn of_trashed_databases() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/trashed-databases", database::trash)
            .about("The databases in the trash, the last one first")
            .lists::<wire::Database>(),
        Route::post("/api/trashed-databases/{id}/restore", database::restore)
            .about("Bring a database back from the trash, as it was; its links are gone")
            .gives::<wire::Database>(StatusCode::OK),
        Route::delete("/api/trashed-databases/{id}", database::purge)
            .about("Remove a database in the trash for good, with its data")
            .answers_nothing(),
    ]
}
