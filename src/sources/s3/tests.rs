//! Readings from a bucket that answers as S3 does, in memory.

use super::*;
use crate::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use crate::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions};
use crate::domain::secret::Secret;
use crate::seams::{
    FetchFailure, FetchRequest, FetchResponse, SessionFailure, Sessions, SystemClock, TokioWait, Transport,
};
use crate::sources::{LastRead, LoadedPlan, Outside, Texts, Unreadable, load_plan_again, load_plan_of};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

const MAIN: &str = "hub: {region: eu-west-1, endpoint: {id: vpce-0a1b2c3d}}\nspokes:\n- name: a\n  account: '111122223333'\n  \
                    apis: [{name: x, id: a1b2c3d4e5, stage: s, probes: [{name: p, request: GET /}]}]\n";

fn spoke(name: &str) -> String {
    format!(
        "spokes: [{{name: {name}, account: '222233334444', apis: [{{name: x, id: a1b2c3d4e5, stage: s, \
         probes: [{{name: p, request: GET /}}]}}]}}]\n"
    )
}

/// One bucket, and what it was asked.
#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Method, status and path of every answer.
    asked: Mutex<Vec<(u16, String)>>,
    /// Answers instead of the right one: status, body.
    faults: Mutex<Vec<(u16, String)>>,
}

impl Bucket {
    fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.objects.lock().unwrap().insert(key.to_owned(), content.into());
    }

    fn asked(&self) -> Vec<(u16, String)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn answer(&self, request: &FetchRequest) -> (u16, HeaderMap, Vec<u8>) {
        let authorization = request.headers["authorization"].to_str().unwrap();
        assert!(authorization.contains("/eu-west-1/s3/aws4_request"), "{authorization}");
        assert!(
            authorization.contains("x-amz-content-sha256") && authorization.contains("x-amz-security-token")
        );
        let path = request.url.strip_prefix("https://conf.s3.eu-west-1.amazonaws.com/").unwrap();
        if let Some((status, body)) = self.faults.lock().unwrap().pop() {
            return (status, HeaderMap::new(), body.into_bytes());
        }
        let objects = self.objects.lock().unwrap();
        if let Some(query) = path.strip_prefix('?') {
            return (200, HeaderMap::new(), listing(&objects, query).into_bytes());
        }
        let key = percent_decode_str(path).decode_utf8().unwrap().into_owned();
        let Some(content) = objects.get(&key) else {
            return (
                404,
                HeaderMap::new(),
                b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>".to_vec(),
            );
        };
        let tag = etag(content);
        let asks = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut headers = HeaderMap::new();
        headers.insert("etag", tag.parse().unwrap());
        if asks("if-none-match").as_ref() == Some(&tag) {
            return (304, headers, Vec::new());
        }
        if asks("if-match").is_some_and(|wanted| wanted != tag) {
            return (412, headers, Vec::new());
        }
        let range = asks("range").unwrap();
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        if from >= content.len() {
            return (416, HeaderMap::new(), Vec::new());
        }
        let to = to.min(content.len() - 1);
        let total = format!("bytes {from}-{to}/{}", content.len());
        headers.insert("content-range", total.parse().unwrap());
        (206, headers, content[from..=to].to_vec())
    }
}

fn etag(content: &[u8]) -> String {
    format!("\"{:x}\"", u32::from_be_bytes(Sha256::digest(content)[..4].try_into().unwrap()))
}

/// Two keys a page.
fn listing(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> String {
    let value = |name: &str| {
        let found = query.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")));
        found.map(|text| percent_decode_str(text).decode_utf8().unwrap().into_owned())
    };
    let (prefix, from) = (value("prefix").unwrap(), value("continuation-token").unwrap_or_default());
    let keys: Vec<_> = objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > from).collect();
    let mut text = String::from("<?xml version=\"1.0\"?>\n<ListBucketResult>");
    for (key, content) in keys.iter().take(2) {
        let key = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
        let tag = etag(content).replace('"', "&quot;");
        write!(text, "<Contents><Key>{key}</Key><ETag>{tag}</ETag></Contents>").unwrap();
    }
    if keys.len() > 2 {
        let last = keys[1].0;
        write!(text, "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>")
            .unwrap();
    }
    text + "</ListBucketResult>"
}

impl Transport for Bucket {
    fn send(&self, _: OutgoingRequest, _: Arc<ConnectTarget>, _: SendOptions) -> BoxFuture<'_, Exchange> {
        unreachable!("S3 is asked by fetch")
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        let (status, headers, body) = self.answer(&request);
        let path = request.url.split('/').skip(3).collect::<Vec<_>>().join("/");
        self.asked.lock().unwrap().push((status, path));
        Box::pin(async move {
            if status == 0 {
                return Err(FetchFailure { timed_out: false, detail: "connection refused".into() });
            }
            Ok(FetchResponse { status, headers, body: Bytes::from(body) })
        })
    }
}

