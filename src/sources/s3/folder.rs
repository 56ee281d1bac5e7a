//! A whole reading of a configuration in S3.
//!
//! What a text names is known only when it is there, so a reading goes in rounds: gather from what has been fetched,
//! fetch what was missed, gather again; two rounds for includes and one for the files that they name. A key that a
//! listing shows under its known ETag is not fetched again, and the others are asked for with `If-None-Match`.

use super::address::{Location, unfit_key};
use super::answer::{Listed, Trouble};
use super::client::{Client, Got};
use crate::config::Include;
use crate::sources::files::{absolute, invalid_pattern, text};
use crate::sources::gathering::{Memory, Shelf, Unseen, gather};
use crate::sources::{MAX_NAMED_FILE_BYTES, Outside, Texts, Unreadable};
use crate::yaml::{MAX_BYTES, Problem};
use futures_util::StreamExt as _;
use futures_util::stream;
use glob::{MatchOptions, Pattern};
use http::HeaderValue;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Objects that are fetched at once.
const AT_ONCE: usize = 8;
/// Rounds of one reading; after the fourth nothing is missed any more.
const ROUNDS: usize = 6;
/// `*` stays within one part of a key, as it does with files.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The keys beside a main key.
pub(in crate::sources) struct Folder {
    location: Location,
    client: Client,
    /// What earlier readings fetched and the last one used.
    kept: HashMap<String, Kept>,
    memory: Memory,
}

/// An object as it was fetched.
#[derive(Clone)]
struct Kept {
    etag: HeaderValue,
    text: Result<Arc<str>, String>,
}

type Text = Result<Arc<str>, String>;

impl Folder {
    pub(in crate::sources) fn new(location: Location, outside: Outside) -> Self {
        let client = Client::new(location.bucket.clone(), outside);
        Self { location, client, kept: HashMap::new(), memory: Memory::default() }
    }

    /// Reads everything once. Trouble that may pass makes the whole reading fail, whatever key it met: half a
    /// configuration is none.
    pub(in crate::sources) async fn read(
        &mut self,
        name: &str,
        environment: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    ) -> Result<Texts, Unreadable> {
        let unreadable = |why: String| {
            let found = format!("an object that cannot be read: {why}");
            Unreadable { problem: Box::new(Problem::of_file(name, found, "the configuration")) }
        };
        let mut fetched = Fetched::default();
        let main_key = self.location.key.clone();
        let main = self.fetch(&main_key, MAX_BYTES, None).await;
        let main = match main.map_err(|trouble| unreadable(trouble.into_text()))? {
            (Ok(text), kept) => {
                fetched.keep(&main_key, kept);
                // A pattern may name it too.
                fetched.texts.insert(main_key, Some(Ok(Arc::clone(&text))));
                text
            }
            (Err(why), _) => return Err(unreadable(why)),
        };
        for _round in 0..ROUNDS {
            let mut keys = Keys { location: &self.location, fetched: &fetched, missed: Missed::default() };
            let texts = gather(name, Arc::clone(&main), &mut keys, &mut self.memory, environment);
            let missed = keys.missed;
            if missed.is_empty() {
                self.kept = fetched.kept;
                return Ok(texts);
            }
            self.fetch_missed(missed, &mut fetched).await.map_err(&unreadable)?;
        }
        Err(unreadable("what it names changes while it is read".to_owned()))
    }

