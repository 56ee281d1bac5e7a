//! What spokes, apis and probes are read in the light of.

use crate::config::FileReader;
use crate::config::defaults::Defaults;
use crate::config::hub::Endpoint;
use crate::config::reader::{Place, Value, repeated_name};
use crate::domain::account::AccountId;
use crate::domain::name::Name;
use crate::domain::region::Partition;
use std::collections::HashMap;

/// What a spoke is read in the light of.
pub(crate) struct Surroundings<'a> {
    pub(crate) defaults: &'a Defaults,
    /// `None` when the hub could not be read; then what depends on it is not checked.
    pub(crate) partition: Option<Partition>,
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) files: FileReader<'a>,
    /// The accounts that an included file is bound to, one list per `include` that names it.
    pub(crate) bounds: &'a [Vec<AccountId>],
}

/// Notes every name that was there before, at its second place.
pub(crate) fn refuse_repeated<'n>(
    value: &Value<'_>,
    named: impl Iterator<Item = (&'n Name, &'n Place)>,
    what: &str,
) {
    let mut seen: HashMap<&Name, &Place> = HashMap::new();
    for (name, place) in named {
        match seen.get(name) {
            Some(first) => value.context.note(repeated_name(place, first, what)),
            None => drop(seen.insert(name, place)),
        }
    }
}
