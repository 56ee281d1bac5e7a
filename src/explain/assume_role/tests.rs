//! Recorded and derived texts of STS, each with what it has to be read as.

use super::*;
use AssumeRoleCause as Cause;
use Owner::{Agent, Hub, Network, Organisation, Spoke};
use std::collections::BTreeSet;

const DENIED: &str = "User: arn:aws:sts::111122223333:assumed-role/hub/task is not authorized to perform: \
                      sts:AssumeRole on resource: arn:aws:iam::222233334444:role/spokeprobe";

fn denied(rest: &str) -> String {
    format!("{DENIED}{rest}")
}

#[test]
fn every_text_of_sts_is_read_as_what_it_says() {
    let tag = DENIED.replace("sts:AssumeRole", "sts:TagSession");
    let rows: &[(&str, String, Cause, bool, Owner)] = &[
        ("AccessDenied", denied(""), Cause::TrustExternalIdOrAbsentRole, false, Spoke),
        ("AccessDenied", String::new(), Cause::TrustExternalIdOrAbsentRole, false, Spoke),
        (
            "AccessDenied",
            denied(" because no role trust policy allows the sts:AssumeRole action"),
            Cause::TrustPolicy,
            true,
            Spoke,
        ),
        (
            "AccessDenied",
            denied(" with an explicit deny in the role trust policy"),
            Cause::TrustPolicyDeny,
            true,
            Spoke,
        ),
        (
            "AccessDenied",
            denied(" because no resource-based policy allows the sts:AssumeRole action"),
            Cause::TrustPolicy,
            false,
            Spoke,
        ),
        (
            "AccessDenied",
            denied(" with an explicit deny in a resource-based policy"),
            Cause::TrustPolicyDeny,
            true,
            Spoke,
        ),
        (
            "AccessDenied",
            denied(" because no identity-based policy allows the sts:AssumeRole action"),
            Cause::IdentityPolicy,
            true,
            Hub,
        ),
        (
            "AccessDeniedException",
            denied(" with an explicit deny in an identity-based policy: arn:aws:iam::111122223333:policy/p"),
            Cause::IdentityPolicy,
            true,
            Hub,
        ),
        (
            "AccessDenied",
            denied(" because no service control policy allows the sts:AssumeRole action"),
            Cause::ServiceControlPolicy,
            true,
            Organisation,
        ),
        (
            "AccessDenied",
            denied(
                " with an explicit deny in a VPC endpoint policy transitively through a service control policy",
            ),
            Cause::ServiceControlPolicy,
            true,
            Organisation,
        ),
        (
            "AccessDenied",
            denied(" with an explicit deny in a resource control policy"),
            Cause::ResourceControlPolicy,
            true,
            Organisation,
        ),
        (
            "AccessDenied",
            denied(" because no permissions boundary allows the sts:AssumeRole action"),
            Cause::PermissionsBoundary,
            true,
            Hub,
        ),
        (
            "AccessDenied",
            denied(" because no session policy allows the sts:AssumeRole action"),
            Cause::SessionPolicy,
            true,
            Hub,
        ),
        (
            "AccessDenied",
            denied(" with an explicit deny in a sessions policy"),
            Cause::SessionPolicy,
            true,
            Hub,
        ),
        (
            "AccessDenied",
            denied(" because no VPC endpoint policy allows the sts:AssumeRole action"),
            Cause::StsEndpointPolicy,
            true,
            Hub,
        ),
        ("AccessDenied", tag.clone(), Cause::TagSession, true, Spoke),
        (
            "AccessDenied",
            format!("{tag} because no identity-based policy allows the sts:TagSession action"),
            Cause::TagSession,
            true,
            Hub,
        ),
        (
            "RegionDisabledException",
            "STS is not activated in this region for account:222233334444. Your account administrator can \
             activate STS in this region using the IAM Console."
                .into(),
            Cause::RegionDisabled,
            true,
            Spoke,
        ),
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
                .into(),
            Cause::DurationOverChainingMaximum,
            true,
            Agent,
        ),
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".into(),
            Cause::DurationOverRoleMaximum,
            true,
            Agent,
        ),
        (
            "ValidationError",
            "1 validation error detected: Value 'x' at 'roleArn' failed".into(),
            Cause::InvalidParameter,
            true,
            Agent,
        ),
        (
            "PackedPolicyTooLarge",
            "Packed size of session tags consumes 138% of allotted space.".into(),
            Cause::PackedPolicyTooLarge,
            true,
            Agent,
        ),
        (
            "PackedPolicyTooLargeException",
            "Serialized token too large for session".into(),
            Cause::PackedPolicyTooLarge,
            true,
            Agent,
        ),
        ("MalformedPolicyDocument", "Syntax errors".into(), Cause::MalformedSessionPolicy, true, Agent),
        ("Throttling", "Rate exceeded".into(), Cause::Throttled, true, Hub),
        ("ThrottlingException", "Rate exceeded".into(), Cause::Throttled, true, Hub),
        (
            "InvalidClientTokenId",
            "STS does not accept the hub's own credentials: The security token included in the request is invalid."
                .into(),
            Cause::HubCredentialsInvalid,
            true,
            Hub,
        ),
        (
            "ExpiredToken",
            "The security token included in the request is expired".into(),
            Cause::HubCredentialsExpired,
            true,
            Hub,
        ),
        (
            "SignatureDoesNotMatch",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T002500Z - 15 min.)"
                .into(),
            Cause::HubClock,
            true,
            Agent,
        ),
        (
            "SignatureDoesNotMatch",
            "Signature not yet current: 20260101T010000Z is still later than 20260101T002000Z".into(),
            Cause::HubClock,
            true,
            Agent,
        ),
        (
            "SignatureDoesNotMatch",
            "Credential should be scoped to a valid region.".into(),
            Cause::HubScope,
            true,
            Agent,
        ),
        (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.".into(),
            Cause::HubSignature,
            false,
            Agent,
        ),
        ("SomethingNew", "no".into(), Cause::Other, false, Hub),
    ];
    for (code, message, cause, sure, owner) in rows {
        for has_external_id in [false, true] {
            let read = assume_role(Some(code), message, has_external_id);
            assert_eq!((read.cause, read.sure, read.owner), (*cause, *sure, *owner), "{code}: {message}");
        }
    }
    assert_eq!(assume_role(None, "STS did not answer in time", false).owner, Network);
}

#[test]
fn the_bare_text_names_all_that_it_can_mean() {
    for (has_external_id, external_id) in [(true, "may not be the one it asks for"), (false, "none was sent")]
    {
        let read = assume_role(Some("AccessDenied"), DENIED, has_external_id);
        for part in ["trust", "external id", "exist", "hub's own policy", external_id] {
            assert!(read.meaning.contains(part), "{part}: {}", read.meaning);
        }
        assert!(!read.sure);
    }
}

#[test]
fn every_cause_has_a_word_and_something_to_do() {
    let mut seen = BTreeSet::new();
    for cause in Cause::ALL {
        let (meaning, what_to_do) = words(cause);
        assert!(meaning.ends_with('.') && !what_to_do.is_empty(), "{}", cause.as_str());
        assert!(what_to_do.iter().all(|step| !step.contains("  ")), "{}", cause.as_str());
        assert!(seen.insert(cause.as_str()), "{} twice", cause.as_str());
    }
    assert_eq!(no_hub_credentials().cause.as_str(), "no_hub_credentials");
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_said_breaks_the_reading(code in ".{0,40}", message in ".{0,400}") {
        let read = assume_role(Some(&code), &message, true);
        proptest::prop_assert!(Cause::ALL.contains(&read.cause));
    }
}