    async fn fetch_missed(&self, missed: Missed, fetched: &mut Fetched) -> Result<(), String> {
        for prefix in missed.prefixes {
            let listing = match self.client.list(&prefix).await {
                Ok(keys) => Ok(keys),
                Err(Trouble::Unavailable(why)) => return Err(why),
                Err(trouble) => Err(trouble.into_text()),
            };
            fetched.listings.insert(prefix, listing);
        }
        for name in missed.local {
            // A disk may hang; the agent does not hang with it.
            let path = name.clone();
            let reading = tokio::task::spawn_blocking(move || absolute(&path)).await;
            fetched.local.insert(name, reading.unwrap_or_else(|_| Err("reading it failed".to_owned())));
        }
        let wanted: Vec<(String, usize, Option<String>)> = missed
            .keys
            .into_iter()
            .map(|(key, max_bytes)| {
                let etag = fetched.etag_of(&key);
                (key, max_bytes, etag)
            })
            .collect();
        let mut answers = stream::iter(wanted)
            .map(async |(key, max_bytes, etag)| {
                let answer = self.fetch(&key, max_bytes, etag.as_deref()).await;
                (key, answer)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((key, answer)) = answers.next().await {
            let text = match answer {
                Ok((text, kept)) => {
                    fetched.keep(&key, kept);
                    Some(text)
                }
                Err(Trouble::Missing(_)) => None,
                Err(Trouble::Unavailable(why)) => {
                    return Err(format!("{}: {why}", self.client.bucket.name_of(&key)));
                }
                Err(Trouble::Refused(why)) => Some(Err(why)),
            };
            fetched.texts.insert(key, text);
        }
        Ok(())
    }

    /// The text of a key: the kept one if a listing has just shown its tag or S3 says that it is still the same.
    async fn fetch(
        &self,
        key: &str,
        max_bytes: usize,
        listed: Option<&str>,
    ) -> Result<(Text, Option<Kept>), Trouble> {
        let kept = self.kept.get(key);
        if let (Some(kept), Some(listed)) = (kept, listed)
            && kept.etag.as_bytes() == listed.as_bytes()
        {
            return Ok((kept.text.clone(), Some(kept.clone())));
        }
        match (self.client.get(key, kept.map(|kept| &kept.etag), max_bytes).await?, kept) {
            (Got::Unchanged, Some(kept)) => Ok((kept.text.clone(), Some(kept.clone()))),
            (Got::Unchanged, None) => {
                Err(Trouble::Unavailable("S3 says that nothing is unchanged".to_owned()))
            }
            (Got::Object(bytes, etag), _) => {
                let text = text(bytes);
                Ok((text.clone(), etag.map(|etag| Kept { etag, text })))
            }
        }
    }
}

/// What one reading has so far.
#[derive(Default)]
struct Fetched {
    /// By key; `None` for one that is not there.
    texts: HashMap<String, Option<Text>>,
    /// By prefix.
    listings: HashMap<String, Result<Vec<Listed>, String>>,
    /// By path on this machine.
    local: HashMap<String, Text>,
    kept: HashMap<String, Kept>,
}

impl Fetched {
    fn keep(&mut self, key: &str, kept: Option<Kept>) {
        self.kept.extend(kept.map(|kept| (key.to_owned(), kept)));
    }

    fn etag_of(&self, key: &str) -> Option<String> {
        let mut listed = self.listings.values().flatten().flatten();
        listed
            .find(|listed| listed.key == key)
            .map(|listed| listed.etag.clone())
            .filter(|etag| !etag.is_empty())
    }
}

/// What a round looked for and did not find.
#[derive(Default)]
struct Missed {
    prefixes: Vec<String>,
    keys: BTreeMap<String, usize>,
    local: BTreeSet<String>,
}

impl Missed {
    fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.keys.is_empty() && self.local.is_empty()
    }
}

/// The shelf of one round.
struct Keys<'a> {
    location: &'a Location,
    fetched: &'a Fetched,
    missed: Missed,
}

