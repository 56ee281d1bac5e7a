//! What a reader asks for: everything is in the address, so that a view can be sent to a colleague and needs no
//! script. What cannot be understood is taken as not said.

use crate::web::page::summary::Health;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The parameters that are looked at.
const PARAMETERS: usize = 16;
/// The characters of a value that are looked at.
const VALUE_CHARS: usize = 200;

/// A view of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Query {
    /// The one spoke to show.
    pub(super) spoke: Option<String>,
    /// Words that all must be found in a spoke.
    pub(super) filter: String,
    /// The only state to show.
    pub(super) state: Option<Health>,
    /// What the table is sorted by.
    pub(super) sort: Sort,
    /// Whether the other end comes first.
    pub(super) reversed: bool,
    /// How many rows are left out at the beginning.
    pub(super) skip: usize,
}

/// What the table is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// The worst first.
    #[default]
    State,
    /// By name.
    Name,
    /// What changed last first.
    Since,
    /// The slowest of the last minutes first.
    Now,
    /// The slowest of the last hour first.
    Hour,
    /// The session that ends next first.
    Session,
}

impl Sort {
    const ALL: [Self; 6] = [Self::State, Self::Name, Self::Since, Self::Now, Self::Hour, Self::Session];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Since => "since",
            Self::Now => "now",
            Self::Hour => "hour",
            Self::Session => "session",
        }
    }

    /// Whether small values come first.
    pub(super) const fn ascends(self) -> bool {
        matches!(self, Self::Name | Self::Session)
    }
}

impl Query {
    /// Reads what follows the `?`.
    pub(super) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&').take(PARAMETERS) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value: String =
                percent_decode_str(&value).decode_utf8_lossy().chars().take(VALUE_CHARS).collect();
            match name {
                "spoke" => query.spoke = Some(value),
                "filter" => value.trim().clone_into(&mut query.filter),
                "state" => query.state = Health::ALL.into_iter().find(|state| state.key() == value),
                "sort" => {
                    query.sort =
                        Sort::ALL.into_iter().find(|sort| sort.as_str() == value).unwrap_or_default();
                }
                "reversed" => query.reversed = value == "yes",
                "skip" => query.skip = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        query
    }

    /// The address of this view of the front page.
    pub(super) fn href(&self) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if !self.filter.is_empty() {
            pairs.push(("filter", encoded(&self.filter)));
        }
        if let Some(state) = self.state {
            pairs.push(("state", state.key().to_owned()));
        }
        if self.sort != Sort::default() {
            pairs.push(("sort", self.sort.as_str().to_owned()));
        }
        if self.reversed {
            pairs.push(("reversed", "yes".to_owned()));
        }
        if self.skip > 0 {
            pairs.push(("skip", self.skip.to_string()));
        }
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { "/".to_owned() } else { format!("/?{}", pairs.join("&")) }
    }
}

/// The address of a spoke's page.
pub(super) fn spoke_href(name: &str) -> String {
    format!("/?spoke={}", encoded(name))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string().replace("%2D", "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_is_read_and_what_makes_no_sense_is_not_said() {
        let query = Query::parse("filter=+caf%C3%A9+%26&state=unsent&sort=hour&reversed=yes&skip=250&x=y");
        assert_eq!(
            (query.filter.as_str(), query.state, query.skip),
            ("caf\u{e9} &", Some(Health::Unsent), 250)
        );
        assert_eq!((query.sort, query.reversed), (Sort::Hour, true));
        for odd in
            ["", "sort=size&state=odd&skip=-1&reversed=perhaps", "&&=&=x", "skip=99999999999999999999999"]
        {
            assert_eq!(Query::parse(odd), Query::default(), "{odd}");
        }
        assert_eq!(Query::parse("spoke=%ff%3Cb%3E").spoke.unwrap(), "\u{fffd}<b>");
        assert_eq!(spoke_href("a-b\"<"), "/?spoke=a-b%22%3C");
    }

    proptest! {
        #[test]
        fn every_view_has_an_address_that_reads_back(
            filter in "\\PC{0,40}", state in 0..4_usize, sort in 0..6_usize, reversed: bool, skip: usize,
        ) {
            let query = Query {
                spoke: None, filter: filter.trim().to_owned(), state: Health::ALL.get(state).copied(),
                sort: Sort::ALL[sort], reversed, skip,
            };
            let href = query.href();
            prop_assert!(href.is_ascii() && !href.contains(['"', '<', '\'', ' ']));
            prop_assert_eq!(Query::parse(href.strip_prefix("/?").unwrap_or("")), query);
        }

        #[test]
        fn any_text_is_some_query(text in "\\PC{0,400}") {
            let query = Query::parse(&text);
            prop_assert!(query.filter.chars().count() <= VALUE_CHARS);
        }
    }
}
