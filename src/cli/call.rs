//! `spokeprobe call`: one signed request, judged as a probe would be.

use super::{ConfigArgs, Exit, configuration, output, values};
use crate::app::{Once, Seams, doctor};
use crate::attempt::Attempted;
use crate::config::{self, Config, path};
use crate::domain::credentials::RoleInUse;
use crate::domain::expectation::Expectation;
use crate::domain::hidden::Hidden;
use crate::domain::identity::{Identity, Signer};
use crate::domain::name::Name;
use crate::domain::observation::{Observation, RequestIds};
use crate::domain::request::{Exchange, RequestTemplate, Response};
use crate::domain::secret::{ConfiguredText, Secret};
use crate::domain::target::{Cadence, Replica, Target, TargetId};
use crate::endpoint;
use crate::explain::AssumeRoleRefusal;
use crate::plan::Plan;
use crate::sources::LoadedPlan;
use clap::Args;
use http::{HeaderName, Method};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `call`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe call payments/hoot GET /
  spokeprobe call payments/hoot POST /greet -d '{\"name\":\"buddy\"}'
  spokeprobe call payments/hoot GET / --as anonymous      is an unsigned call refused, and by whom?
  spokeprobe call payments/hoot GET / --as spoke:orders   is another spoke's role refused?

Exit status: 0 for a 2xx, 1 for anything else, 2 for a usage or configuration error.")]
pub(super) struct CallArgs {
    /// The api, as SPOKE/API in the configuration
    #[arg(value_name = "SPOKE/API")]
    api: String,
    /// The method
    #[arg(value_parser = parse_method)]
    method: Method,
    /// Path and query after the stage, beginning with /
    path: String,
    /// The body; @FILE reads it from a file, @- from standard input
    #[arg(short = 'd', long = "data", value_name = "BODY")]
    data: Option<String>,
    /// A further header, which is signed; may be repeated
    #[arg(short = 'H', long = "header", value_name = "'NAME: VALUE'", value_parser = parse_header)]
    headers: Vec<(HeaderName, String)>,
    /// Who signs: spoke, hub, anonymous, spoke:NAME
    #[arg(long = "as", value_name = "IDENTITY", default_value = "spoke")]
    identity: Identity,
    /// The longest time to wait for the answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 31, value_parser = values::whole(1..=300, "seconds"))]
    timeout_seconds: u64,
    /// Show the answer's headers and times too
    #[arg(short, long)]
    verbose: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

fn parse_method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    let known = config::METHODS.iter().find(|known| **known == upper).and_then(|known| known.parse().ok());
    known.ok_or_else(|| format!("wanted one of {}", config::METHODS.join(", ")))
}

fn parse_header(text: &str) -> Result<(HeaderName, String), String> {
    let (name, value) = text.split_once(':').ok_or("wanted 'Name: value'")?;
    let name: HeaderName = name.trim().parse().map_err(|_| "this is not a header name".to_owned())?;
    if config::is_reserved_header(&name) {
        return Err(format!("{name} is set by the agent itself"));
    }
    let value = value.trim();
    http::HeaderValue::from_str(value).map_err(|_| "this value cannot be sent".to_owned())?;
    Ok((name, value.to_owned()))
}

pub(super) async fn call(args: CallArgs) -> Exit {
    // One request is no run: the warnings of the plan are not the news here.
    let Some(LoadedPlan { config, plan, include_failures, .. }) =
        configuration::read(&args.config, args.json).await
    else {
        return Exit::Usage;
    };
    configuration::log_left_out(&include_failures);
    let (target, role) = match target(&args, &config) {
        Ok(found) => found,
        Err(problem) => {
            output::error(&problem);
            return Exit::Usage;
        }
    };
    let seams = match Seams::real(&plan.settings) {
        Ok(seams) => seams,
        Err(problem) => {
            output::error(&problem.to_string());
            return Exit::Usage;
        }
    };
    if let Some(line) = request_line(&target, &plan) {
        output::note(&line);
    }
    let fill = |text: &str| doctor::filled(&plan, &target, text);
    match Once::new(seams, plan.settings.clone()).attempt(target.clone(), role).await {
        Ok(attempted) => {
            show(&args, &attempted, &fill);
            if attempted.observation.verdict.expected { Exit::Expected } else { Exit::Unexpected }
        }
        Err(failure) => {
            output::error(&failure.to_string());
            Exit::Unexpected
        }
    }
}

