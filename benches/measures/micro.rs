//! The pure parts of an attempt, one by one and in processor time: signing, classification, recording, the
//! timetable.

use crate::Effort;
use crate::clock::per_call;
use crate::figure::Figure;
use crate::fleet::Fleet;
use crate::usage::own_thread_cpu_seconds;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use spokeprobe::classify::{self, Classified, Context};
use spokeprobe::domain::api::ApiName;
use spokeprobe::domain::credentials::SessionCredentials;
use spokeprobe::domain::hidden::Hidden;
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::observation::Observation;
use spokeprobe::domain::request::{Exchange, HttpRequest, Response};
use spokeprobe::domain::secret::Secret;
use spokeprobe::domain::spread;
use spokeprobe::domain::target::{Cadence, Target, TargetId};
use spokeprobe::plan::Plan;
use spokeprobe::recording::Recorder;
use spokeprobe::schedule::{Pattern, Timetable};
use spokeprobe::signing::{SignedRequestSlot, SigningScope, sign_request};
use spokeprobe::sources;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const MICROSECONDS: f64 = 1e6;
const NANOSECONDS: f64 = 1e9;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let plan = plan();
    let target = Arc::clone(plan.targets.first().expect("a target"));
    let mut figures = signing(&plan, effort).to_vec();
    figures.extend(classification(&target, effort));
    figures.extend(recording(&plan, &target, effort));
    figures.push(timetable(effort));
    figures
}

fn plan() -> Plan {
    let fleet = Fleet::new(1, 1, 1, "every: 30s");
    let text = fleet.config(None, ([127, 0, 0, 1], 0).into());
    sources::load_plan_text("generated", &text, &|_| None).expect("a valid configuration").plan
}

fn request() -> HttpRequest {
    HttpRequest {
        method: Method::GET,
        host: "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com".into(),
        path_and_query: "/api/".into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

fn credentials() -> SessionCredentials {
    SessionCredentials {
        access_key_id: "ASIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        session_token: Some(Secret::new("T".repeat(1_000))),
        expires_at: None,
    }
}

fn signing(plan: &Plan, effort: Effort) -> [Figure; 2] {
    let scope = SigningScope::execute_api(plan.settings.endpoint.region.clone());
    let (credentials, at) = (credentials(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_789_466_400));
    let sign = || sign_request(request(), &scope, &credentials, at);
    let whole = per_call(effort, || {
        black_box(sign().expect("signed"));
    });
    let slot = SignedRequestSlot::default();
    let reused = per_call(effort, || {
        black_box(slot.get_or_sign(1, at, sign).expect("signed"));
    });
    [
        Figure::of(
            "sign a request",
            &whole,
            MICROSECONDS,
            "µs",
            "SigV4 of a GET with a session token of 1,000 bytes, the request's own making included",
        ),
        Figure::of(
            "sign again within the same second",
            &reused,
            MICROSECONDS,
            "µs",
            "the copy of the kept signed request",
        ),
    ]
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: String) -> Exchange {
    let moment = |ms| Moment::from_origin(Duration::from_millis(ms));
    let ids = [
        ("x-amzn-requestid", "5ac8f1b8-0f53-4f3c-8dd1-4c1f7c9c9f0a"),
        ("x-amz-apigw-id", "JqXyZG1hjoEF5pA="),
        ("x-amzn-trace-id", "Root=1-65a8c1d2-7f2b3c4d5e6f7a8b9c0d1e2f"),
        ("content-type", "application/json"),
        ("date", "Tue, 15 Sep 2026 10:00:00 GMT"),
    ];
    let headers: HeaderMap = ids
        .iter()
        .chain(headers)
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("text")))
        .collect();
    let response = Response { status, headers, body: Bytes::from(body), truncated: false };
    Exchange {
        sent: moment(1),
        first_byte: Some(moment(9)),
        done: moment(10),
        retries: 0,
        peer: None,
        result: Ok(response),
    }
}

