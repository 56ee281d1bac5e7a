//! `spokeprobe policy`: the least-privilege policies that the configuration implies, printed, merged into one that is in
//! use, or compared with it.

use super::{ConfigArgs, Exit, configuration, output};
use crate::domain::name::Name;
use crate::policy::{
    self, ApiBehind, Comparison, Existing, Limit, Merged, Policy, PrincipalForm, Refusal, Subject, grouped,
};
use crate::yaml::nearest;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any policy, and than what AWS's tools put around one.
const MOST_FILE_BYTES: u64 = 1024 * 1024;

/// Arguments of `policy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe policy vpc-endpoint                           who may pass the shared endpoint
  spokeprobe policy trust payments                         who may assume the role of this spoke
  spokeprobe policy permissions --json | jq .payments      what the role may call
  spokeprobe policy resource payments/hoot --merge now.json > next.json
  spokeprobe policy hub --against role.json                is the agent's own role as it should be?

What is printed are statements to add to the policies that are there: each Sid begins with Spokeprobe, and none
denies anything. A policy of these statements alone shuts out every other caller. Touches no network.

Exit status: 0 printed, or nothing missing and nothing too wide; 1 --against found something; 2 for a usage or
configuration error, or a policy that AWS would refuse.")]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// The policy of the shared endpoint: each role with the methods that its probes call
    #[command(after_help = "\
Examples:
  spokeprobe policy vpc-endpoint
  spokeprobe policy vpc-endpoint --pattern                 by role name and organisation
  aws ec2 describe-vpc-endpoints --vpc-endpoint-ids vpce-0123456789abcdef0 --output text \\
    --query 'VpcEndpoints[0].PolicyDocument' | spokeprobe policy vpc-endpoint --merge - > next.json")]
    VpcEndpoint {
        /// Name roles by their name in the organisation, not one by one; needs hub.organization.id
        #[arg(long)]
        pattern: bool,
        #[command(flatten)]
        shared: Shared,
    },
    /// The trust policy of each role that the agent assumes
    #[command(after_help = "\
Examples:
  spokeprobe policy trust payments
  aws iam get-role --role-name spokeprobe --query Role.AssumeRolePolicyDocument \\
    | spokeprobe policy trust payments --against -")]
    Trust {
        /// Only this spoke
        #[arg(value_name = "SPOKE")]
        of: Option<String>,
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        shared: Shared,
    },
    /// The permissions of each role: the methods that its probes call
    #[command(after_help = "\
Examples:
  spokeprobe policy permissions payments
  spokeprobe policy permissions --isolation --json         also what each role must be refused at")]
    Permissions {
        /// Only this spoke
        #[arg(value_name = "SPOKE")]
        of: Option<String>,
        /// Also let each role call the apis that it must be refused at, so that only they and the endpoint refuse it
        #[arg(long)]
        isolation: bool,
        #[command(flatten)]
        shared: Shared,
    },
    /// The resource policy of each api: who may call it through the shared endpoint
    #[command(after_help = "\
Examples:
  spokeprobe policy resource payments/hoot
  spokeprobe policy resource --json | jq '.[\"payments/hoot\"]'
  aws apigateway get-rest-api --rest-api-id a1b2c3d4e5 --query policy \\
    | spokeprobe policy resource payments/hoot --merge - > next.json

An api takes a changed policy only when its stage is deployed again.")]
    Resource {
        /// Only this spoke, or this api
        #[arg(value_name = "SPOKE[/API]")]
        of: Option<String>,
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        shared: Shared,
    },
    /// The permissions of the agent's own role: to assume exactly the roles in use
    #[command(after_help = "\
Examples:
  spokeprobe policy hub > hub.json
  spokeprobe policy hub --json                             for many spokes: hub-1, hub-2, … as managed policies")]
    Hub {
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(Debug, Args)]
struct Named {
    /// How a role is named: by a condition on its ARN, or by its ARN as principal, which breaks when it is made again
    #[arg(long, value_enum, default_value_t = Form::Condition)]
    principal: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Condition,
    RoleArn,
}

