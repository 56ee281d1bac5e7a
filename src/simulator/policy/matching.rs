//! Comparing the patterns of a policy with the values of a request: wildcards, variables, ARNs.
//!
//! `document` keeps patterns as they were written; here they are expanded against the request's keys and
//! compared. `evaluate` and `conditions` are the only callers.

use std::collections::BTreeMap;

/// The condition keys of one request, with their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<String, Vec<String>>);

impl Keys {
    /// Sets a key; key names compare without case.
    pub(super) fn set(&mut self, key: &str, values: Vec<String>) {
        self.0.insert(key.to_ascii_lowercase(), values);
    }

    /// Takes a key away.
    pub(super) fn unset_all(&mut self, prefix: &str) {
        self.0.retain(|key, _| !key.starts_with(prefix));
    }

    /// The values of a key; `None` where the request does not have it, or has no value in it.
    pub(super) fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice).filter(|values| !values.is_empty())
    }
}

/// One element of an expanded pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// This character.
    Literal(char),
    /// Any number of any characters (`*`).
    Any,
    /// Exactly one character (`?`).
    One,
}

/// Expands a written pattern: variables are replaced by the request's values, which count literally.
///
/// Gives `None` where a variable has no value (or several) and no default, so that nothing can match
/// (IAM user guide, "Policy variables and tags"). `variables` is false for policies of version 2008-10-17,
/// in which `${…}` has no meaning.
pub(super) fn expand(pattern: &str, keys: &Keys, variables: bool) -> Option<Vec<Token>> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if variables && let Some((name, after)) = variable(rest) {
            match name {
                "*" | "?" | "$" => tokens.extend(name.chars().map(Token::Literal)),
                _ => tokens.extend(variable_value(name, keys)?.chars().map(Token::Literal)),
            }
            rest = after;
            continue;
        }
        tokens.push(match first {
            '*' => Token::Any,
            '?' => Token::One,
            other => Token::Literal(other),
        });
        rest = &rest[first.len_utf8()..];
    }
    Some(tokens)
}

/// The name of the variable that `text` begins with, and what comes after it.
fn variable(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("${")?.split_once('}')
}

/// The value of `key` or of `key, 'default'`.
fn variable_value<'a>(name: &'a str, keys: &'a Keys) -> Option<&'a str> {
    let (key, default) = match name.split_once(',') {
        Some((key, default)) => {
            (key.trim(), default.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\'')))
        }
        None => (name, None),
    };
    match keys.get(key) {
        // A key with several values has no single value to stand in a text.
        Some([value]) => Some(value),
        Some(_) => None,
        None => default,
    }
}

/// The text of an expanded pattern in which wildcards have no meaning.
pub(super) fn literal_text(tokens: &[Token]) -> String {
    tokens
        .iter()
        .map(|token| match token {
            Token::Literal(character) => *character,
            Token::Any => '*',
            Token::One => '?',
        })
        .collect()
}

/// True when the whole text fits the pattern. Linear in memory, at worst quadratic in time, so a hostile
/// pattern cannot hang the simulator.
pub(super) fn fits(pattern: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read) = (0, 0);
    // Where the last `*` stood, and how far the text had been read then: where to go on after a mismatch.
    let mut retry: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(Token::Any) => {
                retry = Some((at, read));
                at += 1;
            }
            Some(Token::One) => {
                at += 1;
                read += 1;
            }
            Some(Token::Literal(wanted)) if *wanted == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                at = star + 1;
                read = from + 1;
            }
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|token| *token == Token::Any)
}

/// Compares actions: `service:Action` with wildcards, without case.
pub(super) fn action_fits(pattern: &str, action: &str) -> bool {
    // Actions take no variables, so nothing of the request can stand in them.
    expand(&pattern.to_ascii_lowercase(), &Keys::default(), false)
        .is_some_and(|tokens| fits(&tokens, &action.to_ascii_lowercase()))
}

/// Compares ARNs part by part, as `ArnLike` and `ArnEquals` do: a wildcard never crosses one of the first
/// five colons (IAM user guide, "ARN condition operators").
pub(super) fn arn_fits(pattern: &[Token], arn: &str) -> bool {
    let wanted = split_arn(pattern);
    let given: Vec<&str> = arn.splitn(6, ':').collect();
    wanted.len() == 6
        && given.len() == 6
        && wanted.iter().zip(&given).all(|(pattern, part)| fits(pattern, part))
}

/// What a `Resource` with fewer than the six parts of an ARN stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IncompleteArns {
    /// Missing parts are wildcards: so in policies attached to a caller (IAM user guide, "IAM identifiers", on
    /// incomplete ARNs in identity-based policies; that boundaries and service control policies are read alike
    /// is DERIVED).
    Completed,
    /// Only a `*` at the very end stands for what is missing (IAM user guide, "Resource", on wildcards past the
    /// colons); anything else fits nothing. So in policies that name principals, for which no page promises
    /// completion.
    NeedAStar,
}

/// Compares a `Resource` element with the ARN asked for.
///
/// `*` alone is everything. API Gateway's short form `execute-api:/STAGE/METHOD/PATH` stands for
/// the same path below any API id, since a policy is attached to one API (API Gateway developer guide,
/// "Access policy language overview").
pub(super) fn resource_fits(pattern: &[Token], arn: &str, incomplete: IncompleteArns) -> bool {
    if pattern == [Token::Any] {
        return true;
    }
    if let Some(path) = without_prefix(pattern, "execute-api:/") {
        let given: Vec<&str> = arn.splitn(6, ':').collect();
        return given.len() == 6
            && given[2] == "execute-api"
            && given[5].split_once('/').is_some_and(|(_, rest)| fits(path, rest));
    }
    let mut wanted = split_arn(pattern);
    if wanted.len() == 6 {
        return arn_fits(pattern, arn);
    }
    if incomplete == IncompleteArns::NeedAStar && pattern.last() != Some(&Token::Any) {
        return false;
    }
    let given: Vec<&str> = arn.splitn(6, ':').collect();
    wanted.resize(6, &[Token::Any]);
    given.len() == 6 && wanted.iter().zip(&given).all(|(pattern, part)| fits(pattern, part))
}

