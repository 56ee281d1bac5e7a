//! From documents to a configuration: every value checked and spelled in the domain's types. Pure.
//!
//! A file per section holds the section's table of keys (`keys`) beside the code that reads it (`reader`).
//! Files, globs and the environment are fetched by `sources` and come in as arguments; what targets follow
//! from a configuration is `plan`'s business. All problems are collected, so nobody mends one to meet the
//! next.

mod api;
mod defaults;
mod documents;
mod environment;
mod expect;
mod hub;
mod include;
mod isolation;
mod keys;
mod load;
mod loads;
mod members;
pub mod path;
mod probe;
mod reader;
mod request;
mod schema;
mod shapes;
mod spoke;
mod surroundings;
#[cfg(test)]
mod tests;
pub mod units;
mod web;

pub use api::Api;
pub use defaults::{Defaults, Limits};
pub use documents::{AsLastRead, Document, Documents, IncludedDocument};
pub use hub::{Endpoint, Hub, Organization};
pub use include::Include;
pub use isolation::Isolation;
pub use load::LoadRules;
pub use loads::{Load, LoadProblem, ProbeSpec, probe_of, read_load};
pub use probe::Probe;
pub use reader::Place;
pub use request::{METHODS, is_reserved_header, request_line};
pub use schema::json_schema;
pub use spoke::Spoke;
pub use web::{DEFAULT_BUCKETS, DEFAULT_PORT, Web};

use crate::config::environment::Allowed;
use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Context, Fields, Value};
use crate::config::surroundings::Surroundings;
use crate::domain::identity::Identity;
use crate::domain::name::Name;
use crate::yaml::{Kind, Node, Problem};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Looks a name of the environment up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the file that a value names; notes a problem if that cannot be.
pub(crate) type FileReader<'a> = &'a dyn Fn(&Value<'_>) -> Option<String>;

pub(crate) static MAIN: Section = Section {
    about: "The configuration of spokeprobe.",
    keys: &[
        Key::required("hub", Shape::Section(&hub::HUB), "", "The account and VPC that the agent runs in."),
        Key::optional("web", Shape::Section(&web::WEB), "", "The agent's own HTTP server."),
        Key::optional("metrics", Shape::Section(&web::METRICS), "", "Metrics."),
        Key::optional("defaults", Shape::Section(&defaults::DEFAULTS), "", "What spokes and probes inherit."),
        Key::optional("limits", Shape::Section(&defaults::LIMITS), "", "What the agent never exceeds."),
        Key::optional(
            "isolation",
            Shape::Section(&isolation::ISOLATION),
            "",
            "Tries the role of every spoke at the apis of every other spoke. Off without this key; `isolation: {}` \
             turns it on, with its defaults.",
        ),
        Key::optional("spokes", Shape::List(&Shape::Section(&spoke::SPOKE)), "", "The spokes."),
        Key::optional("load", Shape::Section(&load::LOAD), "", "What all runs of load share."),
        Key::optional("members", Shape::Section(&members::MEMBERS), "", "The agents that share the targets."),
        Key::optional("loads", Shape::List(&Shape::Section(&loads::LOAD)), "", "Runs of load."),
        Key::optional(
            "include",
            Shape::List(&Shape::Either(&shapes::GLOB, &Shape::Section(&include::BOUND))),
            "",
            "Further files with spokes, relative to this one. A path must be there; a pattern, that is one with `*`, `?` \
             or `[`, may match nothing.",
        ),
    ],
};

/// What a document names outside itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Its `include`.
    pub includes: Vec<Include>,
    /// The files that its values name, as written.
    pub files: BTreeSet<String>,
    /// Those on the machine the agent runs on, wherever the document is: absolute paths.
    pub local_files: BTreeSet<String>,
}

/// A configuration without problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The hub.
    pub hub: Hub,
    /// The web server.
    pub web: Web,
    /// Upper bounds of the latency histograms in seconds.
    pub buckets: Vec<f64>,
    /// The ceilings.
    pub limits: Limits,
    /// The spokes, those of included files last.
    pub spokes: Vec<Spoke>,
    /// All included files, those that were left out too.
    pub included_files: Vec<String>,
    /// Whether and how roles are tried at foreign apis.
    pub isolation: Option<Isolation>,
    /// The agents that share the targets.
    pub members: Option<crate::members::Settings>,
    /// What all runs of load share.
    pub load: LoadRules,
    /// Runs of load.
    pub loads: Vec<Load>,
    /// Included files that were left out, with their problems.
    pub include_failures: Vec<IncludeFailure>,
    /// Included files that cannot be used now and are in use as they were last read, with their problems.
    pub includes_as_last_read: Vec<IncludeFailure>,
    /// Probes and loads that were left out because they need what is in a file that was left out.
    pub left_out: Vec<LeftOut>,
    /// The main document as a whole.
    pub place: Place,
}