/// The target that the arguments describe: any api of the configuration, with probes or without.
fn target(args: &CallArgs, config: &Config) -> Result<(Target, Option<RoleInUse>), String> {
    let (spoke_name, api_name) = args.api.split_once('/').ok_or("the api is given as SPOKE/API")?;
    let apis = || config.spokes.iter().flat_map(|spoke| spoke.apis.iter().map(move |api| (spoke, api)));
    let (spoke, api) = apis()
        .find(|(spoke, api)| spoke.name.as_str() == spoke_name && api.name.as_str() == api_name)
        .ok_or_else(|| {
            let known: Vec<String> =
                apis().map(|(spoke, api)| format!("{}/{}", spoke.name, api.name)).collect();
            format!("no api {spoke_name}/{api_name} in the configuration; there are {}", known.join(", "))
        })?;
    let path_and_query = path::encode(&args.path)
        .map_err(|refused| format!("{}; wanted {}", refused.found, refused.wanted))?;
    let (signer, role) = signer(&args.identity, &spoke.name, config)?;
    let probe: Name = "call".parse().map_err(|_| "no name for the call")?;
    let id = TargetId { spoke: spoke.name.clone(), api: api.name.clone(), probe, zone: None };
    let signer_account = role.as_ref().map(|role| role.session.role_arn.account().clone());
    let target = Target {
        id,
        account: spoke.account.clone(),
        api: api.api.clone(),
        addressing: api.addressing,
        identity: args.identity.clone(),
        signer,
        signer_account,
        request: RequestTemplate {
            method: args.method.clone(),
            path_and_query,
            headers: args
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), ConfiguredText::Plain(value.clone())))
                .collect(),
            body: body(args.data.as_deref())?,
        },
        expectation: Expectation::default(),
        cadence: Cadence::Every(Duration::from_secs(60)),
        replica: Replica::ONLY,
        timeout: Duration::from_secs(args.timeout_seconds),
        fresh_connection: true,
        positive_control: None,
        twins: false,
    };
    Ok((target, role))
}

/// What is asked and as whom, as the first line of the progress.
pub(super) fn request_line(target: &Target, plan: &Plan) -> Option<String> {
    let address = endpoint::address(&plan.settings.endpoint, &target.api, target.addressing, None).ok()?;
    let who = match &target.signer {
        Signer::Anonymous => "unsigned".to_owned(),
        Signer::Hub => "signed as the hub".to_owned(),
        Signer::Role(session) => format!("signed as {}", session.role_arn),
    };
    let scheme = if address.connect.tls { "https" } else { "http" };
    let (method, path) = (&target.request.method, &target.request.path_and_query);
    Some(format!("{method} {scheme}://{}{}{path}, {who}", address.host, address.path_prefix))
}

fn body(data: Option<&str>) -> Result<Option<ConfiguredText>, String> {
    let Some(data) = data else { return Ok(None) };
    let text = match data.strip_prefix('@') {
        None => data.to_owned(),
        Some("-") => std::io::read_to_string(std::io::stdin()).map_err(|error| format!("-d @-: {error}"))?,
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("-d @{file}: {error}"))?,
    };
    Ok(Some(ConfiguredText::Plain(text)))
}

fn signer(identity: &Identity, own: &Name, config: &Config) -> Result<(Signer, Option<RoleInUse>), String> {
    let name = match identity {
        Identity::Anonymous => return Ok((Signer::Anonymous, None)),
        Identity::Hub => return Ok((Signer::Hub, None)),
        Identity::Spoke => own,
        Identity::OtherSpoke(name) => name,
    };
    let spoke = config.spokes.iter().find(|spoke| spoke.name == *name).ok_or_else(|| {
        let known: Vec<&str> = config.spokes.iter().map(|spoke| spoke.name.as_str()).collect();
        format!("no spoke {name} in the configuration; there are {}", known.join(", "))
    })?;
    let role = RoleInUse { session: Arc::clone(&spoke.session), spokes: vec![spoke.name.clone()] };
    Ok((Signer::Role(Arc::clone(&spoke.session)), Some(role)))
}

/// Puts names in the place of the words in capitals that stand for them.
type Fill<'a> = &'a dyn Fn(&str) -> String;

