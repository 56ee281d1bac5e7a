//! The credentials endpoint of a container, as ECS has it.
//!
//! Source: ECS developer guide, "Task IAM role". Tokens are compared plainly: nothing real is guarded.

use super::keys::Issued;
use super::policy::CallerSession;
use super::reply::Reply;
use super::state::State;
use super::times::iso_time;
use super::wire::RawRequest;
use super::world::account_id;
use std::time::SystemTime;

/// The path that hands out the hub's credentials.
pub(crate) const PATH: &str = "/v2/credentials/0d9e6a52-5c5e-4f0a-9d1c-1f2f3f4f5f6f";

const JSON: &str = "application/json";

pub(crate) fn respond(state: &mut State, token: &str, request: &RawRequest, now: SystemTime) -> Reply {
    if request.header_text("authorization") != Some(token) {
        return Reply::new(
            401,
            JSON,
            r#"{"code":"AuthorizationFailed","message":"Unknown authorization token"}"#,
        );
    }
    if request.method != "GET" || request.path() != PATH {
        return Reply::new(
            404,
            JSON,
            r#"{"code":"InvalidIdInRequest","message":"Credentials ID not found"}"#,
        );
    }
    if state.world.hub.credentials_gone {
        return Reply::new(500, JSON, r#"{"code":"InternalServerError","message":"no credentials"}"#);
    }
    let life = state.world.hub.credentials_life.get();
    // Fresh ones come in time before the old ones end, as a real task's agent does.
    let current = state.hub_key.take().filter(|(_, began)| now < *began + life / 2);
    let current = current.or_else(|| issue(state, now).map(|id| (id, now)));
    state.hub_key.clone_from(&current);
    let found = current.and_then(|(id, _)| state.keys.find(&id).map(|issued| (id, issued.clone())));
    let Some((id, issued)) = found else {
        return Reply::new(500, JSON, r#"{"code":"InternalServerError","message":"no credentials"}"#);
    };
    let body = serde_json::json!({
        "RoleArn": issued.caller.role_arn,
        "AccessKeyId": id,
        "SecretAccessKey": issued.secret,
        "Token": issued.token,
        "Expiration": issued.expires_at.map(iso_time),
    });
    Reply::new(200, JSON, body.to_string())
}

fn issue(state: &mut State, now: SystemTime) -> Option<String> {
    let (world, hub) = (&state.world, &state.world.hub);
    let account = world.account(&hub.account)?;
    let role = world.role(&hub.account, &hub.role)?;
    let name = role.name.rsplit('/').next().unwrap_or(&role.name);
    let caller = CallerSession {
        account: account_id(&account.id)?,
        role_arn: world.role_arn(&account.id, &role.name),
        session_arn: format!(
            "arn:{}:sts::{}:assumed-role/{name}/{}",
            world.partition(),
            account.id,
            hub.session
        ),
        organization: account.organization.clone(),
        tags: role.tags.clone(),
    };
    let issued = Issued {
        secret: state.sequence.secret_access_key(),
        token: Some(state.sequence.session_token()),
        expires_at: Some(now + hub.credentials_life.get()),
        revoked_at: role.revoked_after.map(|span| now + span.get()),
        caller,
        session_policy: None,
        role: (account.id.clone(), role.name.clone()),
    };
    Some(state.keys.add(&mut state.sequence, issued))
}
