//! A configuration in S3: its main object, and keys below the main key's prefix for whatever that names.
//!
//! ```text
//! address  s3://bucket/key to hosts and paths          answer  listings and refusals read
//! client   one GET or one listing: signed, bounded, tried again where that helps
//! folder   a whole reading: what is new is fetched, what is unchanged is kept
//! ```
//!
//! The bucket is asked with the agent's own credentials and our own signer, over the plain fetch of the transport:
//! S3 has public addresses even through a gateway endpoint, so the check for private ones does not apply.

mod address;
mod answer;
mod client;
mod folder;
#[cfg(test)]
mod tests;

pub(super) use address::Location;
pub(super) use folder::Folder;
