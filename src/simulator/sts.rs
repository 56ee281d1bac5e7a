//! STS in its query protocol: `AssumeRole` and `GetCallerIdentity`.
//!
//! Source: STS API reference, `AssumeRole`; the messages are those that published captures show.

use super::deterministic::Sequence;
use super::evaluation::{Side, keys};
use super::faults::apply_fault;
use super::keys::Issued;
use super::policy::{self, CallerSession, Decision, Policy, Request};
use super::reply::Reply;
use super::signature::{Claim, Rejection, Verifier};
use super::state::State;
use super::sts_answers::{StsRefusal, escape, success};
use super::times::{http_date, iso_time, offset};
use super::wire::RawRequest;
use super::world::{Account, Role, World, account_id};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How a caller proves who it is.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// By the request's signature.
    Signature,
    /// By showing the credentials.
    Holder(Holder<'a>),
}

/// Credentials as their holder shows them.
#[derive(Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
    pub(crate) session_token: Option<&'a str>,
}

type Form = BTreeMap<String, String>;

/// Answers and counts one call.
pub(crate) fn respond(state: &mut State, proof: Proof<'_>, request: &RawRequest, now: SystemTime) -> Reply {
    let form = read_form(&request.body);
    let action = form.get("Action").cloned().unwrap_or_default();
    let request_id = state.sequence.request_id();
    let result = act(state, proof, request, &form, now);
    let mut code = match &result {
        Ok(_) => "ok".to_owned(),
        Err(refusal) => refusal.code.clone(),
    };
    let mut reply = match result {
        Ok(result) => success(&action, &result, &request_id),
        Err(refusal) => refusal.reply(&request_id),
    };
    reply.delay = state.world.sts.latency.get();
    if let Some(fault) = state.world.sts.fault {
        apply_fault(&mut reply, fault);
        code = if reply.code() == "none" { "none".into() } else { code };
    }
    let known = ["AssumeRole", "GetCallerIdentity"].contains(&action.as_str());
    let role = form.get("RoleArn").map_or("", String::as_str);
    state.counters.sts(
        if known { &action } else { "other" },
        role.get(..role.len().min(200)).unwrap_or(""),
        &code,
    );
    reply.with("Date", http_date(offset(now, state.world.sts.clock_offset_seconds)))
}

fn act(
    state: &mut State,
    proof: Proof<'_>,
    request: &RawRequest,
    form: &Form,
    now: SystemTime,
) -> Result<String, StsRefusal> {
    if state.world.sts.throttled {
        return Err(StsRefusal::new(400, "Throttling", "Rate exceeded"));
    }
    let sts_now = offset(now, state.world.sts.clock_offset_seconds);
    let caller =
        authenticate(state, proof, request, sts_now).map_err(|rejection| StsRefusal::of(&rejection))?;
    match form.get("Action").map(String::as_str) {
        Some("GetCallerIdentity") => {
            let CallerSession { account, session_arn, .. } = &caller.caller;
            let user = Sequence::role_id(&caller.caller.role_arn);
            let session = session_arn.rsplit('/').next().unwrap_or_default();
            Ok(format!(
                "    <Arn>{}</Arn>\n    <UserId>{user}:{}</UserId>\n    <Account>{account}</Account>\n",
                escape(session_arn),
                escape(session)
            ))
        }
        Some("AssumeRole") => assume_role(state, &caller, form, now),
        _ => {
            let action = form.get("Action").map_or("", String::as_str);
            let text = format!("Could not find operation {action} for version 2011-06-15");
            Err(StsRefusal::new(400, "InvalidAction", text))
        }
    }
}