/// An included file that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncludeFailure {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Nothing is wrong with it but that it names spokes of files that were left out, or of none.
    pub names_unknown_spokes: bool,
}

/// A probe or a load that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path.
    pub path: String,
    /// What it needs, such as "the spoke `orders`".
    pub needs: String,
}

/// What a document names outside itself. Problems are not reported here: `read` meets them again.
#[must_use]
pub fn references(document: &Document, is_main: bool, environment: Environment<'_>) -> References {
    let allowed = if is_main { Allowed::All } else { Allowed::OwnOnly };
    let context = Context::new(&document.file, allowed, environment);
    let mut references = References::default();
    let root = Value::root(&context, &document.tree);
    if is_main {
        if let Some(include) = child(&root, "include") {
            references.includes = include::read(&include);
        }
        let endpoint = child(&root, "hub").and_then(|hub| child(&hub, "endpoint"));
        let ca_file = endpoint.and_then(|endpoint| child(&endpoint, "ca_file"));
        references.files.extend(ca_file.and_then(|v| v.text("a path")).map(|path| path.text));
        let web_file = child(&root, "web").and_then(|web| child(&web, "config_file"));
        if let Some(path) = web_file.and_then(|v| v.text("a path")) {
            let local = web::is_beside_the_agent(&document.file, &path.text);
            let among = if local { &mut references.local_files } else { &mut references.files };
            among.insert(path.text);
        }
    }
    let spokes = child(&root, "spokes").filter(Value::is_list).and_then(|v| v.items("a list"));
    for spoke in spokes.unwrap_or_default() {
        let path = child(&spoke, "session_policy").and_then(|v| v.text("a path"));
        references.files.extend(path.map(|path| path.text).filter(|path| is_main || stays_inside(path)));
    }
    references
}

/// Reads all documents into one configuration.
///
/// Included files with problems are left out and named in the result; problems of the main file are errors,
/// and then those of the included files are reported with them.
///
/// # Errors
/// All problems, in the order of their places.
pub fn read(documents: &Documents, environment: Environment<'_>) -> Result<Config, Vec<Problem>> {
    let context = Context::new(&documents.main.file, Allowed::All, environment);
    let main_files = |value: &Value<'_>| file_text(value, &documents.files, true);
    let main = read_main(&context, &documents.main, &main_files);
    let endpoint = main.hub.as_ref().map(|hub| &hub.endpoint);
    let partition = main.hub.as_ref().map(|hub| hub.region.partition());

    let mut names: HashSet<String> = raw_names(&documents.main.tree);
    let mut spokes = main.spokes;
    let mut include_failures = Vec::new();
    let mut accepted: Vec<Vec<Spoke>> = Vec::new();
    let mut includes_as_last_read = Vec::new();
    for included in &documents.included {
        let files = included.as_last_read.as_ref().map_or(&documents.files, |last_read| &last_read.files);
        let included_files = |value: &Value<'_>| file_text(value, files, false);
        let document = match &included.document {
            Ok(document) => document,
            Err(problems) => {
                include_failures.push(included.unreadable(problems));
                continue;
            }
        };
        let around = Surroundings {
            defaults: &main.defaults,
            partition,
            endpoint,
            files: &included_files,
            bounds: &included.bounds,
        };
        let others: Vec<&Spoke> = spokes.iter().chain(accepted.iter().flatten()).collect();
        let stands_in = included.as_last_read.is_some();
        let beside: &[&Spoke] = if stands_in { &[] } else { &others };
        let read = read_included(document, &around, environment, beside);
        match read.and_then(|read| if stands_in { giving_way(read, &others) } else { Ok((read, Vec::new())) })
        {
            Ok((read, displaced)) => {
                accepted.push(read);
                includes_as_last_read.extend(included.running_on(displaced));
            }
            Err(problems) => include_failures.push(included.failed_with(problems)),
        }
    }
    refuse_unknown_spokes(&mut accepted, &names, &mut include_failures);
    includes_as_last_read
        .retain(|stale: &IncludeFailure| !include_failures.iter().any(|failure| failure.file == stale.file));
    // What stands in for a file does not have what the file may have now.
    let some_are_missing = !include_failures.is_empty() || !includes_as_last_read.is_empty();
    let from_includes = accepted.iter().flatten().map(|spoke| spoke.name.to_string());
    names.extend(from_includes.collect::<Vec<_>>());
    let mut left_out = check_main_spokes(&context, &mut spokes, &names, some_are_missing);
    if !some_are_missing {
        isolation::refuse_unknown(&context, main.isolation.as_ref(), &names);
    }
    spokes.extend(accepted.into_iter().flatten());
    let mut loads = main.loads;
    let written = loads::raw_probes(&documents.main.tree);
    left_out.extend(loads::check(&context, &mut loads, &spokes, &written, some_are_missing));

    let place = Value::root(&context, &documents.main.tree).place();
    let mut problems = sorted(context.into_problems());
    match main.hub {
        Some(hub) if problems.is_empty() => Ok(Config {
            hub,
            web: main.web,
            buckets: main.buckets,
            limits: main.limits,
            spokes,
            included_files: documents.included.iter().map(|included| included.file.clone()).collect(),
            isolation: main.isolation,
            members: main.members,
            load: main.load,
            loads,
            include_failures,
            includes_as_last_read,
            left_out,
            place,
        }),
        _ => {
            problems.extend(include_failures.into_iter().flat_map(|failure| failure.problems));
            Err(problems)
        }
    }
}