fn ok_answer() -> Exchange {
    answer(200, &[], r#"{"hello":"world"}"#.to_owned())
}

/// A denial as long as they come: names of 64 characters, a path, and a policy that is named.
fn denied_answer(target: &Target) -> Exchange {
    let ApiName::Id { id, .. } = &target.api else { panic!("the fleet names its apis by id") };
    let (role, session, path) = ("r".repeat(64), "s".repeat(64), "p/".repeat(150));
    let message = format!(
        "User: arn:aws:sts::222233334444:assumed-role/{role}/{session} is not authorized to perform: \
         execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:********4444:{id}/api/GET/{path} with an \
         explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-a1b2c3d4e5/\
         service_control_policy/p-a1b2c3d4"
    );
    answer(403, &[("x-amzn-errortype", "AccessDeniedException")], format!(r#"{{"Message":"{message}"}}"#))
}

fn classified(exchange: &Exchange, target: &Target) -> Classified {
    let hidden = Hidden::default();
    let context = Context {
        hidden: &hidden,
        lesson: None,
        target,
        due: Moment::ZERO,
        same_account: Some(true),
        positive_control_ok: false,
        received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_789_466_400),
    };
    classify::classify(exchange, &context)
}

fn classification(target: &Target, effort: Effort) -> [Figure; 2] {
    let (ok, denied) = (ok_answer(), denied_answer(target));
    assert!(classified(&ok, target).verdict.expected);
    assert!(classified(&denied, target).verdict.policy_arn.is_some());
    let time = |exchange: &Exchange| {
        per_call(effort, || {
            black_box(classified(black_box(exchange), target));
        })
    };
    [
        Figure::of(
            "classify a 200",
            &time(&ok),
            MICROSECONDS,
            "µs",
            "ids, date, and a JSON body compared with the expected one",
        ),
        Figure::of(
            "classify a 403",
            &time(&denied),
            MICROSECONDS,
            "µs",
            "a denial of 800 characters: parsed, attributed to the policy it names, scrubbed for log and status",
        ),
    ]
}

fn observation(exchange: &Exchange, target: &Target) -> Observation {
    let Classified { code, verdict, ids, body, clock_skew_seconds, truncated, .. } =
        classified(exchange, target);
    Observation {
        due: Moment::ZERO,
        sent: Some(exchange.sent),
        first_byte: exchange.first_byte,
        done: exchange.done,
        done_at: SystemTime::UNIX_EPOCH,
        code,
        verdict,
        ids,
        retries: 0,
        truncated,
        peer: None,
        body,
        signed_header_bytes: Some(1_300),
        clock_skew_seconds,
    }
}

fn recording(plan: &Plan, target: &Arc<Target>, effort: Effort) -> [Figure; 2] {
    let recorder = Recorder::new(&plan.settings.recording);
    let of_target = recorder.add_target(target);
    let time = |seen: &Observation| {
        per_call(effort, || {
            of_target.due();
            of_target.started();
            of_target.observed(black_box(seen), true);
        })
    };
    let (ok, denied) = (observation(&ok_answer(), target), observation(&denied_answer(target), target));
    let figures = [
        Figure::of(
            "record an attempt that is ok",
            &time(&ok),
            NANOSECONDS,
            "ns",
            "due, started and observed: counters, histograms, window, last outcome",
        ),
        Figure::of(
            "record an attempt that is denied",
            &time(&denied),
            NANOSECONDS,
            "ns",
            "the same, and the failure kept for the status API",
        ),
    ];
    assert!(recorder.imbalances().is_empty());
    figures
}

fn timetable(effort: Effort) -> Figure {
    const TARGETS: usize = 10_000;
    let every = Duration::from_secs(30);
    let mut timetable = Timetable::new();
    for index in 0..TARGETS {
        let name = |kind: &str, number: usize| format!("{kind}-{number}").parse().expect("a name");
        let id = TargetId {
            spoke: name("spoke", index / 50),
            api: name("api", index / 10 % 5),
            probe: name("probe", index % 10),
            zone: None,
        };
        let phase = spread::phase(&id.to_string(), every);
        timetable.insert(
            Arc::new(id),
            Pattern::from(Cadence::Every(every)),
            phase,
            Moment::ZERO,
            Duration::MAX,
        );
    }
    let (mut now, mut taken, mut arrivals) = (Moment::ZERO, 0_u64, Vec::new());
    let mut per_arrival = Vec::new();
    for _ in 0..effort.batches() {
        let (from, before) = (taken, own_thread_cpu_seconds());
        // 25 minutes of arrivals, without waiting for them.
        for _ in 0..500_000 {
            now = now + Duration::from_millis(3);
            timetable.take_due(now, &mut arrivals);
            taken += arrivals.len() as u64;
            black_box(&mut arrivals).clear();
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        per_arrival.push((own_thread_cpu_seconds() - before) / (taken - from) as f64);
    }
    Figure::of(
        "take an arrival from the timetable",
        &per_arrival,
        NANOSECONDS,
        "ns",
        "10,000 targets every 30 s, looked at every 3 ms; the next arrival scheduled",
    )
}
