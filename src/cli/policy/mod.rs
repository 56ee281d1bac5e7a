//! `spokeprobe policy`: the least-privilege policies that the configuration implies, printed, merged into one that is in
//! use, or compared with it.
//!
//! `arguments` holds the command line, `shown` all that is printed; here is the way from one to the other.

mod arguments;
mod shown;

pub(in crate::cli) use arguments::PolicyArgs;

use super::{Exit, configuration, output};
use crate::domain::api::ApiName;
use crate::domain::name::Name;
use crate::policy::{self, Existing, Policy, Refusal, Subject};
use crate::yaml::{Problem, nearest};
use arguments::{Kind, Shared};
use shown::{as_json, as_text, merged, print};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More than any policy, and than what AWS's tools put around one.
const MOST_FILE_BYTES: u64 = 1024 * 1024;

pub(in crate::cli) async fn policy(args: PolicyArgs) -> Exit {
    match run(&args).await {
        Ok(exit) => exit,
        Err(Stopped::Told) => Exit::Usage,
        Err(Stopped::Refused(refusal)) => {
            output::error(&refusal.to_string());
            Exit::Usage
        }
    }
}

/// Why nothing is printed.
enum Stopped {
    /// It has been said already.
    Told,
    Refused(Refusal),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn refused(found: impl Into<String>, way_out: impl Into<String>) -> Stopped {
    Stopped::Refused(Refusal { found: found.into(), way_out: way_out.into() })
}

async fn run(args: &PolicyArgs) -> Result<Exit, Stopped> {
    let shared = args.kind.shared();
    let subject = read(shared).await?;
    let policies = chosen(&args.kind, &subject)?;
    for policy in &policies {
        policy.limit.check(&policy.document.to_value()).map_err(|refusal| {
            refused(format!("{}: {}", policy.keys.join(", "), refusal.found), refusal.way_out)
        })?;
    }
    if !shared.against.is_empty() {
        return against(&args.kind, &policies);
    }
    if let Some(file) = &shared.merge {
        let policy = only(&policies, "--merge")?;
        let existing = existing(file)?;
        return Ok(merged(&args.kind, policy, &existing, &policy::merge(&existing, policy)?));
    }
    print(&args.kind, &policies);
    Ok(Exit::Expected)
}

async fn read(shared: &Shared) -> Result<Subject, Stopped> {
    let loaded = configuration::read(&shared.config, shared.json).await.ok_or(Stopped::Told)?;
    if !loaded.include_failures.is_empty() {
        let failures = loaded.include_failures.iter();
        let problems: Vec<Problem> = failures.flat_map(|failure| failure.problems.clone()).collect();
        configuration::refuse(&problems, shared.json);
        let found =
            "an included file cannot be used, and policies of a part of the configuration are those of none";
        return Err(refused(found, "mend it"));
    }
    let by_domain: HashSet<(&Name, &Name)> = loaded
        .config
        .spokes
        .iter()
        .flat_map(|spoke| spoke.apis.iter().map(move |api| (spoke, api)))
        .filter(|(_, api)| matches!(api.api, ApiName::Domain { .. }))
        .map(|(spoke, api)| (&spoke.name, &api.name))
        .collect();
    for said in &shared.behind {
        if !by_domain.contains(&(&said.spoke, &said.api)) {
            let found = format!(
                "--behind names {}/{}, which is no api with a custom domain name",
                said.spoke, said.api
            );
            return Err(refused(found, "leave it out, or correct the name"));
        }
    }
    Ok(Subject::new(&loaded.config, &loaded.plan, &shared.behind))
}

/// The policies of a kind, those that were asked for. Each keeps only the keys that were.
fn chosen(kind: &Kind, subject: &Subject) -> Result<Vec<Policy>, Stopped> {
    let mut policies = match kind {
        Kind::VpcEndpoint { pattern, .. } => vec![subject.endpoint_policy(*pattern)?],
        Kind::Trust { named, .. } => subject.trust_policies(named.form())?,
        Kind::Permissions { isolation, .. } => subject.permission_policies(*isolation),
        Kind::Resource { named, .. } => subject.resource_policies(named.form())?,
        Kind::Hub { .. } => subject.hub_policies()?,
    };
    let known: Vec<String> = policies.iter().flat_map(|policy| policy.keys.clone()).collect();
    if let Some(of) = kind.of() {
        let below = format!("{of}/");
        for policy in &mut policies {
            policy.keys.retain(|key| key == of || key.starts_with(&below));
        }
        policies.retain(|policy| !policy.keys.is_empty());
        if policies.is_empty() {
            let hint = nearest(of, known.iter().map(String::as_str));
            let hint = hint.map_or_else(
                || "only what signs or is called with success needs one; guards need none".to_owned(),
                |word| format!("did you mean `{word}`?"),
            );
            return Err(refused(format!("the configuration implies no such policy for `{of}`"), hint));
        }
    }
    if policies.iter().all(|policy| policy.document.statements.is_empty()) {
        let way_out = "add a signed probe that expects to be let in";
        return Err(refused("the configuration implies no such policy: nothing must be let in", way_out));
    }
    Ok(policies)
}

fn only<'a>(policies: &'a [Policy], option: &str) -> Result<&'a Policy, Stopped> {
    match policies {
        [policy] => Ok(policy),
        _ => {
            let keys: Vec<&str> =
                policies.iter().filter_map(|policy| policy.keys.first()).map(String::as_str).collect();
            let shown = keys.get(..keys.len().min(8)).unwrap_or_default().join(", ");
            let more = if keys.len() > 8 { ", …" } else { "" };
            let found =
                format!("{option} takes one policy at a time, and there are {}: {shown}{more}", keys.len());
            Err(refused(found, "name one of them; the parts of a hub's policy are attached as they are"))
        }
    }
}

fn existing(file: &Path) -> Result<Existing, Stopped> {
    let name = file.display();
    let cannot = |why: std::io::Error| refused(format!("{name} cannot be read ({why})"), "name another file");
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    } else {
        let open = File::open(file).map_err(cannot)?;
        open.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    }
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(refused(format!("{name} is larger than 1 MiB"), "give the policy document alone"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| refused(format!("{name} is not UTF-8"), "give the policy document as JSON"))?;
    Existing::parse(&text)
        .map_err(|refusal| refused(format!("{name} holds {}", refusal.found), refusal.way_out))
}

fn against(kind: &Kind, policies: &[Policy]) -> Result<Exit, Stopped> {
    let shared = kind.shared();
    let mut files = shared.against.iter().map(|file| existing(file));
    let mut theirs = match files.next() {
        Some(first) => first?,
        None => return Ok(Exit::Expected),
    };
    for more in files {
        theirs.extend(&more?);
    }
    let mut ours = policies.iter();
    let mut document = ours.next().map(|policy| policy.document.clone()).unwrap_or_default();
    // The parts of a hub's policy count together; other policies go to different places.
    if matches!(kind, Kind::Hub { .. }) {
        document.statements.extend(ours.flat_map(|policy| policy.document.statements.clone()));
    } else {
        only(policies, "--against")?;
    }
    let found = policy::compare(&theirs, &document);
    if shared.json {
        output::json(&as_json(&found));
    } else {
        output::result(&as_text(&found));
    }
    for remark in
        theirs.remarks(kind.place(), &document).iter().chain(policies.iter().flat_map(|policy| &policy.notes))
    {
        output::note(&format!("note: {remark}"));
    }
    Ok(if found.is_same() { Exit::Expected } else { Exit::Unexpected })
}
