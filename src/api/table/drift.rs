//! The routes about the units of this host.

use http::StatusCode;
use utoipa::openapi::schema::Type;

use super::super::{Api, Route, drift, wire};

/// Every route about units.
pub(super) fn of_units() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/system/drift", drift::list)
            .about("The unit files that somebody changed by hand")
            .query("name", Type::String, "Only those of the app, database, service or project of this name")
            .query("all", Type::Boolean, "Whether those come too of which it was decided that they stay")
            .lists::<wire::Drift>(),
        Route::post("/api/system/drift/{unit}/adopt", drift::adopt)
            .about(
                "Take a change by hand over: into a drop-in if one can say it, else the file stays as it is",
            )
            .gives::<wire::DriftDecision>(StatusCode::OK),
        Route::post("/api/system/drift/{unit}/restore", drift::restore)
            .about("Put back what rivetr wrote; what stood there is kept aside")
            .gives::<wire::DriftDecision>(StatusCode::OK),
        Route::post("/api/system/drift/{unit}/ignore", drift::ignore)
            .about("Leave a change by hand as it is, until it or what rivetr would write changes")
            .gives::<wire::DriftDecision>(StatusCode::OK),
        Route::get("/api/system/report", drift::report)
            .about("What a report of a bug needs of rivetr and its host, without secrets")
            .gives::<wire::Report>(StatusCode::OK),
    ]
}
