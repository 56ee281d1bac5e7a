//! The pages as text: order, filter, bounds, and that nothing from outside is markup. A browser looks at them in
//! `tests/external/test_page.py`.

use super::*;
use crate::domain::moment::Moment;
use crate::recording::examples::{attempt, recorder, seen, spoke, target, wall};
use crate::recording::{
    AddressSeen, AgentPlace, CertificateSeen, LoadInfo, MembersState, MembersStatus, PlaceSeen, Recorder,
    Shaken, Trouble, WatchedPlace,
};
use crate::web::status::status_for_tests;
use proptest::prelude::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn explain(_: Reason) -> Explanation {
    Explanation { more: "More.", causes: &[], owners: vec!["the hub"], steps: Vec::new() }
}

/// So many spokes of two targets each; every fifth refuses, every seventh cannot be sent to, every ninth waits.
fn fleet(spokes: usize) -> Recorder {
    let recorder = recorder();
    let names: Vec<String> = (0..spokes).map(|at| format!("spoke-{at:04}")).collect();
    recorder.set_spokes(&names.iter().map(|name| spoke(name, &[("team", "blue")])).collect::<Vec<_>>());
    for (at, name) in names.iter().enumerate() {
        for probe in ["hello", "greet"] {
            let recorded = recorder.add_target(&std::sync::Arc::new(target(&format!("{name}/hoot/{probe}"))));
            let (reason, code) = match at {
                _ if at % 9 == 8 => continue,
                _ if at % 5 == 4 => (Reason::VpcEndpointPolicy, Some(403)),
                _ if at % 7 == 6 => (Reason::AssumeRoleDenied, None),
                _ => (Reason::None, Some(200)),
            };
            let took = Duration::from_millis(5 + at as u64);
            attempt(&recorded, &seen(reason, code, SECOND * (at as u32 % 50), took));
        }
    }
    recorder
}

fn page(recorder: &Recorder, query: &str) -> Page {
    render(&status_for_tests(recorder, wall(SECOND * 60)), query, explain)
}

/// The names in the table, in its order.
fn names(html: &str) -> Vec<String> {
    let table = html.split("<table class=\"spokes\"").nth(1).unwrap_or_default();
    let table = table.split("</table>").next().unwrap_or_default();
    let name = |row: &str| row.split("spoke=").nth(1)?.split('"').next().map(str::to_owned);
    table.split("<th scope=\"row\">").skip(1).filter_map(name).collect()
}

#[test]
fn the_worst_comes_first_and_every_order_can_be_asked_for() {
    let recorder = fleet(20);
    let worst = names(&page(&recorder, "").html);
    assert_eq!(worst.len(), 20);
    assert_eq!(worst[..3], ["spoke-0004", "spoke-0009", "spoke-0014"]);
    assert_eq!(worst[4], "spoke-0006", "then what nothing is sent to");
    let by_name = names(&page(&recorder, "sort=name").html);
    assert!(by_name.is_sorted());
    let mut reversed = names(&page(&recorder, "sort=name&reversed=yes").html);
    reversed.reverse();
    assert_eq!(reversed, by_name);
    assert_eq!(names(&page(&recorder, "sort=now").html)[0], "spoke-0019", "the slowest");
    assert_eq!(names(&page(&recorder, "sort=hour&reversed=yes").html)[0], "spoke-0006", "none before fast");
    assert_eq!(names(&page(&recorder, "sort=since").html)[0], "spoke-0019", "the latest change");
}

#[test]
fn a_filter_finds_by_name_label_account_and_reason() {
    let recorder = fleet(20);
    for (query, found) in [
        ("filter=0004", 1),
        ("filter=TEAM%3Dblue+012345678901", 20),
        ("filter=vpc_endpoint", 4),
        ("filter=vpc_endpoint+0009", 1),
        ("state=unsent", 2),
        ("state=waiting", 2),
        ("state=ok&filter=spoke-001", 6),
        ("filter=nothing-like-it", 0),
    ] {
        let html = page(&recorder, query).html;
        assert_eq!(names(&html).len(), found, "{query}: {:?}", names(&html));
        assert_eq!(html.contains("No spoke matches."), found == 0);
    }
}

#[test]
fn the_picture_has_every_spoke_up_to_sixty_and_cells_beyond() {
    let few = page(&fleet(60), "").html;
    assert_eq!(few.matches("<a class=\"spoke ").count(), 60);
    assert!(!few.contains("class=\"cells\"") && few.contains(">hub<"));
    let many = page(&fleet(61), "").html;
    assert_eq!((many.matches("<a class=\"spoke ").count(), many.matches("<li><a class=").count()), (0, 61));
    let none = page(&recorder(), "").html;
    assert!(none.contains("<h1>No spokes</h1>") && none.contains(">hub<"));
    assert!(
        page(&fleet(1), "").html.contains("<h1>All 1 spoke are as expected") || page(&fleet(1), "").found
    );
}

