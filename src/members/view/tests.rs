//! One answer after the other: what moves, when, and what never does.

use super::*;
use proptest::prelude::*;

fn names(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// An answer that names these members to agent `b`; `-` for none.
fn answer(members: &str) -> Answer {
    let names = names(members);
    if members == "-" {
        return Answer::Nothing;
    }
    let me = names.iter().filter(|name| *name == "b").cloned().collect();
    Answer::Members { names, me }
}

/// What agent `b` knows after each of these answers: its members, `all` for a stand-in, `?` for nothing; a `!` where
/// it begins loads.
fn after(answers: &[&str]) -> Vec<String> {
    let mut view = View::new(NonZeroU32::MIN);
    let told = |share: Option<Share>| match share {
        None => "?".to_owned(),
        Some(share) if share.kind() == crate::members::Kind::StandIn => "all".to_owned(),
        Some(share) => {
            let first = if share.is_first_member() { "!" } else { "" };
            share.names().join(" ") + first
        }
    };
    answers
        .iter()
        .map(|text| {
            view.learn(&answer(text));
            told(view.share())
        })
        .collect()
}

#[test]
fn answers_one_after_the_other() {
    for (what, answers, wanted) in [
        ("the first answer counts at once", &["a b c"][..], &["a b c"][..]),
        ("without an answer everything from the second refresh", &["-", "-", "-"], &["?", "all", "all"]),
        (
            "who is not named waits a minute while others are at work",
            &["a c", "a c", "a c", "a c", "a c"],
            &["?", "?", "?", "all", "all"],
        ),
        ("named in time", &["-", "a c", "a c", "a b c"], &["?", "?", "?", "a b c"]),
        ("a stand-in shares as soon as it is named", &["-", "-", "a", "a b"], &["?", "all", "all", "a b"]),
        (
            "one that leaves is replaced at the second refresh",
            &["a b c", "a b", "a b"],
            &["a b c", "a b c", "a b"],
        ),
        ("one that joins is taken on at the second", &["a b", "a b c", "a b c"], &["a b", "a b", "a b c"]),
        (
            "an answer that differs once moves nothing",
            &["a b c", "b", "a b c", "a b c d", "a b c", "a b c d", "a b c"],
            &["a b c", "a b c", "a b c", "a b c", "a b c", "a b c", "a b c"],
        ),
        (
            "no answer changes nothing and confirms nothing",
            &["a b c", "-", "-", "-", "a b", "-", "a b"],
            &["a b c", "a b c", "a b c", "a b c", "a b c", "a b c", "a b"],
        ),
        (
            "who is not named any more goes on beside the others, and follows them",
            &["a b c", "a c", "a c", "a c", "a", "a", "a b"],
            &["a b c", "a b c", "a b c", "a b c", "a b c", "a b", "a b"],
        ),
        (
            "each name has its own two answers, whatever the others do",
            &["a b c d", "a b d e", "a b e", "b e"],
            &["a b c d", "a b c d", "a b d e", "a b e"],
        ),
        (
            "the first begins loads after a minute",
            &["b c", "b c", "b c", "b c", "b c", "b c"],
            &["b c", "b c", "b c", "b c", "b c!", "b c!"],
        ),
        (
            "not while it is not named, nor without answers",
            &["b", "b", "b", "b", "b", "-", "-", "b", "b", "c", "b c"],
            &["b", "b", "b", "b", "b!", "b!", "b", "b!", "b!", "b", "b c"],
        ),
        (
            "who becomes the first gives the one before time to know",
            &["a b", "a b", "b", "b", "b", "b", "b"],
            &["a b", "a b", "a b", "b", "b", "b", "b!"],
        ),
    ] {
        assert_eq!(after(answers), wanted, "{what}");
    }
}

#[test]
fn a_second_name_of_this_agent_is_one_more_share_of_it() {
    let both = Answer::Members { names: names("a b c"), me: names("b c") };
    let one = Answer::Members { names: names("a b"), me: names("b") };
    let none = Answer::Members { names: names("a"), me: names("") };
    let mut view = View::new(NonZeroU32::MIN);
    let me = |view: &View| view.me().into_iter().collect::<Vec<_>>().join(" ");
    view.learn(&one);
    view.learn(&both);
    assert_eq!(me(&view), "b");
    view.learn(&both);
    assert_eq!(me(&view), "b c");
    view.learn(&one);
    view.learn(&one);
    assert_eq!(me(&view), "b");
    for _ in 0..5 {
        view.learn(&none);
    }
    assert_eq!(me(&view), "b", "the last name stays");
    assert_eq!(view.standing(), Standing::Unnamed);
    view.learn(&Answer::Nothing);
    view.learn(&Answer::Nothing);
    assert_eq!(view.standing(), Standing::Unanswered);
}

proptest! {
    /// Agents that see the same answers, each from its own start, never leave a target to nobody once they agree, and
    /// what two equal answers say is what holds.
    #[test]
    fn whatever_was_answered_two_equal_answers_settle_it(
        answers in prop::collection::vec(prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4), 0..20),
        last in prop::sample::subsequence(vec!["a", "b", "c", "d"], 1..=4),
    ) {
        let answer = |named: &[&str], me: &str| {
            let names: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
            let me = names.iter().filter(|name| *name == me).cloned().collect();
            if names.is_empty() { Answer::Nothing } else { Answer::Members { names, me } }
        };
        for me in &last {
            let mut view = View::new(NonZeroU32::MIN);
            for named in answers.iter().chain([&last, &last]) {
                view.learn(&answer(named, me));
            }
            let share = view.share().unwrap();
            let found: Vec<String> = share.names().iter().map(ToString::to_string).collect();
            prop_assert_eq!(&found, &last);
            prop_assert_eq!(share.me().map(ToString::to_string).collect::<Vec<_>>(), vec![(*me).to_owned()]);
        }
    }
}
