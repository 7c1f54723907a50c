//! The routes of jobs.

use http::StatusCode;
use utoipa::openapi::schema::Type;

use super::super::{Api, Route, job, wire};

/// Every route of jobs.
pub(super) fn of_jobs() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/apps/{id}/jobs", job::list)
            .about("The jobs of an app: commands that it runs by a schedule")
            .lists::<wire::Job>(),
        Route::post("/api/apps/{id}/jobs", job::create)
            .about("Give an app a job")
            .takes::<wire::CreateJob>()
            .gives::<wire::Job>(StatusCode::CREATED),
        Route::get("/api/apps/{id}/jobs/{job}", job::show)
            .about("One job, when it runs next and how it went last")
            .gives::<wire::Job>(StatusCode::OK),
        Route::patch("/api/apps/{id}/jobs/{job}", job::change)
            .about("Change a job; what is not named stays")
            .takes::<wire::JobOptions>()
            .gives::<wire::Job>(StatusCode::OK),
        Route::delete("/api/apps/{id}/jobs/{job}", job::delete)
            .about("Delete a job with its history; what runs of it is ended")
            .answers_nothing(),
        Route::post("/api/apps/{id}/jobs/{job}/run", job::run)
            .about("Start a run of a job now")
            .gives::<wire::Job>(StatusCode::ACCEPTED),
        Route::get("/api/apps/{id}/jobs/{job}/runs", job::runs)
            .about("The runs of a job, newest first")
            .query("limit", Type::Integer, "How many; 20 if not said, at most 100")
            .query("before", Type::Integer, "Only those older than this id")
            .lists::<wire::JobRun>(),
        Route::get("/api/apps/{id}/jobs/{job}/runs/{run}/logs", job::log)
            .about("What a run wrote, the last lines of it")
            .query("lines", Type::Integer, "How many; 200 if not said, at most 2,000")
            .gives::<wire::JobLog>(StatusCode::OK),
        Route::post("/api/apps/{id}/jobs/{job}/runs/{run}/cancel", job::cancel)
            .about("End a run")
            .answers_nothing(),
    ]
}
