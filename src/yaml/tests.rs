//! What the tree tells of a text, and that it agrees with what serde_yaml reads.

use super::*;
use proptest::prelude::*;
use serde_yaml::Value;

/// What the marked tree and the scalar rules together make of a node.
fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) => match resolve(&scalar.text, scalar.plain) {
            ScalarValue::Null => Value::Null,
            ScalarValue::Bool(value) => Value::Bool(value),
            ScalarValue::Number(number) => serde_yaml::to_value(number).unwrap(),
            ScalarValue::Text => Value::String(scalar.text.clone()),
        },
        Kind::Sequence(items) => Value::Sequence(items.iter().map(value).collect()),
        Kind::Mapping(entries) => Value::Mapping(
            entries
                .iter()
                .map(|entry| {
                    // Keys are texts here; serde_yaml types them like any scalar.
                    (Value::String(entry.key.clone()), value(&entry.value))
                })
                .collect(),
        ),
    }
}

fn both_read_alike(text: &str) {
    let ours = value(&parse("test.yaml", text).unwrap_or_else(|problems| panic!("{text}: {problems:?}")));
    let theirs: Value = from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(ours, theirs, "{text}");
}

#[test]
fn both_parsers_read_the_examples_alike() {
    for text in [
        include_str!("../../config.yaml"),
        include_str!("../../tests/configs/full.yaml"),
        "a: {b: [1, 2.5, -3], c: \"d\\n\"}\ne: |\n  block\n  text\nf: >-\n  folded\n  text\n",
        "# only a comment\n",
        "",
        "a:\nb: ~\n",
    ] {
        both_read_alike(text);
    }
}

#[test]
fn both_parsers_read_tricky_scalars_alike() {
    for scalar in [
        "012345678901",
        "123456789012",
        "000000000000",
        "010",
        "0o10",
        "0x1F",
        "0b11",
        "1_000",
        "1e3",
        "1.",
        ".5",
        "-0",
        "+1",
        "1e400",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "true",
        "True",
        "TRUE",
        "null",
        "Null",
        "~",
        "'1000'",
        "\"true\"",
        "''",
        "12:30:45",
        "2026-01-01",
        "20/s",
        "500ms",
        "1/3",
        "---x",
        "a#b",
        "a #b",
        "10.0.1.17:8443",
        "arn:aws:iam::012345678901:role/x",
        "GET /a?b=c&d",
        "18446744073709551615",
        "-9223372036854775808",
        "0.1",
        "1.0",
        "é",
        "a  b",
        "=",
        "!x".trim_start_matches('!'),
    ] {
        both_read_alike(&format!("key: {scalar}\n"));
        both_read_alike(&format!("- {scalar}\n"));
    }
}

#[test]
fn a_leading_zero_is_kept() {
    let tree = parse("t", "account: 012345678901").unwrap();
    let Kind::Mapping(entries) = tree.kind else { panic!() };
    let Kind::Scalar(scalar) = &entries[0].value.kind else { panic!() };
    assert_eq!(scalar.text, "012345678901");
}

proptest! {
    #[test]
    fn both_parsers_read_any_plain_word_alike(word in "[A-Za-z0-9_.+~/-]{1,20}") {
        // A plain scalar must not begin like a marker or an indicator.
        prop_assume!(!word.starts_with('-') || word.len() > 3);
        prop_assume!(!word.starts_with("---") && !word.starts_with("..."));
        // Numbers without a JSON form are texts to us on purpose.
        prop_assume!(!["nan", "inf"].iter().any(|w| word.to_lowercase().contains(w)));
        // Integers beyond 64 bits have no value at all in serde_yaml; to us they are texts.
        prop_assume!(from_str::<Value>(&word).is_ok());
        both_read_alike(&format!("key: {word}\n"));
    }

    #[test]
    fn no_text_makes_either_parser_panic(text in "\\PC{0,200}") {
        let _tree = parse("t", &text);
        let _value = resolve(&text, true);
    }
}

#[test]
fn places_count_lines_and_columns_from_one_with_bom_and_crlf() {
    let tree = parse("t", "\u{feff}a: 1\r\nb:\r\n  - c: x\r\n").unwrap();
    let Kind::Mapping(entries) = tree.kind else { panic!() };
    assert_eq!((entries[0].key.as_str(), entries[0].mark), ("a", Mark { line: 1, column: 1 }));
    assert_eq!(entries[0].value.mark, Mark { line: 1, column: 4 });
    let Kind::Sequence(items) = &entries[1].value.kind else { panic!() };
    let Kind::Mapping(inner) = &items[0].kind else { panic!() };
    assert_eq!(inner[0].value.mark, Mark { line: 3, column: 8 });
    let Kind::Scalar(scalar) = &inner[0].value.kind else { panic!() };
    assert_eq!(scalar.text, "x");
    assert!(from_str::<Value>("\u{feff}a: 1\r\n").unwrap().get("a").is_some());
}

#[test]
fn a_repeated_key_knows_both_places() {
    let tree = parse("t", "a: 1\nb: 2\na: 3\n").unwrap();
    let Kind::Mapping(entries) = tree.kind else { panic!() };
    assert_eq!(entries[2].repeats, Some(Mark { line: 1, column: 1 }));
    assert_eq!(entries[2].mark, Mark { line: 3, column: 1 });
}

#[test]
fn what_a_configuration_does_not_need_is_refused_with_its_place() {
    for (text, wanted) in [
        ("a: &x 1\nb: *x\n", "t:1:4: a: found an anchor"),
        ("a: &x 1\nb: *x\n", "t:2:4: b: found an alias"),
        ("a:\n  <<: {b: 1}\n", "t:2:3: a.<<: found a merge key"),
        ("a: !secret b\n", "t:1:4: a: found a tag"),
        ("a: 1\n---\nb: 2\n", "t:2:1: found a second document"),
        ("? [a, b]\n: c\n", "found a list or map as a key"),
        ("a: [1, 2\nb: 3\n", "found a syntax error"),
        ("a: \"x\n", "found a syntax error"),
    ] {
        let problems = parse("t", text).unwrap_err();
        let printed: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(printed.iter().any(|line| line.contains(wanted)), "{text}: {printed:?}");
    }
}

#[test]
fn size_depth_and_count_are_bounded() {
    let deep = "[".repeat(MAX_DEPTH + 1);
    assert!(parse("t", &deep).unwrap_err()[0].to_string().contains("a deeper nesting"));
    let many = "- 1\n".repeat(MAX_NODES + 1);
    assert!(parse("t", &many).unwrap_err()[0].to_string().contains("more than"));
    let long = format!("# {}", "x".repeat(MAX_BYTES));
    assert!(parse("t", &long).unwrap_err()[0].to_string().contains("bytes"));
    // Nine levels of nine aliases each: refused at the first, never unfolded.
    let laughs: String =
        (1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
    assert!(parse("t", &format!("a0: &a0 lol\n{laughs}")).is_err());
}

#[test]
fn a_misspelt_word_finds_its_neighbour() {
    let words = ["timeout", "every", "rate", "expect"];
    assert_eq!(nearest("tiemout", words), Some("timeout"));
    assert_eq!(nearest("Expects", words), Some("expect"));
    assert_eq!(nearest("colour", words), None);
}
