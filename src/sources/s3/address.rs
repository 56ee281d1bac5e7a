//! Where an object is: `s3://bucket/key[?region=…]` read, and turned into hosts and paths. Pure.
//!
//! A key is taken as it is written, without any decoding, as AWS's own command line takes it. The host carries
//! the bucket's name unless that has dots, which no wildcard certificate covers, or the endpoint is another.
//!
//! Source: S3 user guide, "Virtual hosting of general purpose buckets", "Naming Amazon S3 objects", and "General
//! purpose bucket naming rules".

use crate::config::Environment;
use crate::domain::region::Region;
use crate::yaml::{Problem, shown};
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::net::IpAddr;

/// What SigV4 leaves as it is, and the `/` between the parts of a key.
const IN_PATH: AsciiSet = IN_QUERY.remove(b'/');
const IN_QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The longest key, in bytes of UTF-8.
const KEY_BYTES_MAX: usize = 1024;
/// The name that AWS's SDKs give to another endpoint for S3 (AWS SDKs and tools reference, "Service-specific
/// endpoints").
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_S3";

/// A bucket and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) region: Region,
    /// Another endpoint than the region's, scheme and authority.
    endpoint: Option<(&'static str, String)>,
}

/// An object that holds a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources) struct Location {
    pub(super) bucket: Bucket,
    pub(super) key: String,
}

/// A request's place: where it goes, and what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) scheme: &'static str,
    pub(super) host: String,
    pub(super) path_and_query: String,
}

impl Location {
    /// Reads the argument of `--config`.
    pub(in crate::sources) fn parse(
        argument: &str,
        environment: Environment<'_>,
    ) -> Result<Self, Box<Problem>> {
        let refuse = |found: String, wanted: &str, hint: Option<&str>| {
            let hint = hint.map(str::to_owned);
            Box::new(Problem { hint, ..Problem::of_file(argument, found, wanted) })
        };
        let form = "s3://BUCKET/KEY or s3://BUCKET/KEY?region=REGION";
        let rest = argument.strip_prefix("s3://").unwrap_or(argument);
        let (rest, named) = match rest.rsplit_once("?region=") {
            Some((rest, region)) => (rest, Some(region)),
            None => (rest, None),
        };
        if rest.starts_with("arn:") {
            let hint = "access points are not supported, name the bucket";
            return Err(refuse("an ARN".into(), form, Some(hint)));
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_bucket(bucket) {
            let found = format!("a bucket `{}`", shown(bucket));
            let wanted = "3 to 63 small letters, digits, dots and hyphens";
            return Err(refuse(found, wanted, None));
        }
        if bucket.ends_with("--x-s3") {
            let hint = "directory buckets are asked in another way, use a general purpose bucket";
            return Err(refuse("a directory bucket".into(), form, Some(hint)));
        }
        if key.is_empty() || key.ends_with('/') {
            return Err(refuse("a bucket without the key of an object".into(), form, None));
        }
        if let Some((found, wanted)) = unfit_key(key) {
            return Err(refuse(found.into(), wanted, None));
        }
        let region = match named {
            Some(region) => region
                .parse()
                .map_err(|_| refuse(format!("a region `{}`", shown(region)), Region::WANTED, None))?,
            None => region_of(environment).map_err(|found| {
                let hint = "write s3://BUCKET/KEY?region=REGION, or set AWS_REGION";
                refuse(found, "the region of the bucket", Some(hint))
            })?,
        };
        let endpoint = match set(environment, ENDPOINT_VARIABLE) {
            Some(url) => Some(endpoint(&url).ok_or_else(|| {
                let found = format!("`{}` in {ENDPOINT_VARIABLE}", shown(&url));
                refuse(found, "https://HOST[:PORT], or http:// and a loopback address", None)
            })?),
            None => None,
        };
        let bucket = Bucket { name: bucket.to_owned(), region, endpoint };
        Ok(Self { bucket, key: key.to_owned() })
    }

    /// The region of the bucket.
    pub(in crate::sources) const fn region(&self) -> &Region {
        &self.bucket.region
    }

    /// What stands before the last `/` of the key, that included: the folder of includes.
    pub(super) fn prefix(&self) -> &str {
        self.key.rfind('/').map_or("", |end| &self.key[..=end])
    }
}

impl Bucket {
    /// The name of a key for people, in problems and labels.
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// The ARN of a key, or with an empty one that of the bucket.
    pub(super) fn arn(&self, key: &str) -> String {
        let slash = if key.is_empty() { "" } else { "/" };
        format!("arn:{}:s3:::{}{slash}{key}", self.region.partition(), self.name)
    }

