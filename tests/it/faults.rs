//! The list of faults survived names tests; here it is held to those that exist.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// True when one of these files has this text.
fn one_has(files: &[PathBuf], text: &str) -> bool {
    files.iter().any(|file| fs::read_to_string(file).unwrap_or_default().contains(text))
}

/// Whether a name of the list stands for a test, or a fault of the soak, that exists.
fn exists(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(fault) = name.strip_prefix("soak: ") {
        let of = |file: &str| fs::read_to_string(root.join("tests/soak").join(file)).unwrap();
        let text = of("faults.rs") + &of("troubles.rs") + &of("reloads.rs") + &of("written.rs");
        let declared = |end: &str| text.contains(&format!("    {fault}{end}"));
        return declared(",\n") || declared("(") || declared(" {");
    }
    let Some((module, test)) = name.split_once("::") else { return false };
    if module.ends_with(".py") {
        return one_has(&[root.join("tests/external").join(module)], &format!("def {test}("));
    }
    let mut files = vec![root.join(format!("tests/it/{module}.rs"))];
    for folder in ["tests/it", "src"].map(|folder| root.join(folder).join(module)) {
        if folder.is_dir() {
            rust_files(&folder, &mut files);
        }
    }
    one_has(&files, &format!("fn {test}("))
}

/// The names in the last column of the tables.
fn names(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let last = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    last.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn each_fault_of_the_list_has_a_test_that_exists() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault")).count();
    let names = names(&text);
    assert!(rows > 40 && names.len() > rows, "{rows} rows, {} names", names.len());
    let missing: Vec<_> = names.iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "docs/faults.md names what is not there: {missing:#?}");
    // The check must be able to fail.
    assert!(
        !exists("sts_outage::sts_is_up") && !exists("soak: Rain") && !exists("test_demo.py::test_nothing")
    );
}
