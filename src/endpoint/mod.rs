//! Addressing: from an api and a style to what is signed and where the connection goes. Pure. And the watch over the
//! endpoint: what its names and zones answer, without a request.
//!
//! Three things that other tools mix up are kept apart here: the `Host` that is sent and therefore signed,
//! the name that TLS asks for and checks, and the place where the connection goes.

mod addressing;
pub mod certificate;
mod watch;

pub use addressing::{AddressingProblem, address};
pub use watch::{ADDRESSES_MAX, HANDSHAKE_MAX, INTERVAL, RESOLVE_MAX, Watch, places};

use crate::domain::api::{DnsName, VpcEndpointId};
use crate::domain::region::{Region, ZoneId};
use std::collections::BTreeMap;

/// What addressing needs to know of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The region of endpoint and apis.
    pub region: Region,
    /// The endpoint's id, for the alias style.
    pub id: VpcEndpointId,
    /// The endpoint's regional DNS name, for `endpoint_dns` and `api_id_header`.
    pub dns_name: Option<DnsName>,
    /// The zones and where their network interfaces are.
    pub zones: BTreeMap<ZoneId, ZoneAddress>,
    /// Where to connect instead (`url`); the names that are signed and checked stay.
    pub url: Option<UrlOverride>,
}

/// Where one zone's network interface answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneAddress {
    /// An IP address or a zonal DNS name.
    pub host: String,
    /// The port, 443 unless given.
    pub port: u16,
}

/// The `url` override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlOverride {
    /// `false` for plain http, which is allowed to loopback only.
    pub tls: bool,
    /// An IP address or a DNS name.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl UrlOverride {
    /// What a URL must look like, in words that follow "wanted".
    pub const WANTED: &'static str = "a URL such as https://127.0.0.1:8443, without user, query and fragment";
}
