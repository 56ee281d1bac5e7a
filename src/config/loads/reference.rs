//! From the `probe` of a run to the probe itself, and whether its api has opted in to be driven.

use crate::config::loads::Load;
use crate::config::reader::{Context, Value};
use crate::config::units::rate_text;
use crate::config::{Api, Kind, LeftOut, Node, Probe, Spoke, shapes};
use crate::domain::name::Name;
use crate::domain::target::TargetId;
use crate::yaml::{Problem, nearest};
use std::collections::HashSet;

/// The probe that a run drives, with what it lies in.
#[derive(Debug, Clone, Copy)]
pub struct ProbeSpec<'a> {
    /// The spoke.
    pub spoke: &'a Spoke,
    /// The api.
    pub api: &'a Api,
    /// The probe.
    pub probe: &'a Probe,
}

/// Why a probe may not be driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadProblem {
    /// There is no such probe; the hint says which was probably meant, or which there are.
    Unknown(Box<Problem>),
    /// It may not be driven like this.
    Refused(Box<Problem>),
}

impl LoadProblem {
    /// The problem, whichever it is.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Unknown(problem) | Self::Refused(problem) => *problem,
        }
    }
}

/// Reads `SPOKE/API/PROBE`.
pub(super) fn read_path(value: &Value<'_>) -> Option<TargetId> {
    let wanted = shapes::PROBE_PATH.wanted();
    let text = value.text(&wanted)?.text;
    let names: Option<Vec<Name>> = text.split('/').map(|part| part.parse().ok()).collect();
    match names.unwrap_or_default().as_slice() {
        [spoke, api, probe] => {
            Some(TargetId { spoke: spoke.clone(), api: api.clone(), probe: probe.clone(), zone: None })
        }
        _ => {
            let hint = text
                .contains('@')
                .then_some("leave the zone out: a run goes to the endpoint's own name, as applications do");
            value.refuse(wanted, hint)
        }
    }
}

/// Finds the probe and asks whether it may be driven at the run's rates.
pub(super) fn find<'a>(load: &Load, spokes: &'a [Spoke]) -> Result<ProbeSpec<'a>, LoadProblem> {
    let all = || {
        spokes.iter().flat_map(|spoke| {
            let apis = spoke.apis.iter();
            apis.flat_map(move |api| api.probes.iter().map(move |probe| ProbeSpec { spoke, api, probe }))
        })
    };
    let name =
        |found: &ProbeSpec<'_>| format!("{}/{}/{}", found.spoke.name, found.api.name, found.probe.name);
    let at = &load.probe_place;
    let (wanted, written) = (load.probe.to_string(), &load.probe_written);
    let Some(found) = all().find(|found| name(found) == wanted) else {
        let known: Vec<String> = all().filter_map(|found| as_written(found.probe)).collect();
        return Err(LoadProblem::Unknown(Box::new(at.problem(
            format!("{written}, a probe that is not known"),
            shapes::PROBE_PATH.wanted(),
            hint_for(&wanted, known.iter().map(String::as_str)),
        ))));
    };
    let Some(max_rate) = found.api.max_rate else {
        let hint = format!(
            "the api opts in to load with `max_rate`: add it to {}, with a rate that the spoke's team has agreed to",
            found.api.place.path
        );
        let found = format!("{written}, whose api has no `max_rate`");
        return Err(LoadProblem::Refused(Box::new(at.problem(
            found,
            "a probe of an api with `max_rate`",
            Some(hint),
        ))));
    };
    if found.probe.expectation.is_guard() {
        // Refusals are made at the gateway: they say nothing of how much the path bears.
        return Err(LoadProblem::Refused(Box::new(at.problem(
            format!("{written}, which expects a refusal"),
            "a probe that expects an answer",
            Some("a closed door bears any load; drive a probe that is let in".to_owned()),
        ))));
    }
    let peak = load.profile.peak();
    if peak > max_rate + 1e-9 {
        return Err(LoadProblem::Refused(Box::new(load.peak_place.problem(
            format!("a rate of {}", rate_text(peak)),
            format!("at most the api's `max_rate` of {}", rate_text(max_rate)),
            None,
        ))));
    }
    Ok(found)
}

/// A probe's name from its place, which has names as they are written; `None` where the environment named it.
fn as_written(probe: &Probe) -> Option<String> {
    let (spoke, rest) = probe.place.path.strip_prefix("spokes.")?.split_once(".apis.")?;
    let (api, probe) = rest.split_once(".probes.")?;
    Some(format!("{spoke}/{api}/{probe}"))
}

fn hint_for<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    match nearest(wanted, known.clone()) {
        Some(word) => Some(format!("did you mean `{word}`?")),
        None => {
            let some: Vec<&str> = known.take(8).collect();
            (!some.is_empty()).then(|| format!("there are {}", some.join(", ")))
        }
    }
}

/// Notes what is wrong with the probes of runs. `written` holds the probes of all documents as they are
/// written: one that could not be read has its problem already. While included files are left out, a run whose
/// probe is missing is left out with them.
pub(crate) fn check(
    context: &Context<'_>,
    loads: &mut Vec<Load>,
    spokes: &[Spoke],
    written: &HashSet<String>,
    includes_failed: bool,
) -> Vec<LeftOut> {
    let mut left_out = Vec::new();
    loads.retain(|load| match find(load, spokes) {
        Ok(_) => true,
        Err(LoadProblem::Unknown(_)) if includes_failed => {
            let needs = format!("the probe {}", load.probe_written);
            left_out.push(LeftOut { path: load.place.path.clone(), needs });
            false
        }
        Err(LoadProblem::Unknown(_)) if written.contains(&load.probe.to_string()) => true,
        Err(problem) => {
            context.note(problem.into_problem());
            true
        }
    });
    left_out
}

/// The probes of a document by their names, also of those with problems.
pub(crate) fn raw_probes(tree: &Node) -> HashSet<String> {
    fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
        let Kind::Mapping(entries) = &node.kind else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }
    fn items<'a>(node: &'a Node, key: &str) -> Vec<(&'a str, &'a Node)> {
        let Some(Kind::Sequence(items)) = get(node, key).map(|list| &list.kind) else { return Vec::new() };
        let named = items.iter().filter_map(|item| match &get(item, "name")?.kind {
            Kind::Scalar(scalar) => Some((scalar.text.as_str(), item)),
            _ => None,
        });
        named.collect()
    }
    let mut found = HashSet::new();
    for (spoke, node) in items(tree, "spokes") {
        for (api, node) in items(node, "apis") {
            found.extend(items(node, "probes").iter().map(|(probe, _)| format!("{spoke}/{api}/{probe}")));
        }
    }
    found
}