/// The main file, as far as it could be read.
struct Main {
    hub: Option<Hub>,
    web: Web,
    buckets: Vec<f64>,
    defaults: Defaults,
    limits: Limits,
    spokes: Vec<Spoke>,
    isolation: Option<Isolation>,
    members: Option<crate::members::Settings>,
    load: LoadRules,
    loads: Vec<Load>,
}

fn read_main(context: &Context<'_>, document: &Document, files: FileReader<'_>) -> Main {
    let root = Value::root(context, &document.tree);
    let fields: Option<Fields<'_>> = root.fields(&MAIN);
    let get = |key| fields.as_ref().and_then(|fields| fields.get(key));
    let hub = get("hub").and_then(|v| hub::read(&v, files));
    let web = get("web").and_then(|v| web::read(&v, files)).unwrap_or_default();
    let buckets = get("metrics").and_then(|v| web::read_buckets(&v));
    let defaults = get("defaults").and_then(|v| defaults::read(&v)).unwrap_or_default();
    let limits = get("limits").and_then(|v| defaults::read_limits(&v)).unwrap_or_default();
    let isolation = get("isolation").and_then(|v| isolation::read(&v));
    let members = get("members").and_then(|v| members::read(&v));
    let load = get("load").and_then(|v| load::read(&v)).unwrap_or_default();
    let loads = get("loads").map(|v| loads::read_all(&v)).unwrap_or_default();
    surroundings::refuse_repeated(&root, loads.iter().map(|load| (&load.name, &load.place)), "load");
    if let Some(include) = get("include") {
        // `sources` has followed them; here only the problems count.
        drop(include::read(&include));
    }
    let around = Surroundings {
        defaults: &defaults,
        partition: hub.as_ref().map(|hub| hub.region.partition()),
        endpoint: hub.as_ref().map(|hub| &hub.endpoint),
        files,
        bounds: &[],
    };
    let spokes = get("spokes").map(|v| spoke::read_all(&v, &around)).unwrap_or_default();
    surroundings::refuse_repeated(&root, spokes.iter().map(|spoke| (&spoke.name, &spoke.place)), "spoke");
    let buckets = buckets.unwrap_or_else(|| DEFAULT_BUCKETS.to_vec());
    Main { hub, web, buckets, defaults, limits, spokes, isolation, members, load, loads }
}

fn read_included(
    document: &Document,
    around: &Surroundings<'_>,
    environment: Environment<'_>,
    others: &[&Spoke],
) -> Result<Vec<Spoke>, Vec<Problem>> {
    let context = Context::new(&document.file, Allowed::OwnOnly, environment);
    let root = Value::root(&context, &document.tree);
    let list = root.fields(&include::INCLUDED).and_then(|fields| fields.get("spokes"));
    let spokes = list.map(|v| spoke::read_all(&v, around)).unwrap_or_default();
    let named = others.iter().copied().chain(&spokes).map(|spoke| (&spoke.name, &spoke.place));
    surroundings::refuse_repeated(&root, named, "spoke");
    let problems = sorted(context.into_problems());
    if problems.is_empty() { Ok(spokes) } else { Err(problems) }
}

/// The spokes that stand in for a file, without those that another file has now; and what is to be said of these. One
/// team's new spoke must not take another team's off the watch.
///
/// # Errors
/// When none is left.
fn giving_way(read: Vec<Spoke>, others: &[&Spoke]) -> Result<(Vec<Spoke>, Vec<Problem>), Vec<Problem>> {
    let taken: HashMap<&Name, &Place> = others.iter().map(|spoke| (&spoke.name, &spoke.place)).collect();
    let (displaced, kept): (Vec<Spoke>, Vec<Spoke>) =
        read.into_iter().partition(|spoke| taken.contains_key(&spoke.name));
    let twice = |spoke: &Spoke| Some(reader::repeated_name(&spoke.place, taken.get(&spoke.name)?, "spoke"));
    let problems = displaced.iter().filter_map(twice).collect();
    if kept.is_empty() && !displaced.is_empty() { Err(problems) } else { Ok((kept, problems)) }
}