    /// Where an object is.
    pub(super) fn object(&self, key: &str) -> Place {
        self.place(&utf8_percent_encode(key, &IN_PATH).to_string())
    }

    /// Where the keys below a prefix are listed (`ListObjectsV2`), from a continuation on. Names come back
    /// percent-encoded, since XML cannot hold every character that a key can.
    pub(super) fn listing(&self, prefix: &str, continuation: Option<&str>) -> Place {
        let encoded = |text| utf8_percent_encode(text, &IN_QUERY);
        let from = continuation.map(|token| format!("continuation-token={}&", encoded(token)));
        let from = from.unwrap_or_default();
        self.place(&format!("?{from}encoding-type=url&list-type=2&prefix={}", encoded(prefix)))
    }

    fn place(&self, rest: &str) -> Place {
        let Self { name, region, endpoint } = self;
        let (scheme, host, in_path) = match endpoint {
            Some((scheme, authority)) => (*scheme, authority.clone(), true),
            None => {
                let service = format!("s3.{region}.{}", region.partition().dns_suffix());
                let in_path = name.contains('.');
                let host = if in_path { service } else { format!("{name}.{service}") };
                ("https", host, in_path)
            }
        };
        let path_and_query = if in_path { format!("/{name}/{rest}") } else { format!("/{rest}") };
        Place { scheme, host, path_and_query }
    }
}

impl Place {
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path_and_query)
    }
}

/// Why a key cannot be asked for: what was found and what was wanted.
///
/// S3 takes `.` and `..` as ordinary parts of a key, but what sends a URL resolves them, as the URL standard says,
/// and would ask for another key than was signed. So they are refused, as in the path of a probe.
pub(super) fn unfit_key(key: &str) -> Option<(&'static str, &'static str)> {
    if key.len() > KEY_BYTES_MAX {
        return Some(("a key of more than 1,024 bytes", "a shorter key"));
    }
    if key.split('/').any(|part| part == "." || part == "..") {
        return Some((
            "a key with a part that is `.` or `..`",
            "a key without them: no URL can hold such a part",
        ));
    }
    None
}

fn is_bucket(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| inner(*b))
        && edge(bytes.first())
        && edge(bytes.last())
        && !name.contains("..")
}

/// The region of the environment, as AWS's SDK for Rust reads it. Profiles are not looked into.
fn region_of(environment: Environment<'_>) -> Result<Region, String> {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(text) = set(environment, name) {
            return text.parse().map_err(|_| format!("`{}` in {name}, which is no region", shown(&text)));
        }
    }
    Err("no region for this bucket".to_owned())
}

