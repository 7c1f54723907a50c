//! Where messages go: to the journal with their fields under systemd, to standard error otherwise.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::settings::Level;

/// Changes how much is logged while the process runs.
pub(super) struct Volume(reload::Handle<Targets, tracing_subscriber::Registry>);

/// Begins to log. `journal`: standard error is connected to the journal, so messages go there with their fields.
pub(super) fn begin(level: Level, journal: bool) -> Volume {
    let (filter, handle) = reload::Layer::new(targets(level));
    let registry = tracing_subscriber::registry().with(filter);
    // Without the prefix the fields are APP, DEPLOYMENT and UNIT, as people search for them.
    match journal.then(tracing_journald::layer) {
        Some(Ok(layer)) => registry.with(layer.with_field_prefix(None)).init(),
        Some(Err(_)) | None => {
            registry
                .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false))
                .init();
        }
    }
    Volume(handle)
}

impl Volume {
    /// Sets the level anew.
    pub fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(targets(level)) {
            tracing::error!(%error, "the level of the log was not changed");
        }
    }
}

/// Our own messages at the level asked for; those of libraries only where something is wrong.
fn targets(level: Level) -> Targets {
    let own = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(LevelFilter::WARN.min(own)).with_target("rivetr", own)
}
