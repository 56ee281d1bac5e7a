//! gzip for what grows with the number of targets: who wants it, and how it is made.
//!
//! `routes` asks while it makes a large answer, off the threads that probes run on. A layer over all answers (as
//! tower-http has one) would compress while the answer is sent, on those very threads. Nothing that a peer chose is
//! compressed together with a secret: no answer holds one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::convert::Infallible;
use std::io::Write as _;

/// Below this many bytes an answer fits into a packet or two, and packing it gains nothing.
const WORTH_PACKING: usize = 1_400;

/// In which coding a peer wants large answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As they are.
    Identity,
    /// Packed with gzip.
    Gzip,
}

impl<S: Sync> FromRequestParts<S> for Coding {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::wanted(&parts.headers))
    }
}

impl Coding {
    /// What `Accept-Encoding` asks for, by RFC 9110, 12.5.3: gzip where it is named, or `*` is and gzip is not, with a
    /// weight above zero that is not below the one given to `identity`. A peer that wants no coding of ours gets the
    /// answer as it is: a scrape that fails helps nobody.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let (mut gzip, mut any, mut identity) = (None, None, None);
        let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
        for item in lists.flat_map(|list| list.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next().unwrap_or_default();
            let weight = weight(parts);
            let slot = match coding.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => &mut gzip,
                "*" => &mut any,
                "identity" => &mut identity,
                _ => continue,
            };
            *slot = Some(slot.unwrap_or(0).max(weight));
        }
        match gzip.or(any) {
            Some(weight) if weight > 0 && weight >= identity.unwrap_or(0) => Self::Gzip,
            _ => Self::Identity,
        }
    }

    /// The content in this coding, if that is another than it has and worth it.
    pub(super) fn pack(self, content: &[u8]) -> Option<Vec<u8>> {
        if self == Self::Identity || content.len() < WORTH_PACKING {
            return None;
        }
        // The fastest level: names and labels repeat so much that the best one gains little and takes several times
        // as long.
        let mut packed = GzEncoder::new(Vec::with_capacity(content.len() / 8), Compression::fast());
        // Writing to memory does not fail; if it did, the answer would go out as it is.
        packed.write_all(content).ok()?;
        packed.finish().ok()
    }
}

/// A weight in thousandths: 1 where none is given, 0 where it is not one.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> u16 {
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim_end().eq_ignore_ascii_case("q") {
            let value: f32 = value.trim_start().parse().unwrap_or(0.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 1000; NaN is 0"
            )]
            return (value.clamp(0.0, 1.0) * 1_000.0) as u16;
        }
    }
    1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn wanted(lists: &[&str]) -> Coding {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(list).unwrap());
        }
        Coding::wanted(&headers)
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut content).unwrap();
        content
    }

    #[test]
    fn gzip_goes_to_those_who_want_it() {
        for list in [
            "gzip",
            "GZip",
            "x-gzip",
            "gzip;q=1",
            "gzip ; q=0.5 , identity;q=0.1",
            "deflate, gzip;q=1.0, *;q=0.5",
            "br, zstd, gzip",
            "*",
            "*;q=0.1",
            "identity;q=0, *",
            "gzip;level=9;q=0.3",
            "gzip, gzip;q=0",
        ] {
            assert_eq!(wanted(&[list]), Coding::Gzip, "{list}");
        }
        assert_eq!(wanted(&["br", "gzip"]), Coding::Gzip, "two lines are one list");
    }

    #[test]
    fn everybody_else_gets_it_as_it_is() {
        for list in [
            "",
            "identity",
            "deflate, br",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "identity, gzip;q=0.5",
            "gzip;q=x",
            "gzip;q=-1",
            "gzip;q=NaN",
            "gzipped",
            ";q=1",
            ",,,",
        ] {
            assert_eq!(wanted(&[list]), Coding::Identity, "{list}");
        }
        assert_eq!(wanted(&[]), Coding::Identity);
        let mut odd = HeaderMap::new();
        odd.insert(header::ACCEPT_ENCODING, HeaderValue::from_bytes(b"gzip\xff").unwrap());
        assert_eq!(Coding::wanted(&odd), Coding::Identity);
    }

    #[test]
    fn what_is_small_or_not_wanted_stays_as_it_is() {
        assert_eq!(Coding::Identity.pack(&[b'x'; 100_000]), None);
        assert_eq!(Coding::Gzip.pack(&[b'x'; WORTH_PACKING - 1]), None);
        let packed = Coding::Gzip.pack(&[b'x'; 100_000]).unwrap();
        assert!(packed.len() < 1_000);
        assert_eq!(unpacked(&packed), [b'x'; 100_000]);
    }

    proptest! {
        #[test]
        fn any_header_is_understood_somehow(list in "[a-z*;=,q0-9. -]{0,60}") {
            let _either = wanted(&[&list]);
        }

        #[test]
        fn what_was_packed_comes_out_as_it_was(content in prop::collection::vec(any::<u8>(), 1_400..4_000)) {
            prop_assert_eq!(unpacked(&Coding::Gzip.pack(&content).unwrap()), content);
        }
    }
}
