//! What the simulated hub counted, so that a client's own counts can be held against it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most distinct rows; further ones fall into a row `other`, since identities come from outside.
const LIMIT: usize = 20_000;

/// A row: how many requests of an API by one identity got one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The API's id, or `unknown` where the host named none.
    pub api: String,
    /// `anonymous`, the ARN of the caller's role, or `invalid` for a signature that was refused.
    pub identity: String,
    /// The status, or `none` where a fault left the client without one.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// A row of the calls to STS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StsCount {
    /// The action.
    pub action: String,
    /// The role asked for, or empty.
    pub role: String,
    /// `ok`, the error code, or `none` where a fault left the client without an answer.
    pub result: String,
    /// How many.
    pub count: u64,
}

/// Everything counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The requests through the endpoint.
    pub requests: Vec<Count>,
    /// The calls to STS.
    pub sts: Vec<StsCount>,
    /// The calls to the credentials endpoint.
    pub credentials: u64,
}

impl Counts {
    /// All requests of one API, whatever became of them.
    #[must_use]
    pub fn of_api(&self, api: &str) -> u64 {
        self.requests.iter().filter(|row| row.api == api).map(|row| row.count).sum()
    }

    /// All requests through the endpoint.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.requests.iter().map(|row| row.count).sum()
    }
}

/// Only how many there were of each kind since the start: cheap to ask for, however many rows there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The requests through the endpoint.
    pub requests: u64,
    /// The calls to STS.
    pub sts: u64,
    /// The calls to the credentials endpoint.
    pub credentials: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: BTreeMap<[String; 3], u64>,
    sts: BTreeMap<[String; 3], u64>,
    pub(crate) credentials: u64,
}

fn add(rows: &mut BTreeMap<[String; 3], u64>, key: [String; 3]) {
    let key = if rows.len() < LIMIT || rows.contains_key(&key) {
        key
    } else {
        ["other".into(), "other".into(), "other".into()]
    };
    *rows.entry(key).or_default() += 1;
}

impl Counters {
    pub(crate) fn request(&mut self, api: &str, identity: &str, code: String) {
        add(&mut self.requests, [api.to_owned(), identity.to_owned(), code]);
    }

    pub(crate) fn sts(&mut self, action: &str, role: &str, result: &str) {
        add(&mut self.sts, [action.to_owned(), role.to_owned(), result.to_owned()]);
    }

    pub(crate) fn totals(&self) -> Totals {
        let (requests, sts) = (self.requests.values().sum(), self.sts.values().sum());
        Totals { requests, sts, credentials: self.credentials }
    }

    pub(crate) fn read(&self) -> Counts {
        let row = |(key, &count): (&[String; 3], &u64)| {
            let [first, second, third] = key.clone();
            (first, second, third, count)
        };
        Counts {
            requests: self
                .requests
                .iter()
                .map(row)
                .map(|(api, identity, code, count)| Count { api, identity, code, count })
                .collect(),
            sts: self
                .sts
                .iter()
                .map(row)
                .map(|(action, role, result, count)| StsCount { action, role, result, count })
                .collect(),
            credentials: self.credentials,
        }
    }
}