fn split_arn(pattern: &[Token]) -> Vec<&[Token]> {
    pattern.splitn(6, |token| *token == Token::Literal(':')).collect()
}

fn without_prefix<'a>(pattern: &'a [Token], prefix: &str) -> Option<&'a [Token]> {
    let length = prefix.chars().count();
    let head = pattern.get(..length)?;
    head.iter().copied().eq(prefix.chars().map(Token::Literal)).then(|| &pattern[length..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(pattern: &str) -> Vec<Token> {
        expand(pattern, &Keys::default(), true).unwrap()
    }

    const ARN: &str = "arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/api/GET/orders/7";

    #[test]
    fn wildcards_stand_for_many_or_one() {
        for (pattern, text, wanted) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("a", "ab", false),
            ("${*}", "*", true),
            ("${*}", "x", false),
        ] {
            assert_eq!(fits(&tokens(pattern), text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn resources_compare_part_by_part() {
        for (pattern, wanted) in [
            ("*", true),
            (ARN, true),
            ("arn:aws:execute-api:*:*:*/api/GET/*", true),
            ("arn:aws:execute-api:*:*:*/api/POST/*", false),
            ("arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/*", true),
            ("arn:aws:execute-api", true),
            ("arn:aws:execute-api:*", true),
            ("arn:aws:sts", false),
            ("arn:*:a1b2c3d4e5/api/GET/orders/7", false),
            ("execute-api:/*", true),
            ("execute-api:/api/GET/*", true),
            ("execute-api:/api/POST/*", false),
        ] {
            let found = resource_fits(&tokens(pattern), ARN, IncompleteArns::Completed);
            assert_eq!(found, wanted, "{pattern}");
        }
    }

    #[test]
    fn an_incomplete_resource_needs_a_star_where_principals_are_named() {
        for (pattern, wanted) in [
            ("*", true),
            (ARN, true),
            ("arn:aws:execute-api:*", true),
            ("arn:aws:execute-api:eu-west-1:*", true),
            ("arn:aws:execute-api", false),
            ("arn:aws:execute-api:eu-west-1:111122223333", false),
            ("arn:aws:execute-api:*:111122223333", false),
            ("execute-api:/api/GET/*", true),
        ] {
            let found = resource_fits(&tokens(pattern), ARN, IncompleteArns::NeedAStar);
            assert_eq!(found, wanted, "{pattern}");
        }
    }

    #[test]
    fn a_wildcard_in_an_arn_does_not_cross_a_colon() {
        let role = "arn:aws:iam::111122223333:role/probe-a";
        assert!(arn_fits(&tokens("arn:aws:iam::*:role/probe-*"), role));
        assert!(!arn_fits(&tokens("arn:aws:iam::*role/probe-*"), role));
        assert!(!arn_fits(&tokens("arn:aws:iam::*"), role));
    }

    #[test]
    fn actions_compare_without_case() {
        assert!(action_fits("EXECUTE-API:inv*", "execute-api:Invoke"));
        assert!(action_fits("*", "execute-api:Invoke"));
        assert!(!action_fits("execute-api:ManageConnections", "execute-api:Invoke"));
    }

    #[test]
    fn variables_take_one_value_or_their_default() {
        let mut keys = Keys::default();
        keys.set("aws:PrincipalTag/team", vec!["pay*".into()]);
        keys.set("aws:TagKeys", vec!["a".into(), "b".into()]);
        let expanded = |pattern| expand(pattern, &keys, true).map(|tokens| fits(&tokens, "x/pay*/y"));
        assert_eq!(expanded("x/${aws:principaltag/team}/y"), Some(true));
        assert_eq!(expanded("x/${aws:PrincipalTag/other}/y"), None);
        assert_eq!(expanded("x/${aws:PrincipalTag/other, 'pay*'}/y"), Some(true));
        assert_eq!(expanded("x/${aws:TagKeys}/y"), None);
        // A value's own wildcard is a plain character.
        assert!(!fits(&expand("${aws:PrincipalTag/team}", &keys, true).unwrap(), "payments"));
        // Version 2008-10-17 knows no variables.
        assert!(fits(&expand("${aws:a}", &keys, false).unwrap(), "${aws:a}"));
    }

    proptest! {
        #[test]
        fn a_text_fits_itself_and_any_part_of_it_replaced_by_a_star(text in "[a-z:/]{0,20}", from in 0usize..20, to in 0usize..20) {
            prop_assert!(fits(&tokens(&text), &text));
            let (from, to) = (from.min(to).min(text.len()), from.max(to).min(text.len()));
            let pattern = format!("{}*{}", &text[..from], &text[to..]);
            prop_assert!(fits(&tokens(&pattern), &text));
        }

        #[test]
        fn nothing_panics(pattern in ".{0,40}", text in ".{0,40}") {
            if let Some(tokens) = expand(&pattern, &Keys::default(), true) {
                fits(&tokens, &text);
                arn_fits(&tokens, &text);
                resource_fits(&tokens, &text, IncompleteArns::NeedAStar);
            }
        }
    }
}
