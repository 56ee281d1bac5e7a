//! Configurations as files: the example at the top, every kind of mistake, the schema.
//!
//! `tests/configs/invalid/NAME.yaml` stands beside `NAME.txt`, the problems as they are printed. After an
//! intended change, run with `UPDATE_GOLDEN=1` and read the difference.

use spokeprobe::yaml::Problem;
use spokeprobe::{config, sources};
use std::fs;
use std::path::{Path, PathBuf};

fn environment(name: &str) -> Option<String> {
    (name == "SECRET_WITH_NEWLINE").then(|| "sesame\nsesame".to_owned())
}

/// Compares with a file, or writes it.
fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
    }
    let wanted = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, wanted, "{} differs; see the head of this test", path.display());
}

fn printed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn invalid_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/configs/invalid")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_told_with_place_path_and_reason() {
    let files = invalid_files();
    assert!(files.len() >= 25);
    for file in files {
        let problems = sources::load_plan(&file.display().to_string(), &environment).unwrap_err();
        let text = printed(&problems);
        assert!(!text.contains("sesame"), "{text}");
        golden(&file.with_extension("txt"), &text);
        for problem in &problems {
            assert!(problem.line > 0 && problem.column > 0, "{problem}");
        }
    }
}

#[test]
fn ten_mistakes_are_all_told_at_once() {
    let problems = sources::load_plan("tests/configs/invalid/ten-mistakes.yaml", &environment).unwrap_err();
    assert_eq!(problems.len(), 10, "{}", printed(&problems));
}

#[test]
fn the_example_has_no_problem_and_no_warning() {
    let loaded = sources::load_plan("config.yaml", &|_| None).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(loaded.include_failures.is_empty());
    assert_eq!(loaded.plan.targets.len(), 8);
}

#[test]
fn line_endings_and_a_byte_order_mark_change_nothing() {
    let text = fs::read_to_string("config.yaml").unwrap();
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let one = sources::load_plan_text("config.yaml", &text, &|_| None).unwrap();
    let other = sources::load_plan_text("config.yaml", &windows, &|_| None).unwrap();
    assert_eq!(one.config, other.config);
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let schema = serde_json::to_string_pretty(&config::json_schema()).unwrap() + "\n";
    golden(Path::new("docs/config.schema.json"), &schema);
}
