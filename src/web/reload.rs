//! `POST /-/reload`: the configuration read again on request.
//!
//! What happens then is not `web`'s: it is given a function, asks it, and passes on what it says.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// Reads the configuration again and takes it; the text says what changed.
///
/// A peer may hang up while it waits, and then the future is dropped. What has begun must go on nevertheless: the
/// function asks somebody who works on his own, and waits for the answer.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<String, ReloadRefused>> + Send + Sync>;

/// Why nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadRefused {
    /// What to answer with: 4xx where the configuration is wrong or cannot be taken, 5xx where the agent could not
    /// do it. Anything else is answered with 500.
    pub status: u16,
    /// All problems, one a line, without secrets.
    pub text: String,
}

impl ReloadRefused {
    /// The configuration has problems.
    #[must_use]
    pub fn bad_configuration(text: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY.as_u16(), text: text.into() }
    }

    /// The configuration is fine, but what it changes cannot change while the agent runs.
    #[must_use]
    pub fn needs_restart(text: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT.as_u16(), text: text.into() }
    }

    /// The agent cannot do it now.
    #[must_use]
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE.as_u16(), text: text.into() }
    }
}

impl fmt::Display for ReloadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ReloadRefused {}

/// Says why there is nothing to reload.
const NOTHING: &str = "Nothing to reload: this agent has no configuration that could be read again (a demo has \
                       none).\n";

/// Asks for a reload and says what came of it.
pub(super) async fn answer(reload: Option<&Reload>) -> Response {
    let Some(reload) = reload else { return (StatusCode::NOT_FOUND, NOTHING).into_response() };
    match reload().await {
        Ok(text) => line(text).into_response(),
        Err(ReloadRefused { status, text }) => {
            let status = StatusCode::from_u16(status)
                .ok()
                .filter(|status| status.is_client_error() || status.is_server_error())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, line(text)).into_response()
        }
    }
}

fn line(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
