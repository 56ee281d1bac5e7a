//! Looks for secrets in what a program shows: as they are, and as base64, percent-encoded and JSON-escaped.
//!
//! Written apart from the program's own hiding, so that what one forgets the other finds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Of a long secret its beginning is a secret as well.
const BEGINNING_CHARS: usize = 40;

/// What may be seen nowhere.
#[derive(Default)]
pub(super) struct Secrets(BTreeSet<String>);

impl Secrets {
    pub(super) fn add(&mut self, secrets: impl IntoIterator<Item = impl Into<String>>) {
        self.0.extend(secrets.into_iter().map(Into::into));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first_longer_than(&self, chars: usize) -> &str {
        self.0.iter().find(|secret| secret.len() > chars).unwrap()
    }

    /// Each secret that a text shows, with the form it is in.
    pub(super) fn shown_in(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for secret in &self.0 {
            for (form, needle) in forms(secret) {
                if text.contains(&needle) {
                    found.push(format!("{secret} {form}"));
                }
            }
        }
        found
    }

    /// Fails if any of these texts shows any secret.
    pub(super) fn assert_in_none(&self, texts: &[(String, String)]) {
        for (place, text) in texts {
            let found = self.shown_in(text);
            assert!(found.is_empty(), "{place} shows {found:?}:\n{}", around(text, &self.0));
        }
    }
}

/// The places that show one, for whoever has to find out why.
fn around(text: &str, secrets: &BTreeSet<String>) -> String {
    let needles = secrets.iter().flat_map(|secret| forms(secret)).map(|(_, needle)| needle);
    let places = needles.filter_map(|needle| text.find(&needle)).take(3);
    places
        .map(|at| {
            let (from, to) = (at.saturating_sub(600), (at + 200).min(text.len()));
            format!("{}\n", &text[text.floor_char_boundary(from)..text.ceil_char_boundary(to)])
        })
        .collect()
}

pub(super) fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let mut percent = String::new();
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() {
            percent.push(char::from(byte));
        } else {
            write!(percent, "%{byte:02X}").unwrap();
        }
    }
    let json = serde_json::to_string(secret).unwrap();
    let mut forms = vec![
        ("as it is", secret.to_owned()),
        ("as JSON", json[1..json.len() - 1].to_owned()),
        ("as JSON for pages", json[1..json.len() - 1].replace('/', "\\/")),
        ("percent-encoded", percent.clone()),
        ("percent-encoded in lower case", lower_percent(&percent)),
        ("as base64", base64(secret.as_bytes())),
    ];
    if secret.len() > BEGINNING_CHARS {
        for (form, text) in std::mem::take(&mut forms) {
            forms.push((form, text.chars().take(BEGINNING_CHARS).collect()));
        }
    }
    forms
}

fn lower_percent(text: &str) -> String {
    let mut lower = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        lower += before;
        write!(lower, "%{}", after[..2].to_ascii_lowercase()).unwrap();
        rest = &after[2..];
    }
    lower + rest
}

/// As RFC 4648 has it; a last group that is not full is left out, since what follows decides its end.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks_exact(3) {
        let value = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(ALPHABET[(value >> shift & 63) as usize]));
        }
    }
    text
}

#[test]
fn the_scanner_finds_each_form() {
    let mut secrets = Secrets::default();
    let token = format!("IQoJ/b3+\"{}", "x1Y/".repeat(50));
    secrets.add(["header-sesame-5108".to_owned(), token.clone()]);
    for secret in ["header-sesame-5108", &token] {
        for (form, text) in forms(secret) {
            let found = secrets.shown_in(&format!("before {text} after"));
            assert!(found.iter().any(|found| found.ends_with(form)), "{form}: {found:?}");
        }
    }
    assert!(secrets.shown_in("header sesame 5108, header-sesame").is_empty());
    assert_eq!(base64(b"hello!"), "aGVsbG8h");
}
