//! The command line.

use crate::run::Play;
use crate::setting::Scale;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: soak [--seeds N] [--seed FIRST] [--days D] [--spokes N] [--every 10m] [--faults-a-day N] [--reloads-a-day N] [--until HOURS] [--threads N]
            [--twice SEED]
       soak --self-test

Plays N seeds from FIRST on, each D simulated days of N spokes probed at an interval, and holds the agent to its
invariants. Exits with 1 when one was broken. --self-test spoils a short play in several ways, each of which must be found.";

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub(crate) seeds: u64,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) play: Play,
    /// A seed that is played once more in the end.
    pub(crate) twice: Option<u64>,
    days: u64,
}

impl Arguments {
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut seeds, mut seed, mut days, mut threads) = (1, 1, 365, 2);
        let mut scale = Scale { spokes: 200, every: Duration::from_secs(600) };
        let (mut faults_a_day, mut reloads_a_day, mut until, mut twice) = (None, None, None, None);
        while let Some(name) = given.next() {
            let value = given.next().ok_or_else(|| format!("{name} wants a value"))?;
            let wrong = |_| format!("{name}: {value} is not what it wants");
            match name.as_str() {
                "--seeds" => seeds = value.parse().map_err(wrong)?,
                "--seed" => seed = value.parse().map_err(wrong)?,
                "--twice" => twice = Some(value.parse().map_err(wrong)?),
                "--days" => days = value.parse().map_err(wrong)?,
                "--threads" => threads = value.parse().map_err(wrong)?,
                "--spokes" => scale.spokes = value.parse::<usize>().map_err(wrong)?.clamp(1, 9_999),
                "--every" => {
                    scale.every =
                        span(&value).ok_or_else(|| format!("--every: {value} is no span of time"))?;
                }
                "--faults-a-day" => {
                    faults_a_day = Some(value.parse::<f64>().map_err(|_| "a number of faults".to_owned())?);
                }
                "--reloads-a-day" => {
                    reloads_a_day = Some(value.parse::<f64>().map_err(|_| "a number of reloads".to_owned())?);
                }
                "--until" => {
                    let hours = value.parse::<f64>().map_err(|_| "--until wants hours".to_owned())?;
                    until = Some(Duration::from_secs_f64(hours * 3_600.0));
                }
                _ => return Err(format!("unknown: {name}")),
            }
        }
        // So that in a day each of a few spokes has some, and in a year of many most of the time is peace.
        let faults_a_day: f64 = faults_a_day.unwrap_or(if scale.spokes > 50 { 24.0 } else { 40.0 });
        let reloads_a_day: f64 = reloads_a_day.unwrap_or(if scale.spokes > 50 { 3.0 } else { 8.0 });
        let lasts = Duration::from_secs(days * 86_400);
        Ok(Self {
            seeds,
            seed,
            threads,
            play: Play { seed, scale, lasts, faults_a_day, reloads_a_day, until, sabotage: None },
            twice,
            days,
        })
    }

    /// The command that plays one seed again.
    pub(crate) fn again(&self, seed: u64) -> String {
        let Play { scale, faults_a_day, reloads_a_day, .. } = self.play;
        format!(
            "scripts/soak --seeds 1 --seed {seed} --days {} --spokes {} --every {}s --faults-a-day {faults_a_day} \
             --reloads-a-day {reloads_a_day}",
            self.days,
            scale.spokes,
            scale.every.as_secs(),
        )
    }
}

/// `30s`, `10m` or `1h`.
fn span(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..at].parse().ok()?;
    let seconds = match &text[at..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(number * seconds)).filter(|span| !span.is_zero())
}
