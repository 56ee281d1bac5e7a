//! Files on a disk, found and bounded.

use super::*;
use crate::yaml::{MAX_BYTES, Problem};
use std::fs;
use std::path::PathBuf;

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
    assert!(failed(load_plan("s3://bucket/key", &nothing)).contains("where the network is not asked"));
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

fn spoke(name: &str, more: &str) -> String {
    let apis = "apis: [{name: x, id: a1b2c3d4e5, stage: s, probes: [{name: p, request: GET /}]}]";
    format!("spokes: [{{name: {name}, account: '222233334444', {more} {apis}}}]\n")
}

/// One agent's life with a folder: what is in use after each reading.
struct Life {
    main: String,
    last_read: LastRead,
}

impl Life {
    fn begin(main: String) -> Self {
        let texts = reader::read_here(&main, &nothing).unwrap();
        let loaded = load_plan_of(&texts, &nothing).unwrap();
        let last_read = LastRead::default().after(&texts, &loaded);
        Self { main, last_read }
    }

    fn again(&mut self) -> Result<LoadedPlan, Vec<Problem>> {
        let texts = reader::read_here(&self.main, &nothing).unwrap();
        let loaded = load_plan_again(&texts, &self.last_read, &nothing)?;
        self.last_read = self.last_read.after(&texts, &loaded);
        Ok(loaded)
    }
}

fn names(loaded: &LoadedPlan) -> Vec<&str> {
    loaded.config.spokes.iter().map(|spoke| spoke.name.as_str()).collect()
}

fn shown(loaded: &LoadedPlan, file: &str) -> String {
    let include = loaded.plan.includes.iter().find(|include| include.file.ends_with(file)).unwrap();
    include.problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn a_broken_include_runs_on_as_last_read_and_a_removed_one_ends() {
    let folder = Folder::new("last-read");
    let main = folder.write("main.yaml", format!("{MAIN}include: [spokes.d/*.yaml]\n"));
    folder.write("spokes.d/b.yaml", spoke("b", "session_policy: narrow.json,"));
    folder.write("spokes.d/c.yaml", spoke("c", ""));
    folder.write("narrow.json", "{\"Version\": \"2012-10-17\", \"Statement\": []}");
    let mut life = Life::begin(main);

    folder.write("spokes.d/b.yaml", "spokes: [{name: b, account: 1}]");
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a", "c", "b"]);
    assert!(loaded.include_failures.is_empty());
    let said = shown(&loaded, "b.yaml");
    assert!(said.contains("keep running as last read") && said.contains("spokes.b.account"), "{said}");
    assert_eq!(shown(&loaded, "c.yaml"), "");

    // Also what it named is as it was then, and several broken readings later as well.
    fs::remove_file(folder.0.join("narrow.json")).unwrap();
    folder.write("spokes.d/b.yaml", "spokes: [");
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a", "c", "b"]);
    assert!(loaded.config.spokes[2].session.session_policy.is_some());

    folder.write("spokes.d/b.yaml", spoke("b", ""));
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a", "b", "c"]);
    assert_eq!(shown(&loaded, "b.yaml"), "");
    assert!(loaded.config.spokes[1].session.session_policy.is_none());

    fs::remove_file(folder.0.join("spokes.d/b.yaml")).unwrap();
    assert_eq!(names(&life.again().unwrap()), ["a", "c"]);
    // A file that comes back broken has nothing that could stand in for it.
    folder.write("spokes.d/b.yaml", "spokes: [");
    let loaded = life.again().unwrap();
    assert_eq!((names(&loaded), loaded.include_failures.len()), (vec!["a", "c"], 1));
}

#[test]
fn a_file_that_is_named_and_not_there_is_a_broken_include() {
    let folder = Folder::new("literal");
    let all = "include: [spokes.d/b.yaml, './c.yaml', 'none/*.yaml', 'a[1].yaml', '*/b.yaml', main.yaml, spokes.d]\n";
    let main = folder.write("main.yaml", format!("{MAIN}{all}"));
    folder.write("a[1].yaml", spoke("literal", ""));
    folder.write("c.yaml", spoke("c", ""));
    let digest = || reader::read_here(&main, &nothing).unwrap().digest();
    let without = digest();
    let loaded = load_plan(&main, &nothing).unwrap();
    let broken: Vec<String> =
        loaded.include_failures.iter().map(|failure| failure.problems[0].to_string()).collect();
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].contains("spokes.d/b.yaml") && broken[0].contains("No such file"), "{broken:?}");
    assert!(broken[1].contains("spokes.d") && broken[1].contains("it is a folder"), "{broken:?}");
    let missed: Vec<&str> =
        loaded.warnings.iter().map(|warning| warning.message.split('`').nth(1).unwrap()).collect();
    assert_eq!(missed, ["none/*.yaml", "a[1].yaml", "*/b.yaml"], "a pattern may match nothing");

    // Begun without it, the agent takes it when it comes; then it stays until it is named no more.
    let mut life = Life::begin(main.clone());
    folder.write("spokes.d/b.yaml", spoke("b", ""));
    let with = digest();
    assert_ne!(with, without);
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a", "b", "c"], "named exactly and by a pattern it is one file");
    assert_eq!(shown(&loaded, "/b.yaml"), "");
    for _ in 0..2 {
        fs::remove_file(folder.0.join("spokes.d/b.yaml")).unwrap();
        assert_eq!(digest(), without);
        for _ in 0..2 {
            let loaded = life.again().unwrap();
            assert_eq!(names(&loaded), ["a", "c", "b"]);
            assert!(shown(&loaded, "/b.yaml").contains("keep running as last read"));
        }
        folder.write("spokes.d/b.yaml", spoke("b", ""));
        assert_eq!(digest(), with);
        assert_eq!(shown(&life.again().unwrap(), "/b.yaml"), "");
    }
    fs::remove_file(folder.0.join("spokes.d/b.yaml")).unwrap();
    folder.write("main.yaml", format!("{MAIN}include: ['./c.yaml']\n"));
    assert_eq!(names(&life.again().unwrap()), ["a", "c"]);
}

