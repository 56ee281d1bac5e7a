//! What the SDK says to STS through our adapter, and what it makes of the answers.

use super::stepping::Stepping;
use super::*;
use crate::credentials::{SdkSessions, Settings};
use crate::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions};
use crate::domain::secret::ConfiguredText;
use crate::seams::{Clock, FetchFailure, FetchRequest, FetchResponse, Transport};
use SessionFailureKind as Kind;
use bytes::Bytes;
use http::HeaderMap;
use std::collections::VecDeque;

const STS: &str = "https://sts.eu-west-1.amazonaws.com/";
const ECS: &str = "http://127.0.0.1:8/creds";

/// Answers from a list, requests kept.
struct Script {
    answers: Mutex<VecDeque<Result<(u16, &'static str), bool>>>,
    seen: Mutex<Vec<FetchRequest>>,
}

impl Script {
    /// `Err(true)`: out of time. `Err(false)`: no connection. The last answer is repeated.
    fn of(answers: &[Result<(u16, &'static str), bool>]) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.iter().copied().collect()), seen: Mutex::default() })
    }

    fn seen(&self) -> Vec<FetchRequest> {
        self.seen.lock().unwrap().clone()
    }
}

impl Transport for Script {
    fn send(&self, _: OutgoingRequest, _: Arc<ConnectTarget>, _: SendOptions) -> BoxFuture<'_, Exchange> {
        unreachable!("credentials only fetch")
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() };
        self.seen.lock().unwrap().push(request);
        Box::pin(async move {
            match answer.unwrap() {
                Ok((status, body)) => Ok(FetchResponse {
                    status,
                    headers: HeaderMap::new(),
                    body: Bytes::from_static(body.as_bytes()),
                }),
                Err(timed_out) => Err(FetchFailure { timed_out, detail: "connection refused".into() }),
            }
        })
    }
}

fn sessions(script: &Arc<Script>, variables: &[(&str, &str)]) -> SdkSessions {
    sessions_by(Arc::new(clock()), script, variables)
}

fn sessions_by(clock: Arc<dyn Clock>, script: &Arc<Script>, variables: &[(&str, &str)]) -> SdkSessions {
    let settings = Settings {
        region: "eu-west-1".parse().unwrap(),
        sts_endpoint_url: None,
        hub_role_arn: None,
        environment: Some(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
    };
    SdkSessions::new(&settings, Arc::clone(script) as Arc<dyn Transport>, clock)
}

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAHUB"),
    ("AWS_SECRET_ACCESS_KEY", "sesame"),
    ("AWS_SESSION_TOKEN", "hubtoken"),
];

const ASSUMED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>arn:aws:sts::000000000001:assumed-role/probe/spokeprobe</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>ASIANEW</AccessKeyId><SecretAccessKey>new</SecretAccessKey><SessionToken>newtoken</SessionToken>
<Expiration>2027-01-15T09:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"#;

const DENIED: &str = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole</Message>
</Error><RequestId>r</RequestId></ErrorResponse>"#;

const THROTTLED: &str = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>r</RequestId></ErrorResponse>"#;

const UNKNOWN_KEY: &str = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>"#;

const IDENTITY: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::111122223333:assumed-role/hub/task</Arn><UserId>A:t</UserId><Account>111122223333</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"#;

const ECS_ANSWER: &str = r#"{"AccessKeyId":"ASIAECS","SecretAccessKey":"s","Token":"ecstoken","Expiration":"2027-01-15T14:00:00Z"}"#;

#[tokio::test(start_paused = true)]
async fn assume_role_sends_all_of_the_role_and_reads_the_session() {
    let script = Script::of(&[Ok((200, ASSUMED))]);
    let mut session = (*role(1, HOUR).session).clone();
    session.external_id = Some(ConfiguredText::Plain("ext&1".into()));
    session.session_policy = Some("{\"Version\":1}".into());
    session.session_tags = vec![("team".into(), "net".into())];
    let found = sessions(&script, &KEYS).assume_role(Arc::new(session), HOUR).await.unwrap();
    assert_eq!(found.access_key_id, "ASIANEW");
    assert_eq!(found.session_token.unwrap().expose(), "newtoken");
    assert_eq!(found.expires_at.unwrap(), UNIX_EPOCH + Duration::from_secs(1_800_003_600));
    let seen = script.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].url.as_str()), ("POST", STS));
    let body = String::from_utf8(seen[0].body.to_vec()).unwrap();
    for part in [
        "Action=AssumeRole",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A000000000001%3Arole%2Fprobe",
        "RoleSessionName=spokeprobe",
        "DurationSeconds=3600",
        "ExternalId=ext%261",
        "Policy=%7B%22Version%22%3A1%7D",
        "Tags.member.1.Key=team",
        "Tags.member.1.Value=net",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let authorization = seen[0].headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("Credential=AKIAHUB/20270115/eu-west-1/sts/aws4_request"), "our clock");
    assert_eq!(seen[0].headers["x-amz-security-token"], "hubtoken");
}

