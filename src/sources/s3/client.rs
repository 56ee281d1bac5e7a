//! One GET or one listing: signed anew for each try, bounded, and tried again where that helps.

use super::address::{Bucket, Place};
use super::answer::{Asked, Listed, Trouble, page, trouble};
use crate::domain::request::HttpRequest;
use crate::seams::{FetchFailure, FetchRequest, FetchResponse};
use crate::signing::{SigningScope, sign_request};
use crate::sources::Outside;
use crate::sources::gathering::MAX_FILES;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::time::Duration;

/// One try.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pauses before further tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];
/// An object is read in pieces, since an answer of `fetch` has at most 1 MiB.
const PIECE_BYTES: usize = 1024 * 1024;
/// An ETag has some forty characters; one that is much longer is not kept.
const ETAG_BYTES_MAX: usize = 256;

/// An object as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Got {
    /// Its bytes, and the tag by which to ask whether it is still the same.
    Object(Vec<u8>, Option<HeaderValue>),
    /// It is what the tag stands for.
    Unchanged,
}

/// Asks one bucket.
pub(super) struct Client {
    pub(super) bucket: Bucket,
    outside: Outside,
}

impl Client {
    pub(super) const fn new(bucket: Bucket, outside: Outside) -> Self {
        Self { bucket, outside }
    }

    /// Reads an object of at most `max_bytes`, unless it is still the one of `known`.
    pub(super) async fn get(
        &self,
        key: &str,
        known: Option<&HeaderValue>,
        max_bytes: usize,
    ) -> Result<Got, Trouble> {
        let place = self.bucket.object(key);
        let mut bytes = Vec::new();
        let mut etag: Option<HeaderValue> = None;
        loop {
            let mut headers = vec![(header::RANGE, range(bytes.len())?)];
            match (&etag, known) {
                // The pieces must be of one object.
                (Some(etag), _) => headers.push((header::IF_MATCH, etag.clone())),
                (None, Some(known)) => headers.push((header::IF_NONE_MATCH, known.clone())),
                (None, None) => {}
            }
            let answer = self.ask(&place, &headers).await?;
            match answer.status {
                304 if known.is_some() && bytes.is_empty() => return Ok(Got::Unchanged),
                // Nothing to give a range of: an empty object.
                416 if bytes.is_empty() => return Ok(Got::Object(bytes, None)),
                200 | 206 => {}
                _ => return Err(self.trouble(Asked::Object(key), &answer)),
            }
            bytes.extend_from_slice(&answer.body);
            if bytes.len() > max_bytes {
                return Err(Trouble::Refused(format!("it has more than {max_bytes} bytes")));
            }
            let tag = answer.headers.get(header::ETAG).filter(|tag| tag.len() <= ETAG_BYTES_MAX).cloned();
            let total = (answer.status == 206).then(|| total_bytes(&answer.headers)).flatten();
            match total {
                Some(total) if total > bytes.len() && !answer.body.is_empty() => {
                    if tag.is_none() {
                        let why = "S3 gave a part of it without an ETag";
                        return Err(Trouble::Unavailable(why.to_owned()));
                    }
                    etag = tag;
                }
                Some(total) if total != bytes.len() => {
                    return Err(Trouble::Unavailable("S3 gave a part of it only".to_owned()));
                }
                _ => return Ok(Got::Object(bytes, tag)),
            }
        }
    }

    /// All keys below a prefix, at most as many as files may be included.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Trouble> {
        let mut keys = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let answer = self.ask(&self.bucket.listing(prefix, next.as_deref()), &[]).await?;
            if answer.status != 200 {
                return Err(self.trouble(Asked::Listing, &answer));
            }
            let page = page(&answer.body)?;
            let ends = page.next.is_none() || page.keys.is_empty();
            keys.extend(page.keys);
            next = page.next;
            if ends {
                return Ok(keys);
            }
            if keys.len() >= MAX_FILES {
                let why =
                    format!("more than {MAX_FILES} keys begin with `{prefix}`; use a folder of its own");
                return Err(Trouble::Refused(why));
            }
        }
    }

    fn trouble(&self, asked: Asked<'_>, answer: &FetchResponse) -> Trouble {
        trouble(&self.bucket, asked, answer.status, &answer.headers, &answer.body)
    }

    /// Sends one request until S3 answers something that stays.
    async fn ask(
        &self,
        place: &Place,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<FetchResponse, Trouble> {
        let mut pauses = PAUSES.iter();
        loop {
            let answer = self.ask_once(place, headers).await;
            let again = match &answer {
                Ok(answer) => matches!(answer.status, 429 | 500..=599),
                Err(Trouble::Unavailable(_)) => true,
                Err(_) => false,
            };
            match pauses.next() {
                Some(pause) if again => self.outside.wait.until(self.outside.clock.now() + *pause).await,
                _ => return answer,
            }
        }
    }

    async fn ask_once(
        &self,
        place: &Place,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<FetchResponse, Trouble> {
        let credentials = self.outside.sessions.hub_credentials().await.map_err(|failure| {
            Trouble::Unavailable(format!("there are no credentials to ask S3 with: {}", failure.message))
        })?;
        let request = HttpRequest {
            method: Method::GET,
            host: place.host.clone(),
            path_and_query: place.path_and_query.clone(),
            headers: headers.iter().cloned().collect::<HeaderMap>(),
            body: Bytes::new(),
        };
        let scope = SigningScope::s3(self.bucket.region.clone());
        let signed = sign_request(request, &scope, &credentials, self.outside.clock.wall())
            .map_err(|problem| Trouble::Refused(problem.to_string()))?;
        let fetch = FetchRequest {
            method: Method::GET,
            url: place.url(),
            headers: signed.headers,
            body: Bytes::new(),
            timeout: TIMEOUT,
        };
        self.outside.transport.fetch(fetch).await.map_err(|FetchFailure { timed_out, detail }| {
            let host = &place.host;
            let why = if timed_out { "does not answer in time" } else { "cannot be reached" };
            Trouble::Unavailable(format!(
                "{host} {why} ({detail}); in a VPC without internet it takes a gateway endpoint for S3"
            ))
        })
    }
}

fn range(from: usize) -> Result<HeaderValue, Trouble> {
    HeaderValue::try_from(format!("bytes={from}-{}", from + PIECE_BYTES - 1))
        .map_err(|_| Trouble::Refused("it cannot be asked for".to_owned()))
}

/// The whole length, from `Content-Range: bytes 0-9/100` (RFC 9110, 14.4).
fn total_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_RANGE)?.to_str().ok()?.rsplit_once('/')?.1.parse().ok()
}