struct Keys;

impl Sessions for Keys {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async {
            Ok(SessionCredentials {
                access_key_id: "AKIDEXAMPLE".into(),
                secret_access_key: Secret::new("secret"),
                session_token: Some(Secret::new("token")),
                expires_at: None,
            })
        })
    }

    fn caller_identity(
        &self,
        _: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        unreachable!("S3 takes no identity")
    }

    fn assume_role(
        &self,
        _: Arc<RoleSession>,
        _: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        unreachable!("S3 is asked as the hub")
    }
}

struct Reading {
    bucket: Arc<Bucket>,
    folder: Folder,
}

impl Reading {
    fn of(key: &str) -> Self {
        let bucket = Arc::new(Bucket::default());
        let clock = SystemClock::simulated(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let outside = Outside {
            transport: Arc::clone(&bucket) as Arc<dyn Transport>,
            sessions: Arc::new(Keys),
            clock: Arc::new(clock),
            wait: Arc::new(TokioWait::new(clock)),
        };
        let name = format!("s3://conf/{key}?region=eu-west-1");
        let location = Location::parse(&name, &|_| None).unwrap();
        Self { bucket, folder: Folder::new(location, outside) }
    }

    async fn read(&mut self) -> Result<Texts, Unreadable> {
        self.folder.read("s3://conf/main.yaml", &|_| None).await
    }

    async fn plan(&mut self) -> LoadedPlan {
        load_plan_of(&self.read().await.unwrap(), &|_| None).unwrap()
    }

    async fn refused(&mut self) -> String {
        self.read().await.unwrap_err().problem.to_string()
    }
}

fn names(loaded: &LoadedPlan) -> Vec<&str> {
    loaded.config.spokes.iter().map(|spoke| spoke.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn includes_are_keys_below_the_prefix_and_unchanged_ones_are_not_fetched_again() {
    let mut reading = Reading::of("team a/main.yaml");
    let bucket = Arc::clone(&reading.bucket);
    let include = "include: ['spokes.d/*.yaml', 'one+.yaml', 'none/*.yaml', './main.yaml', 'missing.yaml']\n";
    bucket.put("team a/main.yaml", format!("{MAIN}{include}"));
    for name in ["b", "c", "d"] {
        bucket.put(&format!("team a/spokes.d/{name}.yaml"), spoke(name));
    }
    bucket.put("team a/spokes.d/", "");
    bucket.put("team a/spokes.d/deeper/e.yaml", spoke("e"));
    bucket.put("team b/spokes.d/f.yaml", spoke("f"));
    let policy = "{\"Version\": \"2012-10-17\", \"Statement\": []}";
    bucket.put("team a/policies/narrow.json", policy);
    let one = spoke("one").replace("account:", "session_policy: policies/narrow.json, account:");
    bucket.put("team a/one+.yaml", one);
    let loaded = reading.plan().await;
    assert_eq!(names(&loaded), ["a", "b", "c", "d", "one"]);
    assert!(loaded.config.spokes[4].session.session_policy.is_some());
    assert_eq!(loaded.config.included_files[0], "s3://conf/team a/spokes.d/b.yaml");
    let missing: Vec<&str> =
        loaded.warnings.iter().map(|warning| warning.message.split('`').nth(1).unwrap()).collect();
    assert_eq!(missing, ["none/*.yaml"]);
    let broken: Vec<String> =
        loaded.include_failures.iter().map(|failure| failure.problems[0].to_string()).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(
        broken[0].starts_with("s3://conf/team a/missing.yaml") && broken[0].contains("no such key"),
        "{broken:?}"
    );
    let first = bucket.asked();
    assert!(first.contains(&(206, "team%20a/one%2B.yaml".into())), "{first:?}");

    // Only listings and questions whether exact names are still the same.
    let before = reading.read().await.unwrap().digest();
    let again = bucket.asked();
    assert!(again.iter().all(|(status, path)| *status != 206 || path.contains("missing")), "{again:?}");
    assert_eq!(again.iter().filter(|(status, _)| *status == 304).count(), 3, "{again:?}");

    bucket.put("team a/spokes.d/c.yaml", spoke("changed"));
    bucket.put("team a/spokes.d/g.yaml", spoke("g"));
    bucket.objects.lock().unwrap().remove("team a/spokes.d/b.yaml");
    let loaded = reading.plan().await;
    assert_eq!(names(&loaded), ["a", "changed", "d", "g", "one"]);
    let fetched = bucket.asked().into_iter().filter(|(status, _)| *status == 206).count();
    assert_eq!(fetched, 2);
    assert_ne!(reading.read().await.unwrap().digest(), before);
}

#[tokio::test(start_paused = true)]
async fn names_that_lead_elsewhere_are_refused() {
    let mut reading = Reading::of("team/main.yaml");
    for name in ["/etc/passwd", "../other/x.yaml", "*/../../x.yaml"] {
        reading.bucket.put("team/main.yaml", format!("{MAIN}include: ['{name}']\n"));
        let loaded = reading.plan().await;
        let problem = loaded.include_failures[0].problems[0].to_string();
        assert!(problem.contains("keys below s3://conf/team/"), "{problem}");
    }
    let main = MAIN.replace("id: vpce-0a1b2c3d", "id: vpce-0a1b2c3d, ca_file: /etc/ssl/ca.pem");
    reading.bucket.put("team/main.yaml", main);
    let problems = load_plan_of(&reading.read().await.unwrap(), &|_| None).unwrap_err();
    assert!(problems[0].to_string().contains("relative to it"), "{}", problems[0]);
    let asked = reading.bucket.asked();
    assert!(asked.iter().all(|(_, path)| path == "team/main.yaml"), "{asked:?}");
}

/// Its keys do not belong into a bucket; it is the only file that a bucket leads to on a disk.
#[tokio::test(start_paused = true)]
async fn the_web_file_of_a_configuration_in_s3_is_one_of_the_machine() {
    let mut reading = Reading::of("team/main.yaml");
    let path = std::env::temp_dir().join(format!("spokeprobe-s3-web-{}.yaml", std::process::id()));
    let web = |name: &str, more: &str| format!("{MAIN}web: {{config_file: '{name}'}}\n{more}");
    let absolute = path.display().to_string();
    let bucket = Arc::clone(&reading.bucket);
    let problems = async |reading: &mut Reading| {
        let texts = reading.read().await.unwrap();
        load_plan_of(&texts, &|_| None).unwrap_err()[0].to_string()
    };
    bucket.put("team/web.yaml", "rate_limit: {interval: 1s, burst: 5}\n");
    bucket.put("team/main.yaml", web("web.yaml", ""));
    let said = problems(&mut reading).await;
    assert!(said.contains("an absolute path") && said.contains("do not belong into a bucket"), "{said}");

    bucket.put("team/main.yaml", web(&absolute, ""));
    assert!(problems(&mut reading).await.contains("cannot be read (No such file"));
    std::fs::write(&path, "rate_limit: {interval: 1s, burst: 5}\n").unwrap();
    let loaded = reading.plan().await;
    assert_eq!(loaded.config.web.config_file.as_deref(), Some(path.as_path()));
    let before = reading.read().await.unwrap().digest();
    std::fs::write(&path, "rate_limet: {}\n").unwrap();
    assert_ne!(reading.read().await.unwrap().digest(), before);
    assert!(problems(&mut reading).await.contains("rate_limet"));
    std::fs::write(&path, "x".repeat(crate::sources::MAX_NAMED_FILE_BYTES + 1)).unwrap();
    assert!(problems(&mut reading).await.contains("more than"));

    // Another key that names the same file does not get it.
    let also = web(&absolute, "")
        .replace("{id: vpce-0a1b2c3d}", &format!("{{id: vpce-0a1b2c3d, ca_file: '{absolute}'}}"));
    bucket.put("team/main.yaml", also);
    assert!(problems(&mut reading).await.contains("relative to it"));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn large_objects_come_in_pieces_of_one_version() {
    let mut reading = Reading::of("main.yaml");
    let comment = "# and so on\n".repeat(200_000);
    reading.bucket.put("main.yaml", format!("{MAIN}{comment}"));
    assert_eq!(names(&reading.plan().await), ["a"]);
    assert_eq!(reading.bucket.asked().len(), 3);
    reading.bucket.put("main.yaml", "#".repeat(9 * 1024 * 1024));
    assert!(reading.refused().await.contains("more than 8388608 bytes"));
    reading.bucket.put("main.yaml", "");
    assert!(load_plan_of(&reading.read().await.unwrap(), &|_| None).is_err());
    reading.bucket.put("main.yaml", b"# \xff".to_vec());
    assert!(reading.refused().await.contains("not UTF-8 at line 1"));
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_met_by_trying_again_and_then_fails_the_whole_reading() {
    let mut reading = Reading::of("main.yaml");
    let bucket = Arc::clone(&reading.bucket);
    bucket.put("main.yaml", format!("{MAIN}include: [b.yaml]\n"));
    bucket.put("b.yaml", spoke("b"));
    let slow = || (503, "<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>".to_owned());
    *bucket.faults.lock().unwrap() = vec![slow(), slow()];
    assert_eq!(names(&reading.plan().await), ["a", "b"]);
    *bucket.faults.lock().unwrap() = vec![slow(), slow(), slow()];
    assert!(reading.refused().await.contains("SlowDown"));
    *bucket.faults.lock().unwrap() = vec![(0, String::new()), (0, String::new()), (0, String::new())];
    assert!(reading.refused().await.contains("gateway endpoint"));
    // The main key is had, the included one is not: that is no broken include.
    bucket.put("b.yaml", spoke("c"));
    *bucket.faults.lock().unwrap() = vec![slow(), slow(), slow(), (304, String::new())];
    assert!(reading.refused().await.contains("s3://conf/b.yaml: S3 cannot answer now"));
    bucket.asked();
    *bucket.faults.lock().unwrap() = vec![(403, "<Error><Code>AccessDenied</Code></Error>".to_owned())];
    assert!(reading.refused().await.contains("s3:GetObject on arn:aws:s3:::conf/main.yaml"));
    assert_eq!(bucket.asked().len(), 1, "a refusal is not asked for again");
    bucket.objects.lock().unwrap().clear();
    assert!(reading.refused().await.contains("NoSuchKey"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_include_is_a_broken_one() {
    let mut reading = Reading::of("main.yaml");
    reading.bucket.put("main.yaml", format!("{MAIN}include: [b.yaml, 'c*.yaml']\n"));
    reading.bucket.put("b.yaml", b"spokes: []\n# \xff".to_vec());
    let first = reading.plan().await;
    assert_eq!(first.include_failures.len(), 1);
    let refused = (403, "<Error><Code>AccessDenied</Code></Error>".to_owned());
    *reading.bucket.faults.lock().unwrap() = vec![refused, (304, String::new())];
    let loaded = reading.plan().await;
    let problem = loaded.include_failures[1].problems[0].to_string();
    assert!(problem.contains("s3:ListBucket on arn:aws:s3:::conf"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn an_exact_key_that_goes_stands_as_last_read_until_it_comes_back() {
    let mut reading = Reading::of("main.yaml");
    reading.bucket.put("main.yaml", format!("{MAIN}include: [./b.yaml]\n"));
    reading.bucket.put("b.yaml", spoke("b"));
    let there = reading.read().await.unwrap();
    let loaded = load_plan_of(&there, &|_| None).unwrap();
    let last_read = LastRead::default().after(&there, &loaded);
    reading.bucket.objects.lock().unwrap().remove("b.yaml");
    let gone = reading.read().await.unwrap();
    assert_ne!(gone.digest(), there.digest());
    let loaded = load_plan_again(&gone, &last_read, &|_| None).unwrap();
    assert_eq!(names(&loaded), ["a", "b"]);
    assert!(!loaded.plan.includes[0].problems.is_empty());
    let last_read = last_read.after(&gone, &loaded);
    reading.bucket.put("b.yaml", spoke("b"));
    let back = reading.read().await.unwrap();
    assert_eq!(back.digest(), there.digest());
    let loaded = load_plan_again(&back, &last_read, &|_| None).unwrap();
    assert!(loaded.plan.includes[0].problems.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_refused_later_changes_nothing() {
    let mut reading = Reading::of("main.yaml");
    reading.bucket.put("main.yaml", format!("{MAIN}include: ['c*.yaml']\n"));
    reading.bucket.put("c.yaml", spoke("c"));
    let texts = reading.read().await.unwrap();
    let loaded = load_plan_of(&texts, &|_| None).unwrap();
    assert_eq!(names(&loaded), ["a", "c"]);
    let last_read = LastRead::default().after(&texts, &loaded);
    let refused = (403, "<Error><Code>AccessDenied</Code></Error>".to_owned());
    *reading.bucket.faults.lock().unwrap() = vec![refused, (304, String::new())];
    let texts = reading.read().await.unwrap();
    let problems = load_plan_again(&texts, &last_read, &|_| None).unwrap_err();
    assert!(problems[0].to_string().contains("s3:ListBucket on arn:aws:s3:::conf"), "{}", problems[0]);
    let again = reading.read().await.unwrap();
    assert_eq!(names(&load_plan_again(&again, &last_read, &|_| None).unwrap()), ["a", "c"]);

    // An agent that began without the listing runs on without it.
    let loaded = load_plan_of(&texts, &|_| None).unwrap();
    let last_read = LastRead::default().after(&texts, &loaded);
    assert_eq!(names(&load_plan_again(&texts, &last_read, &|_| None).unwrap()), ["a"]);
}

/// What a hostile answer to a question with a tag can do: nothing.
#[tokio::test(start_paused = true)]
async fn an_answer_that_fits_no_question_is_refused() {
    let mut reading = Reading::of("main.yaml");
    reading.bucket.put("main.yaml", MAIN);
    for status in [100, 204, 302, 304, 401, 700] {
        *reading.bucket.faults.lock().unwrap() = vec![(status, "<x>".to_owned())];
        reading.refused().await;
    }
}
