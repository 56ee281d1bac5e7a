//! The agent's own HTTP server: metrics, health, status.

use std::net::SocketAddr;

/// What the web server needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Whether status may be read on an open listener without a password.
    pub status: StatusAccess,
}

/// `web.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusAccess {
    /// Page and status API are closed on a listener that is neither loopback nor protected; the default.
    #[default]
    Auto,
    /// Page and status API are open to everybody who can connect.
    Open,
}
