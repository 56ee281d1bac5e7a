//! A spoke: an account with private APIs, and the role the agent assumes in it.

use crate::config::api::{self, Api};
use crate::config::defaults::read_session_name;
use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Fields, Place, Value, configured, quoted};
use crate::config::surroundings::{Surroundings, refuse_repeated};
use crate::config::{FileReader, shapes};
use crate::domain::account::AccountId;
use crate::domain::arn::{ROLE_ARN_WANTED, ROLE_NAME_WANTED, RoleArn};
use crate::domain::credentials::RoleSession;
use crate::domain::name::{LabelName, Name};
use crate::domain::region::Partition;
use crate::domain::secret::ConfiguredText;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels of a spoke become labels of a metric, and each is a dimension.
const MAX_LABELS: usize = 10;
/// STS API reference, `AssumeRole`: `Tags`.
const MAX_SESSION_TAGS: usize = 50;
/// STS API reference, `AssumeRole`: `Policy`.
const MAX_SESSION_POLICY_CHARACTERS: usize = 2_048;

pub(crate) static SPOKE: Section = Section {
    about: "An account with private APIs and a role the agent assumes.",
    keys: &[
        Key::required("name", shapes::NAME, "payments", "The spoke's name, a label of its metrics."),
        Key::required(
            "account",
            shapes::ACCOUNT,
            "\"012345678901\"",
            "The account id. Quote it: editors and other tools read it as a number otherwise.",
        ),
        Key::optional(
            "role",
            shapes::ROLE,
            "spokeprobe",
            "The role to assume: a name, or a full ARN in this account. Default: defaults.role.",
        ),
        Key::optional(
            "external_id",
            shapes::EXTERNAL_ID,
            "spokeprobe-payments",
            "The external id that the role's trust policy asks for.",
        ),
        Key::optional(
            "session_name",
            shapes::SESSION_NAME,
            "spokeprobe",
            "The session name. Default: defaults.session_name.",
        ),
        Key::optional(
            "duration",
            shapes::SESSION_DURATION,
            "1h",
            "How long a session is asked for. Default: defaults.duration.",
        ),
        Key::optional(
            "session_policy",
            shapes::FILE,
            "narrow.json",
            "A JSON policy that narrows the session, a file relative to the main one, at most \
             2048 characters.",
        ),
        Key::optional(
            "session_tags",
            Shape::Map(&shapes::TAG_VALUE),
            "",
            "Session tags, at most 50; the trust policy must allow sts:TagSession.",
        ),
        Key::optional("labels", Shape::Map(&shapes::LABEL_VALUE), "", "Labels on spoke_info, at most 10."),
        Key::optional(
            "apis",
            Shape::List(&Shape::Section(&api::API)),
            "",
            "The private REST APIs of the spoke.",
        ),
    ],
};

/// A spoke, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoke {
    /// Its name.
    pub name: Name,
    /// Its account.
    pub account: AccountId,
    /// What is sent to AssumeRole.
    pub session: Arc<RoleSession>,
    /// Labels for `spoke_info`.
    pub labels: BTreeMap<LabelName, String>,
    /// Its apis.
    pub apis: Vec<Api>,
    /// Where it is.
    pub place: Place,
}

/// Reads a list of spokes.
pub(crate) fn read_all(value: &Value<'_>, around: &Surroundings<'_>) -> Vec<Spoke> {
    let items = value.named_items("spoke").unwrap_or_default();
    items.iter().filter_map(|item| read(item, around)).collect()
}

