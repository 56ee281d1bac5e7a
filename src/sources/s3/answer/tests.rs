//! Refusals as people read them, listings, and texts that are neither.

use super::*;
use crate::sources::s3::address::Location;
use proptest::prelude::*;

fn bucket() -> Bucket {
    Location::parse("s3://conf/m?region=eu-west-1", &|_| None).unwrap().bucket
}

fn error(code: &str, more: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Said &amp; done</Message>{more}</Error>"
    )
}

fn told(status: u16, body: &str, region: Option<&str>) -> Trouble {
    let mut headers = HeaderMap::new();
    if let Some(region) = region {
        headers.insert("x-amz-bucket-region", region.parse().unwrap());
    }
    trouble(&bucket(), Asked::Object("a/main.yaml"), status, &headers, body.as_bytes())
}

#[test]
fn a_refusal_says_what_to_do() {
    let refused = |status, code: &str, region, wanted: &[&str]| match told(status, &error(code, ""), region) {
        Trouble::Refused(text) => {
            for wanted in wanted {
                assert!(text.contains(wanted), "{code}: {text}");
            }
        }
        other => panic!("{code}: {other:?}"),
    };
    refused(
        403,
        "AccessDenied",
        None,
        &[
            "AccessDenied: Said & done",
            "s3:GetObject on arn:aws:s3:::conf/a/main.yaml",
            "without s3:ListBucket on arn:aws:s3:::conf a key that does not exist",
        ],
    );
    refused(404, "NoSuchBucket", None, &["no bucket conf"]);
    refused(
        301,
        "PermanentRedirect",
        Some("eu-central-1"),
        &["is in eu-central-1", "add ?region=eu-central-1"],
    );
    refused(403, "RequestTimeTooSkewed", None, &["clock"]);
    refused(400, "ExpiredToken", None, &["does not accept the agent's credentials"]);
    refused(403, "InvalidObjectState", Some("eu-west-1"), &["archived"]);
    refused(400, "Sundry", Some("not a region"), &["Sundry: Said & done"]);
    assert!(matches!(told(404, &error("NoSuchKey", ""), None), Trouble::Missing(_)));
    for status in [500, 503, 429] {
        assert!(matches!(told(status, &error("SlowDown", ""), None), Trouble::Unavailable(_)));
    }
    let wrong = error("AuthorizationHeaderMalformed", "<Region>us-east-2</Region>");
    assert!(
        matches!(told(400, &wrong, None), Trouble::Refused(text) if text.contains("add ?region=us-east-2"))
    );
    let listing =
        trouble(&bucket(), Asked::Listing, 403, &HeaderMap::new(), error("AccessDenied", "").as_bytes());
    assert!(listing.into_text().contains("s3:ListBucket on arn:aws:s3:::conf"));
}

#[test]
fn a_hostile_refusal_is_short_and_scrubbed() {
    let token = "IQoJb3JpZ2luX2VjEAAaCWV1LXdlc3QtMSJHMEUCIQDexampleexampleexample";
    let long = "x".repeat(100_000);
    for body in [
        format!("<Error><Code>AccessDenied</Code><Message>token {token}\u{1b}[31m</Message></Error>"),
        format!("<Error><Code>{long}</Code><Message>{long}</Message></Error>"),
        "<Error><Code><Code>AccessDenied</Code></Code>".to_owned(),
        "<Code>".repeat(10_000),
        "\u{0}\u{ffff}".repeat(10_000),
        String::new(),
    ] {
        let text = told(403, &body, None).into_text();
        assert!(text.len() < 1200 && !text.contains(token) && !text.contains('\u{1b}'), "{text}");
    }
}

const LISTING: &str = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
<Name>conf</Name><Prefix>a%2F</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>\
<Contents><Key>a/b%20c%26.yaml</Key><ETag>&quot;5d41&quot;</ETag><Size>5</Size></Contents>\
<Contents><ETag>\"6e52\"</ETag><Key>a/%E2%82%AC%2B.yaml</Key></Contents>\
<NextContinuationToken>1u/+&amp;=</NextContinuationToken></ListBucketResult>";

#[test]
fn a_listing_gives_keys_tags_and_the_next_page() {
    let listed = |key: &str, etag: &str| Listed { key: key.into(), etag: etag.into() };
    let wanted = Page {
        keys: vec![listed("a/b c&.yaml", "\"5d41\""), listed("a/\u{20ac}+.yaml", "\"6e52\"")],
        next: Some("1u/+&=".into()),
    };
    assert_eq!(page(LISTING.as_bytes()).unwrap(), wanted);
    let last = LISTING.replace("<IsTruncated>true", "<IsTruncated>false");
    assert_eq!(page(last.as_bytes()).unwrap().next, None);
    assert_eq!(
        page(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").unwrap(),
        Page::default()
    );
}

#[test]
fn what_is_no_listing_is_an_error() {
    let many = "<Contents><Key>a</Key></Contents>".repeat(PAGE_KEYS_MAX + 1);
    for bad in [
        "",
        "<html>hello</html>",
        "<ListBucketResult><Contents>",
        "<ListBucketResult><Contents></Contents>",
        "<ListBucketResult><IsTruncated>true</IsTruncated>",
        &format!("<ListBucketResult>{many}"),
        "<ListBucketResult><Contents><Key>%FF</Key></Contents>",
    ] {
        assert!(page(bad.as_bytes()).is_err(), "{bad:.60}");
    }
}

proptest! {
    #[test]
    fn no_answer_is_a_panic(body in proptest::collection::vec(any::<u8>(), 0..400), cut in 0..LISTING.len(), status: u16) {
        let _page = page(&body);
        let _cut = page(&LISTING.as_bytes()[..cut]);
        let _trouble = trouble(&bucket(), Asked::Listing, status, &HeaderMap::new(), &body);
    }
}