fn authenticate(
    state: &State,
    proof: Proof<'_>,
    request: &RawRequest,
    now: SystemTime,
) -> Result<Issued, Rejection> {
    let claim = match proof {
        Proof::Holder(holder) => {
            let issued = state.keys.find(holder.access_key_id).ok_or(Rejection::TokenInvalid)?;
            let key = issued.key(now);
            if (key.secret, key.token) != (holder.secret_access_key, holder.session_token) {
                return Err(Rejection::TokenInvalid);
            }
            return if key.expired { Err(Rejection::TokenExpired) } else { Ok(issued.clone()) };
        }
        Proof::Signature => Claim::of(request),
    };
    match claim {
        Claim::Signed(claim) => {
            let verifier = Verifier { service: "sts", region: &state.world.region, now };
            let found = state.keys.find(&claim.access_key_id);
            verifier.verify(request, &claim, |_| found.map(|issued| issued.key(now)))?;
            found.cloned().ok_or(Rejection::TokenInvalid)
        }
        Claim::Broken(rejection) => Err(rejection),
        Claim::Other(header) => Err(super::signature::not_key_value(&header)),
        Claim::Unsigned => Err(Rejection::Incomplete("Request is missing Authentication Token".into())),
    }
}

fn assume_role(
    state: &mut State,
    caller: &Issued,
    form: &Form,
    now: SystemTime,
) -> Result<String, StsRefusal> {
    let world = &state.world;
    let arn = form.get("RoleArn").cloned().unwrap_or_default();
    let session_name = session_name(form)?;
    let seconds = match form.get("DurationSeconds") {
        None => 3600,
        Some(text) => duration_seconds(text)?,
    };
    let tags = tags(form)?;
    let session_policy = session_policy(form)?;
    // A role that does not exist is refused in the same words as one that does not trust the caller.
    let denied = |action: &str| {
        let who = &caller.caller.session_arn;
        let text = format!("User: {who} is not authorized to perform: {action} on resource: {arn}");
        StsRefusal::new(403, "AccessDenied", text)
    };
    let (account, role) = world.role_by_arn(&arn).ok_or_else(|| denied("sts:AssumeRole"))?;
    if let Some(error) = &role.sts_error {
        return Err(StsRefusal::new(error.status, &error.code, &*error.message));
    }
    for action in ["sts:AssumeRole", "sts:TagSession"] {
        if action == "sts:TagSession" && tags.is_empty() {
            continue;
        }
        if !is_trusted(world, caller, (account, role), action, form, &session_name, &tags) {
            return Err(denied(action));
        }
    }
    if caller.is_role_session() && seconds > 3600 {
        let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(StsRefusal::validation(text));
    }
    if Duration::from_secs(seconds) > role.max_session_duration.get() {
        let text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(StsRefusal::validation(text));
    }
    let asked = Duration::from_secs(seconds);
    let life = role.session_life.map_or(asked, |life| life.get().min(asked));
    let name = role.name.rsplit('/').next().unwrap_or(&role.name);
    let session_arn =
        format!("arn:{}:sts::{}:assumed-role/{name}/{session_name}", world.partition(), account.id);
    let mut all_tags = role.tags.clone();
    all_tags.extend(tags);
    let session = CallerSession {
        account: account_id(&account.id).ok_or_else(|| denied("sts:AssumeRole"))?,
        role_arn: arn.clone(),
        session_arn: session_arn.clone(),
        organization: account.organization.clone(),
        tags: all_tags,
    };
    let (secret, token) = (state.sequence.secret_access_key(), state.sequence.session_token());
    let issued = Issued {
        secret: secret.clone(),
        token: Some(token.clone()),
        expires_at: Some(now + life),
        revoked_at: role.revoked_after.map(|span| now + span.get()),
        caller: session,
        session_policy,
        role: (account.id.clone(), role.name.clone()),
    };
    let id = state.keys.add(&mut state.sequence, issued);
    Ok(format!(
        "    <AssumedRoleUser>\n      <AssumedRoleId>{}:{session_name}</AssumedRoleId>\n      \
         <Arn>{session_arn}</Arn>\n    </AssumedRoleUser>\n    <Credentials>\n      \
         <AccessKeyId>{id}</AccessKeyId>\n      <SecretAccessKey>{secret}</SecretAccessKey>\n      \
         <SessionToken>{token}</SessionToken>\n      <Expiration>{}</Expiration>\n    </Credentials>\n",
        Sequence::role_id(&arn),
        iso_time(now + life)
    ))
}

