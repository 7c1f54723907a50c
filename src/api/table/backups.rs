//! The routes of backups and of where they lie.

use http::StatusCode;

use super::super::{Api, Route, backup, wire};

/// Every route of backups.
pub(super) fn of_backups() -> Vec<Route<Api>> {
    vec![
        Route::get("/api/backups", backup::list).about("Every backup").lists::<wire::Backup>(),
        Route::get("/api/backups/{id}", backup::show)
            .about("A backup; `wait` is how many seconds to wait for what is under way, at most 20")
            .gives::<wire::Backup>(StatusCode::OK),
        Route::delete("/api/backups/{id}", backup::delete)
            .about("Delete a backup with its file")
            .answers_nothing(),
        Route::get("/api/backups/{id}/file", backup::download)
            .about("The file of a backup; with `plain=true` what it holds, opened and expanded")
            .answers("application/octet-stream"),
        Route::post("/api/backups/{id}/restore", backup::restore)
            .about("Restore a backup in place, into a new database or volume, or to see whether it is good")
            .takes::<wire::RestoreBackup>()
            .gives::<wire::Restore>(StatusCode::ACCEPTED),
        Route::get("/api/databases/{id}/backups", backup::of_database)
            .about("The backups of a database, newest first")
            .lists::<wire::Backup>(),
        Route::post("/api/databases/{id}/backups", backup::take)
            .about("Back a database up")
            .takes::<wire::TakeBackup>()
            .gives::<wire::Backup>(StatusCode::ACCEPTED),
        Route::post("/api/databases/{id}/backups/import", backup::import)
            .about("Hand in what was written out elsewhere, which is the body, as a backup of a database")
            .gives::<wire::Backup>(StatusCode::CREATED),
        Route::get("/api/databases/{id}/backup-schedule", backup::schedule)
            .about("When a database is backed up by itself")
            .gives::<wire::BackupSchedule>(StatusCode::OK),
        Route::put("/api/databases/{id}/backup-schedule", backup::set_schedule)
            .about("Have a database backed up by itself")
            .takes::<wire::BackupSchedule>()
            .gives::<wire::BackupSchedule>(StatusCode::OK),
        Route::delete("/api/databases/{id}/backup-schedule", backup::remove_schedule)
            .about("Back a database up by itself no more")
            .answers_nothing(),
        Route::get("/api/volumes/{name}/backups", backup::of_volume)
            .about("The backups of a volume, newest first")
            .lists::<wire::Backup>(),
        Route::post("/api/volumes/{name}/backups", backup::take_volume)
            .about("Back a volume up: what uses it is held until its files are copied")
            .takes::<wire::TakeBackup>()
            .gives::<wire::Backup>(StatusCode::ACCEPTED),
        Route::post("/api/volumes/{name}/backups/import", backup::import_volume)
            .about("Hand in a tar of files, which is the body, as a backup of a volume")
            .gives::<wire::Backup>(StatusCode::CREATED),
        Route::get("/api/volumes/{name}/backup-schedule", backup::schedule_of_volume)
            .about("When a volume is backed up by itself")
            .gives::<wire::BackupSchedule>(StatusCode::OK),
        Route::put("/api/volumes/{name}/backup-schedule", backup::set_schedule_of_volume)
            .about("Have a volume backed up by itself")
            .takes::<wire::BackupSchedule>()
            .gives::<wire::BackupSchedule>(StatusCode::OK),
        Route::delete("/api/volumes/{name}/backup-schedule", backup::remove_schedule_of_volume)
            .about("Back a volume up by itself no more")
            .answers_nothing(),
        Route::get("/api/backup-destinations", backup::destinations)
            .about("The storages where backups may lie")
            .lists::<wire::BackupDestination>(),
        Route::post("/api/backup-destinations", backup::put_destination)
            .about("Hand in a storage, in place of the one that had the name, once it was tried")
            .takes::<wire::PutDestination>()
            .answers_nothing(),
        Route::delete("/api/backup-destinations/{name}", backup::remove_destination)
            .about("Forget a storage where no backup lies")
            .answers_nothing(),
        Route::get("/api/backup-key", backup::key)
            .about("The key that opens backups; the audit says who asked")
            .gives::<wire::BackupKey>(StatusCode::OK),
    ]
}
