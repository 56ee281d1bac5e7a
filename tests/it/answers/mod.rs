//! Recorded answers of AWS, and answers that lie, before the classifier: each gets its reason, none leaks.
//!
//! The answers are files (`fixture` reads them); `mutations` goes on from there by chance.

mod fixture;
mod mutations;

use fixture::{Fixture, all, read};
use spokeprobe::classify::{Classified, MESSAGE_CHARS_MAX};
use spokeprobe::domain::outcome::Reason;
use std::collections::{BTreeMap, BTreeSet};

/// Reasons that leave open who it was. Twins and owners' logs may know more; the answer does not.
const VAGUE: &[Reason] = &[
    Reason::UnattributedPolicy,
    Reason::ResourceOrIdentityPolicy,
    Reason::Forbidden,
    Reason::MissingAuthenticationToken,
    Reason::BackendStatus,
];

/// Fixtures in which a specific reason is known to be wrong, with why nothing better can be said.
const KNOWN_LIMITS: &[(&str, &str)] = &[
    (
        "f04-head",
        "without a body the gateway's two kinds of 504 look alike, and the reason says only: integration",
    ),
    (
        "f08-waf-failure",
        "the gateway's answer is the one for a broken integration; only the owner's log differs",
    ),
    ("lie-function-imitates", "a function may send every mark of a denial; the trace id is too weak a sign"),
];

/// What is wrong with what the classifier made of a fixture.
fn complaint(fixture: &Fixture, found: &Classified) -> Option<String> {
    let verdict = &found.verdict;
    if verdict.reason != fixture.expect {
        return Some(format!("{} instead of {}", verdict.reason, fixture.expect));
    }
    if verdict.policy_arn != fixture.policy_arn {
        return Some(format!("names {:?}", verdict.policy_arn));
    }
    if let Some(message) = &verdict.message
        && (message.chars().count() > MESSAGE_CHARS_MAX || message.chars().any(char::is_control))
    {
        return Some(format!("keeps {message:?}"));
    }
    // Everything secret or foreign in the fixtures bears this word.
    let shown = format!("{found:?}").to_lowercase();
    for secret in ["planted", "iqojb3", "aws4-hmac", "<html", "\u{202e}"] {
        if shown.contains(secret) {
            return Some(format!("leaks {secret:?}: {shown}"));
        }
    }
    None
}

#[test]
fn every_recorded_answer_has_its_reason_and_none_leaks() {
    let complaints: Vec<String> = all()
        .iter()
        .filter_map(|fixture| Some(format!("{}: {}", fixture.name, complaint(fixture, &fixture.judged())?)))
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_check_can_fail() {
    let text = b"row: A9\nmark: observed\ncaller: signed\nlayer: identity_policy\nexpect: identity_policy\n\n\
        HTTP/1.1 403 Forbidden\nx-amzn-RequestId: 1\nx-amzn-ErrorType: ForbiddenException\n\n{\"message\":\"Forbidden\"}";
    let wrong = read("wrong", text);
    assert_eq!(complaint(&wrong, &wrong.judged()).as_deref(), Some("forbidden instead of identity_policy"));
    let right = Fixture { expect: Reason::Forbidden, ..wrong };
    let mut leaking = right.judged();
    assert_eq!(complaint(&right, &leaking), None);
    leaking.verdict.message = Some("IQoJb3JpZ2lu".into());
    assert!(complaint(&right, &leaking).is_some_and(|complaint| complaint.starts_with("leaks")));
}

/// Every form in the table of answers has a file: A policies, B signatures and credentials, C Forbidden,
/// D throttling, E the request, F integrations and authorizers, G others, T before HTTP.
#[test]
fn every_row_of_the_table_has_a_fixture() {
    let fixtures = all();
    let rows: BTreeSet<&str> = fixtures.iter().map(|fixture| fixture.row.as_str()).collect();
    let parts = [('A', 17), ('B', 11), ('C', 2), ('D', 3), ('E', 6), ('F', 8), ('G', 4), ('T', 8)];
    let mut wanted: BTreeSet<String> =
        parts.iter().flat_map(|(part, count)| (1..=*count).map(move |row| format!("{part}{row}"))).collect();
    wanted.insert("lie".into());
    assert_eq!(rows, wanted.iter().map(String::as_str).collect());
}

/// The figures of attribution by the answer alone, before any twin; `--nocapture` shows them.
#[test]
#[allow(clippy::print_stdout, reason = "the figures are the point")]
fn no_answer_gets_a_wrong_specific_reason_beyond_the_known_limits() {
    let (mut right, mut vague, mut wrong) = (0, 0, Vec::new());
    let mut by_part: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut by_mark: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let fixtures = all();
    for fixture in &fixtures {
        let reason = fixture.judged().verdict.reason;
        let is_right = reason.as_str() == fixture.layer && !VAGUE[..2].contains(&reason);
        let part = if fixture.row == "lie" { "lies" } else { &fixture.row[..1] };
        for (map, key) in [(&mut by_part, part), (&mut by_mark, fixture.mark.as_str())] {
            let count = map.entry(key.to_owned()).or_default();
            count.0 += u32::from(is_right);
            count.1 += 1;
        }
        if is_right {
            right += 1;
        } else if VAGUE.contains(&reason) {
            vague += 1;
        } else {
            wrong.push(fixture.name.as_str());
        }
    }
    println!(
        "attribution by the answer alone: {right} of {} right ({} %), {vague} vague, {} wrong {wrong:?}",
        fixtures.len(),
        right * 100 / fixtures.len(),
        wrong.len()
    );
    println!("right of all by part of the table {by_part:?}, by mark {by_mark:?}");
    let limits: Vec<&str> = KNOWN_LIMITS.iter().map(|(name, _)| *name).collect();
    assert_eq!(wrong, limits);
}