fn is_trusted(
    world: &World,
    caller: &Issued,
    (account, role): (&Account, &Role),
    action: &str,
    form: &Form,
    session_name: &str,
    tags: &BTreeMap<String, String>,
) -> bool {
    let Some(trust) = &role.trust else { return false };
    let arn = world.role_arn(&account.id, &role.name);
    let mut context = keys([("sts:RoleSessionName", session_name.to_owned())]);
    if let Some(external_id) = form.get("ExternalId") {
        context.insert("sts:ExternalId".into(), vec![external_id.clone()]);
    }
    for (name, value) in tags {
        context.insert(format!("aws:RequestTag/{name}"), vec![value.clone()]);
    }
    if !tags.is_empty() {
        context.insert("aws:TagKeys".into(), tags.keys().cloned().collect());
    }
    let request = Request { action, resource: &arn, context };
    let side = Side::of(world, caller);
    let same_account = caller.caller.account.as_str() == account.id;
    policy::assume_role(trust.policy(), &caller.caller, side.policies(), same_account, &request)
        == Decision::Allowed
}

fn constraint(value: &str, field: &str, rule: &str) -> StsRefusal {
    StsRefusal::validation(format!(
        "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {rule}"
    ))
}

fn session_name(form: &Form) -> Result<String, StsRefusal> {
    let name = form.get("RoleSessionName").cloned().unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) {
        let rule = "Member must have length between 2 and 64";
        return Err(constraint(&name, "roleSessionName", rule));
    }
    if !name.chars().all(allowed) {
        let rule = "Member must satisfy regular expression pattern: [\\w+=,.@-]*";
        return Err(constraint(&name, "roleSessionName", rule));
    }
    Ok(name)
}

fn duration_seconds(text: &str) -> Result<u64, StsRefusal> {
    let seconds = text.parse::<u64>().ok();
    match seconds {
        Some(seconds) if seconds < 900 => {
            Err(constraint(text, "durationSeconds", "Member must have value greater than or equal to 900"))
        }
        Some(seconds) if seconds > 43_200 => {
            Err(constraint(text, "durationSeconds", "Member must have value less than or equal to 43200"))
        }
        Some(seconds) => Ok(seconds),
        None => Err(StsRefusal::new(400, "MalformedInput", "DurationSeconds is no number")),
    }
}

/// Session tags, at most 50 (IAM user guide, "Pass session tags in AWS STS").
fn tags(form: &Form) -> Result<BTreeMap<String, String>, StsRefusal> {
    let mut tags = BTreeMap::new();
    for index in 1.. {
        let Some(key) = form.get(&format!("Tags.member.{index}.Key")) else { break };
        let value = form.get(&format!("Tags.member.{index}.Value")).cloned().unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(constraint(
                key,
                "tags",
                "Member must have length between 1 and 128, its value at most 256",
            ));
        }
        tags.insert(key.clone(), value);
    }
    if tags.len() > 50 {
        return Err(constraint("", "tags", "Member must have length less than or equal to 50"));
    }
    Ok(tags)
}

fn session_policy(form: &Form) -> Result<Option<Policy>, StsRefusal> {
    let Some(text) = form.get("Policy") else { return Ok(None) };
    if text.len() > 2048 {
        let percent = text.len() * 100 / 2048;
        let message = format!("Packed size of session policy consumes {percent}% of allotted space.");
        return Err(StsRefusal::new(400, "PackedPolicyTooLarge", message));
    }
    let refusal = |problem: String| StsRefusal::new(400, "MalformedPolicyDocument", problem);
    Policy::parse(text).map(Some).map_err(refusal)
}

/// A form as browsers send it; later repetitions of a name win.
fn read_form(body: &[u8]) -> Form {
    let text = String::from_utf8_lossy(body);
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .take(500)
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
