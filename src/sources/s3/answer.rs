//! What S3 said: its listings read, its refusals told to people. Pure, and every text is taken for hostile.
//!
//! Errors and listings are XML. Of an error only `Code`, `Message` and `Region` are looked at, of a listing only
//! what a reading needs, by looking for the tags: nothing is built from the text, nothing in it can nest, refer
//! or grow.
//!
//! Source: S3 API reference, "Error responses", "GetObject", "ListObjectsV2".

use super::address::Bucket;
use crate::domain::region::Region;
use crate::domain::scrub::scrub;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

/// As much of an error as is looked at.
const ERROR_BYTES_MAX: usize = 16 * 1024;
/// The longest code of S3 has fewer.
const CODE_BYTES_MAX: usize = 64;
/// Keys of one page, by the API.
const PAGE_KEYS_MAX: usize = 1000;
/// A continuation token is opaque; the ones seen have some hundred bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// Why an object or a listing is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no such key.
    Missing(String),
    /// S3 answered that this is not to be had: asking again does not help.
    Refused(String),
    /// S3 could not be asked or could not answer: later it may.
    Unavailable(String),
}

impl Trouble {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Missing(text) | Self::Refused(text) | Self::Unavailable(text) => text,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    Object(&'a str),
    Listing,
}

/// An answer that is neither an object nor a listing.
pub(super) fn trouble(
    bucket: &Bucket,
    asked: Asked<'_>,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Trouble {
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BYTES_MAX)]);
    let code = element(&text, "Code").map(str::trim).filter(|code| {
        (1..=CODE_BYTES_MAX).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    let header = headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
    let elsewhere = header
        .or_else(|| element(&text, "Region"))
        .and_then(|region| region.trim().parse::<Region>().ok())
        .filter(|region| *region != bucket.region);
    if let Some(region) = elsewhere {
        let Bucket { name, region: asked, .. } = bucket;
        return Trouble::Refused(format!(
            "the bucket {name} is in {region}, and was asked for in {asked}: add ?region={region}"
        ));
    }
    let said = match (code, element(&text, "Message").map(|message| scrub(&unescaped(message)))) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _) => code.to_owned(),
        (None, _) => format!("status {status}, without an explanation"),
    };
    match (status, code) {
        (_, Some("NoSuchKey")) => Trouble::Missing("there is no such key (NoSuchKey)".to_owned()),
        (_, Some("NoSuchBucket")) => {
            Trouble::Refused(format!("there is no bucket {} (NoSuchBucket)", bucket.name))
        }
        (_, Some("RequestTimeTooSkewed")) => Trouble::Refused(format!("{said}; set this machine's clock")),
        (_, Some("ExpiredToken" | "InvalidToken" | "InvalidAccessKeyId" | "SignatureDoesNotMatch")) => {
            Trouble::Refused(format!("S3 does not accept the agent's credentials ({said})"))
        }
        (_, Some("InvalidObjectState")) => Trouble::Refused(format!("it is archived; restore it ({said})")),
        (429 | 500..=599, _) => Trouble::Unavailable(format!("S3 cannot answer now ({said})")),
        (403, _) => Trouble::Refused(forbidden(bucket, asked, &said)),
        (404, _) => Trouble::Missing(format!("there is no such key ({said})")),
        (412, _) => Trouble::Unavailable("it was replaced while it was read".to_owned()),
        _ => Trouble::Refused(said),
    }
}

fn forbidden(bucket: &Bucket, asked: Asked<'_>, said: &str) -> String {
    let all = bucket.arn("");
    match asked {
        Asked::Object(key) => format!(
            "S3 refuses it ({said}); the agent's own role needs s3:GetObject on {}, and the policies of the bucket \
             and of the VPC endpoint for S3 must allow it; without s3:ListBucket on {all} a key that does not exist \
             is refused in the same words",
            bucket.arn(key)
        ),
        Asked::Listing => format!(
            "S3 refuses to list the keys ({said}); a pattern of `include` needs s3:ListBucket on {all} for the agent's \
             own role"
        ),
    }
}

/// One page of `ListObjectsV2`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Page {
    pub(super) keys: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<String>,
}

/// A key of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    /// As it stands in the listing, quotes included; empty if it has none.
    pub(super) etag: String,
}

/// Reads a page. What is no listing has no keys; a key that cannot be read is left out by a problem of its own.
pub(super) fn page(body: &[u8]) -> Result<Page, Trouble> {
    let unreadable = || Trouble::Unavailable("S3 sent a listing that cannot be read".to_owned());
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?;
    let mut page = Page::default();
    let mut head = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<Contents>") {
        head.push_str(before);
        let (contents, after) = after.split_once("</Contents>").ok_or_else(unreadable)?;
        rest = after;
        if page.keys.len() >= PAGE_KEYS_MAX {
            return Err(unreadable());
        }
        let key = element(contents, "Key").ok_or_else(unreadable)?;
        let key = unescaped(key);
        let key = percent_decode_str(&key).decode_utf8().map_err(|_| unreadable())?.into_owned();
        let etag = element(contents, "ETag").map(unescaped).unwrap_or_default();
        page.keys.push(Listed { key, etag });
    }
    head.push_str(rest);
    if !head.contains("<ListBucketResult") {
        return Err(unreadable());
    }
    if element(&head, "IsTruncated").is_some_and(|truncated| truncated.trim() == "true") {
        let token = element(&head, "NextContinuationToken").map(unescaped);
        let token = token.filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len()));
        page.next = Some(token.ok_or_else(unreadable)?);
    }
    Ok(page)
}

/// What stands between the first pair of these tags.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = after.split_once(&format!("</{name}>"))?;
    (!inside.contains('<')).then_some(inside)
}

/// The five entities that XML has by itself; `&amp;` last, so that nothing is replaced twice. Keys hold no others:
/// they are asked for percent-encoded.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests;
