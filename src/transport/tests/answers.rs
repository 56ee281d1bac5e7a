//! Plain http: what goes out on the wire, and what comes of good, bad, late and missing answers.

use super::*;
use crate::domain::request::FailureKind as Kind;
use crate::seams::FetchRequest;
use http::HeaderValue;
use std::sync::Mutex;

#[tokio::test]
async fn the_bytes_on_the_wire_are_those_that_were_signed() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let seen = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&seen);
        let port = server(move |_, mut stream| {
            let seen = Arc::clone(&into);
            async move {
                let head = read_head(&mut stream).await.unwrap();
                let mut body = [0; 5];
                stream.read_exact(&mut body).await.unwrap();
                *seen.lock().unwrap() = head + std::str::from_utf8(&body).unwrap();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        })
        .await;
        let mut outgoing = request(Method::POST, "/api//a%2Fb/%c3%A9?b=2&a=1&a=0&e=&f");
        outgoing.body = Bytes::from_static(b"12345");
        outgoing.headers.insert("x-amz-date", HeaderValue::from_static("20260101T000000Z"));
        outgoing.headers.insert("authorization", HeaderValue::from_static("AWS4-HMAC-SHA256 x"));
        outgoing.headers.insert("user-agent", HeaderValue::from_static("spokeprobe/1 (a/b/c)"));
        let exchange = transport.send(outgoing, plain(port), OPTIONS).await;
        let response = exchange.result.unwrap();
        assert_eq!((response.status, &response.body[..], response.truncated), (200, &b"hi"[..], false));
        assert_eq!(exchange.peer.unwrap().port(), port);
        assert!(
            exchange.sent <= exchange.first_byte.unwrap() && exchange.first_byte.unwrap() <= exchange.done
        );
        let seen = seen.lock().unwrap().clone();
        let mut lines = seen.split("\r\n");
        assert_eq!(lines.next(), Some("POST /api//a%2Fb/%c3%A9?b=2&a=1&a=0&e=&f HTTP/1.1"));
        let mut rest: Vec<&str> = lines.collect();
        rest.sort_unstable();
        assert_eq!(
            rest,
            [
                "",
                "12345",
                "accept: */*",
                "authorization: AWS4-HMAC-SHA256 x",
                "content-length: 5",
                "host: api.test",
                "user-agent: spokeprobe/1 (a/b/c)", // the request's own, and not the client's beside it
                "x-amz-date: 20260101T000000Z",
            ]
        );
    }
}

#[tokio::test]
async fn answers_that_are_none() {
    for (over, transport) in both(None, &Answers::of(&[])) {
        let one_megabyte = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1024 * 1024));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000));
        let cases: Vec<(&str, Vec<u8>, Kind)> = vec![
            ("nothing", b"".to_vec(), Kind::Reset),
            ("not HTTP", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), Kind::Protocol),
            ("garbage", vec![0xff; 200], Kind::Protocol),
            ("1 MB header", one_megabyte.into_bytes(), Kind::Protocol),
            ("1000 headers", many.into_bytes(), Kind::Protocol),
            ("cut", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec(), Kind::Protocol),
            (
                "chunked rubbish",
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n".to_vec(),
                Kind::Protocol,
            ),
            (
                "chunks without an end",
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n".to_vec(),
                Kind::Protocol,
            ),
            (
                "two lengths",
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi".to_vec(),
                Kind::Protocol,
            ),
        ];
        for (name, bytes, expected) in cases {
            let port = answering(bytes).await;
            let exchange = get(&*transport, plain(port)).await;
            assert_eq!(kind(&exchange), expected, "{over} {name}: {:?}", exchange.result);
            assert_eq!(exchange.retries, 0, "{over} {name}");
            assert_eq!(exchange.peer.map(|peer| peer.port()), Some(port), "{over} {name}");
        }
    }
}

