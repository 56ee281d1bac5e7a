//! What is wrong with a world although it has the right form: all of it, not only the first.

use super::{Api, Authorization, World};
use crate::domain::account::AccountId;
use crate::domain::api::{ApiId, DnsName, StageName, VpcEndpointId};
use crate::domain::region::Region;
use std::collections::BTreeSet;

pub(super) fn problems(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    if let Err(problem) = world.region.parse::<Region>() {
        found.push(format!("region: found \"{}\", {problem}", world.region));
    }
    if let Err(problem) = world.endpoint.id.parse::<VpcEndpointId>() {
        found.push(format!("endpoint.id: found \"{}\", {problem}", world.endpoint.id));
    }
    if world.role(&world.hub.account, &world.hub.role).is_none() {
        found.push(format!("hub: there is no role {} in an account {}", world.hub.role, world.hub.account));
    }
    accounts(world, &mut found);
    timeline(world, &mut found);
    found
}

fn accounts(world: &World, found: &mut Vec<String>) {
    let (mut ids, mut api_ids, mut domains) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for account in &world.accounts {
        let place = format!("accounts.{}", account.id);
        if let Err(problem) = account.id.parse::<AccountId>() {
            found.push(format!("{place}: {problem}, in quotes"));
        }
        if !ids.insert(&account.id) {
            found.push(format!("{place}: listed twice"));
        }
        let mut names = BTreeSet::new();
        for role in &account.roles {
            if !names.insert(&role.name) {
                found.push(format!("{place}.roles.{}: listed twice", role.name));
            }
        }
        for api in &account.apis {
            if !api_ids.insert(&api.id) {
                found.push(format!("{place}.apis.{}: this id is used twice", api.id));
            }
            if let Some(domain) = &api.domain
                && !domains.insert((&domain.name, &domain.base_path))
            {
                found.push(format!("{place}.apis.{}: domain and base path are used twice", api.id));
            }
            check_api(api, &format!("{place}.apis.{}", api.id), found);
        }
    }
}

fn check_api(api: &Api, place: &str, found: &mut Vec<String>) {
    if let Err(problem) = api.id.parse::<ApiId>() {
        found.push(format!("{place}: {problem}"));
    }
    if api.stages.is_empty() {
        found.push(format!("{place}.stages: none"));
    }
    for stage in &api.stages {
        if let Err(problem) = stage.parse::<StageName>() {
            found.push(format!("{place}.stages: found \"{stage}\", {problem}"));
        }
    }
    if let Some(domain) = &api.domain {
        if let Err(problem) = domain.name.parse::<DnsName>() {
            found.push(format!("{place}.domain.name: {problem}"));
        }
        if !api.stages.contains(&domain.stage) {
            found.push(format!("{place}.domain.stage: there is no stage {}", domain.stage));
        }
    }
    if let Some(throttle) = &api.throttle
        && !(throttle.rate >= 0.0 && throttle.burst >= 0.0)
    {
        found.push(format!("{place}.throttle: rate and burst are numbers of at least 0"));
    }
    for route in &api.routes {
        let place = format!("{place}.routes {} {}", route.method, route.path);
        if !route.path.starts_with('/') {
            found.push(format!("{place}: a path begins with /"));
        }
        match (route.authorization, route.authorizer) {
            (Authorization::Custom, None) => found.push(format!("{place}: CUSTOM needs an authorizer")),
            (Authorization::None | Authorization::Iam, Some(_)) => {
                found.push(format!("{place}: an authorizer needs authorization: CUSTOM"));
            }
            _ => {}
        }
    }
}

fn timeline(world: &World, found: &mut Vec<String>) {
    for (index, event) in world.timeline.iter().enumerate() {
        for api in event.change.apis().filter(|api| world.api(api).is_none()) {
            found.push(format!("timeline.{index}: there is no api {api}"));
        }
        if let Some(change) = &event.change.zone
            && !world.endpoint.zones.contains_key(&change.zone)
        {
            found.push(format!("timeline.{index}: there is no zone {}", change.zone));
        }
        if let Some(trust) = &event.change.trust
            && world.role(&trust.account, &trust.role).is_none()
        {
            found.push(format!("timeline.{index}: there is no role {} in {}", trust.role, trust.account));
        }
    }
}
