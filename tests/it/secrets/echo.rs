//! A far side that says back what it was sent, in every form and in every place of an answer that it can write to.

use super::scan::forms;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use spokeprobe::domain::request::{
    ConnectTarget, Exchange, FailureKind, OutgoingRequest, Response, SendOptions, TransportFailure,
};
use spokeprobe::seams::{FetchFailure, FetchRequest, FetchResponse, Transport};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stands before the network and answers two of three requests itself.
pub(super) struct Echo {
    inner: Arc<dyn Transport>,
    turn: AtomicUsize,
    sts_turn: AtomicUsize,
}

impl Echo {
    pub(super) fn before(inner: Arc<dyn Transport>) -> Arc<Self> {
        Arc::new(Self { inner, turn: AtomicUsize::new(0), sts_turn: AtomicUsize::new(0) })
    }

    /// How many requests came.
    pub(super) fn heard(&self) -> [usize; 2] {
        [&self.turn, &self.sts_turn].map(|turn| turn.load(Ordering::Relaxed))
    }
}

/// What a request says, each part in the form of this turn.
fn said(headers: &HeaderMap, body: &[u8], turn: usize) -> Vec<String> {
    let values = headers.values().map(HeaderValue::as_bytes).chain([body]);
    values.filter(|bytes| bytes.len() > 3).map(|bytes| in_form(bytes, turn)).collect()
}

/// The whole text in one form; in groups of three bytes, since of a long one `forms` gives the beginning only.
fn in_form(text: &[u8], turn: usize) -> String {
    let part = |part: &[u8]| {
        let mut forms = forms(&String::from_utf8_lossy(part));
        let count = forms.len();
        forms.swap_remove(turn % count).1
    };
    text.chunks(39).map(part).collect()
}

fn response(turn: usize, said: &[String]) -> Result<Response, TransportFailure> {
    let all = said.join(" ");
    let (status, error_type, message) = match turn % 11 {
        0 => (403, "AccessDeniedException", format!("User: anonymous is not authorized: {all}")),
        1 => (
            403,
            "InvalidSignatureException",
            format!("The request signature we calculated does not match. The Canonical String was '{all}'"),
        ),
        2 => (
            403,
            "AccessDeniedException",
            format!(
                "User: arn:aws:sts::1:assumed-role/{0}/x is not authorized to perform: execute-api:Invoke on resource: \
             {all} with an explicit deny in a resource control policy: arn:aws:organizations::1:policy/o-1/{0}",
                said.last().map_or("x", String::as_str)
            ),
        ),
        3 => (403, "ForbiddenException", all.clone()),
        4 => (500, all.get(..60).unwrap_or("Unknown"), format!("\u{1b}[31m<script>{all}</script>")),
        5 => (
            403,
            "IncompleteSignatureException",
            format!(
                "'{all}' not a valid key=value pair (missing equal-sign) in Authorization header: '{all}'."
            ),
        ),
        6 => (429, "TooManyRequestsException", all.clone()),
        7 => (400, "BadRequestException", all.clone()),
        8 => return Err(TransportFailure { kind: FailureKind::Protocol, detail: all }),
        9 => (502, "", all.clone()),
        _ => (200, "", all.clone()),
    };
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        let value: Vec<u8> = value.bytes().filter(|byte| *byte >= b' ' && *byte != 127).collect();
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_maybe_shared(Bytes::from(value)).unwrap(),
        );
    };
    if !error_type.is_empty() {
        put("x-amzn-errortype", error_type);
    }
    // An id of its own, or what was said; once in a while none, as a proxy answers.
    match turn % 7 {
        0..=2 => put("x-amzn-requestid", "3b1f0f2e-0d1c-4a57-8f7e-000000000000"),
        6 => {}
        _ => said.iter().for_each(|said| put("x-amzn-requestid", said)),
    }
    if let Some(one) = said.get(turn % said.len().max(1)) {
        put("x-amz-apigw-id", one);
        put("x-amzn-trace-id", &format!("Root={one};Parent={one}"));
        put("server", one);
        put("location", &format!("https://{one}/"));
    }
    let mut body = serde_json::json!({"message": message, "Message": message}).to_string().into_bytes();
    if turn % 5 == 4 {
        body.extend([0xff, 0xfe, 0]);
    }
    Ok(Response { status, headers, body: body.into(), truncated: false })
}

impl Transport for Echo {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let said = (!turn.is_multiple_of(3)).then(|| said(&request.headers, &request.body, turn / 3));
        let answer = self.inner.send(request, to, options);
        Box::pin(async move {
            let mut exchange = answer.await;
            if let Some(said) = said {
                exchange.result = response(turn, &said);
            }
            exchange
        })
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        let turn = self.sts_turn.fetch_add(1, Ordering::Relaxed);
        let said = said(&request.headers, &request.body, turn / 3).join(" ");
        // The hub's own identity, and each third role, as it is.
        if turn.is_multiple_of(3) || turn < 4 {
            return self.inner.fetch(request);
        }
        let code = match turn % 5 {
            0 => said.get(..50).unwrap_or("Other").to_owned(),
            1 => "ExpiredToken".into(),
            2 => "ValidationError".into(),
            3 => return Box::pin(async move { Err(FetchFailure { timed_out: false, detail: said }) }),
            _ => "AccessDenied".into(),
        };
        let escaped = said.replace('&', "&amp;").replace('<', "&lt;");
        let mut body =
            String::from("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>");
        write!(body, "<Type>Sender</Type><Code>{}</Code>", code.replace('&', "&amp;").replace('<', "&lt;"))
            .unwrap();
        write!(body, "<Message>{escaped}</Message></Error><RequestId>{escaped}</RequestId></ErrorResponse>")
            .unwrap();
        let answer = FetchResponse { status: 403, headers: HeaderMap::new(), body: body.into() };
        Box::pin(async move { Ok(answer) })
    }
}