fn show(args: &CallArgs, attempted: &Attempted, fill: Fill<'_>) {
    let response = attempted.exchange.as_ref().and_then(|exchange| exchange.result.as_ref().ok());
    if args.json {
        output::json(&as_json(args, attempted, response, fill));
        return;
    }
    if let Some(response) = response {
        output::result(&format!("{} {}", response.status, reason_phrase(response.status)));
        let shown = |bytes: &[u8]| printable(&without_secrets(bytes, &attempted.sent_secrets));
        if args.verbose {
            for (name, value) in &response.headers {
                output::result(&format!("{name}: {}", shown(value.as_bytes())));
            }
            output::result("");
        }
        if !response.body.is_empty() {
            output::result(&shown(&response.body));
        }
    }
    if args.verbose
        && let Some(exchange) = &attempted.exchange
    {
        output::note(&times(exchange, &attempted.observation));
    }
    output::note(&verdict_line(&attempted.observation));
    if let Some(refusal) = &attempted.refusal {
        output::note(&refusal_lines(refusal, fill));
    }
    if (args.verbose || !attempted.observation.verdict.expected)
        && let Some(line) = marks_line(&attempted.observation.ids)
    {
        output::note(&line);
    }
}

fn as_json(
    args: &CallArgs,
    attempted: &Attempted,
    response: Option<&Response>,
    fill: Fill<'_>,
) -> serde_json::Value {
    let Observation { verdict, ids, code, .. } = &attempted.observation;
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    let shown = |bytes: &[u8]| without_secrets(bytes, &attempted.sent_secrets);
    let headers = response.map(|response| {
        response
            .headers
            .iter()
            .map(|(name, value)| json!([name.as_str(), shown(value.as_bytes())]))
            .collect::<Vec<_>>()
    });
    json!({
        "api": args.api,
        "method": args.method.as_str(),
        "path": args.path,
        "as": args.identity.to_string(),
        "code": code,
        "outcome": verdict.outcome().as_str(),
        "reason": verdict.reason.as_str(),
        "expected": verdict.expected,
        "message": verdict.message,
        "policy_arn": verdict.policy_arn,
        "request_id": ids.request_id,
        "extended_request_id": ids.extended_request_id,
        "trace_id": ids.trace_id,
        "sent_trace_id": ids.sent_trace_id,
        "refusal": attempted.refusal.as_ref().map(|refusal| refusal_json(refusal, fill)),
        "service_seconds": seconds(attempted.observation.service_time()),
        "headers": if args.verbose { headers } else { None },
        "body": response.map(|response| shown(&response.body)),
        "truncated": attempted.observation.truncated,
    })
}

/// What STS meant when there was no session to sign with.
pub(super) fn refusal_lines(refusal: &AssumeRoleRefusal, fill: Fill<'_>) -> String {
    let sure = if refusal.sure { "" } else { " (the text leaves more open)" };
    let mut lines = format!("  {}{sure}: {}", refusal.cause.as_str(), refusal.meaning);
    for (number, step) in (1..).zip(refusal.what_to_do) {
        lines.push_str(&format!("\n  {number}. {}", fill(step)));
    }
    lines.push_str("\n  who: ");
    lines.push_str(refusal.owner.words());
    lines
}

fn refusal_json(refusal: &AssumeRoleRefusal, fill: Fill<'_>) -> serde_json::Value {
    let what_to_do: Vec<String> = refusal.what_to_do.iter().map(|step| fill(step)).collect();
    json!({
        "cause": refusal.cause.as_str(),
        "sure": refusal.sure,
        "owner": refusal.owner.as_str(),
        "meaning": refusal.meaning,
        "what_to_do": what_to_do,
    })
}

/// The marks by which the spoke's team finds the request in its access log.
fn marks_line(ids: &RequestIds) -> Option<String> {
    let marks = [
        ("request id", &ids.request_id),
        ("extended request id", &ids.extended_request_id),
        ("sent trace id", &ids.sent_trace_id),
    ];
    let shown: Vec<String> = marks
        .iter()
        .filter_map(|(name, id)| id.as_deref().map(|id| format!("{name} {}", printable(id))))
        .collect();
    (!shown.is_empty()).then(|| format!("  {}", shown.join(", ")))
}

fn verdict_line(observation: &Observation) -> String {
    let verdict = &observation.verdict;
    let word = format!("{} / {}", verdict.outcome(), verdict.reason);
    let colour = if verdict.expected { output::Colour::Green } else { output::Colour::Red };
    let mut line = format!("{}: {}", output::paint(colour, &word), verdict.reason.meaning());
    if let Some(message) = &verdict.message {
        line.push_str("\n  ");
        line.push_str(&printable(message));
    }
    if let Some(arn) = &verdict.policy_arn {
        line.push_str("\n  policy: ");
        line.push_str(&printable(arn));
    }
    line
}

