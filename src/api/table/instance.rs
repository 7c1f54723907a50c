//! The routes of the instance as a whole.

use http::StatusCode;
use utoipa::openapi::schema::Type;

use super::super::{Api, Route, instance, wire};

/// Every route by which the instance is written out.
pub(super) fn of_instance() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/system/export", instance::export)
            .about("What runs here as plain Quadlets for a host without rivetr; the audit says who asked")
            .query("secrets", Type::Boolean, "Whether the values of secrets are in it")
            .query("volumes", Type::Boolean, "Whether the data of volumes are to go along")
            .query("all_images", Type::Boolean, "Whether images that a registry has go along too")
            .gives::<wire::Export>(StatusCode::OK),
        Route::get("/api/system/backup", instance::backup)
            .about("All of the instance as one sealed archive; the audit says who asked")
            .query("volumes", Type::Boolean, "Whether the data of all volumes are in it, not of databases alone")
            .query("recipient", Type::String, "Whose key opens it, age1…; that of this instance's backups if not given")
            .answers("application/octet-stream"),
        Route::post("/api/system/restore", instance::restore)
            .about("Become the instance of an archive: the body is a line with the key that opens it, then the archive")
            .query("dry_run", Type::Boolean, "Whether it is only checked")
            .query("replace", Type::Boolean, "Whether what is here is deleted first, with its data")
            .gives::<wire::RestoredInstance>(StatusCode::OK),
        Route::get("/api/system/export/images/{image}", instance::export_image)
            .about("An image as an archive for `podman load`")
            .answers("application/x-tar"),
        Route::get("/api/system/export/volumes/{volume}", instance::export_volume)
            .about("The data of a volume as of one moment, as a tar with owners by their numbers in the container")
            .answers("application/x-tar"),
    ]
}
