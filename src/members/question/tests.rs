//! Answers as DNS gives them, and who among them is this agent.

use super::*;
use crate::members::tests::{around, host, place};
use std::net::IpAddr;

fn dns(name: &str) -> DnsName {
    if name.starts_with('_') { DnsName::Service(name.to_owned()) } else { DnsName::Host(name.to_owned()) }
}

/// `members | me`, or what went wrong.
async fn told(around: &Around, name: &str, known_me: &str) -> String {
    let known_me = known_me.split_whitespace().map(str::to_owned).collect();
    let joined = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(" ");
    match ask(around, &dns(name), &known_me).await {
        Err(trouble) => trouble,
        Ok(Asked { answer: Answer::Nothing, .. }) => "nothing".to_owned(),
        Ok(Asked { answer: Answer::Members { names, me }, cut }) => {
            format!("{} | {}{}", joined(names), joined(me), if cut { " cut" } else { "" })
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_address_is_a_member_and_one_is_this_agent() {
    for (what, listen, found, wanted) in [
        ("on all addresses", "0.0.0.0:10403", "10.0.1.18 10.0.1.17", "10.0.1.17 10.0.1.18 | 10.0.1.17"),
        ("all of IPv6", "[::]:10403", "10.0.1.18 10.0.1.17", "10.0.1.17 10.0.1.18 | 10.0.1.17"),
        ("for a neighbour only", "127.0.0.1:10403", "10.0.1.18 10.0.1.17", "10.0.1.17 10.0.1.18 | 10.0.1.17"),
        ("on another of its addresses", "10.0.9.9:10403", "10.0.1.17", "10.0.1.17 | "),
        (
            "of two on one machine",
            "127.0.0.2:10403",
            "127.0.0.2 127.0.0.3",
            "127.0.0.2 127.0.0.3 | 127.0.0.2",
        ),
        ("every machine's loopback address", "0.0.0.0:10403", "127.0.0.1", "127.0.0.1 | "),
        ("not named", "0.0.0.0:10403", "10.0.1.18", "10.0.1.18 | "),
        (
            "both families",
            "0.0.0.0:10403",
            "10.0.1.17 fd00::17 10.0.1.18 fd00::18",
            "10.0.1.17 10.0.1.18 | 10.0.1.17",
        ),
        ("one family", "[::]:10403", "fd00::17 fd00::18", "fd00::17 fd00::18 | fd00::17"),
        ("IPv4 in IPv6 clothes", "0.0.0.0:10403", "::ffff:10.0.1.17", "10.0.1.17 | 10.0.1.17"),
        ("what is no address of a host", "0.0.0.0:10403", "0.0.0.0 224.0.0.1 ::", "nothing"),
        ("nobody", "0.0.0.0:10403", "", "nothing"),
    ] {
        let (around, names) = around(listen);
        names.set_hosts("m.internal", found.split_whitespace().map(|text| text.parse().unwrap()).collect());
        assert_eq!(told(&around, "m.internal", "").await, wanted, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_place_of_a_service_is_a_member() {
    let (around, names) = around("0.0.0.0:10403");
    names.set_hosts("one.internal", vec![host("10.0.1.17")]);
    names.set_hosts("two.internal", vec![host("10.0.1.18")]);
    let service = "_spokeprobe._tcp.internal";
    names.set_places(service, vec![place("One.Internal.", 10_403), place("two.internal", 10_403)]);
    assert_eq!(
        told(&around, service, "").await,
        "one.internal:10403 two.internal:10403 | one.internal:10403"
    );
    // Another agent on the same machine has another port.
    names.set_places(service, vec![place("one.internal", 10_404), place("one.internal", 10_403)]);
    assert_eq!(
        told(&around, service, "").await,
        "one.internal:10403 one.internal:10404 | one.internal:10403"
    );
    // Once known, its address is not asked for again; and what has no address is a member all the same.
    names.fail("one.internal");
    names.fail("two.internal");
    names.set_places(service, vec![place("one.internal", 10_403), place("two.internal", 10_403)]);
    assert_eq!(told(&around, service, "").await, "one.internal:10403 two.internal:10403 | ");
    let known = told(&around, service, "one.internal:10403").await;
    assert_eq!(known, "one.internal:10403 two.internal:10403 | one.internal:10403");
    names.set_places(
        service,
        vec![place("", 1), place("a b", 1), place("\u{1b}[2J", 1), place(&"a".repeat(300), 1)],
    );
    assert_eq!(told(&around, service, "").await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn answers_are_bounded_and_silence_ends() {
    let (around, names) = around("0.0.0.0:10403");
    let many: Vec<IpAddr> =
        (0..300_u16).map(|n| IpAddr::from([10, 1, (n / 250) as u8, (n % 250) as u8])).collect();
    let found = |addresses: Vec<IpAddr>| {
        names.set_hosts("m.internal", addresses);
        told(&around, "m.internal", "")
    };
    let one = found(many.clone()).await;
    assert!(one.ends_with(" cut"), "{one}");
    assert_eq!(one.split(' ').filter(|word| word.contains('.')).count(), MOST_MEMBERS);
    assert_eq!(found(many.into_iter().rev().collect()).await, one, "everybody cuts off the same");
    names.fail("m.internal");
    assert_eq!(told(&around, "m.internal", "").await, "the resolver does not answer");
    names.hang("m.internal");
    assert_eq!(told(&around, "m.internal", "").await, "no answer in time");
}
