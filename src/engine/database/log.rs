//! What a database writes, from the journal.

use futures_util::{Stream, StreamExt as _};

use super::super::{Engine, EngineError, RuntimeLine};
use crate::domain::database::Database;
use crate::host::journal::Query;

impl Engine {
    /// What a database wrote under the name it has, oldest line first: the last `lines`, or all that come after the
    /// line at the cursor `after`.
    pub fn database_log(
        &self,
        database: &Database,
        lines: Option<usize>,
        follow: bool,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<RuntimeLine, EngineError>> + Send + 'static + use<>, EngineError>
    {
        let lines = lines.filter(|_| after.is_none());
        let containers = vec![database.unit_name()];
        let query = Query { containers, lines, follow, after_cursor: after };
        // A database that was deleted may have had this name.
        let written = self.written_since(&query, database.created)?;
        Ok(written.take_until(Box::pin(self.0.shutdown.clone().cancelled_owned())))
    }
}