#[test]
fn a_file_has_one_name_however_it_is_included() {
    let folder = Folder::new("one-name");
    let also = format!("{}//spokes.d/b.yaml", folder.0.display());
    let more =
        format!("include: ['./spokes.d//b.yaml', 'spokes.d/*.yaml', '*/b.yaml', '{also}', ./main.yaml]\n");
    let escaped = glob::Pattern::escape(&also);
    folder.write("spokes.d/b.yaml", spoke("b", ""));
    // The folder of this file has a character of patterns in its name, so its absolute path is one only when escaped.
    let main = folder.write("main.yaml", format!("{MAIN}{}", more.replace(&also, &escaped)));
    let loaded = load_plan(&main, &nothing).unwrap();
    assert_eq!((names(&loaded), loaded.config.included_files.len()), (vec!["a", "b"], 1));
    assert_eq!((loaded.include_failures.len(), loaded.warnings.len()), (0, 0));
}

#[test]
fn a_broken_main_file_changes_nothing() {
    let folder = Folder::new("broken-main");
    let good = format!("{MAIN}include: [spokes.d/*.yaml]\n");
    let main = folder.write("main.yaml", &good);
    folder.write("spokes.d/b.yaml", spoke("b", ""));
    let mut life = Life::begin(main);
    folder.write("main.yaml", good.replace("hub:", "hob:"));
    folder.write("spokes.d/b.yaml", "spokes: [");
    assert!(!life.again().unwrap_err().is_empty());
    folder.write("main.yaml", &good);
    assert_eq!(names(&life.again().unwrap()), ["a", "b"]);
}

#[test]
fn an_include_that_cannot_be_listed_changes_nothing() {
    let folder = Folder::new("unlisted");
    let with = |pattern: &str| format!("{MAIN}include: ['{pattern}']\n");
    let main = folder.write("main.yaml", with("spokes.d/*.yaml"));
    folder.write("spokes.d/b.yaml", spoke("b", ""));
    let mut life = Life::begin(main.clone());
    folder.write("main.yaml", with("spokes.d/[.yaml"));
    let problems = failed(life.again());
    assert!(problems.contains("an invalid pattern") && problems.contains("main.yaml:"), "{problems}");
    folder.write("main.yaml", with("spokes.d/*.yaml"));
    assert_eq!(names(&life.again().unwrap()), ["a", "b"]);

    // The plan in use has nothing of what it could not list at the start: it is not kept from other changes.
    folder.write("main.yaml", with("spokes.d/[.yaml"));
    let mut life = Life::begin(main);
    folder.write("main.yaml", with("spokes.d/[.yaml', 'spokes.d/*.yaml"));
    let loaded = life.again().unwrap();
    assert_eq!((names(&loaded), loaded.include_failures.len()), (vec!["a", "b"], 1));
    folder.write("main.yaml", with("spokes.d/*.yaml"));
    assert_eq!(names(&life.again().unwrap()), ["a", "b"]);
    folder.write("main.yaml", with("spokes.d/[.yaml"));
    assert!(life.again().is_err());
}

