//! What is the direct transport's own: its pool, its retry, its choice among addresses. What it has in common with
//! the other is in `transport::tests`, which runs over both.

use super::super::tests::{Answers, OK, OPTIONS, get, kind, plain, read_head, request, server, transport};
use super::dialing::ANSWER_KEPT;
use super::pool::IDLE_PER_PLACE;
use super::*;
use crate::domain::request::FailureKind as Kind;
use crate::seams::SystemClock;
use crate::transport::clients::POOL_IDLE;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Barrier, Notify};

fn direct() -> DirectTransport {
    transport(None, Answers::of(&[])).direct()
}

/// Lets the runtime see what sockets have to say, until `holds`.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to hold");
}

/// A server that answers every request of a connection; counts its connections.
async fn answers_all(connections: Arc<AtomicUsize>) -> u16 {
    server(move |_, mut stream| {
        connections.fetch_add(1, Ordering::SeqCst);
        async move {
            while read_head(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let connections = Arc::new(AtomicUsize::new(0));
    let port = answers_all(Arc::clone(&connections)).await;
    let transport = direct();
    for method in [Method::GET, Method::POST, Method::GET] {
        let exchange = transport.send(request(method, "/"), plain(port), OPTIONS).await;
        assert_eq!((exchange.retries, exchange.result.unwrap().body), (0, bytes::Bytes::from_static(b"hi")));
    }
    assert_eq!((connections.load(Ordering::SeqCst), transport.pool.idle_count()), (1, 1));
    let elsewhere = ConnectTarget { host: "127.0.0.2".into(), ..(*plain(port)).clone() };
    // Nobody listens there; the kept connection is another place's.
    assert_eq!(kind(&get(&transport, Arc::new(elsewhere)).await), Kind::ConnectRefused);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn answers_in_many_shapes_leave_a_connection_that_can_be_used_again() {
    let shapes: Vec<Vec<u8>> = vec![
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n ho\r\n0\r\nx-trailer: y\r\n\r\n".to_vec(),
        [b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n".to_vec(), vec![b'x'; 300_000]].concat(),
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_vec(),
    ];
    let lengths = [0, 0, 5, 300_000, 2];
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let served = shapes.clone();
    let port = server(move |_, mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let shapes = served.clone();
        async move {
            for shape in shapes.iter().cycle() {
                if read_head(&mut stream).await.is_none() {
                    return;
                }
                // In two pieces, so that an answer is not always there at once.
                let (first, second) = shape.split_at(shape.len() - 1);
                stream.write_all(first).await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(second).await.unwrap();
            }
        }
    })
    .await;
    let transport = direct();
    for round in 0..3 {
        for length in lengths {
            let exchange = get(&transport, plain(port)).await;
            assert_eq!(exchange.retries, 0);
            assert_eq!(exchange.result.unwrap().body.len(), length, "round {round}");
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_not_written_to() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    // Closes after each answer without having said so.
    let port = server(move |_, mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            read_head(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    let transport = direct();
    for number in 1..=5 {
        // Also a POST goes through: nothing of it was written to the closed connection.
        let exchange = transport.send(request(Method::POST, "/"), plain(port), OPTIONS).await;
        assert_eq!((exchange.retries, exchange.result.unwrap().status), (0, 200));
        assert_eq!(connections.load(Ordering::SeqCst), number);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_safe_request_on_a_stale_connection_is_sent_once_more_and_counted_and_a_post_never() {
    // Answers the first request of a connection and, having read a second one, hangs up.
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let port = server(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            for number in 0..2 {
                let Some(head) = read_head(&mut stream).await else { return };
                seen.lock().unwrap().push(head.split(' ').next().unwrap().to_owned());
                if number == 0 {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        }
    })
    .await;
    let transport = direct();
    for (method, retries, failure) in
        [(Method::GET, 1, None), (Method::POST, 0, Some(Kind::Reset)), (Method::DELETE, 0, Some(Kind::Reset))]
    {
        assert!(get(&transport, plain(port)).await.result.is_ok(), "a kept connection");
        heads.lock().unwrap().clear();
        let exchange = transport.send(request(method.clone(), "/"), plain(port), OPTIONS).await;
        assert_eq!(exchange.retries, retries, "{method}");
        assert_eq!(exchange.result.err().map(|failure| failure.kind), failure, "{method}");
        assert_eq!(heads.lock().unwrap().len(), usize::from(retries) + 1, "{method}");
    }
}

#[tokio::test]
async fn what_breaks_within_an_answer_is_not_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let port = server(move |_, mut stream| {
        let requests = Arc::clone(&counted);
        async move {
            for number in 0..2 {
                read_head(&mut stream).await;
                requests.fetch_add(1, Ordering::SeqCst);
                if number == 0 {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                } else {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    stream.set_zero_linger().unwrap();
                }
            }
        }
    })
    .await;
    let transport = direct();
    assert!(get(&transport, plain(port)).await.result.is_ok());
    let exchange = get(&transport, plain(port)).await;
    assert_eq!((exchange.retries, kind(&exchange)), (0, Kind::Protocol));
    assert!(exchange.first_byte.is_some());
    assert_eq!((requests.load(Ordering::SeqCst), transport.pool.idle_count()), (2, 0));
}

#[tokio::test]
async fn nobody_waits_for_a_connection_and_the_pool_keeps_so_many() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let at_once = IDLE_PER_PLACE + 20;
    let all_there = Arc::new(Barrier::new(at_once));
    let port = server(move |_, mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let all_there = Arc::clone(&all_there);
        async move {
            read_head(&mut stream).await;
            // No answer before each request has a connection of its own.
            all_there.wait().await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            read_head(&mut stream).await;
        }
    })
    .await;
    let transport = direct();
    let sending = (0..at_once).map(|_| get(&transport, plain(port)));
    for exchange in futures_util::future::join_all(sending).await {
        assert_eq!((exchange.retries, exchange.result.unwrap().status), (0, 200));
    }
    assert_eq!(connections.load(Ordering::SeqCst), at_once);
    assert_eq!(transport.pool.idle_count(), IDLE_PER_PLACE);
}

/// A clock that a test sets; sockets stay in real time.
#[derive(Default)]
struct SetClock(Mutex<Duration>);

impl SetClock {
    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for SetClock {
    fn now(&self) -> Moment {
        Moment::from_origin(*self.0.lock().unwrap())
    }
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

fn with_clock(answers: Arc<Answers>) -> (DirectTransport, Arc<SetClock>) {
    let clock = Arc::new(SetClock::default());
    let settings = super::super::Settings::default();
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    (HttpTransport::with_lookup(&settings, shared, answers).unwrap().direct(), clock)
}

#[tokio::test]
async fn idle_connections_grow_old_and_the_last_used_is_taken_first() {
    let connections = Arc::new(AtomicUsize::new(0));
    let port = answers_all(Arc::clone(&connections)).await;
    let (transport, clock) = with_clock(Answers::of(&[]));
    let two = futures_util::future::join(get(&transport, plain(port)), get(&transport, plain(port)));
    let (first, second) = two.await;
    assert!(first.result.is_ok() && second.result.is_ok());
    assert_eq!(transport.pool.idle_count(), 2);
    // One of the two is used on and on; the other is never taken, and grows too old.
    for _ in 0..5 {
        clock.advance(Duration::from_secs(10));
        assert!(get(&transport, plain(port)).await.result.is_ok());
    }
    assert_eq!((connections.load(Ordering::SeqCst), transport.pool.idle_count()), (2, 2));
    assert!(transport.pool.sweep_once());
    assert_eq!(transport.pool.idle_count(), 1);
    clock.advance(POOL_IDLE);
    assert!(get(&transport, plain(port)).await.result.is_ok());
    assert_eq!((connections.load(Ordering::SeqCst), transport.pool.idle_count()), (3, 1));
    clock.advance(POOL_IDLE);
    assert!(!transport.pool.sweep_once());
}

#[tokio::test]
async fn the_sweep_closes_what_the_server_closed() {
    let (told, close) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (closing, closed) = (Arc::clone(&close), Arc::clone(&told));
    let port = server(move |_, mut stream| {
        let (close, told) = (Arc::clone(&closing), Arc::clone(&closed));
        async move {
            read_head(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            close.notified().await;
            drop(stream);
            told.notify_one();
        }
    })
    .await;
    let transport = direct();
    assert!(get(&transport, plain(port)).await.result.is_ok());
    assert!(transport.pool.sweep_once());
    close.notify_one();
    told.notified().await;
    until(|| !transport.pool.sweep_once()).await;
    assert_eq!(transport.pool.idle_count(), 0);
}

#[tokio::test]
async fn connections_spread_over_the_addresses_and_leave_a_dead_one_out() {
    let connections = Arc::new(AtomicUsize::new(0));
    let port = answers_all(Arc::clone(&connections)).await;
    // Only 127.0.0.1 listens.
    let answers = Answers::of(&[("zones.test", &["127.0.0.9", "127.0.0.1"])]);
    let (transport, clock) = with_clock(Arc::clone(&answers));
    let target =
        Arc::new(ConnectTarget { tls: false, tls_name: "api.test".into(), host: "zones.test".into(), port });
    for number in 0..4 {
        // Several at once, so that each needs a connection of its own.
        let three = (0..3).map(|_| get(&transport, Arc::clone(&target)));
        for exchange in futures_util::future::join_all(three).await {
            assert_eq!(exchange.result.unwrap().status, 200, "{number}");
            assert_eq!(exchange.peer.unwrap().to_string(), format!("127.0.0.1:{port}"));
        }
    }
    assert_eq!(answers.asked(), 1, "an answer serves for a while");
    let fresh = SendOptions { fresh_connection: true, ..OPTIONS };
    assert!(transport.send(request(Method::GET, "/"), Arc::clone(&target), fresh).await.result.is_ok());
    assert_eq!(answers.asked(), 2, "a fresh connection is fresh from its name on");
    clock.advance(ANSWER_KEPT.max(POOL_IDLE));
    assert!(get(&transport, target).await.result.is_ok());
    assert_eq!(answers.asked(), 3);
    let none = Answers::of(&[("dead.test", &["127.0.0.8", "127.0.0.9"])]);
    let target = ConnectTarget { tls: false, tls_name: "x".into(), host: "dead.test".into(), port };
    let exchange = get(&with_clock(none).0, Arc::new(target)).await;
    assert_eq!(kind(&exchange), Kind::ConnectRefused);
}

#[tokio::test]
async fn a_request_given_up_takes_its_connection_along() {
    let port = server(|number, mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            if number == 0 {
                // Late: after the client has given up.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            drop(stream.write_all(OK.as_bytes()).await);
        }
    })
    .await;
    let transport = direct();
    let options = SendOptions { timeout: Duration::from_millis(50), ..OPTIONS };
    let late = transport.send(request(Method::GET, "/"), plain(port), options).await;
    assert_eq!((kind(&late), transport.pool.idle_count()), (Kind::ResponseTimeout, 0));
    // The late answer is nobody's.
    let next = get(&transport, plain(port)).await;
    assert_eq!((next.retries, next.result.unwrap().status), (0, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_share_a_transport() {
    let connections = Arc::new(AtomicUsize::new(0));
    let port = answers_all(Arc::clone(&connections)).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let http = HttpTransport::with_lookup(&super::super::Settings::default(), clock, Answers::of(&[]));
    let transport = Arc::new(http.unwrap().direct());
    let workers = (0..32).map(|_| {
        let transport = Arc::clone(&transport);
        crate::seams::spawn("worker", async move {
            for _ in 0..200 {
                let exchange = get(&*transport, plain(port)).await;
                assert_eq!((exchange.retries, exchange.result.unwrap().status), (0, 200));
            }
        })
    });
    for worker in futures_util::future::join_all(workers).await {
        worker.unwrap();
    }
    assert!(connections.load(Ordering::SeqCst) <= 32);
    assert_eq!(transport.pool.idle_count(), connections.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_request_on_its_way_is_of_a_size_that_allocators_keep_at_hand() {
    let transport = direct();
    let future = transport.exchange(outgoing(request(Method::GET, "/")), plain(1), OPTIONS);
    // Beyond a kilobyte an allocation costs several times as much, at 10,000 of them a second.
    assert!(size_of_val(&future) <= 1_024, "{}", size_of_val(&future));
}
