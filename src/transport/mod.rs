//! Sending: the only reqwest user.

use ipnet::IpNet;

/// What sending needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// PEM text of further certificate authorities to trust (`ca_file`).
    pub extra_roots_pem: Option<String>,
    /// Further ranges that count as private (`cidrs`, and the addresses of `zones`).
    pub private_ranges: Vec<IpNet>,
}
