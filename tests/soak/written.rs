//! The configuration as files on a disk: a main one, and those that it includes, some of them broken.
//!
//! The agent reads them as it reads any; what it must make of them is worked out here from what was last whole.

use crate::reloads::Cast;
use crate::setting::{self, Scale};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Spokes are spread over so many included files.
pub(crate) const FILES: usize = 7;
const PLACE: &str = "spokes.d";

/// How an included file is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breakage {
    NoYaml,
    UnknownKey,
    NotUtf8,
    LeadsNowhere,
}

impl Breakage {
    pub(crate) const ALL: [Self; 4] = [Self::NoYaml, Self::UnknownKey, Self::NotUtf8, Self::LeadsNowhere];
}

/// What the files say.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Content {
    /// The spokes that their owners mean.
    pub(crate) cast: Cast,
    /// The included files that cannot be used, by number.
    pub(crate) broken: BTreeMap<usize, Breakage>,
}

impl Content {
    /// The spokes that run once this is read, where those of `before` ran: of a broken file the ones it had.
    pub(crate) fn read_after(&self, before: &Cast) -> Cast {
        let is_broken = |spoke: &usize| self.broken.contains_key(&(spoke % FILES));
        let whole = self.cast.iter().filter(|(spoke, _)| !is_broken(spoke));
        let kept = before.iter().filter(|(spoke, _)| is_broken(spoke));
        whole.chain(kept).map(|(spoke, variant)| (*spoke, *variant)).collect()
    }
}

/// A folder of its own, which goes with this.
pub(crate) struct Files {
    folder: PathBuf,
    scale: Scale,
    isolation: bool,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Files {
    pub(crate) fn new(scale: Scale, isolation: bool) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("spokeprobe-soak-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join(PLACE)).unwrap();
        Self { folder, scale, isolation }
    }

    /// The main file's path, for `--config`.
    pub(crate) fn main(&self) -> String {
        self.folder.join("config.yaml").to_str().unwrap().to_owned()
    }

    /// The path of an included file, as the agent writes it.
    pub(crate) fn path(&self, file: usize) -> String {
        self.folder.join(PLACE).join(format!("team-{file}.yaml")).to_str().unwrap().to_owned()
    }

    /// Writes everything anew.
    pub(crate) fn write(&self, content: &Content) {
        let isolation = if self.isolation { "isolation: {period: 24h}\n" } else { "" };
        let head = setting::head(self.scale);
        fs::write(self.main(), format!("{head}{isolation}include: [{PLACE}/*.yaml]\n")).unwrap();
        for file in 0..FILES {
            let path = self.path(file);
            // A link that leads nowhere would be written through.
            drop(fs::remove_file(&path));
            let spokes = content.cast.iter().filter(|(spoke, _)| *spoke % FILES == file);
            let texts: Vec<String> =
                spokes.map(|(spoke, variant)| setting::spoke(*spoke, self.scale, *variant).0).collect();
            let text = format!("spokes:\n{}", texts.concat());
            match content.broken.get(&file) {
                None if texts.is_empty() => {}
                None => fs::write(&path, text).unwrap(),
                Some(Breakage::NoYaml) => fs::write(&path, format!("{text}  - {{name: [")).unwrap(),
                Some(Breakage::UnknownKey) => fs::write(&path, format!("{text}tenants: 3\n")).unwrap(),
                Some(Breakage::NotUtf8) => fs::write(&path, [text.as_bytes(), b"# \xff\n"].concat()).unwrap(),
                Some(Breakage::LeadsNowhere) => {
                    std::os::unix::fs::symlink(self.folder.join("gone"), &path).unwrap();
                }
            }
        }
    }

    /// Spoils the main file.
    pub(crate) fn break_main(&self) {
        fs::write(self.main(), "hub: {region: [\n").unwrap();
    }

    /// The included files that are there, each with whether it can be used.
    pub(crate) fn included(&self, content: &Content) -> BTreeMap<String, bool> {
        let there: BTreeSet<usize> =
            content.cast.keys().map(|spoke| spoke % FILES).chain(content.broken.keys().copied()).collect();
        there.into_iter().map(|file| (self.path(file), !content.broken.contains_key(&file))).collect()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}
