//! What goes out under a signature that is kept for its second, and under one made for each attempt: the same
//! bytes but for the trace id, and never a signature of another second, also not when the clock steps back.

use crate::stage::{dawn, demo_plan, quiet_world};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use spokeprobe::attempt::{Attempter, PreparedTarget};
use spokeprobe::credentials::Store;
use spokeprobe::domain::identity::Signer;
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::outcome::Reason;
use spokeprobe::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions};
use spokeprobe::recording::Recorder;
use spokeprobe::seams::{
    self, Clock, FetchFailure, FetchRequest, FetchResponse, Sessions, SystemClock, TokioWait, Transport, Wait,
};
use spokeprobe::signing::SigningScope;
use spokeprobe::simulator::{Hub, InMemory};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// Keeps the headers of what is sent.
struct Looking {
    inner: Arc<InMemory>,
    sent: Mutex<Vec<HeaderMap>>,
}

impl Transport for Looking {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        self.sent.lock().unwrap().push(request.headers.clone());
        self.inner.send(request, to, options)
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        self.inner.fetch(request)
    }
}

/// The stage's clock, with a wall clock that a test sets.
struct SetWall(Arc<dyn Clock>, Mutex<SystemTime>);

impl Clock for SetWall {
    fn now(&self) -> Moment {
        self.0.now()
    }
    fn wall(&self) -> SystemTime {
        *self.1.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_good_for_its_second_only_and_each_attempt_has_its_own_trace_id() {
    let plan = demo_plan();
    let system = SystemClock::simulated(dawn());
    let (clock, wait): (Arc<dyn Clock>, Arc<dyn Wait>) = (Arc::new(system), Arc::new(TokioWait::new(system)));
    let hub = Arc::new(Hub::new(quiet_world(), dawn()));
    let inner = Arc::new(InMemory::new(hub, Arc::clone(&clock), Arc::clone(&wait)));
    let sessions: Arc<dyn Sessions> = Arc::clone(&inner) as Arc<dyn Sessions>;
    let recorder = Arc::new(Recorder::new(&plan.settings.recording));
    let (store, _signers) = Store::new(&plan.roles, false, sessions, Arc::clone(&clock), wait, recorder);
    seams::spawn("credentials", Arc::clone(&store).run(CancellationToken::new()));
    store.all_asked().wait_for(|asked| *asked).await.unwrap();

    let target = plan.targets.iter().find(|target| target.id.to_string() == "payments/hoot/hello").unwrap();
    assert!(matches!(target.signer, Signer::Role(_)));
    let prepare = || PreparedTarget::new(Arc::clone(target), &plan.settings.endpoint, &store, None).unwrap();
    let looking = Arc::new(Looking { inner, sent: Mutex::default() });
    let wall = Arc::new(SetWall(Arc::clone(&clock), Mutex::new(dawn())));
    let scope = SigningScope::execute_api(plan.settings.endpoint.region.clone());
    let transport: Arc<dyn Transport> = Arc::clone(&looking) as Arc<dyn Transport>;
    let attempter = Attempter::new(transport, Arc::clone(&wall) as Arc<dyn Clock>, scope);
    let start = dawn();
    for (how, prepared) in [("kept", prepare()), ("anew", prepare().signing_each_anew())] {
        looking.sent.lock().unwrap().clear();
        for ms in [100, 900, 1_100, 200, 5_000, 4_999] {
            *wall.1.lock().unwrap() = start + Duration::from_millis(ms);
            let seen = attempter.attempt(&prepared, clock.now()).await;
            assert_eq!((seen.verdict.reason, seen.verdict.expected), (Reason::None, true), "{how} at {ms}");
        }
        let sent = looking.sent.lock().unwrap().clone();
        let values = |name: &str| -> Vec<String> {
            sent.iter().map(|headers| headers[name].to_str().unwrap().to_owned()).collect()
        };
        let dates: Vec<String> = values("x-amz-date").iter().map(|date| date[9..15].to_owned()).collect();
        assert_eq!(dates, ["000000", "000000", "000001", "000000", "000005", "000004"], "{how}");
        let signatures = values("authorization");
        assert_eq!(signatures[0], signatures[1], "{how}: a signature has no nonce");
        assert_eq!(signatures[0], signatures[3], "{how}: back in the first second");
        assert_eq!(signatures.iter().collect::<BTreeSet<_>>().len(), 4, "{how}");
        assert_eq!(values("x-amzn-trace-id").iter().collect::<BTreeSet<_>>().len(), 6, "{how}");
    }
}