#[tokio::test(start_paused = true)]
async fn errors_of_sts_become_kinds() {
    for (answers, kind, code, calls) in [
        (vec![Ok((403, DENIED))], Kind::Denied, Some("AccessDenied"), 1),
        (vec![Ok((400, THROTTLED))], Kind::Throttled, Some("Throttling"), 3),
        (vec![Ok((403, UNKNOWN_KEY))], Kind::NoHubCredentials, Some("InvalidClientTokenId"), 1),
        (vec![Ok((500, "<html>oops"))], Kind::Failed, None, 3),
        (vec![Ok((200, "\u{0}garbage"))], Kind::Failed, None, 1),
        (vec![Ok((302, ""))], Kind::Failed, None, 1),
        (vec![Err(false)], Kind::Failed, None, 3),
        (vec![Err(true)], Kind::Failed, None, 3),
    ] {
        let script = Script::of(&answers);
        let failure = sessions(&script, &KEYS).assume_role(role(1, HOUR).session, HOUR).await.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_deref()), (kind, code), "{answers:?}: {failure:?}");
        assert_eq!(script.seen().len(), calls, "{answers:?}");
        assert!(!failure.message.is_empty() && !failure.message.contains("token\""), "{failure:?}");
    }
    // A throttled call that is let through in the end is no failure.
    let script = Script::of(&[Ok((400, THROTTLED)), Ok((200, ASSUMED))]);
    assert!(sessions(&script, &KEYS).assume_role(role(1, HOUR).session, HOUR).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_asked_for_with_the_credentials_given() {
    let script = Script::of(&[Ok((200, IDENTITY))]);
    let sessions = sessions(&script, &KEYS);
    let mut other = sessions.hub_credentials().await.unwrap();
    other.access_key_id = "AKIAOTHER".into();
    let identity = sessions.caller_identity(other).await.unwrap();
    assert_eq!(identity.account, "111122223333");
    assert!(identity.is_role_session());
    let authorization = script.seen()[0].headers["authorization"].to_str().unwrap().to_owned();
    assert!(authorization.contains("Credential=AKIAOTHER/"));
}

#[tokio::test(start_paused = true)]
async fn credentials_of_a_container_are_kept_and_renewed() {
    let variables =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", ECS), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pass")];
    let script = Script::of(&[Ok((200, ECS_ANSWER))]);
    let sessions = sessions(&script, &variables);
    for _ in 0..20 {
        assert_eq!(sessions.hub_credentials().await.unwrap().access_key_id, "ASIAECS");
    }
    let seen = script.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].url.as_str(), &seen[0].headers["authorization"]), (ECS, &"pass".parse().unwrap()));
    tokio::time::advance(Duration::from_secs(901)).await;
    assert!(sessions.hub_credentials().await.is_ok());
    assert_eq!(script.seen().len(), 2);
}

/// What is kept has ended by the wall clock, and by the monotonic one its source was asked a moment ago.
#[tokio::test(start_paused = true)]
async fn after_a_suspension_the_source_is_asked_at_once() {
    const LATER: &str = r#"{"AccessKeyId":"ASIALATER","SecretAccessKey":"s","Token":"t","Expiration":"2027-01-16T14:00:00Z"}"#;
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", ECS)];
    let script = Script::of(&[Ok((200, ECS_ANSWER)), Ok((200, ECS_ANSWER)), Ok((200, LATER))]);
    let clock = Stepping::new(clock(), 0);
    let sessions = sessions_by(Arc::clone(&clock) as Arc<dyn Clock>, &script, &variables);
    assert_eq!(sessions.hub_credentials().await.unwrap().access_key_id, "ASIAECS");
    clock.set(25 * 3600);
    // A source that has noticed nothing yet is not asked again and again.
    for _ in 0..3 {
        let failure = sessions.hub_credentials().await.unwrap_err();
        assert!(failure.message.contains("already ended"), "{failure:?}");
    }
    assert_eq!(script.seen().len(), 2);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(sessions.hub_credentials().await.unwrap().access_key_id, "ASIALATER");
    assert_eq!(script.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn credentials_go_on_while_their_source_fails_until_they_end() {
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", ECS)];
    let script = Script::of(&[Ok((200, ECS_ANSWER)), Ok((500, "no"))]);
    let sessions = sessions(&script, &variables);
    assert!(sessions.hub_credentials().await.is_ok());
    tokio::time::advance(5 * HOUR).await;
    assert!(sessions.hub_credentials().await.is_ok(), "six hours were given");
    tokio::time::advance(2 * HOUR).await;
    let failure = sessions.hub_credentials().await.unwrap_err();
    assert_eq!(failure.kind, Kind::NoHubCredentials);
    assert!(failure.message.contains("500"));
    let asked = script.seen().len();
    assert!(sessions.hub_credentials().await.is_err());
    assert_eq!(script.seen().len(), asked, "a failure is kept for a moment");
}

#[tokio::test(start_paused = true)]
async fn refused_hub_credentials_are_asked_for_anew() {
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", ECS)];
    let script = Script::of(&[Ok((200, ECS_ANSWER)), Ok((403, UNKNOWN_KEY)), Ok((200, ECS_ANSWER))]);
    let sessions = sessions(&script, &variables);
    assert!(sessions.assume_role(role(1, HOUR).session, HOUR).await.is_err());
    assert!(sessions.hub_credentials().await.is_ok());
    let urls: Vec<_> = script.seen().iter().map(|request| request.url.clone()).collect();
    assert_eq!(urls, [ECS, STS, ECS]);
    let nowhere = Script::of(&[Err(false)]);
    let failure = super::speaking::sessions(&nowhere, &[]).hub_credentials().await.unwrap_err();
    assert_eq!(failure.kind, Kind::NoHubCredentials);
    assert!(nowhere.seen().is_empty());
}
