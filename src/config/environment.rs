//! `${NAME}` in scalars, replaced after parsing, so a value can never become structure.
//!
//! The environment is an argument. What came from it is marked, since a header value, a body or an external
//! id from the environment is a secret, and no problem may show such a value.

/// Which names a file may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// The main file: all but the names of credentials.
    All,
    /// An included file, which another team may own: `SPOKEPROBE_*` only.
    OwnOnly,
}

/// A text with everything replaced.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) text: String,
    /// True when any part came from the environment.
    pub(crate) from_environment: bool,
}

/// Why a text cannot be replaced: what was found and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) found: String,
    pub(crate) wanted: String,
    pub(crate) hint: Option<String>,
}

/// The longest text that the environment may give.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Replaces every `${NAME}`; `$${` stands for `${`.
pub(crate) fn replace(
    text: &str,
    allowed: Allowed,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Replaced, Refused> {
    let mut replaced = Replaced { text: String::with_capacity(text.len()), from_environment: false };
    let mut rest = text;
    while let Some(dollar) = rest.find("${") {
        let (before, after) = rest.split_at(dollar);
        let inside = &after[2..];
        if let Some(before) = before.strip_suffix('$') {
            replaced.text.push_str(before);
            replaced.text.push_str("${");
            rest = inside;
            continue;
        }
        replaced.text.push_str(before);
        let Some((name, further)) = inside.split_once('}') else {
            return Err(refused("`${` without `}`", "`${NAME}`", Some("write `$${` for a literal `${`")));
        };
        replaced.text.push_str(&value(name, allowed, environment)?);
        replaced.from_environment = true;
        rest = further;
    }
    replaced.text.push_str(rest);
    Ok(replaced)
}

fn value(
    name: &str,
    allowed: Allowed,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Refused> {
    let mut bytes = name.bytes();
    let is_name = name.len() <= 128
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        let wanted = "`${NAME}` with a name of letters, digits and underscores";
        return Err(refused(
            "`${…}` around something that is no name",
            wanted,
            Some("write `$${` for a literal `${`"),
        ));
    }
    // The agent's own credentials and the token for fetching them must not end up in a request.
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("AWS_") || upper.starts_with("ECS_") {
        let found = format!("the environment variable `{name}`");
        return Err(refused(
            &found,
            "a name that does not begin with AWS_ or ECS_",
            Some("credentials stay out of the configuration"),
        ));
    }
    if allowed == Allowed::OwnOnly && !name.starts_with("SPOKEPROBE_") {
        let found = format!("the environment variable `{name}` in an included file");
        return Err(refused(&found, "a name that begins with SPOKEPROBE_", None));
    }
    match environment(name) {
        Some(value) if value.len() <= MAX_VALUE_BYTES => Ok(value),
        Some(_) => {
            let found = format!("a very long value in the environment variable `{name}`");
            Err(refused(&found, "at most 64 KiB", None))
        }
        None => {
            let found = format!("the environment variable `{name}`, which is not set");
            Err(refused(&found, "a variable that is set", Some("set it, or write `$${` for a literal `${`")))
        }
    }
}

fn refused(found: &str, wanted: &str, hint: Option<&str>) -> Refused {
    Refused { found: found.to_owned(), wanted: wanted.to_owned(), hint: hint.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".into()),
            "SPOKEPROBE_B" => Some("${A}".into()),
            _ if name.contains("SECRET") => Some("sesame".into()),
            _ => None,
        }
    }

    #[test]
    fn names_are_replaced_once_and_literals_stay() {
        let check = |text: &str, wanted: &str, from: bool| {
            let got = replace(text, Allowed::All, &environment).unwrap();
            assert_eq!((got.text.as_str(), got.from_environment), (wanted, from), "{text}");
        };
        check("plain $A {A} $", "plain $A {A} $", false);
        check("${A}", "1", true);
        check("x${A}y${A}", "x1y1", true);
        check("$${A}", "${A}", false);
        check("$$${A}", "$${A}", false);
        // A value is not read again.
        check("${SPOKEPROBE_B}", "${A}", true);
    }

    #[test]
    fn what_must_not_be_used_is_refused() {
        for name in ["AWS_SECRET_ACCESS_KEY", "aws_secret", "ECS_SECRET", "UNSET", "", "A B", "A:-x"] {
            assert!(replace(&format!("${{{name}}}"), Allowed::All, &environment).is_err(), "{name}");
        }
        assert!(replace("${A", Allowed::All, &environment).is_err());
        assert!(replace("${A}", Allowed::OwnOnly, &environment).is_err());
        assert!(replace("${SPOKEPROBE_B}", Allowed::OwnOnly, &environment).is_ok());
    }
}