#[test]
fn spokes_as_last_read_give_way_to_what_is_read_now() {
    let folder = Folder::new("conflict");
    let main = folder.write("main.yaml", format!("{MAIN}include: [spokes.d/*.yaml]\n"));
    folder.write("spokes.d/b.yaml", spoke("moved", ""));
    folder.write("spokes.d/c.yaml", spoke("c", ""));
    let mut life = Life::begin(main);
    folder.write("spokes.d/b.yaml", "spokes: [");
    folder.write("spokes.d/c.yaml", spoke("moved", "external_id: new-home,"));
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a", "moved"]);
    assert!(loaded.config.spokes[1].session.external_id.is_some());
    let said = shown(&loaded, "b.yaml");
    assert!(said.contains("no longer fit to the rest") && said.contains("moved"), "{said}");
    assert_eq!(loaded.include_failures.len(), 1);
}

#[test]
fn of_a_broken_file_only_the_spokes_that_others_have_now_give_way() {
    let folder = Folder::new("give-way");
    let main = folder.write("main.yaml", format!("{MAIN}include: [spokes.d/*.yaml]\n"));
    let list = |names: &[&str]| {
        let spokes: Vec<String> = names.iter().map(|name| spoke(name, "")).collect();
        spokes.concat().replace("]\nspokes: [", ", ")
    };
    folder.write("spokes.d/b.yaml", list(&["ledger", "partner"]));
    folder.write("spokes.d/c.yaml", list(&["catalog"]));
    let mut life = Life::begin(main);
    folder.write("spokes.d/b.yaml", "spokes: [");
    folder.write("spokes.d/c.yaml", list(&["catalog", "ledger"]));
    for _ in 0..2 {
        let loaded = life.again().unwrap();
        assert_eq!(names(&loaded), ["a", "catalog", "ledger", "partner"]);
        assert!(loaded.include_failures.is_empty());
        let said = shown(&loaded, "b.yaml");
        assert!(said.contains("keep running as last read") && said.contains("ledger"), "{said}");
    }
    // As soon as the other file does not have it any more it is back.
    folder.write("spokes.d/c.yaml", list(&["catalog"]));
    assert_eq!(names(&life.again().unwrap()), ["a", "catalog", "ledger", "partner"]);
    assert!(!shown(&life.again().unwrap(), "b.yaml").contains("second"));
}

#[test]
fn files_that_name_spokes_of_a_broken_one_are_read_as_they_are_now() {
    let folder = Folder::new("named-elsewhere");
    let main = folder.write("main.yaml", format!("{MAIN}include: [spokes.d/*.yaml]\n"));
    let naming = |name: &str, other: &str, more: &str| {
        spoke(name, more).replace("request: GET /", &format!("request: GET /, as: 'spoke:{other}'"))
    };
    folder.write("spokes.d/b.yaml", spoke("b", ""));
    folder.write("spokes.d/c.yaml", naming("c", "b", ""));
    folder.write("spokes.d/d.yaml", naming("d", "c", ""));
    let mut life = Life::begin(main);
    folder.write("spokes.d/b.yaml", "spokes: [");
    folder.write("spokes.d/c.yaml", naming("c", "b", "external_id: edited,"));
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a", "c", "d", "b"]);
    assert!(loaded.config.spokes[1].session.external_id.is_some(), "the edit counts");
    assert_eq!(shown(&loaded, "c.yaml") + &shown(&loaded, "d.yaml"), "");
    assert!(shown(&loaded, "b.yaml").contains("keep running as last read"));

    // One that names a spoke of nobody is broken itself.
    folder.write("spokes.d/d.yaml", naming("d", "nobody", ""));
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a", "c", "b", "d"]);
    assert!(shown(&loaded, "d.yaml").contains("keep running as last read"));
    assert_eq!(shown(&loaded, "c.yaml"), "");
}

#[test]
fn the_bounds_of_now_hold_for_spokes_as_last_read() {
    let folder = Folder::new("bounds");
    let bound =
        |account: &str| format!("{MAIN}include: [{{files: 'spokes.d/*.yaml', accounts: ['{account}']}}]\n");
    let main = folder.write("main.yaml", bound("222233334444"));
    folder.write("spokes.d/b.yaml", spoke("b", ""));
    let mut life = Life::begin(main);
    folder.write("spokes.d/b.yaml", "spokes: [");
    assert_eq!(names(&life.again().unwrap()), ["a", "b"]);
    folder.write("main.yaml", bound("333344445555"));
    let loaded = life.again().unwrap();
    assert_eq!(names(&loaded), ["a"]);
    assert!(shown(&loaded, "b.yaml").contains("no longer fit"));
}