#[test]
fn a_thousand_spokes_make_a_page_of_bounded_size() {
    let recorder = fleet(1_000);
    let html = page(&recorder, "").html;
    println!("{} KiB", html.len() / 1024);
    assert_eq!(names(&html).len(), table::ROWS);
    assert!(
        html.contains("Rows 1 to 200 of 1000") && html.contains("href=\"/?skip=200\""),
        "a note and the next"
    );
    assert!(html.len() < 800_000, "{}", html.len());
    let last = page(&recorder, "skip=800&sort=name").html;
    assert_eq!(names(&last).last().map(String::as_str), Some("spoke-0999"));
    assert!(!last.contains(">Next<") && last.contains("href=\"/?sort=name&amp;skip=600\""));
    assert_eq!(
        names(&page(&recorder, "skip=5000").html).len(),
        table::ROWS,
        "beyond the end is the beginning"
    );
}

#[test]
fn a_zone_that_is_down_and_a_certificate_that_ends_are_told_of() {
    let recorder = fleet(2);
    let place = |zone: Option<&str>| WatchedPlace {
        zone: zone.map(|zone| zone.parse().unwrap()),
        host: "vpce.test".into(),
        port: 443,
        tls_name: "vpce.test".into(),
    };
    let places = vec![place(None), place(Some("euw1-az1")), place(Some("euw1-az2"))];
    let watched = recorder.begin_endpoint(SECOND * 10, places);
    let seen = |shaken: Result<Shaken, Trouble>| PlaceSeen {
        at: wall(SECOND * 59),
        since: wall(SECOND * 30),
        resolve: None,
        found: vec!["10.0.1.17".parse().unwrap()],
        addresses: vec![AddressSeen {
            address: "10.0.1.17:443".parse().unwrap(),
            certificate: shaken.is_ok().then(|| CertificateSeen {
                names: vec!["vpce.test".into()],
                issuer: "an authority".into(),
                not_before: wall(Duration::ZERO),
                not_after: wall(SECOND * 86_400),
                sha256: "ab".into(),
                issues: Vec::new(),
            }),
            shaken,
        }],
        unresolved: None,
    };
    let well = || Ok(Shaken { connect: SECOND / 500, tls: SECOND / 500, tls_version: "TLSv1.3" });
    let dead = Trouble { reason: Reason::ConnectTimeout, message: "<i>late</i>".into() };
    watched.saw(0, Some(seen(well())));
    watched.saw(1, Some(seen(well())));
    watched.saw(2, Some(seen(Err(dead))));
    let html = page(&recorder, "").html;
    for text in [
        "euw1-az1 \u{2713} 4\u{a0}ms",
        "euw1-az2 \u{2715} down",
        "<strong>euw1-az2</strong> (vpce.test) is down: ",
        ">30\u{a0}s ago</time>",
        "it ends <time",
        "up<small> 1 of 2 zones</small>",
        "&lt;i&gt;late&lt;/i&gt;",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
    assert_eq!(html.matches(">certificate</span>").count(), 1, "the same one at two places is one line");
}

#[test]
fn a_configuration_that_is_not_the_newest_is_told_of_with_its_problems() {
    let recorder = fleet(1);
    recorder.set_configuration_source("s3://bucket/<b>.yaml");
    recorder.configuration_read(wall(SECOND * 20));
    let fine = page(&recorder, "").html;
    assert!(
        fine.contains("s3://bucket/&lt;b&gt;.yaml, read <time")
            && fine.contains("No fault that spokes share")
    );
    recorder.configuration_unreadable(wall(SECOND * 40), "AccessDenied".to_owned());
    let unreadable = page(&recorder, "").html;
    recorder.configuration_refused(wall(SECOND * 50), vec!["`webb` is <not> known".to_owned()]);
    let refused = page(&recorder, "").html;
    for (html, words, problem, since, state) in [
        (
            &unreadable,
            "The configuration cannot be read;",
            "AccessDenied",
            "20\u{a0}s ago",
            "it cannot be read again",
        ),
        (
            &refused,
            "A newer configuration is refused;",
            "`webb` is &lt;not&gt; known",
            "10\u{a0}s ago",
            "a newer one is refused",
        ),
    ] {
        assert_eq!(html.matches(">configuration</span>").count(), 1);
        for text in [words, &format!("<li>{problem}</li>"), &format!(">{since}</time>"), state] {
            assert!(html.contains(text), "{text}: {html}");
        }
    }
    recorder.configuration_read(wall(SECOND * 55));
    assert!(!page(&recorder, "").html.contains(">configuration</span>"));
}

#[test]
fn a_member_says_whose_share_is_shown_and_what_is_the_matter() {
    let recorder = fleet(1);
    assert!(!page(&recorder, "").html.contains("Members"), "one agent does all");
    let members = |state, names: &[&str], problem: Option<&str>| {
        let names: Vec<std::sync::Arc<str>> = names.iter().map(|name| (*name).into()).collect();
        recorder.set_members(Some(MembersStatus {
            state,
            me: names.get(1).cloned().into_iter().collect(),
            names: names.into(),
            first: false,
            replicas: 2,
            since: wall(SECOND * 30),
            problem: problem.map(str::to_owned),
        }));
        page(&recorder, "").html
    };
    let has = |html: &str, texts: &[&str]| {
        for text in texts {
            assert!(html.contains(text), "{text}: {html}");
        }
    };
    let sharing = members(MembersState::Sharing, &["10.0.1.5", "10.0.1.6"], None);
    let own = "10.0.1.5, <strong>10.0.1.6</strong> (this one)";
    has(
        &sharing,
        &["It is one of 2 members", own, "each probed by 2 members, for <time", "not begun by this agent"],
    );
    assert!(!sharing.contains(">members</span>"));
    let unnamed = members(MembersState::Sharing, &["a", "b"], Some("DNS does not name <this> agent"));
    has(&unnamed, &[">members</span> <span class=\"what\">DNS does not name &lt;this&gt; agent</span></li>"]);
    let waiting = members(MembersState::Waiting, &[], None);
    has(
        &waiting,
        &["The members are not known yet; until they are, an agent that has just started probes nothing."],
    );
    let alone = members(MembersState::StandIn, &[], Some("the members are not known"));
    has(&alone, &["so it probes every target", ">members</span>", ">30\u{a0}s ago</time>", "everything"]);
    let names: Vec<String> = (0..200).map(|nth| format!("member-{nth}")).collect();
    let many = members(MembersState::Sharing, &names.iter().map(String::as_str).collect::<Vec<_>>(), None);
    has(&many, &["member-15, and 184 more"]);
    recorder.set_agent_place(AgentPlace {
        cluster: Some("hub".into()),
        task: Some("<i>task</i>".into()),
        availability_zone: None,
    });
    let html = page(&recorder, "").html;
    has(&html, &["<dt>Cluster</dt><dd>hub</dd>", "<dd>&lt;i&gt;task&lt;/i&gt;</dd>"]);
    assert!(!html.contains("Availability zone"));
}

#[test]
fn a_load_that_runs_says_how_to_stop_it() {
    let recorder = fleet(1);
    let name = "nightly".parse().unwrap();
    recorder.set_loads(&[LoadInfo { name, target: target("spoke-0000/hoot/hello").id }]);
    let at_rest = page(&recorder, "").html;
    assert!(at_rest.contains("nightly") && at_rest.contains("at rest") && !at_rest.contains("/-/loads/stop"));
    let run = recorder.begin_load(&"nightly".parse().unwrap(), Moment::from_origin(SECOND));
    assert!(page(&recorder, "").html.contains("/-/loads/stop"));
    drop(run);
}

#[test]
fn what_turns_text_around_or_cannot_be_seen_is_shown_as_such() {
    let dirty = "a\u{202e}b\u{2066}c\0d\u{200f}e\nf\u{9b}g\u{1f600}".to_owned();
    assert_eq!(without_direction_marks(dirty), "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\nf\u{fffd}g\u{1f600}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever a label, a message or an address says, the page has the same elements as with harmless text.
    #[test]
    fn no_text_adds_markup(text in "[<>&\"'/=a-z \n\u{202e}\u{1f600}]{1,60}") {
        let with = |text: &str| {
            let recorder = recorder();
            recorder.set_spokes(&[spoke("payments", &[("team", text)])]);
            let recorded = recorder.add_target(&std::sync::Arc::new(target("payments/hoot/hello")));
            let mut failed = seen(Reason::VpcEndpointPolicy, Some(403), SECOND, SECOND);
            failed.verdict.message = Some(text.into());
            failed.ids.request_id = Some(text.into());
            attempt(&recorded, &failed);
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let queries = ["spoke=payments".to_owned(), format!("filter={encoded}"), format!("spoke={encoded}")];
            queries.map(|query| {
                let html = page(&recorder, &query).html;
                (html.matches('<').count(), html.matches('"').count())
            })
        };
        // Words that match nothing either, so that the table is as empty.
        prop_assume!(!text.trim().is_empty() && !"payments".contains(text.trim()));
        let (found, harmless) = (with(&text), with("Zzz"));
        prop_assert_eq!(found[0], harmless[0]);
        prop_assert_eq!(found[2], harmless[2]);
    }
}
