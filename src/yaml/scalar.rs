//! What a single plain scalar means, by serde_yaml's rules.

/// The value of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalarValue {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// `true` or `false`; `yes` and `on` are texts.
    Bool(bool),
    /// A number, always finite.
    Number(serde_json::Number),
    /// Everything else.
    Text,
}

/// What a scalar means; a quoted one is always a text.
///
/// The text of a scalar stays available beside its value: `012345678901` must keep its leading zero where
/// a text is wanted.
#[must_use]
pub fn resolve(text: &str, plain: bool) -> ScalarValue {
    // A folded plain scalar spans words, and no number, bool or null is longer than this.
    if !plain || text.len() > 64 || text.contains(['\n', '\r']) {
        return ScalarValue::Text;
    }
    if text.is_empty() {
        return ScalarValue::Null;
    }
    // As an item of a list, because alone `---` would begin a document. A text that came from the
    // environment may be no scalar at all (`a: b`); then it is just a text.
    let Ok(items) = serde_yaml::from_str::<Vec<serde_yaml::Value>>(&format!("- {text}")) else {
        return ScalarValue::Text;
    };
    match items.as_slice() {
        // `- # note` is an empty item, but a scalar that begins with # can only have come from outside YAML.
        [serde_yaml::Value::Null] if !text.starts_with('#') => ScalarValue::Null,
        [serde_yaml::Value::Bool(value)] => ScalarValue::Bool(*value),
        [serde_yaml::Value::Number(number)] => {
            json_number(number).map_or(ScalarValue::Text, ScalarValue::Number)
        }
        _ => ScalarValue::Text,
    }
}

/// The same number for JSON; `.inf` and `.nan` have none.
fn json_number(number: &serde_yaml::Number) -> Option<serde_json::Number> {
    number
        .as_u64()
        .map(Into::into)
        .or_else(|| number.as_i64().map(Into::into))
        .or_else(|| number.as_f64().and_then(serde_json::Number::from_f64))
}