#[derive(Debug, Args)]
struct Shared {
    /// Print FILE with our statements added or replaced; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["against", "json"])]
    merge: Option<PathBuf>,
    /// Say what FILE lacks of our statements, or allows too much; may be repeated for policies that count together
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// What stands behind the custom domain name of an api; may be repeated
    #[arg(long, value_name = "SPOKE/API=ID/STAGE", value_parser = behind)]
    behind: Vec<ApiBehind>,
    /// Print one JSON object: policies by spoke or spoke/api, or the findings of --against
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

fn behind(text: &str) -> Result<ApiBehind, String> {
    let wanted = || "wanted SPOKE/API=ID/STAGE, such as orders/store=a1b2c3d4e5/live".to_owned();
    let (name, what) = text.split_once('=').ok_or_else(wanted)?;
    let (spoke, api) = name.split_once('/').ok_or_else(wanted)?;
    let (id, stage) = what.split_once('/').ok_or_else(wanted)?;
    let said = |invalid: crate::domain::Invalid| invalid.to_string();
    Ok(ApiBehind {
        spoke: spoke.parse().map_err(said)?,
        api: api.parse().map_err(said)?,
        id: id.parse().map_err(said)?,
        stage: stage.parse().map_err(said)?,
    })
}

pub(super) fn policy(args: &PolicyArgs) -> Exit {
    match run(args) {
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

fn run(args: &PolicyArgs) -> Result<Exit, Stopped> {
    let shared = args.kind.shared();
    let subject = read(shared)?;
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

fn read(shared: &Shared) -> Result<Subject, Stopped> {
    let loaded = configuration::read(&shared.config).ok_or(Stopped::Told)?;
    if !loaded.include_failures.is_empty() {
        for failure in &loaded.include_failures {
            configuration::report(&failure.problems);
        }
        let found =
            "an included file cannot be used, and policies of a part of the configuration are those of none";
        return Err(refused(found, "mend it"));
    }
    let by_domain: HashSet<(&Name, &Name)> = loaded
        .config
        .spokes
        .iter()
        .flat_map(|spoke| spoke.apis.iter().map(move |api| (spoke, api)))
        .filter(|(_, api)| matches!(api.api, crate::domain::api::ApiName::Domain { .. }))
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

impl Kind {
    fn shared(&self) -> &Shared {
        match self {
            Self::VpcEndpoint { shared, .. }
            | Self::Trust { shared, .. }
            | Self::Permissions { shared, .. }
            | Self::Resource { shared, .. }
            | Self::Hub { shared } => shared,
        }
    }

    fn of(&self) -> Option<&str> {
        match self {
            Self::Trust { of, .. } | Self::Permissions { of, .. } | Self::Resource { of, .. } => {
                of.as_deref()
            }
            Self::VpcEndpoint { .. } | Self::Hub { .. } => None,
        }
    }

    /// What to know about every policy of this kind.
    fn advice(&self) -> Vec<&'static str> {
        let mut advice = vec![match self {
            Self::VpcEndpoint { .. } => {
                "statements to add: applied alone, they shut out every other caller of the endpoint (see --merge)"
            }
            Self::Trust { .. } => {
                "statements to add: applied alone, they shut out everybody else who assumes the role (see --merge)"
            }
            Self::Resource { .. } => {
                "statements to add: applied alone, they shut out every other caller of the api (see --merge); they fit \
                 methods with IAM authorization, and count once the stage is deployed again"
            }
            Self::Permissions { .. } | Self::Hub { .. } => {
                "statements to add: put in the place of a policy that is there, they take away what it allowed (attach \
                 them beside it, or see --merge)"
            }
        }];
        if let Self::Trust { named, .. } | Self::Resource { named, .. } = self
            && named.principal == Form::RoleArn
        {
            advice.push(
                "a principal that names a role is stored as the role's unique id: when the role is deleted and made again, \
                 the statement stops matching and nobody tells",
            );
        }
        advice
    }
}

impl Named {
    fn form(&self) -> PrincipalForm {
        match self.principal {
            Form::Condition => PrincipalForm::Condition,
            Form::RoleArn => PrincipalForm::RoleArn,
        }
    }
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

/// One policy bare, so that it can be applied; several with a line above each.
fn print(kind: &Kind, policies: &[Policy]) {
    let size = |policy: &Policy| policy.limit.size(&policy.document.to_value());
    let against_limit = |policy: &Policy| {
        format!("{} of {} characters", grouped(size(policy)), grouped(policy.limit.characters()))
    };
    let head = |policy: &Policy| {
        format!("{}: for {}, {}", policy.keys.join(", "), policy.goes_into, against_limit(policy))
    };
    if kind.shared().json {
        let by_key: Map<String, Value> = policies
            .iter()
            .flat_map(|policy| policy.keys.iter().map(|key| (key.clone(), policy.document.to_value())))
            .collect();
        output::json(&Value::Object(by_key));
    } else if let [policy] = policies {
        output::result(&policy.limit.printed(&policy.document.to_value()).0);
    } else {
        let shown = |policy: &Policy| {
            format!("# {}\n{}\n", head(policy), policy.limit.printed(&policy.document.to_value()).0)
        };
        output::result(&policies.iter().map(shown).collect::<Vec<_>>().join("\n"));
    }
    match policies {
        [policy] => output::note(&head(policy)),
        _ => {
            if let Some(largest) = policies.iter().max_by_key(|policy| size(policy)) {
                let count = policies.len();
                output::note(&format!("{count} policies; the largest is {}", head(largest)));
            }
        }
    }
    notes(kind, policies);
}

/// Each note once, with whom it is about.
fn notes(kind: &Kind, policies: &[Policy]) {
    for advice in kind.advice() {
        output::note(&format!("note: {advice}"));
    }
    let mut about: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for policy in policies {
        let remark = policy.limit.remark(policy.limit.size(&policy.document.to_value()));
        for note in policy.notes.iter().cloned().chain(remark) {
            about.entry(note).or_default().extend(policy.keys.first().map(String::as_str));
        }
    }
    for (note, keys) in about {
        let whom = match keys.as_slice() {
            _ if policies.len() == 1 => String::new(),
            [one] if note.starts_with(one) => String::new(),
            [one] => format!("{one}: "),
            [first, ..] => format!("{first} and {} more: ", keys.len() - 1),
            [] => String::new(),
        };
        output::note(&format!("note: {whom}{note}"));
    }
}

fn merged(kind: &Kind, policy: &Policy, existing: &Existing, merged: &Merged) -> Exit {
    let limit: Limit = policy.limit;
    let (text, size) = limit.printed(&merged.document);
    output::result(&text);
    let list = |sids: &[String]| if sids.is_empty() { "none".to_owned() } else { sids.join(", ") };
    output::note(&format!(
        "for {}, {} of {} characters; added: {}; replaced: {}",
        policy.goes_into,
        grouped(size),
        grouped(limit.characters()),
        list(&merged.added),
        list(&merged.replaced)
    ));
    if !merged.left_over.is_empty() {
        output::note(&format!(
            "note: kept, although they follow from nothing in this configuration: {}",
            merged.left_over.join(", ")
        ));
    }
    for remark in existing.remarks().iter().chain(&policy.notes).chain(&limit.remark(size)) {
        output::note(&format!("note: {remark}"));
    }
    // Merged, the statements stand beside those of others; what remains is what is true of them anyway.
    for advice in kind.advice().iter().skip(1) {
        output::note(&format!("note: {advice}"));
    }
    Exit::Expected
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
    for remark in theirs.remarks().iter().chain(policies.iter().flat_map(|policy| &policy.notes)) {
        output::note(&format!("note: {remark}"));
    }
    Ok(if found.is_same() { Exit::Expected } else { Exit::Unexpected })
}

fn as_json(found: &Comparison) -> Value {
    let list = |findings: &[policy::Finding]| -> Value {
        findings.iter().map(|finding| json!({"sid": finding.sid, "text": finding.text})).collect()
    };
    json!({
        "missing": list(&found.missing),
        "too_wide": list(&found.too_wide),
        "not_ours": found.not_ours,
    })
}

fn as_text(found: &Comparison) -> String {
    let one_line = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    };
    let line = |word: &str, finding: &policy::Finding| {
        format!("{word:<9} {}: {}", one_line(&finding.sid), one_line(&finding.text))
    };
    let mut lines: Vec<String> = found.missing.iter().map(|finding| line("missing", finding)).collect();
    lines.extend(found.too_wide.iter().map(|finding| line("too wide", finding)));
    if found.is_same() {
        lines.push("ours      complete, and no wider than asked for".to_owned());
    }
    lines.extend(found.not_ours.iter().map(|sid| format!("{:<9} {}", "not ours", one_line(sid))));
    lines.join("\n")
}
