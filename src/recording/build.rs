//! Which build of the agent this is.

/// The version in the manifest.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision of the sources, where whoever built the agent set `SPOKEPROBE_REVISION`; otherwise empty,
/// and the label is then left out.
pub const REVISION: &str = match option_env!("SPOKEPROBE_REVISION") {
    Some(revision) => revision,
    None => "",
};
