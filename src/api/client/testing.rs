//! A real HTTP server on a Unix socket, for the tests of the client and of the commands.

use std::path::PathBuf;

use axum::Router;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::{Client, Target};

/// A server that ends, and whose socket goes, when it is dropped.
pub(crate) struct Server {
    directory: tempfile::TempDir,
    tasks: JoinSet<std::io::Result<()>>,
}

impl Server {
    /// Serves `router`.
    pub(crate) fn start(router: Router) -> Self {
        let mut server = Self { directory: tempfile::tempdir().unwrap(), tasks: JoinSet::new() };
        server.serve(router);
        server
    }

    /// Serves another router in place of the one before, as a restarted daemon would.
    pub(crate) fn serve(&mut self, router: Router) {
        self.stop();
        let listener = UnixListener::bind(self.socket()).unwrap();
        self.tasks.spawn(async move { axum::serve(listener, router).await });
    }

    /// Stops serving: the socket is gone.
    pub(crate) fn stop(&mut self) {
        self.tasks.abort_all();
        if self.socket().exists() {
            std::fs::remove_file(self.socket()).unwrap();
        }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("api.sock")
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(Target::Socket(self.socket()), None)
    }
}
