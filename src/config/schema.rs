//! The JSON Schema of the configuration, printed from the table of keys, for editors.
//!
//! It describes the text before `${NAME}` is replaced, so every single value may also be such a text.

use crate::config::keys::{Section, Shape};
use crate::config::{MAIN, units};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of a configuration.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("spokeprobe configuration"));
    schema.extend(section(&MAIN));
    let environment = json!({
        "description": "A value from the environment, ${NAME}.",
        "type": "string",
        "pattern": "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}",
    });
    schema.insert("$defs".into(), json!({ "environment": environment }));
    Value::Object(schema)
}

fn section(section: &Section) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in section.keys {
        let mut property = shape(&key.shape);
        property.insert("description".into(), json!(key.about));
        if !key.example.is_empty() {
            property.insert("examples".into(), json!([example(key.example)]));
        }
        properties.insert(key.name.into(), Value::Object(property));
    }
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("description".into(), json!(section.about));
    object.insert("type".into(), json!("object"));
    object.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".into(), json!(required));
    }
    object.insert("additionalProperties".into(), json!(false));
    object
}

/// Examples in the table are written as in a file.
fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn shape(of: &Shape) -> Map<String, Value> {
    let schema = match of {
        Shape::Text { pattern: "", .. } => json!({ "type": "string" }),
        Shape::Text { pattern, .. } => or_environment(json!({ "type": "string", "pattern": pattern })),
        Shape::Word(words) => or_environment(json!({ "enum": words })),
        Shape::Bool => or_environment(json!({ "type": "boolean" })),
        Shape::Integer(from, to) => {
            or_environment(json!({ "type": "integer", "minimum": from, "maximum": to }))
        }
        Shape::Number(above, to) => {
            or_environment(json!({ "type": "number", "exclusiveMinimum": above, "maximum": to }))
        }
        Shape::Duration(..) => or_environment(
            json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$", "$comment": of.wanted() }),
        ),
        Shape::Rate => or_environment(
            json!({ "type": "string", "pattern": "^[0-9.]+/[sm]$", "$comment": units::RATE_WANTED }),
        ),
        Shape::List(item) => json!({ "type": "array", "items": shape(item) }),
        Shape::OneOrMore(item) => {
            let item = Value::Object(shape(item));
            json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
        }
        Shape::Map(item) => json!({ "type": "object", "additionalProperties": shape(item) }),
        Shape::Section(inner) => Value::Object(section(inner)),
        Shape::Either(one, other) => json!({ "anyOf": [shape(one), shape(other)] }),
        Shape::Json => json!({}),
    };
    match schema {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn or_environment(schema: Value) -> Value {
    let environment = json!({ "$ref": "#/$defs/environment" });
    Value::Object(Map::from_iter([("anyOf".to_owned(), Value::Array(vec![schema, environment]))]))
}