fn read(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Spoke> {
    let fields = value.fields(&SPOKE)?;
    let name: Option<Name> = fields.get("name").and_then(|v| v.parsed(Name::WANTED));
    let account = fields.get("account").and_then(|v| read_account(&v, around.bounds));
    let role_arn = read_role(&fields, account.as_ref(), around);
    let external_id = fields.get("external_id").and_then(|v| read_external_id(&v));
    let session_name = fields.get("session_name").and_then(|v| read_session_name(&v));
    let duration = fields.get("duration").and_then(|v| v.duration("15m", "12h"));
    let session_policy = fields.get("session_policy").and_then(|v| read_policy(&v, around.files));
    let session_tags = fields.get("session_tags").map(|v| read_tags(&v)).unwrap_or_default();
    let labels = fields.get("labels").map(|v| read_labels(&v)).unwrap_or_default();
    let apis = fields.get("apis").and_then(|v| v.named_items("api")).unwrap_or_default();
    let apis: Vec<Api> = apis.iter().filter_map(|item| api::read(item, around)).collect();
    refuse_repeated(value, apis.iter().map(|api| (&api.name, &api.place)), "api");
    let session = RoleSession {
        role_arn: role_arn?,
        session_name: session_name.unwrap_or_else(|| around.defaults.session_name.clone()),
        external_id,
        duration: duration.unwrap_or(around.defaults.duration),
        session_policy,
        session_tags,
    };
    Some(Spoke {
        name: name?,
        account: account?,
        session: Arc::new(session),
        labels,
        apis,
        place: value.place(),
    })
}

fn read_account(value: &Value<'_>, bounds: &[Vec<AccountId>]) -> Option<AccountId> {
    let text = value.text(AccountId::WANTED)?.text;
    let Ok(account) = text.parse::<AccountId>() else {
        // Tools that take the id for a number drop its leading zeros.
        let digits = text.len() < 12 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let hint = digits.then(|| format!("a lost leading zero? write \"{text:0>12}\", in quotes"));
        return match value.text(AccountId::WANTED)?.from_environment {
            true => value.refuse(AccountId::WANTED, None),
            false => value.refuse(AccountId::WANTED, hint.as_deref()),
        };
    };
    if bounds.iter().all(|accounts| accounts.contains(&account)) {
        Some(account)
    } else {
        let hint = "`include` binds the file to `accounts`";
        value.refuse("an account that this file may name", Some(hint))
    }
}

fn read_role(fields: &Fields<'_>, account: Option<&AccountId>, around: &Surroundings<'_>) -> Option<RoleArn> {
    let value = fields.get("role");
    let text = match &value {
        Some(value) => value.text(&shapes::ROLE.wanted())?.text,
        None => around.defaults.role.clone(),
    };
    // The defaults were checked where they stand.
    let at = value.as_ref().unwrap_or(&fields.value);
    if text.starts_with("arn:") {
        let Ok(arn) = text.parse::<RoleArn>() else { return at.refuse(ROLE_ARN_WANTED, None) };
        if account.is_some_and(|account| account != arn.account()) {
            return at.refuse(
                "a role in the spoke's own account",
                Some("write the name alone, or correct `account`"),
            );
        }
        if let Some(partition) = around.partition.filter(|partition| *partition != arn.partition()) {
            return at.refuse(format!("a role in the partition {partition} of the hub's region"), None);
        }
        return Some(arn);
    }
    // Without the account or the hub, a problem has been noted; the name is still checked.
    let partition = around.partition.unwrap_or(Partition::Aws);
    let stand_in = || "000000000000".parse::<AccountId>().ok();
    let arn = RoleArn::new(partition, account.cloned().or_else(stand_in)?, &text);
    match arn {
        Ok(arn) if !text.contains(':') => Some(arn),
        _ => at.refuse(ROLE_NAME_WANTED, None),
    }
}

fn read_external_id(value: &Value<'_>) -> Option<ConfiguredText> {
    let wanted = shapes::EXTERNAL_ID.wanted();
    let text = value.text(&wanted)?;
    let fits = (2..=1_224).contains(&text.text.len())
        && text.text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b));
    if fits { Some(configured(text)) } else { value.refuse(wanted, None) }
}

fn read_policy(value: &Value<'_>, files: FileReader<'_>) -> Option<String> {
    let text = files(value)?;
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
    let Ok(policy @ serde_json::Value::Object(_)) = parsed else {
        return value.problem("a file that is no JSON object", "a policy document in JSON", None);
    };
    // Spaces count against the limit of STS, so what is sent has none.
    let compact = policy.to_string();
    if policy.get("Statement").is_none() {
        return value.problem("a policy without `Statement`", "a policy document in JSON", None);
    }
    let characters = compact.chars().count();
    if characters > MAX_SESSION_POLICY_CHARACTERS {
        let found = format!("a policy of {characters} characters");
        return value.problem(found, "at most 2048 (without spaces)", None);
    }
    Some(compact)
}

fn read_tags(value: &Value<'_>) -> Vec<(String, String)> {
    let entries = value.entries("a map of tags").unwrap_or_default();
    if entries.len() > MAX_SESSION_TAGS {
        value.problem::<()>(format!("{} session tags", entries.len()), "at most 50", None);
    }
    let read = entries.iter().filter_map(|(key, tag)| {
        if key.is_empty() || key.chars().count() > 128 || key.starts_with("aws:") {
            tag.problem::<()>(
                format!("the tag key {}", quoted(key)),
                "1 to 128 characters, not beginning with aws:",
                None,
            );
        }
        let text = tag.text("a text")?.text;
        let fits = text.chars().count() <= 256;
        if fits { Some(((*key).to_owned(), text)) } else { tag.refuse(shapes::TAG_VALUE.wanted(), None) }
    });
    read.collect()
}

fn read_labels(value: &Value<'_>) -> BTreeMap<LabelName, String> {
    let entries = value.entries("a map of labels").unwrap_or_default();
    if entries.len() > MAX_LABELS {
        value.problem::<()>(format!("{} labels", entries.len()), "at most 10", None);
    }
    let read = entries.iter().filter_map(|(key, label)| {
        let name: Option<LabelName> = match key.parse() {
            Ok(name) => Some(name),
            Err(_) => label.problem(format!("the label name {}", quoted(key)), LabelName::WANTED, None),
        };
        let text = label.text("a text")?.text;
        let fits = text.chars().count() <= 256 && !text.chars().any(char::is_control);
        if fits { Some((name?, text)) } else { label.refuse(shapes::LABEL_VALUE.wanted(), None) }
    });
    read.collect()
}
