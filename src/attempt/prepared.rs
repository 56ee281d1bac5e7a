//! A target with everything that does not change between its attempts: worked out once.

use super::correlation;
use crate::credentials::{NoSession, Session, SignerHandle, Store};
use crate::domain::hidden::Hidden;
use crate::domain::identity::Signer;
use crate::domain::request::{Address, HttpRequest};
use crate::domain::secret::ConfiguredText;
use crate::domain::target::Target;
use crate::endpoint::{self, AddressingProblem};
use crate::recording::TargetRecorder;
use crate::signing::SignedRequestSlot;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::sync::Arc;

/// A target ready to be attempted.
pub struct PreparedTarget {
    target: Arc<Target>,
    address: Address,
    request: HttpRequest,
    user_agent: HeaderValue,
    signer: SignerHandle,
    store: Arc<Store>,
    /// Where the signed request is kept for its second; `None` where each attempt is signed anew.
    slot: Option<SignedRequestSlot>,
    /// The recorded state of the probe that shows an anonymous guard's route works when signed.
    positive_control: Option<Arc<TargetRecorder>>,
    /// What it sends and nobody may see.
    hidden: Hidden,
}

/// Why a target cannot be attempted at all. The plan finds these before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreparingProblem {
    /// The style of addressing does not fit.
    Addressing(AddressingProblem),
    /// A header's value cannot be sent.
    Header(String),
}

impl fmt::Display for PreparingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addressing(problem) => problem.fmt(f),
            Self::Header(name) => write!(f, "the value of header {name} cannot be sent"),
        }
    }
}

impl std::error::Error for PreparingProblem {}

/// A target of which all that can fail about it has been done: it has an address and a request.
pub struct AddressedTarget {
    target: Arc<Target>,
    address: Address,
    request: HttpRequest,
}

impl AddressedTarget {
    /// Addresses the target.
    ///
    /// # Errors
    /// When it cannot be addressed or a header cannot be sent.
    pub fn new(target: Arc<Target>, endpoint: &endpoint::Settings) -> Result<Self, PreparingProblem> {
        let address = endpoint::address(endpoint, &target.api, target.addressing, target.id.zone.as_ref())
            .map_err(PreparingProblem::Addressing)?;
        let request = addressed(&target, &address)?;
        Ok(Self { target, address, request })
    }

    /// The target.
    #[must_use]
    pub const fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Finds its signer.
    #[must_use]
    pub fn prepared(
        self,
        store: &Arc<Store>,
        positive_control: Option<Arc<TargetRecorder>>,
    ) -> PreparedTarget {
        let Self { target, address, request } = self;
        PreparedTarget {
            user_agent: correlation::user_agent(&target.id),
            signer: store.handle(&target.signer),
            store: Arc::clone(store),
            slot: Some(SignedRequestSlot::default()),
            hidden: Hidden::new(target.request.secrets()),
            target,
            address,
            request,
            positive_control,
        }
    }
}

impl PreparedTarget {
    /// Addresses the target and finds its signer.
    ///
    /// # Errors
    /// When the target cannot be addressed or a header cannot be sent.
    pub fn new(
        target: Arc<Target>,
        endpoint: &endpoint::Settings,
        store: &Arc<Store>,
        positive_control: Option<Arc<TargetRecorder>>,
    ) -> Result<Self, PreparingProblem> {
        Ok(AddressedTarget::new(target, endpoint)?.prepared(store, positive_control))
    }

    /// The same target with a signature of its own for each attempt (`load.reuse_signatures: false`): what a client
    /// costs and sends that keeps no signed request.
    #[must_use]
    pub fn signing_each_anew(self) -> Self {
        Self { slot: None, ..self }
    }

    /// The target.
    #[must_use]
    pub const fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Where it is and how it is spoken to.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The addressed request, unsigned.
    #[must_use]
    pub const fn request(&self) -> &HttpRequest {
        &self.request
    }

    pub(super) const fn hidden(&self) -> &Hidden {
        &self.hidden
    }

    pub(super) const fn user_agent(&self) -> &HeaderValue {
        &self.user_agent
    }

    pub(super) const fn slot(&self) -> Option<&SignedRequestSlot> {
        self.slot.as_ref()
    }

    pub(super) fn session(&self) -> Result<Option<Session>, NoSession> {
        self.signer.session()
    }

    pub(super) fn is_signed(&self) -> bool {
        self.target.signer != Signer::Anonymous
    }

    pub(super) fn positive_control_ok(&self) -> bool {
        self.positive_control.as_ref().is_some_and(|control| control.last_was_ok())
    }

    /// Whether signer and api are known to be of one account.
    pub(super) fn same_account(&self) -> Option<bool> {
        let account = match &self.target.signer_account {
            Some(account) => account.clone(),
            None if self.target.signer == Signer::Hub => self.store.hub_account()?,
            None => return None,
        };
        Some(account == self.target.account)
    }
}

fn addressed(target: &Target, address: &Address) -> Result<HttpRequest, PreparingProblem> {
    let template = &target.request;
    // Room for what signing, marking and sending add, which a copy keeps: no table is made anew for an attempt.
    let mut headers = HeaderMap::with_capacity(address.headers.len() + template.headers.len() + 8);
    for (name, value) in &address.headers {
        let value = HeaderValue::from_str(value).map_err(|_| PreparingProblem::Header(name.to_string()))?;
        headers.append(name.clone(), value);
    }
    for (name, text) in &template.headers {
        let value = text.expose().is_ascii().then(|| HeaderValue::from_maybe_shared(text.to_bytes()));
        let Some(Ok(mut value)) = value else { return Err(PreparingProblem::Header(name.to_string())) };
        value.set_sensitive(text.is_secret());
        headers.append(name.clone(), value);
    }
    let body = template.body.as_ref().map_or_else(Bytes::new, ConfiguredText::to_bytes);
    Ok(HttpRequest {
        method: template.method.clone(),
        host: address.host.clone(),
        path_and_query: format!("{}{}", address.path_prefix, template.path_and_query),
        headers,
        body,
    })
}
