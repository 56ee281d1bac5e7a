//! `spokeprobe call`: one signed request, judged as a probe would be.

use super::{ConfigArgs, Exit, configuration, output};
use crate::app::{Once, Seams};
use crate::attempt::Attempted;
use crate::config::path;
use crate::domain::credentials::RoleInUse;
use crate::domain::expectation::Expectation;
use crate::domain::identity::{Identity, Signer};
use crate::domain::name::Name;
use crate::domain::observation::Observation;
use crate::domain::request::{Exchange, RequestTemplate, Response};
use crate::domain::secret::ConfiguredText;
use crate::domain::target::{Cadence, Target};
use crate::endpoint;
use crate::plan::Plan;
use clap::Args;
use http::{HeaderName, Method};
use serde_json::json;
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
    #[arg(long, value_name = "SECONDS", default_value_t = 31, value_parser = clap::value_parser!(u64).range(1..=300))]
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

/// The methods API Gateway knows.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

fn parse_method(text: &str) -> Result<Method, String> {
    METHODS
        .into_iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "wanted GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS".to_owned())
}

fn parse_header(text: &str) -> Result<(HeaderName, String), String> {
    let (name, value) = text.split_once(':').ok_or("wanted 'Name: value'")?;
    let name: HeaderName = name.trim().parse().map_err(|_| "this is not a header name".to_owned())?;
    if crate::config::is_reserved_header(&name) {
        return Err(format!("{name} is set by the agent itself"));
    }
    let value = value.trim();
    http::HeaderValue::from_str(value).map_err(|_| "this value cannot be sent".to_owned())?;
    Ok((name, value.to_owned()))
}

pub(super) async fn call(args: CallArgs) -> Exit {
    // What is odd about other probes is no news here.
    let Some(loaded) = configuration::read(&args.config) else { return Exit::Usage };
    let plan = loaded.plan;
    let (target, role) = match target(&args, &plan) {
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
    match Once::new(seams, plan.settings.clone()).attempt(target, role).await {
        Ok(attempted) => {
            show(&args, &attempted);
            if attempted.observation.verdict.expected { Exit::Expected } else { Exit::Unexpected }
        }
        Err(failure) => {
            output::error(&failure.to_string());
            Exit::Unexpected
        }
    }
}

/// The target that the arguments describe. An api is known by the probes it has.
fn target(args: &CallArgs, plan: &Plan) -> Result<(Target, Option<RoleInUse>), String> {
    let (spoke, api) = args.api.split_once('/').ok_or("the api is given as SPOKE/API")?;
    let like = plan
        .targets
        .iter()
        .find(|target| target.id.spoke.as_str() == spoke && target.id.api.as_str() == api)
        .ok_or_else(|| {
            let mut known: Vec<String> =
                plan.targets.iter().map(|target| format!("{}/{}", target.id.spoke, target.id.api)).collect();
            known.dedup();
            format!("no api {spoke}/{api} in the configuration; there are {}", known.join(", "))
        })?;
    let path_and_query = path::encode(&args.path)
        .map_err(|refused| format!("{}; wanted {}", refused.found, refused.wanted))?;
    let (signer, role) = signer(&args.identity, &like.id.spoke, plan)?;
    let mut id = like.id.clone();
    id.zone = None;
    let signer_account = role.as_ref().map(|role| role.session.role_arn.account().clone());
    let target = Target {
        id,
        account: like.account.clone(),
        api: like.api.clone(),
        addressing: like.addressing,
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
        timeout: Duration::from_secs(args.timeout_seconds),
        fresh_connection: true,
        positive_control: None,
        twins: false,
    };
    Ok((target, role))
}

/// What is asked and as whom, as the first line of the progress.
fn request_line(target: &Target, plan: &Plan) -> Option<String> {
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

fn signer(identity: &Identity, own: &Name, plan: &Plan) -> Result<(Signer, Option<RoleInUse>), String> {
    let spoke = match identity {
        Identity::Anonymous => return Ok((Signer::Anonymous, None)),
        Identity::Hub => return Ok((Signer::Hub, None)),
        Identity::Spoke => own,
        Identity::OtherSpoke(name) => name,
    };
    let role = plan
        .roles
        .iter()
        .find(|role| role.spokes.contains(spoke))
        .ok_or_else(|| format!("no spoke {spoke} in the configuration"))?;
    Ok((Signer::Role(std::sync::Arc::clone(&role.session)), Some(role.clone())))
}

fn show(args: &CallArgs, attempted: &Attempted) {
    let response = attempted.exchange.as_ref().and_then(|exchange| exchange.result.as_ref().ok());
    if args.json {
        output::json(&as_json(args, attempted, response));
        return;
    }
    if let Some(response) = response {
        output::result(&format!("{} {}", response.status, reason_phrase(response.status)));
        if args.verbose {
            for (name, value) in &response.headers {
                output::result(&format!("{name}: {}", printable(&String::from_utf8_lossy(value.as_bytes()))));
            }
            output::result("");
        }
        if !response.body.is_empty() {
            output::result(&printable(&String::from_utf8_lossy(&response.body)));
        }
    }
    if args.verbose
        && let Some(exchange) = &attempted.exchange
    {
        output::note(&times(exchange, &attempted.observation));
    }
    output::note(&verdict_line(&attempted.observation));
}

fn as_json(args: &CallArgs, attempted: &Attempted, response: Option<&Response>) -> serde_json::Value {
    let Observation { verdict, ids, code, .. } = &attempted.observation;
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    let headers = response.map(|response| {
        response
            .headers
            .iter()
            .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
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
        "service_seconds": seconds(attempted.observation.service_time()),
        "headers": if args.verbose { headers } else { None },
        "body": response.map(|response| String::from_utf8_lossy(&response.body).into_owned()),
        "truncated": attempted.observation.truncated,
    })
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

/// An answer may try to talk to the terminal; only line ends and tabs get through.
fn printable(text: &str) -> String {
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

    #[test]
    fn an_answer_cannot_talk_to_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb\nc");
    }
}
