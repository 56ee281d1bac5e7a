//! The agent is told something else: files are written and read again, members come and go.

use super::Stage;
use crate::checks::read_by_spoke;
use crate::reloads::{Cast, Reload};
use crate::setting::{self, Scale, Subject};
use spokeprobe::app::Changes;
use spokeprobe::domain::target::Target;
use spokeprobe::members::Share;
use spokeprobe::plan::Plan;
use spokeprobe::recording::Snapshot;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// What an agent is to make of these spokes, and their targets. The agent reads them from several files, this from one
/// text.
pub(super) fn expected(cast: &Cast, scale: Scale, isolation: bool) -> (Plan, Vec<Subject>) {
    let (mut text, mut subjects) = (setting::head(scale), Vec::new());
    text += if isolation { "isolation: {period: 24h}\nspokes:\n" } else { "spokes:\n" };
    for (spoke, variant) in cast {
        let (of_spoke, targets) = setting::spoke(*spoke, scale, *variant);
        text += &of_spoke;
        subjects.extend(targets);
    }
    match spokeprobe::sources::load_plan_text("soak", &text, &|_| None) {
        Ok(loaded) => (loaded.plan, subjects),
        Err(problems) => panic!("{problems:?}"),
    }
}

impl Stage {
    pub(super) async fn reload(&mut self, reload: Reload) {
        let kind = match &reload {
            Reload::MainBroken => "Reload broken",
            Reload::Members(members) if members.len() > self.members.len() => "Member joins",
            Reload::Members(_) => "Member leaves",
            Reload::Files(content) if content.broken.len() > self.content.broken.len() => "Include broken",
            Reload::Files(content) if content.broken.len() < self.content.broken.len() => "Include mended",
            Reload::Files(_) => "Reload",
        };
        *self.played.faults.entry(kind.to_owned()).or_default() += 1;
        let due = |snapshot: &Snapshot| snapshot.targets.iter().map(|status| status.counts.due).sum::<u64>();
        let snapshot = self.recorder.snapshot();
        let before = read_by_spoke(&snapshot);
        let answer = match reload {
            Reload::MainBroken => {
                self.files.break_main();
                self.main_is_read = false;
                let answer = self.asking.reload("soak").await;
                if answer.is_ok() {
                    self.say(vec!["a main file that is no YAML was taken".to_owned()]);
                }
                return;
            }
            Reload::Members(members) => {
                self.members = members;
                None
            }
            Reload::Files(content) => {
                self.files.write(&content);
                self.cast = content.read_after(&self.cast);
                self.content = content;
                self.main_is_read = true;
                Some(self.asking.reload("soak").await)
            }
        };
        let (whole, all) = expected(&self.cast, self.play.scale, self.isolation);
        let share = match self.members.len() {
            1 => Share::alone(),
            _ => Share::of(self.members.iter().cloned(), &["agent-0".to_owned()], NonZeroU32::MIN),
        };
        let plan = whole.shared(&share);
        if answer.is_none() {
            self.shares.send_replace(Some(Arc::new(share)));
        }
        let ids = |plan: &Plan| -> BTreeMap<String, Arc<Target>> {
            plan.targets.iter().map(|target| (target.id.to_string(), Arc::clone(target))).collect()
        };
        let (old, new) = (ids(&self.plan), ids(&plan));
        let those = |of: &BTreeMap<String, Arc<Target>>, want: &dyn Fn(&str) -> bool| -> Vec<String> {
            of.keys().filter(|id| want(id)).cloned().collect()
        };
        let gone = those(&old, &|id| !new.contains_key(id));
        let added = those(&new, &|id| !old.contains_key(id));
        let changed = those(&new, &|id| old.get(id).is_some_and(|was| *was != new[id]));
        let now_known = self.settled(&new).await;
        if let Some(answer) = answer {
            let (removed, kept) = (gone.len(), new.len() - added.len() - changed.len());
            let want = Changes { added: added.len(), removed, changed: changed.len(), kept }.to_string();
            let broken = self.files.included(&self.content).into_iter().filter(|(_, is_whole)| !is_whole);
            let is_named = |text: &str| broken.into_iter().all(|(path, _)| text.contains(&path));
            match answer {
                Ok(text) if text.lines().next() == Some(&want) && is_named(&text) => {}
                other => self.say(vec![format!("a reload that was to be {want} came out as {other:?}")]),
            }
        }
        let after = read_by_spoke(&now_known);
        self.played.due += due(&snapshot).saturating_sub(due(&now_known));
        // What the simulator read for targets that are gone is in no book any more. What of theirs was in flight may have
        // been read or not, and so may a round of twins.
        for (spoke, was) in before {
            let is = after.get(&spoke).copied().unwrap_or_default();
            let gone = self.forgotten.entry(spoke).or_default();
            gone.read += was.read.saturating_sub(is.read);
            gone.open += was.open.saturating_sub(is.open);
        }
        for id in &gone {
            let spoke = self.subjects.iter().find(|subject| subject.id == *id).map(|subject| subject.spoke);
            self.forgotten.entry(spoke.unwrap_or_default()).or_default().open += 3;
        }
        self.attribution.targets_changed(&gone, &changed, &added, self.now());
        self.watched.set_subjects(&all, &[gone, added].concat());
        self.subjects = all.into_iter().filter(|subject| new.contains_key(&subject.id)).collect();
        self.plan = plan;
    }

    /// What is recorded once the agent has these targets: a change of members takes effect by itself.
    async fn settled(&mut self, wanted: &BTreeMap<String, Arc<Target>>) -> Snapshot {
        for _ in 0..100 {
            let snapshot = self.recorder.snapshot();
            let ids = snapshot.targets.iter().map(|status| status.target.id.to_string());
            if ids.len() == wanted.len() && ids.into_iter().all(|id| wanted.contains_key(&id)) {
                return snapshot;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.say(vec![format!("the agent does not come to have these {} targets", wanted.len())]);
        self.recorder.snapshot()
    }
}
