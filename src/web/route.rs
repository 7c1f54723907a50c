//! One page, form or stream: its method, its path, who may come in, its handler.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::auth::gate::{Access, Gated};

/// One route, for the state `S` of its router.
pub struct Route<S> {
    /// `GET` or `POST`: all that a form can send.
    pub method: &'static str,
    /// Its path, with `{names}`.
    pub path: &'static str,
    /// Who may come in, as its handler's type says.
    pub access: Access,
    /// Whether the password is asked for again where it was last shown a while ago.
    pub asks_again: bool,
    pub(super) handler: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// A page, a fragment of one, or a stream; it changes nothing.
    pub fn get<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self {
            method: "GET",
            path,
            access: T::ACCESS,
            asks_again: false,
            handler: on(MethodFilter::GET, handler),
        }
    }

    /// What a form does.
    pub fn post<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: Gated + 'static,
    {
        Self {
            method: "POST",
            path,
            access: T::ACCESS,
            asks_again: false,
            handler: on(MethodFilter::POST, handler),
        }
    }

    /// What gives power or takes something for good: the password is to have been shown lately.
    #[must_use]
    pub fn asking_again(self) -> Self {
        Self { asks_again: true, ..self }
    }
}
