//! Whether the backups that should be there are there, and can be restored.

use super::super::Engine;
use super::Check;

impl Engine {
    pub(super) async fn check_backups(&self) -> Check {
        let concerns = match self.backup_concerns().await {
            Ok(concerns) => concerns,
            Err(error) => return Check::warn("backups", error.to_string(), "see the check of the database"),
        };
        let Some(first) = concerns.first() else { return Check::ok("backups", "as scheduled") };
        let rest = match concerns.len() - 1 {
            0 => String::new(),
            more => format!(" ({more} other databases too)"),
        };
        let detail = format!("{}: {}{rest}", first.database, first.message);
        Check::warn("backups", detail, format!("rivetr backups list {}", first.database))
    }
}