fn set(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

fn endpoint(url: &str) -> Option<(&'static str, String)> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let host = uri.host()?;
    if uri.path().len() > 1 || uri.query().is_some() || authority.as_str().contains('@') {
        return None;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str()? {
        // The default port is not sent, so it must not be signed.
        "https" => Some(("https", authority.as_str().trim_end_matches(":443").to_ascii_lowercase())),
        "http" if is_loopback => {
            Some(("http", authority.as_str().trim_end_matches(":80").to_ascii_lowercase()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(argument: &str, variables: &[(&str, &str)]) -> Result<Location, String> {
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Location::parse(argument, &environment).map_err(|problem| problem.to_string())
    }

    fn url(argument: &str, variables: &[(&str, &str)]) -> String {
        let location = location(argument, variables).unwrap();
        location.bucket.object(&location.key).url()
    }

    #[test]
    fn hosts_follow_partition_and_bucket() {
        for (argument, wanted) in [
            ("s3://conf/a/main.yaml?region=eu-west-1", "https://conf.s3.eu-west-1.amazonaws.com/a/main.yaml"),
            (
                "s3://conf.x.org/main.yaml?region=eu-west-1",
                "https://s3.eu-west-1.amazonaws.com/conf.x.org/main.yaml",
            ),
            ("s3://conf/m?region=cn-north-1", "https://conf.s3.cn-north-1.amazonaws.com.cn/m"),
            ("s3://conf/m?region=us-gov-west-1", "https://conf.s3.us-gov-west-1.amazonaws.com/m"),
            ("s3://conf/m?region=us-east-1", "https://conf.s3.us-east-1.amazonaws.com/m"),
        ] {
            assert_eq!(url(argument, &[]), wanted);
        }
    }

    #[test]
    fn keys_go_out_as_they_are_written() {
        for (key, wanted) in [
            ("a b/c+d.yaml", "/a%20b/c%2Bd.yaml"),
            ("/a//b", "//a//b"),
            ("a..b/...", "/a..b/..."),
            ("b\u{fc}ro/\u{20ac}.yaml", "/b%C3%BCro/%E2%82%AC.yaml"),
            ("a%20b?c=d&e#f", "/a%2520b%3Fc%3Dd%26e%23f"),
            ("~x-y_z'()*!", "/~x-y_z%27%28%29%2A%21"),
        ] {
            let location = location(&format!("s3://conf/{key}?region=eu-west-1"), &[]).unwrap();
            assert_eq!(location.key, key);
            let place = location.bucket.object(&location.key);
            assert_eq!(place.path_and_query, wanted);
            let parsed: Uri = place.url().parse().unwrap();
            assert_eq!(parsed.path(), wanted);
        }
    }

    #[test]
    fn region_and_endpoint_come_from_the_environment() {
        let region = |variables: &[(&str, &str)]| {
            location("s3://conf/m", variables).map(|found| found.bucket.region.to_string())
        };
        assert_eq!(
            region(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2")]).unwrap(),
            "eu-west-1"
        );
        assert_eq!(region(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-2")]).unwrap(), "eu-west-2");
        assert!(region(&[]).unwrap_err().contains("or set AWS_REGION"));
        assert!(region(&[("AWS_REGION", "mars")]).unwrap_err().contains("`mars` in AWS_REGION"));
        let at = |endpoint| {
            let variables = [("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL_S3", endpoint)];
            location("s3://conf/m", &variables).map(|found| found.bucket.object(&found.key).url())
        };
        assert_eq!(at("http://127.0.0.1:5000/").unwrap(), "http://127.0.0.1:5000/conf/m");
        assert_eq!(at("http://[::1]:5000").unwrap(), "http://[::1]:5000/conf/m");
        assert_eq!(
            at("https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com:443").unwrap(),
            "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com/conf/m"
        );
        for bad in
            ["http://example.com", "https://a:b@example.com", "https://example.com/x", "ftp://localhost", "x"]
        {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (bad, why) in [
            ("s3://", "a bucket ``"),
            ("s3://conf", "without the key"),
            ("s3://conf/folder/", "without the key"),
            ("s3://Conf/m", "a bucket `Conf`"),
            ("s3://-conf/m", "a bucket"),
            ("s3://a..b/m", "a bucket"),
            ("s3://arn:aws:s3:eu-west-1:111122223333:accesspoint/x/m", "an ARN"),
            ("s3://conf--euw1-az1--x-s3/m", "a directory bucket"),
            ("s3://conf/a/../m", "`.` or `..`"),
            ("s3://conf/m?region=", "a region ``"),
            ("s3://conf/m?region=EU", "a region `EU`"),
        ] {
            let problem = location(bad, &[("AWS_REGION", "eu-west-1")]).unwrap_err();
            assert!(problem.contains(why), "{bad}: {problem}");
        }
        assert!(location(&format!("s3://conf/{}?region=eu-west-1", "x".repeat(1025)), &[]).is_err());
    }

    #[test]
    fn prefixes_arns_and_listings() {
        let deep = location("s3://conf/a/b c/main.yaml?region=cn-north-1", &[]).unwrap();
        assert_eq!(deep.prefix(), "a/b c/");
        assert_eq!(deep.bucket.arn(&deep.key), "arn:aws-cn:s3:::conf/a/b c/main.yaml");
        assert_eq!(deep.bucket.arn(""), "arn:aws-cn:s3:::conf");
        assert_eq!(
            deep.bucket.listing("a/b c/", Some("1+/=")).path_and_query,
            "/?continuation-token=1%2B%2F%3D&encoding-type=url&list-type=2&prefix=a%2Fb%20c%2F"
        );
        let flat = location("s3://a.b/main.yaml?region=eu-west-1", &[]).unwrap();
        assert_eq!(flat.prefix(), "");
        assert_eq!(
            flat.bucket.listing("", None).path_and_query,
            "/a.b/?encoding-type=url&list-type=2&prefix="
        );
    }
}