/// Leaves out every included file that names an unknown spoke, until all that is left knows each other.
fn refuse_unknown_spokes(
    accepted: &mut Vec<Vec<Spoke>>,
    main_names: &HashSet<String>,
    failures: &mut Vec<IncludeFailure>,
) {
    loop {
        let names: HashSet<String> = accepted.iter().flatten().map(|spoke| spoke.name.to_string()).collect();
        let known = |name: &Name| main_names.contains(name.as_str()) || names.contains(name.as_str());
        let before = accepted.len();
        let mut unknown = Vec::new();
        accepted.retain(|spokes| {
            let problems: Vec<Problem> = as_other_spokes(spokes)
                .filter(|(name, _)| !known(name))
                .filter_map(|(_, probe)| unknown_spoke(probe))
                .collect();
            let fine = problems.is_empty();
            if let Some(first) = problems.first() {
                unknown.push(IncludeFailure {
                    file: first.file.clone(),
                    problems,
                    names_unknown_spokes: true,
                });
            }
            fine
        });
        failures.append(&mut unknown);
        if accepted.len() == before {
            return;
        }
    }
}

/// Notes every unknown spoke; while included files are left out, its probes are left out instead.
fn check_main_spokes(
    context: &Context<'_>,
    spokes: &mut [Spoke],
    names: &HashSet<String>,
    includes_failed: bool,
) -> Vec<LeftOut> {
    if !includes_failed {
        let unknown = as_other_spokes(spokes).filter(|(name, _)| !names.contains(name.as_str()));
        unknown.filter_map(|(_, probe)| unknown_spoke(probe)).for_each(|problem| context.note(problem));
        return Vec::new();
    }
    let mut left_out = Vec::new();
    for api in spokes.iter_mut().flat_map(|spoke| &mut spoke.apis) {
        api.probes.retain(|probe| match &probe.identity {
            Identity::OtherSpoke(name) if !names.contains(name.as_str()) => {
                let needs = format!("the spoke `{name}`");
                left_out.push(LeftOut { path: probe.place.path.clone(), needs });
                false
            }
            _ => true,
        });
    }
    left_out
}

/// The problem of a probe that signs as a spoke nobody knows.
fn unknown_spoke(probe: &Probe) -> Option<Problem> {
    let (place, written) = probe.identity_written.as_ref()?;
    Some(place.problem(
        format!("{written}, a spoke that is not known"),
        "`spoke:` and the name of a spoke",
        None,
    ))
}

/// The probes that sign as another spoke.
fn as_other_spokes(spokes: &[Spoke]) -> impl Iterator<Item = (&Name, &Probe)> {
    let probes = spokes.iter().flat_map(|spoke| &spoke.apis).flat_map(|api| &api.probes);
    probes.filter_map(|probe| match &probe.identity {
        Identity::OtherSpoke(name) => Some((name, probe)),
        _ => None,
    })
}

/// The names of all spokes of a document, also of those with problems, so that one mistake in a spoke does
/// not make it unknown to others.
fn raw_names(tree: &Node) -> HashSet<String> {
    fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Kind> {
        let Kind::Mapping(entries) = &node.kind else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value.kind)
    }
    let Some(Kind::Sequence(spokes)) = get(tree, "spokes") else { return HashSet::new() };
    let name = |spoke: &Node| match get(spoke, "name")? {
        Kind::Scalar(scalar) => Some(scalar.text.clone()),
        _ => None,
    };
    spokes.iter().filter_map(name).collect()
}

/// The value of a key, without any check.
fn child<'a>(value: &Value<'a>, key: &str) -> Option<Value<'a>> {
    value.child_of(key, key)
}

/// The text of a file that a value names.
fn file_text(
    value: &Value<'_>,
    files: &BTreeMap<String, Result<String, String>>,
    is_main: bool,
) -> Option<String> {
    let path = value.text("a path")?.text;
    if !is_main && !stays_inside(&path) {
        return value.refuse("a path below the folder of the main file", None);
    }
    match files.get(&path) {
        Some(Ok(text)) => Some(text.clone()),
        Some(Err(why)) => {
            value.problem(format!("a file that cannot be read ({why})"), "a readable file", None)
        }
        None => {
            value.problem("a file where there are none", "a configuration from a file, to name others", None)
        }
    }
}

/// Included files may belong to others, who must not read whatever the agent can read.
fn stays_inside(path: &str) -> bool {
    !path.starts_with('/') && !path.contains('\\') && path.split('/').all(|part| part != "..")
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems
}
