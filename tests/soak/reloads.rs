//! What becomes of the configuration and of the members, from a seed. Pure.

use crate::random::Random;
use crate::setting::{Scale, Variant, is_needed_by_another};
use crate::written::{Breakage, Content, FILES};
use std::collections::BTreeMap;
use std::time::Duration;

/// The spokes of a configuration, each with how it is written.
pub(crate) type Cast = BTreeMap<usize, Variant>;

/// What the agent is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reload {
    /// The files say this from now on.
    Files(Content),
    /// The main file cannot be read.
    MainBroken,
    /// Other members than before; the agent itself is `agent-0`.
    Members(Vec<String>),
}

/// The spokes at the beginning.
pub(crate) fn first_cast(scale: Scale) -> Cast {
    (0..scale.spokes).map(|spoke| (spoke, Variant::Usual)).collect()
}

/// How many spokes the world has beyond those of the first configuration.
pub(crate) const fn reserve(scale: Scale) -> usize {
    scale.spokes / 4 + 1
}

/// All changes, by their time.
pub(crate) fn reloads(seed: u64, scale: Scale, lasts: Duration, a_day: f64) -> Vec<(Duration, Reload)> {
    // Another sequence than the faults', so that the faults of a seed stay what they are.
    let mut random = Random::seeded(seed ^ 0x5eed_0f0f_5eed_0f0f);
    let mut content = Content { cast: first_cast(scale), broken: BTreeMap::new() };
    let mut members = 1;
    let mut changes = Vec::new();
    if a_day <= 0.0 {
        return changes;
    }
    let mean = Duration::from_secs_f64(86_400.0 / a_day);
    let mut at = Duration::from_secs(40 * 60);
    loop {
        at += mean.mul_f64(-(1.0 - random.fraction()).ln());
        at = Duration::from_millis(u64::try_from(at.as_millis()).unwrap());
        if at >= lasts {
            return changes;
        }
        let reload = match random.below(20) {
            0..=2 => Reload::MainBroken,
            3..=7 => {
                // One joins, or one leaves; alone, the agent does all.
                members =
                    if members > 1 && random.below(2) == 0 { members - 1 } else { (members + 1).min(4) };
                Reload::Members((0..members).map(|member| format!("agent-{member}")).collect())
            }
            8..=11 => {
                // One that is broken is mended sooner or later, and often another team's change comes between.
                let file = random.below(FILES);
                if content.broken.remove(&file).is_none() {
                    content.broken.insert(file, *random.pick(&Breakage::ALL));
                }
                Reload::Files(content.clone())
            }
            _ => {
                edit(&mut content.cast, scale, &mut random);
                Reload::Files(content.clone())
            }
        };
        changes.push((at, reload));
        // Now and then one right after the other.
        if random.below(6) == 0 {
            edit(&mut content.cast, scale, &mut random);
            changes.push((at + Duration::from_millis(700), Reload::Files(content.clone())));
        }
    }
}

fn edit(cast: &mut Cast, scale: Scale, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let spoke = random.below(scale.spokes + reserve(scale));
        let variant = *random.pick(&Variant::ALL);
        match (cast.contains_key(&spoke), random.below(2)) {
            (true, 0) if !is_needed_by_another(spoke, scale) => {
                cast.remove(&spoke);
            }
            _ => {
                cast.insert(spoke, variant);
            }
        }
    }
}
