//! A small AWS for demos, drills and tests: an endpoint with private REST APIs behind it, STS, and the
//! credentials endpoint of a container.
//!
//! `world` describes it, `core` answers one request at one moment without a socket or a clock, `in_memory`
//! puts that behind the seams and `server` behind TCP and TLS. It reads raw request bytes and writes AWS's
//! texts from its own tables, so that it can contradict the rest of the program: it knows nothing of
//! reasons, of the signer, or of the configuration.

mod certificate;
pub mod core;
pub mod counts;
mod credentials_endpoint;
mod deterministic;
mod evaluation;
mod faults;
mod gateway;
pub mod in_memory;
mod integration;
mod keys;
mod names;
pub mod policy;
pub mod reply;
mod routing;
pub mod server;
pub mod signature;
mod state;
mod sts;
mod sts_answers;
mod texts;
mod throttle;
mod times;
pub mod wire;
pub mod world;

pub use self::core::Hub;
pub use counts::{Count, Counts};
pub use in_memory::InMemory;
pub use reply::{Reply, WireFault};
pub use server::{Running, Server, ServerOptions};
pub use state::{Connection, Door};
pub use wire::RawRequest;
pub use world::{World, WorldError};

/// The world that `demo` and `simulate` use when none is named.
pub const DEFAULT_WORLD: &str = include_str!("worlds/default.yaml");

/// The configuration of the agent that fits [`DEFAULT_WORLD`]; it reads `SPOKEPROBE_DEMO_URL`,
/// `SPOKEPROBE_DEMO_CA` and `SPOKEPROBE_DEMO_STS` from the environment.
pub const DEMO_CONFIGURATION: &str = include_str!("worlds/demo-config.yaml");

/// The session policy file that [`DEMO_CONFIGURATION`] names as `narrow.json`.
pub const DEMO_SESSION_POLICY: &str = include_str!("worlds/narrow.json");
