//! A signed request kept for the second it was signed in.

use crate::domain::request::OutgoingRequest;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The last signed request of one target. It is good for exactly one wall-clock second and one version of
/// the credentials; a clock that steps back into another second discards it as well.
#[derive(Debug, Default)]
pub struct SignedRequestSlot(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    second: u64,
    credentials_version: u64,
    request: OutgoingRequest,
}

impl SignedRequestSlot {
    /// The kept request if it is still good, else what `sign` makes, which is then kept.
    ///
    /// # Errors
    /// What `sign` returns.
    pub fn get_or_sign<E>(
        &self,
        credentials_version: u64,
        at: SystemTime,
        sign: impl FnOnce() -> Result<OutgoingRequest, E>,
    ) -> Result<OutgoingRequest, E> {
        let second = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && kept.second == second
            && kept.credentials_version == credentials_version
        {
            return Ok(kept.request.clone());
        }
        let request = sign()?;
        *kept = Some(Kept { second, credentials_version, request: request.clone() });
        Ok(request)
    }
}
