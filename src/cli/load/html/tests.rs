//! The page forbids itself everything but its style, and takes nothing from outside as markup.

use super::super::tests::{hostile, report, stopped};
use super::*;
use sha2::Digest as _;

#[test]
fn the_policy_allows_exactly_the_style_of_the_page() {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut hash = sha2::Sha256::digest(STYLE).to_vec();
    hash.push(0); // 32 bytes are 43 digits of base64 and one "="
    let quads = hash.chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(digits[(bits >> shift & 63) as usize]))
    });
    let base64: String = quads.take(43).chain(['=']).collect();
    assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{base64}'")), "sha256-{base64}");
}

#[test]
fn nothing_from_outside_is_markup() {
    let html = render(&hostile());
    assert!(html.contains("&lt;script&gt;"), "the hostile names are in the page");
    for sign in ["<script", "<img", "onerror=alert", "javascript:"] {
        assert!(!html.contains(&format!("\"{sign}")) && !html.contains(&format!(">{sign}")), "{sign}");
    }
    assert!(!html.contains("<script") && !html.contains("<img"));
}

#[test]
fn the_page_stands_alone_and_runs_nothing() {
    for document in [Document::of(&report()), Document::of(&stopped())] {
        let html = render(&document);
        for sign in ["http://", "https://", "<script", "url(", "@import", " style=", " src=", " href="] {
            assert!(!html.contains(sign), "{sign}");
        }
        assert_eq!(html.matches("<svg class=\"plot\"").count(), html.matches("<desc").count());
        for tag in ["section", "table", "svg", "details", "dl", "div", "ul"] {
            let (open, close) =
                (html.matches(&format!("<{tag}")).count(), html.matches(&format!("</{tag}>")).count());
            assert_eq!(open, close, "{tag}");
        }
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }
}

#[test]
fn a_day_by_the_second_is_still_a_page() {
    let mut document = Document::of(&report());
    let second = document.timeline[0].clone();
    document.timeline = (0..86_400_u32)
        .map(|at| crate::cli::load::measured::Second { at_seconds: f64::from(at), ..second.clone() })
        .collect();
    let html = render(&document);
    assert!(html.len() < 400_000, "{} bytes", html.len());
    assert!(html.contains("Each point is 360 seconds"));
}

#[test]
fn the_last_milliseconds_are_no_fall_to_zero() {
    let mut timeline = Document::of(&report()).timeline;
    let (last, due) =
        (timeline.last().unwrap().clone(), timeline.iter().map(|second| second.sent).sum::<u64>());
    timeline.push(crate::cli::load::measured::Second {
        at_seconds: last.at_seconds + 1.0,
        lasts_seconds: 0.004,
        rate_asked_per_second: 0.0,
        sent: 0,
        ..last.clone()
    });
    let (groups, _) = plots::groups(&timeline);
    assert_eq!(groups.len(), 20);
    let end = groups.last().unwrap();
    assert!((end.asked - last.rate_asked_per_second).abs() < 1.0, "{}", end.asked);
    let sent: f64 = groups.iter().map(|group| group.reached * group.lasts_seconds).sum();
    assert_eq!(sent.round() as u64, due);
    assert_eq!(plots::groups(&timeline[20..]).0.len(), 1, "by itself it is all there is");
}
