//! `tls_server_config` as values: names mapped to what rustls has, others refused with the reason. Pure; the files it
//! names are read in `certificates`.

use super::file::Note;
use super::reading::{Fields, Place, Value};
use crate::domain::secret::Secret;
use crate::yaml::{Problem, shown};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::{ProtocolVersion, SupportedCipherSuite};

const KEYS: [&str; 13] = [
    "cert_file",
    "cert",
    "key_file",
    "key",
    "client_auth_type",
    "client_ca_file",
    "client_ca",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];
/// Lists are short.
const MAX_ITEMS: usize = 1_000;

/// Whom the server asks for a certificate, by the names of Go's crypto/tls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClientAuth {
    /// Nobody.
    None,
    /// Asked for, and not looked at.
    Request,
    /// Needed, and any will do.
    RequireAny,
    /// Asked for; if given it must be of one of our authorities.
    VerifyIfGiven,
    /// Needed, of one of our authorities.
    RequireAndVerify,
}

impl ClientAuth {
    const WORDS: [(&'static str, Self); 6] = [
        ("NoClientCert", Self::None),
        ("RequestClientCert", Self::Request),
        ("RequireAnyClientCert", Self::RequireAny),
        // An older spelling that the toolkit still reads.
        ("RequireClientCert", Self::RequireAny),
        ("VerifyClientCertIfGiven", Self::VerifyIfGiven),
        ("RequireAndVerifyClientCert", Self::RequireAndVerify),
    ];

    /// Whether a connection needs a certificate.
    pub(super) const fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }

