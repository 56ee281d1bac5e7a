//! Files on a disk, found and bounded.

use super::*;
use std::fs;

const MAIN: &str = "hub: {region: eu-west-1, endpoint: {id: vpce-0a1b2c3d}}\nspokes:\n- name: a\n  account: '111122223333'\n  \
                    apis: [{name: x, id: a1b2c3d4e5, stage: s, probes: [{name: p, request: GET /}]}]\n";

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("spokeprobe-sources-{}-{name} [x]", std::process::id()));
        fs::create_dir_all(path.join("spokes.d")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn failed(loaded: Result<LoadedPlan, Vec<Problem>>) -> String {
    loaded.unwrap_err().iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn includes_are_relative_to_the_main_file_and_bad_ones_stay_out() {
    let folder = Folder::new("includes");
    let more = "include: ['*.yaml', spokes.d/*.yaml, {files: spokes.d/b.yaml, accounts: ['222233334444']}, 'none/*.yaml']\n";
    let main = folder.write("main.yaml", format!("{MAIN}{more}"));
    folder.write(
        "spokes.d/b.yaml",
        "spokes: [{name: b, account: '222233334444', session_policy: narrow.json}]",
    );
    folder.write("spokes.d/c.yaml", "spokes: [{name: c, account: 1}]");
    folder.write("spokes.d/d.yaml", b"spokes: []\n# \xff\n");
    folder.write("narrow.json", "{\"Version\": \"2012-10-17\", \"Statement\": []}");
    let loaded = load_plan(&main, &nothing).unwrap();
    assert_eq!(loaded.plan.spokes.len(), 2);
    assert!(loaded.config.spokes[1].session.session_policy.is_some());
    let files: Vec<&str> =
        loaded.include_failures.iter().map(|failure| failure.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["c.yaml", "d.yaml"]);
    let includes: Vec<(&str, bool)> = loaded
        .plan
        .includes
        .iter()
        .map(|include| (include.file.rsplit('/').next().unwrap(), include.problems.is_empty()))
        .collect();
    assert_eq!(includes, [("b.yaml", true), ("c.yaml", false), ("d.yaml", false)]);
    assert!(loaded.include_failures[1].problems[0].to_string().contains("not UTF-8 at line 2"));
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].message.contains("`none/*.yaml` matches no file"));
}

#[test]
fn a_configuration_may_come_from_a_variable_without_includes() {
    let environment = |name: &str| match name {
        "GOOD" => Some(MAIN.to_owned()),
        "BAD" => Some(format!("{MAIN}include: [x.yaml]\n")),
        "FILE" => Some(MAIN.replace("id: vpce-0a1b2c3d", "id: vpce-0a1b2c3d, ca_file: ca.pem")),
        _ => None,
    };
    assert_eq!(load_plan("env:GOOD", &environment).unwrap().plan.targets.len(), 1);
    assert!(
        failed(load_plan("env:BAD", &environment)).contains("`include` in a configuration that is no file")
    );
    assert!(failed(load_plan("env:FILE", &environment)).contains("names others by absolute path"));
    assert!(failed(load_plan("env:NONE", &environment)).contains("no environment variable `NONE`"));
    assert!(failed(load_plan("s3://bucket/key", &nothing)).contains("not available in this version"));
}

#[test]
fn files_that_cannot_be_used_are_problems_with_a_place() {
    let folder = Folder::new("files");
    let with = |name: &str| MAIN.replace("id: vpce-0a1b2c3d", &format!("id: vpce-0a1b2c3d, ca_file: {name}"));
    folder.write("no.pem", "not a certificate");
    folder.write("large.pem", vec![b'x'; MAX_NAMED_FILE_BYTES + 1]);
    for (name, wanted) in [
        ("none.pem", "cannot be read (No such file"),
        ("no.pem", "without a certificate"),
        ("large.pem", "more than"),
        ("spokes.d", "it is a folder"),
    ] {
        let problem = failed(load_plan(&folder.write("main.yaml", with(name)), &nothing));
        assert!(problem.contains(wanted) && problem.contains(":1:"), "{problem}");
    }
    assert!(
        failed(load_plan(&folder.0.join("none.yaml").display().to_string(), &nothing))
            .contains("cannot be read")
    );
    let large = folder.write("large.yaml", vec![b'#'; MAX_BYTES + 1]);
    assert!(failed(load_plan(&large, &nothing)).contains("more than"));
}