impl Keys<'_> {
    /// The key of a name that stands in a configuration.
    fn key_of(&self, name: &str) -> Result<String, String> {
        let outside =
            name.starts_with('/') || name.contains("://") || name.split('/').any(|part| part == "..");
        if outside {
            let prefix = self.location.bucket.name_of(self.location.prefix());
            return Err(format!("what a configuration in S3 names are keys below {prefix}, relative to it"));
        }
        let key = format!("{}{}", self.location.prefix(), name.strip_prefix("./").unwrap_or(name));
        match unfit_key(&key) {
            Some((found, _)) => Err(found.to_owned()),
            None => Ok(key),
        }
    }

    /// `None` if it was not fetched yet.
    fn text(&mut self, key: &str, max_bytes: usize) -> Option<&Option<Text>> {
        let found = self.fetched.texts.get(key);
        if found.is_none() {
            let bytes = self.missed.keys.entry(key.to_owned()).or_default();
            *bytes = max_bytes.max(*bytes);
        }
        found
    }

    fn refused(&self, include: &Include, why: &str) -> Unseen {
        let problem = include.place.problem(why, "a key, or a pattern of keys, below the main one", None);
        Unseen { file: include.pattern.clone(), problems: vec![problem] }
    }
}

impl Shelf for Keys<'_> {
    fn matches(&mut self, include: &Include) -> Vec<Result<String, Unseen>> {
        let bucket = &self.location.bucket;
        let pattern = match self.key_of(&include.pattern) {
            Ok(_) => include.pattern.strip_prefix("./").unwrap_or(&include.pattern),
            Err(why) => return vec![Err(self.refused(include, &why))],
        };
        let special = pattern.find(['*', '?', '[']).filter(|_| include.is_pattern());
        let Some(special) = special else {
            let key = format!("{}{pattern}", self.location.prefix());
            return vec![Ok(bucket.name_of(&key))];
        };
        let compiled = match Pattern::new(pattern) {
            Ok(compiled) => compiled,
            Err(error) => return vec![Err(invalid_pattern(include, error.msg))],
        };
        let prefix = format!("{}{}", self.location.prefix(), &pattern[..special]);
        match self.fetched.listings.get(&prefix) {
            None => {
                if !self.missed.prefixes.contains(&prefix) {
                    self.missed.prefixes.push(prefix);
                }
                Vec::new()
            }
            Some(Err(why)) => vec![Err(self.refused(include, why))],
            Some(Ok(listed)) => {
                let below = self.location.prefix().len();
                let mut keys: Vec<&str> = listed
                    .iter()
                    .map(|listed| listed.key.as_str())
                    .filter(|key| !key.ends_with('/'))
                    .filter(|key| key.get(below..).is_some_and(|rest| compiled.matches_with(rest, MATCHING)))
                    .collect();
                keys.sort_unstable();
                keys.dedup();
                keys.into_iter().map(|key| Ok(bucket.name_of(key))).collect()
            }
        }
    }

    fn is_main(&self, name: &str) -> bool {
        name == self.location.bucket.name_of(&self.location.key)
    }

    fn included(&mut self, name: &str) -> Text {
        let key = name.strip_prefix(&self.location.bucket.name_of("")).unwrap_or(name).to_owned();
        if let Some((found, _)) = unfit_key(&key) {
            return Err(found.to_owned());
        }
        match self.text(&key, MAX_BYTES) {
            Some(Some(text)) => text.clone(),
            // Named exactly, or listed a moment ago and gone now; or not fetched yet, and then this round does not count.
            Some(None) | None => Err("there is no such key".to_owned()),
        }
    }

    fn named(&mut self, name: &str) -> Text {
        let key = self.key_of(name)?;
        match self.text(&key, MAX_NAMED_FILE_BYTES) {
            Some(Some(Ok(text))) if text.len() > MAX_NAMED_FILE_BYTES => {
                Err(format!("it has more than {MAX_NAMED_FILE_BYTES} bytes"))
            }
            Some(Some(text)) => text.clone(),
            Some(None) | None => Err("there is no such key".to_owned()),
        }
    }

    fn local(&mut self, name: &str) -> Text {
        let found = self.fetched.local.get(name).cloned();
        found.unwrap_or_else(|| {
            self.missed.local.insert(name.to_owned());
            Err("it was not read yet".to_owned())
        })
    }
}