    /// Whether certificates are checked against authorities.
    pub(super) const fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// PEM text, here or in a file.
#[derive(Debug)]
pub(super) enum Pem {
    /// In the file of this path, as written.
    File(String),
    /// In the web configuration file itself.
    Inline(Secret),
}

/// Something that is read elsewhere, with the place to name when that fails.
#[derive(Debug)]
pub(super) struct Sourced {
    pub(super) pem: Pem,
    pub(super) place: Place,
}

impl Sourced {
    /// A problem with it.
    pub(super) fn problem(&self, found: impl Into<String>, wanted: &str, hint: Option<&str>) -> Box<Problem> {
        Box::new(self.place.problem(found, wanted, hint))
    }
}

/// How TLS is spoken.
#[derive(Debug)]
pub(super) struct TlsSection {
    pub(super) certificate: Sourced,
    pub(super) key: Sourced,
    pub(super) client_auth: ClientAuth,
    pub(super) client_authorities: Option<Sourced>,
    /// At least one of these must be a name in the client's certificate; no list, no such rule.
    pub(super) client_names: Option<Vec<String>>,
    /// In the order of preference, TLS 1.3 first.
    pub(super) suites: Vec<SupportedCipherSuite>,
    pub(super) groups: Vec<&'static dyn SupportedKxGroup>,
    pub(super) versions: Vec<&'static rustls::SupportedProtocolVersion>,
    pub(super) own_order: bool,
}

/// The suites of TLS 1.3. As in Go they cannot be chosen.
const SUITES_OF_1_3: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

const SUITES_OF_1_2: [(&str, SupportedCipherSuite); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

const NAMES_OF_1_3: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

fn groups() -> [(&'static str, &'static dyn SupportedKxGroup); 3] {
    [("X25519", kx_group::X25519), ("CurveP256", kx_group::SECP256R1), ("CurveP384", kx_group::SECP384R1)]
}

/// Reads the section; nothing for one without any key. `None` also after problems.
pub(super) fn read(section: &Value<'_>, notes: &mut Vec<Note>) -> Option<TlsSection> {
    let fields = section.fields(&KEYS)?;
    if KEYS.iter().all(|key| fields.get(key).is_none()) {
        return None;
    }
    let certificate = one_source(section, &fields, ("cert_file", "cert"), true);
    let key = one_source(section, &fields, ("key_file", "key"), true);
    let client_authorities = one_source(section, &fields, ("client_ca_file", "client_ca"), false);
    let client_auth = match fields.get("client_auth_type") {
        Some(value) => value.word(&ClientAuth::WORDS),
        None => Some(ClientAuth::None),
    };
    let client_names = fields.get("client_allowed_sans").map(|value| texts(value, "a name"));
    if let Some(auth) = client_auth {
        client_rules(section, &fields, auth, client_names.is_some(), notes);
    }
    let versions = versions(section, &fields);
    let suites = suites(&fields, versions.as_deref().unwrap_or_default(), notes);
    let groups = groups_of(&fields);
    let own_order = match fields.get("prefer_server_cipher_suites") {
        Some(value) => value.boolean()?,
        None => true,
    };
    Some(TlsSection {
        certificate: certificate?,
        key: key?,
        client_auth: client_auth?,
        client_authorities,
        client_names,
        suites: suites?,
        groups: groups?,
        versions: versions?,
        own_order,
    })
}

/// PEM that stands either in a file or inline.
fn one_source(
    section: &Value<'_>,
    fields: &Fields<'_>,
    (file, inline): (&'static str, &'static str),
    required: bool,
) -> Option<Sourced> {
    match (fields.get(file), fields.get(inline)) {
        (Some(value), None) => {
            let pem = Pem::File(value.text("a path")?.to_owned());
            Some(Sourced { pem, place: value.place() })
        }
        (None, Some(value)) => {
            let pem = Pem::Inline(Secret::new(value.text("PEM text")?));
            Some(Sourced { pem, place: value.place() })
        }
        (Some(value), Some(_)) => value.problem(format!("`{file}` and `{inline}`"), "one of the two", None),
        (None, None) if required => section.problem(
            format!("neither `{file}` nor `{inline}`"),
            "one of the two",
            Some("TLS needs a certificate and its key"),
        ),
        (None, None) => None,
    }
}

/// What `client_auth_type` asks of its neighbours.
fn client_rules(
    section: &Value<'_>,
    fields: &Fields<'_>,
    auth: ClientAuth,
    names: bool,
    notes: &mut Vec<Note>,
) {
    let authorities = fields.get("client_ca_file").or_else(|| fields.get("client_ca"));
    match authorities {
        Some(value) if auth == ClientAuth::None => drop(value.problem::<()>(
            "authorities of clients, and no client_auth_type that asks for certificates",
            "client_auth_type: RequireAndVerifyClientCert",
            None,
        )),
        None if auth.verifies() => drop(section.problem::<()>(
            "a client_auth_type that verifies, and neither `client_ca_file` nor `client_ca`",
            "the authorities that clients' certificates come from",
            Some("the machine's own authorities would let anybody in who has a public certificate"),
        )),
        _ => {}
    }
    if let Some(value) = fields.get("client_allowed_sans").filter(|_| !auth.is_mandatory()) {
        value.problem::<()>(
            "names of clients that need not show a certificate",
            "client_auth_type: RequireAndVerifyClientCert",
            None,
        );
    }
    if matches!(auth, ClientAuth::Request | ClientAuth::RequireAny) {
        let path = fields.get("client_auth_type").map(|value| value.place().path().to_owned());
        let and_names = if names { ", and anybody can write any name into one" } else { "" };
        let message = format!("certificates are not checked with this: any will do{and_names}");
        notes.push(Note { path: path.unwrap_or_default(), message });
    }
}

fn versions(
    section: &Value<'_>,
    fields: &Fields<'_>,
) -> Option<Vec<&'static rustls::SupportedProtocolVersion>> {
    let version = |key, default| match fields.get(key) {
        None => Some(default),
        Some(value) => match value.text("TLS12 or TLS13")? {
            old @ ("TLS10" | "TLS11") => value.problem(
                format!("`{old}`"),
                "TLS12 or TLS13",
                Some("older versions are not offered: RFC 8996 retired them for their weaknesses"),
            ),
            _ => value.word(&[("TLS12", 12), ("TLS13", 13)]),
        },
    };
    let (from, to) = (version("min_version", 12), version("max_version", 13));
    let (from, to) = (from?, to?);
    if from > to {
        return section.problem("min_version above max_version", "a range of versions", None);
    }
    let all = [(13, &rustls::version::TLS13), (12, &rustls::version::TLS12)];
    Some(all.into_iter().filter(|(n, _)| (from..=to).contains(n)).map(|(_, version)| version).collect())
}

fn suites(
    fields: &Fields<'_>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    notes: &mut Vec<Note>,
) -> Option<Vec<SupportedCipherSuite>> {
    let mut suites = SUITES_OF_1_3.to_vec();
    let Some(value) = fields.get("cipher_suites") else {
        suites.extend(SUITES_OF_1_2.map(|(_, suite)| suite));
        return Some(suites);
    };
    let wanted = "a suite of TLS 1.2 with ECDHE and GCM or ChaCha20, by its Go name";
    let mut fine = true;
    let mut of_1_2 = Vec::new();
    for item in value.items()?.iter().take(MAX_ITEMS) {
        let Some(name) = item.text(wanted) else {
            fine = false;
            continue;
        };
        match SUITES_OF_1_2.iter().find(|(known, _)| *known == name) {
            Some((_, suite)) => of_1_2.push(*suite),
            None if NAMES_OF_1_3.contains(&name) => {
                let message = format!("{name} has no effect: all suites of TLS 1.3 are always offered");
                notes.push(Note { path: item.place().path().to_owned(), message });
            }
            None => {
                let hint = if name.starts_with("TLS_RSA_WITH_") {
                    Some("key exchange by RSA has no forward secrecy, and is not offered")
                } else if name.contains("_CBC_") {
                    Some("suites with CBC are not offered")
                } else {
                    None
                };
                fine = false;
                item.problem::<()>(format!("`{}`", shown(name)), wanted, hint);
            }
        }
    }
    let only_1_2 = !versions.is_empty() && versions.iter().all(|v| v.version == ProtocolVersion::TLSv1_2);
    if fine && of_1_2.is_empty() && only_1_2 {
        return value.problem("no suite of TLS 1.2, the only version", wanted, None);
    }
    suites.extend(of_1_2);
    fine.then_some(suites)
}

fn groups_of(fields: &Fields<'_>) -> Option<Vec<&'static dyn SupportedKxGroup>> {
    let known = groups();
    let all = || known.iter().map(|(_, group)| *group).collect();
    let Some(value) = fields.get("curve_preferences") else { return Some(all()) };
    let items = value.items()?;
    // All of them first, so that every problem is met.
    let read: Vec<_> = items.iter().take(MAX_ITEMS).map(|item| item.word(&known)).collect();
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    Some(if read.is_empty() { all() } else { read })
}

fn texts(value: &Value<'_>, wanted: &str) -> Vec<String> {
    let items = value.items().unwrap_or_default();
    items.iter().take(MAX_ITEMS).filter_map(|item| item.text(wanted)).map(str::to_owned).collect()
}
