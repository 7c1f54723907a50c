//! Unit files are written and removed here, and nowhere else: what is written is noted before, and what somebody edited
//! is kept before it goes.

use super::super::Engine;
use super::super::apply::ApplyError;
use super::digest;
use crate::domain::drift::Change;
use crate::quadlet::path::{Owner, UnitPath};

impl Engine {
    /// Writes a unit file, unless somebody edited it since it was looked at.
    pub(in crate::engine) async fn write_unit(
        &self,
        owner: &Owner,
        path: &UnitPath,
        text: &str,
    ) -> Result<(), ApplyError> {
        let units = &self.machine().units;
        if !owner.stays() {
            return Ok(units.write(path, text)?);
        }
        let before = units.text(path)?.map(|text| digest(&text));
        let row = self.reader().unit_file(&path.to_string()).await?;
        if before.is_some() && row.and_then(|row| row.change(before)) == Some(Change::Edited) {
            tracing::warn!(%owner, "{path} is being edited by hand; left as it is");
            return Ok(());
        }
        self.0.writer.expect_unit(owner.folder(), path.to_string(), before, digest(text)).await?;
        self.failpoint("unit-expected");
        units.write(path, text)?;
        self.failpoint("unit-written");
        Ok(self.0.writer.unit_written(path.to_string()).await?)
    }

    /// Removes a unit file; what somebody edited of it is kept aside.
    pub(in crate::engine) async fn remove_unit(
        &self,
        owner: &Owner,
        path: &UnitPath,
    ) -> Result<(), ApplyError> {
        let units = &self.machine().units;
        if owner.stays() {
            let there = units.text(path)?.map(|text| digest(&text));
            let row = self.reader().unit_file(&path.to_string()).await?;
            if row.and_then(|row| row.change(there)) == Some(Change::Edited)
                && let Some(kept) = units.keep_aside(path)?
            {
                tracing::warn!(%owner, "{path} was edited by hand; kept as {} before it goes", kept.display());
            }
            // Forgotten first: a file that is gone and known would count as removed by hand.
            self.0.writer.forget_unit(path.to_string()).await?;
        }
        Ok(units.remove(path)?)
    }
}