fn times(exchange: &Exchange, observation: &Observation) -> String {
    let ms = |span: Duration| span.as_secs_f64() * 1_000.0;
    let first = exchange
        .first_byte
        .map_or_else(String::new, |first| format!("first byte {:.1} ms, ", ms(first.since(exchange.sent))));
    let peer = exchange.peer.map_or_else(String::new, |peer| format!(" from {peer}"));
    format!("{first}whole answer {:.1} ms{peer}", observation.service_time().map_or(0.0, ms))
}

fn reason_phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

/// A part of an answer as text, with `***` for whatever it repeats of the secrets that were sent: a complaint
/// about a signature echoes the signed headers, session token included.
fn without_secrets(bytes: &[u8], secrets: &[Secret]) -> String {
    Hidden::new(secrets.iter().map(Secret::expose)).taken_out_of(&String::from_utf8_lossy(bytes))
}

/// An answer may try to talk to the terminal; only line ends and tabs get through.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_read_methods_and_headers() {
        assert_eq!(parse_method("post").unwrap(), Method::POST);
        assert!(parse_method("BREW").is_err());
        assert_eq!(parse_header("X-Team: a b ").unwrap(), ("x-team".parse().unwrap(), "a b".into()));
        for bad in ["nothing", "Host: x", "X-Amz-Date: x", "a b: c", "x: \u{7}"] {
            assert!(parse_header(bad).is_err(), "{bad}");
        }
    }

    /// One spoke without a signed probe, one without any.
    const CONFIGURATION: &str = "
hub: {region: eu-west-1, endpoint: {id: vpce-0123456789abcdef0}}
spokes:
  - name: payments
    account: \"012345678901\"
    apis:
      - {name: hoot, id: a1b2c3d4e5, stage: api, probes: [{name: open, request: GET /, as: anonymous}]}
  - name: orders
    account: \"222233334444\"
    apis: [{name: store, id: b2c3d4e5f6, stage: api}]
";

    #[test]
    fn every_api_and_every_role_can_be_called_whatever_is_probed() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: CallArgs,
        }
        let none = |_: &str| None;
        let config = crate::sources::load_plan_text("test", CONFIGURATION, &none).unwrap().config;
        let called = |api: &str, identity: &str| {
            let line = Line::try_parse_from(["call", api, "get", "/x", "--as", identity]).unwrap();
            target(&line.args, &config).map(|(target, role)| {
                (target.id.to_string(), role.map(|role| role.session.role_arn.to_string()))
            })
        };
        let role = |account| Some(format!("arn:aws:iam::{account}:role/spokeprobe"));
        assert_eq!(called("payments/hoot", "spoke"), Ok(("payments/hoot/call".into(), role("012345678901"))));
        assert_eq!(called("orders/store", "spoke"), Ok(("orders/store/call".into(), role("222233334444"))));
        assert_eq!(
            called("payments/hoot", "spoke:orders"),
            Ok(("payments/hoot/call".into(), role("222233334444")))
        );
        assert_eq!(called("payments/hoot", "anonymous"), Ok(("payments/hoot/call".into(), None)));
        assert!(
            called("payments/store", "hub").unwrap_err().contains("there are payments/hoot, orders/store")
        );
        assert!(called("payments/hoot", "spoke:nobody").unwrap_err().contains("there are payments, orders"));
    }

    #[test]
    fn an_answer_that_repeats_the_token_is_shown_without_it() {
        let secrets = [Secret::new("IQoJ/b3+token=="), Secret::new("")];
        let echo = r#"{"message":"The Canonical String was\nx-amz-security-token:IQoJ/b3+token==\n","n":"IQoJ\/b3+token=="}"#;
        let shown = without_secrets(echo.as_bytes(), &secrets);
        assert_eq!(shown, r#"{"message":"The Canonical String was\nx-amz-security-token:***\n","n":"***"}"#);
        assert_eq!(without_secrets(b"{\"hello\":\"world\"}", &secrets), "{\"hello\":\"world\"}");
    }

    #[test]
    fn an_answer_cannot_talk_to_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb\nc");
    }
}
