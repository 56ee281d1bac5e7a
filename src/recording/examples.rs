//! Targets and observations for the tests of recording and web.

use crate::domain::api::{Addressing, ApiName};
use crate::domain::credentials::{RoleInUse, RoleSession};
use crate::domain::expectation::{Expectation, ExpectedRefusal};
use crate::domain::identity::{Identity, Signer};
use crate::domain::moment::Moment;
use crate::domain::observation::{Observation, RequestIds, Verdict};
use crate::domain::outcome::Reason;
use crate::domain::request::RequestTemplate;
use crate::domain::target::{Cadence, Replica, SpokeInfo, Target, TargetId};
use crate::recording::{Recorder, Settings};
use http::Method;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2026-01-01T00:00:00Z.
pub(crate) const NEW_YEAR: Duration = Duration::from_secs(1_767_225_600);

pub(crate) fn recorder() -> Recorder {
    Recorder::new(&Settings { buckets: vec![0.1, 1.0, 10.0] })
}

/// A target `SPOKE/API/PROBE` that wants any 2xx every 30 s.
pub(crate) fn target(path: &str) -> Target {
    let [spoke, api, probe] = path.split('/').collect::<Vec<_>>().try_into().unwrap();
    Target {
        id: TargetId {
            spoke: spoke.parse().unwrap(),
            api: api.parse().unwrap(),
            probe: probe.parse().unwrap(),
            zone: None,
        },
        account: "012345678901".parse().unwrap(),
        api: ApiName::Id { id: "a1b2c3d4e5".parse().unwrap(), stage: "api".parse().unwrap() },
        addressing: Addressing::PrivateDns,
        identity: Identity::Spoke,
        signer: Signer::Hub,
        signer_account: None,
        request: RequestTemplate {
            method: Method::GET,
            path_and_query: "/".into(),
            headers: Vec::new(),
            body: None,
        },
        expectation: Expectation::default(),
        cadence: Cadence::Every(Duration::from_secs(30)),
        replica: Replica::ONLY,
        timeout: Duration::from_secs(31),
        fresh_connection: false,
        positive_control: None,
        twins: false,
    }
}

/// The same as a guard that expects a refusal by the endpoint's policy.
pub(crate) fn guard(path: &str) -> Target {
    let refusal = Some(ExpectedRefusal::By(vec![Reason::VpcEndpointPolicy]));
    Target { expectation: Expectation { refusal, ..Expectation::default() }, ..target(path) }
}

/// An attempt due `at` that was sent 2 ms later and ended after `took`.
pub(crate) fn seen(reason: Reason, code: Option<u16>, at: Duration, took: Duration) -> Observation {
    let due = Moment::from_origin(at);
    let sent =
        (reason.outcome() != crate::domain::outcome::Outcome::Unsent).then(|| due + Duration::from_millis(2));
    Observation {
        due,
        sent,
        first_byte: None,
        done: due + took,
        done_at: wall(at + took),
        code,
        verdict: Verdict {
            reason,
            expected: reason == Reason::None,
            door: None,
            unconfirmed: false,
            message: None,
            policy_arn: None,
        },
        ids: RequestIds::default(),
        retries: 0,
        truncated: false,
        peer: None,
        body: None,
        signed_header_bytes: None,
        clock_skew_seconds: None,
    }
}

/// A whole attempt with this end.
pub(crate) fn attempt(recorder: &crate::recording::TargetRecorder, seen: &Observation) {
    recorder.due();
    recorder.started();
    recorder.observed(seen, true);
}

pub(crate) fn wall(since_new_year: Duration) -> SystemTime {
    UNIX_EPOCH + NEW_YEAR + since_new_year
}

pub(crate) fn spoke(name: &str, labels: &[(&str, &str)]) -> SpokeInfo {
    SpokeInfo {
        name: name.parse().unwrap(),
        account: "012345678901".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        role: "arn:aws:iam::012345678901:role/spokeprobe".parse().unwrap(),
        labels: labels.iter().map(|(k, v)| (k.parse().unwrap(), (*v).to_owned())).collect(),
    }
}

pub(crate) fn role(spokes: &[&str]) -> RoleInUse {
    RoleInUse {
        session: Arc::new(RoleSession {
            role_arn: "arn:aws:iam::012345678901:role/spokeprobe".parse().unwrap(),
            session_name: "spokeprobe".into(),
            external_id: None,
            duration: Duration::from_secs(3600),
            session_policy: None,
            session_tags: Vec::new(),
        }),
        spokes: spokes.iter().map(|name| name.parse().unwrap()).collect(),
    }
}
