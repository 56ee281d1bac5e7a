//! Private REST APIs, the endpoint in front of them, and the ways to address one through the other.

use crate::domain::{Invalid, checked_text};
use std::fmt;
use std::str::FromStr;

/// The id of a REST API: 10 lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiId(Box<str>);

checked_text!(ApiId, "10 lower-case letters and digits", |text| text.len() == 10
    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));

/// The name of a stage: letters, digits, hyphens and underscores, up to 128.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageName(Box<str>);

checked_text!(StageName, "1 to 128 letters, digits, hyphens and underscores", |text| {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
});

/// The id of an interface VPC endpoint, `vpce-` and 8 or 17 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VpcEndpointId(Box<str>);

checked_text!(VpcEndpointId, "vpce- and 8 or 17 hexadecimal digits", |text| {
    text.strip_prefix("vpce-").is_some_and(|id| {
        matches!(id.len(), 8 | 17) && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
});

/// A DNS name: labels of letters, digits and hyphens, at least two of them unless it is `localhost`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(Box<str>);

checked_text!(DnsName, "a DNS name such as private.example.com", |text| {
    text.len() <= 253
        && (text.contains('.') || text == "localhost")
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
        && !text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
});

/// How an API is named: by id and stage, or by a private custom domain name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ApiName {
    /// The API's own id and the stage that is called.
    Id {
        /// The API's id.
        id: ApiId,
        /// The deployed stage, the first segment of the path.
        stage: StageName,
    },
    /// A private custom domain name and the base path mapped to the API, if any.
    Domain {
        /// The custom domain name.
        domain: DnsName,
        /// The base path without slashes around it; empty for the root mapping.
        base_path: String,
    },
}

/// The four ways to address a private API through an interface endpoint.
///
/// Source: API Gateway developer guide, "Invoke a private API".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Addressing {
    /// The API's own name, resolved by the endpoint's private DNS; the default.
    #[default]
    PrivateDns,
    /// The endpoint's public DNS name, with the API's name as `Host`.
    EndpointDns,
    /// The endpoint's public DNS name, with the API's id in `x-apigw-api-id`.
    ApiIdHeader,
    /// The Route 53 alias `{api}-{vpce}` that an associated endpoint gets.
    Alias,
}

impl Addressing {
    /// Every style, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::PrivateDns, Self::EndpointDns, Self::ApiIdHeader, Self::Alias];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrivateDns => "private_dns",
            Self::EndpointDns => "endpoint_dns",
            Self::ApiIdHeader => "api_id_header",
            Self::Alias => "alias",
        }
    }
}

impl fmt::Display for Addressing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Addressing {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|style| style.as_str() == text)
            .ok_or(Invalid::new("one of private_dns, endpoint_dns, api_id_header, alias"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_documented_forms() {
        assert!("a1b2c3d4e5".parse::<ApiId>().is_ok());
        assert!("A1B2C3D4E5".parse::<ApiId>().is_err());
        assert!("vpce-0123456789abcdef0".parse::<VpcEndpointId>().is_ok());
        assert!("vpce-xyz".parse::<VpcEndpointId>().is_err());
        assert!("private.example.com".parse::<DnsName>().is_ok());
        for bad in ["", "10.0.0.1", "a..b", "-a.b", "http://a.b", "a b.c", "host"] {
            assert!(bad.parse::<DnsName>().is_err(), "{bad}");
        }
    }
}