#[tokio::test]
async fn a_body_past_the_limit_is_cut_and_marked() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let port = server(|_, mut stream| async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n").await.unwrap();
            let chunk = vec![b'x'; 65_536];
            // Ends when the client hangs up, long before 100 MB are through.
            for _ in 0..1600 {
                if stream.write_all(&chunk).await.is_err() {
                    return;
                }
            }
            panic!("the client read it all");
        })
        .await;
        let response = get(&*transport, plain(port)).await.result.unwrap();
        assert_eq!((response.body.len(), response.truncated), (1024 * 1024, true));

        let mut exactly = b"HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n\r\n".to_vec();
        exactly.resize(exactly.len() + 1024 * 1024, b'x');
        let port = answering(exactly).await;
        let response = get(&*transport, plain(port)).await.result.unwrap();
        assert_eq!((response.body.len(), response.truncated), (1024 * 1024, false));
    }
}

#[tokio::test]
async fn nobody_listens_or_the_connection_is_reset() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let exchange = get(&*transport, plain(free)).await;
        assert_eq!(kind(&exchange), Kind::ConnectRefused);
        assert!(exchange.peer.is_none());

        let port = server(|_, mut stream| async move {
            read_head(&mut stream).await.unwrap();
            stream.set_zero_linger().unwrap();
        })
        .await;
        let exchange = get(&*transport, plain(port)).await;
        assert_eq!(kind(&exchange), Kind::Reset);
        assert_eq!(exchange.peer.map(|peer| peer.port()), Some(port));
    }
}

