//! How many connections stay open, and what a request without a file for its connection is.

use super::*;
use crate::transport::{DirectTransport, OpenFiles};
use std::sync::Mutex;

/// Servers that answer and keep the connection; how many connections are open now.
async fn keeping(servers: usize) -> (Vec<u16>, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let mut ports = Vec::new();
    for _ in 0..servers {
        let open = Arc::clone(&open);
        let serve = move |_, mut stream: TcpStream| {
            let open = Arc::clone(&open);
            async move {
                open.fetch_add(1, Ordering::SeqCst);
                while read_head(&mut stream).await.is_some() {
                    if stream.write_all(OK.as_bytes()).await.is_err() {
                        break;
                    }
                }
                open.fetch_sub(1, Ordering::SeqCst);
            }
        };
        ports.push(server(serve).await);
    }
    (ports, open)
}

fn within(shares: OpenFiles) -> HttpTransport {
    let clock = Arc::new(SystemClock::start());
    HttpTransport::within(shares, &Settings::default(), clock, Answers::of(&[])).unwrap()
}

async fn settled(open: &AtomicUsize, wanted: usize) -> bool {
    for _ in 0..100 {
        if open.load(Ordering::SeqCst) == wanted {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn no_more_names_keep_connections_than_there_is_room_for() {
    let (ports, open) = keeping(8).await;
    // One name may keep many, three may keep one.
    let transport = within(OpenFiles { in_flight: 100, idle: 64 + 3, idle_of_load: 0 });
    for _ in 0..3 {
        for port in &ports {
            let asked = (0..3).map(|_| get(&transport, plain(*port)));
            let answers = futures_util::future::join_all(asked).await;
            assert!(answers.iter().all(|answer| answer.result.is_ok()), "who keeps none is answered too");
        }
        let kept = 3 + 3;
        assert!(settled(&open, kept).await, "{} open, {kept} wanted", open.load(Ordering::SeqCst));
    }
}

/// A server that answers when it is let to.
async fn slow() -> (u16, Arc<tokio::sync::Semaphore>) {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let port = server(move |_, mut stream| {
        let opened = Arc::clone(&opened);
        async move {
            if read_head(&mut stream).await.is_some() {
                let _permit = opened.acquire().await.unwrap();
                drop(stream.write_all(OK.as_bytes()).await);
            }
        }
    })
    .await;
    (port, gate)
}

#[tokio::test]
async fn beyond_the_share_of_requests_on_their_way_nothing_is_sent_and_nobody_is_blamed() {
    let (port, gate) = slow().await;
    let health = Arc::new(within(OpenFiles { in_flight: 2, idle: 0, idle_of_load: 0 }));
    let load: Arc<DirectTransport> = Arc::new(health.direct());
    let waiting = Mutex::new(Vec::new());
    let begin = |transport: Arc<dyn Transport>| {
        let asked = crate::seams::spawn("asked", async move { get(&*transport, plain(port)).await });
        waiting.lock().unwrap().push(asked);
    };
    begin(Arc::clone(&health) as Arc<dyn Transport>);
    begin(Arc::clone(&load) as Arc<dyn Transport>);
    let mut refused = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        // Both have their places when a third one finds none.
        let third = tokio::time::timeout(Duration::from_millis(50), get(&*health, plain(port))).await;
        if let Ok(third) = third {
            assert_eq!(kind(&third), FailureKind::Overloaded);
            refused += 1;
            break;
        }
    }
    assert_eq!(refused, 1);
    assert_eq!(kind(&get(&*load, plain(port)).await), FailureKind::Overloaded, "they share one ration");
    gate.add_permits(100);
    for asked in waiting.into_inner().unwrap() {
        assert!(asked.await.unwrap().result.is_ok());
    }
    assert!(get(&*health, plain(port)).await.result.is_ok(), "the places came back");
}
