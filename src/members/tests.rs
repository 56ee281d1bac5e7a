//! The watch over time: what is given when, what is shown and counted.

use super::*;
use crate::recording::{MembersState, Recorder};
use crate::seams::{Clock, ServicePlace, SystemClock, TokioWait, Wait};
use crate::simulator::in_memory::{InMemory, Names};
use crate::simulator::{Hub, World};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(super) fn host(address: &str) -> IpAddr {
    address.parse().unwrap()
}

pub(super) fn place(host: &str, port: u16) -> ServicePlace {
    ServicePlace { host: host.into(), port }
}

/// What an agent at `10.0.1.17` and `fd00::17` that listens on `listen` sees, and what DNS tells it.
pub(super) fn around(listen: &str) -> (Around, Arc<Names>) {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let clock = SystemClock::simulated(wall);
    let (clock, wait): (Arc<dyn Clock>, Arc<dyn Wait>) = (Arc::new(clock), Arc::new(TokioWait::new(clock)));
    let hub = Arc::new(Hub::new(World::default_world().unwrap(), wall));
    let names = Arc::new(Names::default());
    let own = ["10.0.1.17", "fd00::17", "127.0.0.1", "127.0.0.2", "127.0.0.3"].map(host).to_vec();
    let link = InMemory::new(hub, Arc::clone(&clock), Arc::clone(&wait)).with_names(Arc::clone(&names), own);
    let recorder = Arc::new(Recorder::new(&crate::recording::Settings { buckets: vec![1.0] }));
    (Around { link: Arc::new(link), clock, wait, recorder, listen: listen.parse().unwrap() }, names)
}

const NAME: &str = "spokeprobe.internal";

fn by_name(replicas: u32) -> Settings {
    let replicas = NonZeroU32::new(replicas).unwrap();
    Settings { source: Source::Dns(DnsName::Host(NAME.into())), replicas }
}

fn gauge(recorder: &Recorder) -> Option<String> {
    let text = String::from_utf8(recorder.encode_text()).unwrap();
    text.lines().find_map(|line| line.strip_prefix("spokeprobe_members ").map(str::to_owned))
}

fn shown(recorder: &Recorder) -> (MembersState, String, Option<String>) {
    let status = recorder.snapshot().members.unwrap();
    (status.state, status.names.join(" "), status.problem)
}

#[tokio::test(start_paused = true)]
async fn a_share_follows_the_answers() {
    let (around, names) = around("0.0.0.0:10403");
    let (recorder, clock) = (Arc::clone(&around.recorder), Arc::clone(&around.clock));
    names.fail(NAME);
    let mut shares = watch(Some(&by_name(2)), around);
    assert_eq!(*shares.borrow_and_update(), None);
    assert_eq!((shown(&recorder).0, gauge(&recorder)), (MembersState::Waiting, None));

    // Nobody answers: everything from the second refresh, and loudly.
    let begun = clock.now();
    shares.changed().await.unwrap();
    assert!(clock.now().since(begun) <= REFRESH);
    let share = shares.borrow_and_update().clone().unwrap();
    assert_eq!(share.kind(), Kind::StandIn);
    let (state, _, problem) = shown(&recorder);
    assert_eq!((state, gauge(&recorder).as_deref()), (MembersState::StandIn, Some("0")));
    let problem = problem.unwrap();
    assert!(problem.contains("probes every target") && problem.contains("does not answer"), "{problem}");

    // Named: a share at once.
    names.set_hosts(NAME, ["10.0.1.18", "10.0.1.17"].map(host).to_vec());
    shares.changed().await.unwrap();
    let share = shares.borrow_and_update().clone().unwrap();
    assert_eq!((share.count(), share.replicas_of_each(), share.is_first_member()), (2, 2, false));
    assert_eq!(shown(&recorder), (MembersState::Sharing, "10.0.1.17 10.0.1.18".into(), None));
    assert_eq!(gauge(&recorder).as_deref(), Some("2"));

    // The first by name begins loads within the minute, since nobody else claims to be.
    shares.changed().await.unwrap();
    assert!(shares.borrow_and_update().clone().unwrap().is_first_member());

    // One leaves: replaced within two refreshes.
    names.set_hosts(NAME, vec![host("10.0.1.17")]);
    let begun = clock.now();
    shares.changed().await.unwrap();
    assert!(clock.now().since(begun) <= REFRESH * 2);
    assert_eq!(shares.borrow_and_update().clone().unwrap().count(), 1);

    // DNS fails: what is known stays, and the trouble is shown; only loads are held back.
    names.fail(NAME);
    shares.changed().await.unwrap();
    let share = shares.borrow_and_update().clone().unwrap();
    assert_eq!((share.count(), share.is_first_member()), (1, false));
    let (state, named, problem) = shown(&recorder);
    assert_eq!((state, named.as_str()), (MembersState::Sharing, "10.0.1.17"));
    assert!(problem.unwrap().contains("what is known of them stays"));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(!shares.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_differs_once_gives_nothing_new() {
    let (around, names) = around("0.0.0.0:10403");
    let three = ["10.0.1.17", "10.0.1.16", "10.0.1.18"].map(host).to_vec();
    names.set_hosts(NAME, three.clone());
    let mut shares = watch(Some(&by_name(1)), around);
    shares.changed().await.unwrap();
    let before = shares.borrow_and_update().clone();
    for _ in 0..20 {
        names.set_hosts(NAME, three[..2].to_vec());
        tokio::time::sleep(REFRESH).await;
        names.set_hosts(NAME, three.clone());
        tokio::time::sleep(REFRESH * 2).await;
    }
    assert_eq!(*shares.borrow(), before);
    assert!(!shares.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_hour_asks_every_quarter_of_a_minute_until_nobody_listens() {
    let (around, names) = around("0.0.0.0:10403");
    names.set_hosts(NAME, vec![host("10.0.1.17")]);
    let shares = watch(Some(&by_name(1)), around);
    let other = shares.clone();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let asked = names.asked(NAME);
    // 15 s, up to a tenth shorter.
    assert!((240..=268).contains(&asked), "{asked}");
    drop(shares);
    tokio::time::sleep(REFRESH * 2).await;
    assert!(names.asked(NAME) > asked);
    drop(other);
    tokio::time::sleep(REFRESH).await;
    let asked = names.asked(NAME);
    tokio::time::sleep(REFRESH * 10).await;
    assert_eq!(names.asked(NAME), asked);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_by_hand_is_known_at_once() {
    let (around, names) = around("0.0.0.0:10403");
    let recorder = Arc::clone(&around.recorder);
    let number = |n: u32| NonZeroU32::new(n).unwrap();
    let source = Source::Shard { index: number(2), of: number(3) };
    let shares = watch(Some(&Settings { source, replicas: number(1) }), around);
    let share = shares.borrow().clone().unwrap();
    assert_eq!((share.count(), share.is_first_member()), (3, false));
    assert_eq!(gauge(&recorder).as_deref(), Some("3"));
    assert_eq!(shown(&recorder).1, "1/3 2/3 3/3");

    let (around, _) = tests::around("0.0.0.0:10403");
    let recorder = Arc::clone(&around.recorder);
    let alone = watch(None, around);
    assert_eq!(alone.borrow().clone().unwrap().kind(), Kind::Alone);
    assert_eq!((gauge(&recorder), recorder.snapshot().members), (None, None));
    assert_eq!(names.asked(NAME), 0);
}
