//! Reading: texts, what they name, and reading again.

use super::super::file::{check_file, read};
use super::super::tls_section::ClientAuth;
use super::super::{Protection, Rules};
use super::{Authority, Folder};
use std::time::Duration;

const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

fn problems(text: &str) -> Vec<String> {
    read("web.yaml", text).map(|_| ()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_file_is_read() {
    let text = format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
         RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [prometheus]\n  min_version: \
         TLS13\n  max_version: TLS13\n  prefer_server_cipher_suites: false\n  cipher_suites: \
         [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [CurveP384, X25519]\nhttp_server_config:\n  \
         http2: true\n  headers:\n    Strict-Transport-Security: max-age=31536000\n    X-Frame-Options: deny\n    \
         Content-Security-Policy: ''\nbasic_auth_users:\n  alice: {HASH}\n  bob: '{HASH}'\nrate_limit:\n  interval: \
         1m0.5s\n  burst: 20\n"
    );
    let file = read("web.yaml", &text).unwrap();
    let tls = file.tls.unwrap();
    assert_eq!(tls.client_auth, ClientAuth::RequireAndVerify);
    assert_eq!(tls.client_names.as_deref(), Some(&["prometheus".to_owned()][..]));
    assert!(tls.versions.len() == 1 && !tls.own_order && tls.groups.len() == 2);
    assert_eq!(file.headers.len(), 2, "a blank header is none");
    assert_eq!(file.users.len(), 2);
    let limit = file.rate_limit.unwrap();
    assert_eq!((limit.interval, limit.burst), (Duration::from_millis(60_500), 20));
    assert_eq!(file.notes.len(), 1, "{:?}", file.notes);
    assert!(!format!("{:?}", file.users).contains("$2y$"));
}

#[test]
fn what_is_empty_is_not_there() {
    for text in ["", "{}", "tls_server_config:\n", "tls_server_config: {}\nbasic_auth_users: {}\n", "~\n"] {
        let file = read("web.yaml", text).unwrap();
        assert!(file.tls.is_none() && file.users.is_empty() && file.rate_limit.is_none(), "{text}");
    }
    let off = read("web.yaml", "rate_limit: {interval: 0, burst: 0}\n").unwrap();
    assert!(off.rate_limit.is_none());
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let text = "tls_server_confg: {}\ntls_server_config:\n  cert_file: a\n  cert: b\n  min_version: TLS10\n  \
                client_auth_type: RequireAndVerify\n  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA, \
                TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n  curve_preferences: [CurveP521]\nhttp_server_config:\n  \
                http2: maybe\n  headers: {Server: x, X-Frame-Options: allow}\nbasic_auth_users:\n  alice: \
                hunter2-hunter2\n  'a:b': x\nrate_limit: {interval: 1s}\n";
    let found = problems(text);
    let starts = [
        "web.yaml:1:1: tls_server_confg: found the unknown key",
        "web.yaml:3:3: tls_server_config: found neither `key_file` nor `key`",
        "web.yaml:3:14: tls_server_config.cert_file: found `cert_file` and `cert`, wanted one of the two",
        "web.yaml:5:16: tls_server_config.min_version: found `TLS10`, wanted TLS12 or TLS13, older versions",
        "web.yaml:6:21: tls_server_config.client_auth_type: found `RequireAndVerify`, wanted one of NoClientCert",
        "web.yaml:7:19: tls_server_config.cipher_suites[0]: found `TLS_RSA_WITH_AES_128_CBC_SHA`, wanted",
        "web.yaml:7:49: tls_server_config.cipher_suites[1]: found `TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA`, wanted",
        "web.yaml:8:23: tls_server_config.curve_preferences[0]: found `CurveP521`, wanted one of X25519, CurveP256",
        "web.yaml:10:10: http_server_config.http2: found `maybe`, wanted true or false",
        "web.yaml:11:21: http_server_config.headers.Server: found the header `Server`, which cannot be set here",
        "web.yaml:11:41: http_server_config.headers.X-Frame-Options: found `allow`, wanted one of deny, sameorigin",
        "web.yaml:13:10: basic_auth_users.alice: found something else (is it the password itself?), wanted a bcrypt",
        "web.yaml:14:10: basic_auth_users.a:b: found a name that nobody can log in with",
        "web.yaml:15:13: rate_limit: found an interval and no burst",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}\n{start}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn settings_that_would_protect_less_than_they_seem_to_are_refused() {
    let tls = |more: &str| format!("tls_server_config:\n  cert_file: a\n  key_file: b\n{more}");
    for (text, says) in [
        (tls("  client_ca_file: c\n"), "no client_auth_type that asks"),
        (tls("  client_auth_type: RequireAndVerifyClientCert\n"), "neither `client_ca_file` nor"),
        (
            tls("  client_auth_type: VerifyClientCertIfGiven\n  client_ca: c\n  client_allowed_sans: [x]\n"),
            "need not show a certificate",
        ),
        (tls("  client_allowed_sans: []\n"), "need not show a certificate"),
        (tls("  min_version: TLS13\n  max_version: TLS12\n"), "min_version above max_version"),
        (tls("  max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"), "no suite of TLS 1.2"),
        ("tls_server_config: {min_version: TLS13}\n".to_owned(), "neither `cert_file` nor `cert`"),
        ("basic_auth_users: [alice]\n".to_owned(), "found a list, wanted a map"),
        ("basic_auth_users: {alice: [x]}\n".to_owned(), "found a list, wanted a bcrypt hash"),
        ("rate_limit: {interval: 1s, burst: 0}\n".to_owned(), "an interval and no burst"),
        ("rate_limit: {interval: 1x, burst: 1}\n".to_owned(), "wanted a duration"),
        ("rate_limit: {interval: -1s, burst: 1}\n".to_owned(), "wanted a duration"),
        ("a: &b c\n".to_owned(), "an anchor"),
        ("- a\n".to_owned(), "found a list, wanted a map"),
    ] {
        let found = problems(&text).join("\n");
        assert!(found.contains(says), "{text}: {found}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let said = |text: &str| {
        let notes = check_file("web.yaml", text).unwrap();
        notes
            .into_iter()
            .map(|note| format!("{}: {}", note.path, note.message))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(said("http_server_config: {http2: false}\n"), "");
    assert!(said("http_server_config: {http2: true}\n").contains("HTTP/1.1 only"));
    assert!(said(&format!("basic_auth_users: {{a: {HASH}}}\n")).contains("passwords without TLS"));
    assert!(said("http_server_config: {headers: {Strict-Transport-Security: x}}\n").contains("without TLS"));
    let tls = "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequestClientCert}\n";
    assert!(said(tls).contains("certificates are not checked"));
}

/// A file with TLS whose certificate and key stand beside it.
fn protected(folder: &Folder, authority: &Authority, more: &str) -> std::path::PathBuf {
    let (certificate, key) = authority.issue(&["spokeprobe.internal"]);
    folder.write("server.crt", &certificate.pem());
    folder.write("server.key", &key.serialize_pem());
    folder.write("ca.crt", &authority.certificate.pem());
    folder.write(
        "web.yaml",
        &format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}"),
    )
}

fn rules_of(protection: &Protection) -> std::sync::Arc<Rules> {
    protection.rules.load_full()
}

#[test]
fn what_the_file_names_is_checked_too() {
    let folder = Folder::new("names");
    let authority = Authority::new();
    let path = protected(
        &folder,
        &authority,
        "  client_ca_file: ca.crt\n  client_auth_type: VerifyClientCertIfGiven\n",
    );
    assert!(Protection::load(&path).unwrap().has_tls());
    let found = |path: &std::path::Path| {
        let problems = Protection::load(path).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    // A key of another certificate.
    folder.write("server.key", &authority.issue(&["x"]).1.serialize_pem());
    assert!(found(&path).contains("key_file: found a key that does not fit"), "{}", found(&path));
    folder.write(
        "server.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    folder.write("server.crt", "no certificate");
    folder.write("ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let all = found(&path);
    for part in [
        "cert_file: found a text without a certificate",
        "an encrypted key cannot be used",
        "client_ca_file: found an unusable certificate",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    std::fs::remove_file(folder.path("server.crt")).unwrap();
    std::fs::create_dir(folder.path("server.crt")).unwrap();
    assert!(found(&path).contains("it is no regular file"), "{}", found(&path));
    assert!(found(&folder.path("nothing.yaml")).contains("a file that cannot be read"));
    folder.write("huge.yaml", &"#".repeat(2 << 20));
    assert!(found(&folder.path("huge.yaml")).contains("more than 1048576 bytes"));
}

#[test]
fn a_changed_file_is_in_force_and_a_broken_one_changes_nothing() {
    let folder = Folder::new("again");
    let authority = Authority::new();
    let path = protected(&folder, &authority, "");
    let protection = Protection::load(&path).unwrap();
    let first = rules_of(&protection);
    protection.look();
    assert!(std::sync::Arc::ptr_eq(&first, &rules_of(&protection)), "nothing changed, nothing is read");

    // A renewed certificate: first the one, then the other, as tools write them.
    let (certificate, key) = authority.issue(&["spokeprobe.internal"]);
    folder.write("server.crt", &certificate.pem());
    protection.look();
    assert!(std::sync::Arc::ptr_eq(&first, &rules_of(&protection)), "a key that does not fit is not taken");
    assert_eq!(protection.seen.lock().unwrap().told.as_ref().map(Vec::len), Some(1));
    folder.write("server.key", &key.serialize_pem());
    protection.look();
    let second = rules_of(&protection);
    assert!(!std::sync::Arc::ptr_eq(&first, &second));
    assert!(protection.seen.lock().unwrap().told.is_none());

    // A user is added; then the file breaks, loses its TLS, vanishes.
    let whole = std::fs::read_to_string(&path).unwrap();
    folder.write("web.yaml", &format!("{whole}basic_auth_users:\n  alice: {HASH}\n"));
    protection.look();
    let third = rules_of(&protection);
    assert!(!third.users.is_empty());
    for broken in ["tls_server_config: [", "basic_auth_users: {}\n", ""] {
        folder.write("web.yaml", broken);
        protection.look();
        protection.look();
        assert!(std::sync::Arc::ptr_eq(&third, &rules_of(&protection)), "{broken}");
    }
    std::fs::remove_file(&path).unwrap();
    protection.look();
    assert!(std::sync::Arc::ptr_eq(&third, &rules_of(&protection)));
    folder.write("web.yaml", &whole);
    protection.look();
    assert!(rules_of(&protection).users.is_empty());
}

#[test]
fn a_rate_limit_that_stays_the_same_keeps_its_count() {
    let folder = Folder::new("rate");
    let path = folder.write("web.yaml", "rate_limit: {interval: 1s, burst: 2}\n");
    let protection = Protection::load(&path).unwrap();
    let bucket = |protection: &Protection| rules_of(protection).limit.as_ref().unwrap().1.clone();
    let first = bucket(&protection);
    folder.write("web.yaml", "rate_limit: {interval: 1s, burst: 2} # once more\n");
    protection.look();
    assert!(std::sync::Arc::ptr_eq(&first, &bucket(&protection)));
    folder.write("web.yaml", "rate_limit: {interval: 1s, burst: 3}\n");
    protection.look();
    assert!(!std::sync::Arc::ptr_eq(&first, &bucket(&protection)));
}