#[tokio::test]
async fn late_answers() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let silent = server(|_, mut stream| async move {
            read_head(&mut stream).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let half = server(|_, mut stream| async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let options = SendOptions { timeout: Duration::from_millis(150), fresh_connection: false };
        for (port, head) in [(silent, false), (half, true)] {
            let exchange = transport.send(request(Method::GET, "/"), plain(port), options.clone()).await;
            assert_eq!(kind(&exchange), Kind::ResponseTimeout);
            assert_eq!(exchange.first_byte.is_some(), head);
            assert!(exchange.done.since(exchange.sent) >= Duration::from_millis(150));
        }
        // The handshake never ends: there was no connection yet.
        let target = ConnectTarget { tls: true, ..(*plain(silent)).clone() };
        let exchange = transport.send(request(Method::GET, "/"), Arc::new(target), options).await;
        assert_eq!(kind(&exchange), Kind::ConnectTimeout);
    }
}

/// Answers the first request of each connection and closes without a word on the second.
async fn forgetful(connections: Arc<AtomicUsize>) -> u16 {
    server(move |_, mut stream| {
        connections.fetch_add(1, Ordering::SeqCst);
        async move {
            if read_head(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
                read_head(&mut stream).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn one_quick_retry_only_for_safe_methods_on_a_reused_connection() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let connections = Arc::new(AtomicUsize::new(0));
        let port = forgetful(Arc::clone(&connections)).await;
        let first = get(&*transport, plain(port)).await;
        assert_eq!((first.retries, first.result.unwrap().status), (0, 200));
        let second = get(&*transport, plain(port)).await;
        assert_eq!((second.retries, second.result.unwrap().status), (1, 200));
        assert_eq!(connections.load(Ordering::SeqCst), 2);

        let again = get(&*transport, plain(port)).await;
        assert_eq!(again.retries, 0, "the retry's own connection is not kept");
        let post = transport.send(request(Method::POST, "/"), plain(port), OPTIONS).await;
        assert_eq!((post.retries, kind(&post)), (0, Kind::Reset));

        let fresh = SendOptions { fresh_connection: true, ..OPTIONS };
        let before = connections.load(Ordering::SeqCst);
        for _ in 0..3 {
            let exchange = transport.send(request(Method::GET, "/"), plain(port), fresh.clone()).await;
            assert_eq!((exchange.retries, exchange.result.unwrap().status), (0, 200));
        }
        assert_eq!(connections.load(Ordering::SeqCst), before + 3);
    }
}

#[tokio::test]
async fn a_retry_that_fails_is_the_failure() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let port = server(|number, mut stream| async move {
            if number == 0 && read_head(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            read_head(&mut stream).await;
        })
        .await;
        assert!(get(&*transport, plain(port)).await.result.is_ok());
        let exchange = get(&*transport, plain(port)).await;
        assert_eq!((exchange.retries, kind(&exchange)), (1, Kind::Reset));
    }
}

#[tokio::test]
async fn redirects_are_answers_and_nothing_is_decompressed() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let port = answering(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-encoding: gzip\r\nset-cookie: a=b\r\n\
             content-length: 3\r\n\r\n\u{1}\u{2}\u{3}",
        )
        .await;
        let response = get(&*transport, plain(port)).await.result.unwrap();
        assert_eq!((response.status, &response.body[..]), (302, &[1, 2, 3][..]));
        assert_eq!(response.headers["content-encoding"], "gzip");
    }
}

#[tokio::test]
async fn names_are_checked_before_anything_is_sent() {
    let answers = Answers::of(&[
        ("private.test", &["203.0.113.1", "127.0.0.1"]),
        ("public.test", &["203.0.113.1", "2001:db8::1"]),
        ("lan.test", &["10.0.0.1"]),
        ("empty.test", &[]),
    ]);
    for (over, transport) in both(None, &answers) {
        let connections = Arc::new(AtomicUsize::new(0));
        let port = forgetful(Arc::clone(&connections)).await;
        let target = |tls, host: &str| {
            Arc::new(ConnectTarget { tls, tls_name: "api.test".into(), host: host.into(), port })
        };
        // Of a mixed answer only the private address is used.
        assert!(get(&*transport, target(false, "private.test")).await.result.is_ok());
        let before = connections.load(Ordering::SeqCst);
        for (tls, host, expected) in [
            (true, "missing.test", Kind::Dns),
            (true, "empty.test", Kind::Dns),
            (true, "public.test", Kind::DnsPublicAddress),
            (true, "8.8.8.8", Kind::DnsPublicAddress),
            (false, "8.8.8.8", Kind::DnsPublicAddress),
            (false, "lan.test", Kind::DnsPublicAddress),
            (false, "10.0.0.1", Kind::DnsPublicAddress),
            // A short form of an address is an address, not a name.
            (false, "134744072", Kind::DnsPublicAddress),
        ] {
            let exchange = get(&*transport, target(tls, host)).await;
            assert_eq!(kind(&exchange), expected, "{over} {host}: {:?}", exchange.result);
        }
        // Without a place of its own, the TLS name itself is resolved, or checked if it is an address.
        let target =
            ConnectTarget { tls: true, tls_name: "public.test".into(), host: "public.test".into(), port };
        assert_eq!(kind(&get(&*transport, Arc::new(target)).await), Kind::DnsPublicAddress);
        let target = ConnectTarget { tls: true, tls_name: "8.8.8.8".into(), host: "8.8.8.8".into(), port };
        assert_eq!(kind(&get(&*transport, Arc::new(target)).await), Kind::DnsPublicAddress);
        assert_eq!(connections.load(Ordering::SeqCst), before, "something was sent");
    }
}

#[tokio::test]
async fn what_would_be_rewritten_is_not_sent() {
    for (_, transport) in both(None, &Answers::of(&[])) {
        let exchange = transport.send(request(Method::GET, "/?secret=it's"), plain(9), OPTIONS).await;
        let failure = exchange.result.unwrap_err();
        assert_eq!(failure.kind, Kind::Protocol);
        assert!(!failure.detail.contains("secret"));
    }
}

#[tokio::test]
async fn a_plain_fetch_is_bounded_in_time_and_size() {
    let transport = transport(None, Answers::of(&[]));
    let fetch = |port: u16, timeout_ms| FetchRequest {
        method: Method::GET,
        url: format!("http://127.0.0.1:{port}/role?token=secret"),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_millis(timeout_ms),
    };
    let good = answering(OK).await;
    let response = transport.fetch(fetch(good, 5000)).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    assert_eq!((response.status, &response.body[..]), (200, &b"hi"[..]));
    let mut long = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    long.resize(1024 * 1024 + 100, b'x');
    let port = answering(long).await;
    let failure = transport.fetch(fetch(port, 5000)).await.err().unwrap();
    assert!(!failure.timed_out && failure.detail.contains("1 MiB"));
    let silent = server(|_, stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let failure = transport.fetch(fetch(silent, 100)).await.err().unwrap();
    assert!(failure.timed_out);
    let failure = transport.fetch(fetch(1, 1000)).await.err().unwrap();
    assert!(!failure.timed_out && !failure.detail.contains("secret"), "{failure:?}");
}