#[test]
fn when_all_includes_break_at_once_all_run_on() {
    let folder = Folder::new("all-break");
    let hub = MAIN.split("spokes:").next().unwrap();
    let main = folder.write("main.yaml", format!("{hub}include: [spokes.d/*.yaml]\n"));
    for name in ["b", "c", "d"] {
        folder.write(&format!("spokes.d/{name}.yaml"), spoke(name, ""));
    }
    let mut life = Life::begin(main);
    for name in ["b", "c", "d"] {
        folder.write(&format!("spokes.d/{name}.yaml"), "");
    }
    assert_eq!(names(&life.again().unwrap()), ["b", "c", "d"]);
}

#[tokio::test]
async fn any_change_of_content_changes_the_digest_and_nothing_else_does() {
    let folder = Folder::new("digest");
    let more = "include: [spokes.d/*.yaml]\n";
    let text = MAIN.replace("id: vpce-0a1b2c3d", "id: vpce-0a1b2c3d, ca_file: ca.pem") + more;
    let main = folder.write("main.yaml", &text);
    folder.write("ca.pem", "one");
    folder.write("spokes.d/b.yaml", spoke("b", ""));
    let reader = Reader::new(&main, std::sync::Arc::new(nothing), |_| Err("no network".into())).unwrap();
    let mut seen = vec![reader.read().await.unwrap().digest()];
    let mut step = async |what: &str, changed: bool| {
        let digest = reader.read().await.unwrap().digest();
        assert_eq!(!seen.contains(&digest), changed, "{what}");
        seen.push(digest);
    };
    step("nothing", false).await;
    folder.write("main.yaml", &text);
    step("the same bytes written again", false).await;
    folder.write("ca.pem", "two");
    step("a named file", true).await;
    folder.write("spokes.d/b.yaml", spoke("bb", ""));
    step("an included file", true).await;
    folder.write("spokes.d/c.yaml", spoke("c", ""));
    step("a new file of a pattern", true).await;
    fs::rename(folder.0.join("spokes.d/c.yaml"), folder.0.join("spokes.d/d.yaml")).unwrap();
    step("another name", true).await;
    fs::remove_file(folder.0.join("spokes.d/d.yaml")).unwrap();
    step("a removed file, as it was before", false).await;
    folder.write("main.new", format!("{text}# more\n"));
    fs::rename(folder.0.join("main.new"), folder.0.join("main.yaml")).unwrap();
    step("a file put in the place of the main one", true).await;
    fs::remove_file(folder.0.join("ca.pem")).unwrap();
    step("a named file that is gone", true).await;
    fs::remove_file(folder.0.join("main.yaml")).unwrap();
    assert!(reader.read().await.unwrap_err().problem.to_string().contains("cannot be read"));
}

/// As the kubelet does it: files are links into `..data`, which is a link to a folder that is exchanged.
#[tokio::test]
async fn a_config_map_that_is_swapped_is_a_change() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("configmap");
    for (version, more) in [("..one", ""), ("..two", "# second\n")] {
        fs::create_dir_all(folder.0.join(version)).unwrap();
        folder.write(&format!("{version}/main.yaml"), format!("{MAIN}{more}"));
    }
    symlink("..one", folder.0.join("..data")).unwrap();
    symlink("..data/main.yaml", folder.0.join("main.yaml")).unwrap();
    let main = folder.0.join("main.yaml").display().to_string();
    let reader = Reader::new(&main, std::sync::Arc::new(nothing), |_| Err("no network".into())).unwrap();
    let one = reader.read().await.unwrap().digest();
    symlink("..two", folder.0.join("..data_tmp")).unwrap();
    fs::rename(folder.0.join("..data_tmp"), folder.0.join("..data")).unwrap();
    assert_ne!(reader.read().await.unwrap().digest(), one);
}

#[test]
fn sources_that_are_none_are_told() {
    let refused = |arg: &str| match Reader::new(arg, std::sync::Arc::new(nothing), |_| Err("no trust".into()))
    {
        Ok(_) => panic!("{arg} is read"),
        Err(problems) => problems[0].to_string(),
    };
    assert!(refused("s3://bucket/key").contains("or set AWS_REGION"));
    assert!(refused("s3://bucket/key?region=eu-west-1").contains("no trust"));
}
