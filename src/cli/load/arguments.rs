//! The arguments of `load`, and the run that they describe: written as a load of the configuration and read by the
//! same code, so that both mean the same and are refused for the same reasons.

use super::baseline::{Baseline, Tolerance};
use crate::cli::ConfigArgs;
use crate::config::{self, Config, Load};
use crate::load::{Guards, Settings};
use crate::plan::{self, Plan};
use crate::yaml::{Problem, nearest};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// What a run is called that has no name in the configuration.
const NAME: &str = "command";
/// The guards that `--guard` can name.
const GUARDS: [&str; 4] = ["errors", "throttled", "p99", "missed"];

/// Arguments of `load`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe load payments/hoot/hello --rate 40/s --for 60s --dry-run    what would be sent; sends nothing
  spokeprobe load payments/hoot/hello --rate 40/s --for 60s
  spokeprobe load payments/hoot/hello --stage to=40/s,for=30s --stage hold=5m --stage to=0/s,for=30s
  spokeprobe load payments/hoot/hello --stage between=10/s..40/s,period=1m,for=10m --arrivals poisson
  spokeprobe load --name nightly --json > today.json      a load of the configuration, now
  spokeprobe load --name nightly --baseline today.json    is it still as good?

The api must have opted in with max_rate, and no ceiling of `limits` may be exceeded beside the health probes
of the configuration. Ctrl-C, SIGTERM, SIGUSR1 or the stop file end the run in good order, with its report; a
second signal, or one after a guard stopped it, ends it at once.

Exit status: 0 for a run that is as expected to its end (and no worse than the baseline), 1 for one that was
stopped, did not begin, or is not as expected, 2 for a usage or configuration error.")]
pub(in crate::cli) struct LoadArgs {
    /// The probe to drive, as SPOKE/API/PROBE in the configuration
    #[arg(value_name = "SPOKE/API/PROBE", required_unless_present = "name", conflicts_with = "name")]
    probe: Option<String>,
    /// Run a load of the configuration by its name, now
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A constant rate, such as 40/s or 300/m; with --for
    #[arg(long, value_name = "RATE", requires = "duration", conflicts_with_all = ["stages", "name"])]
    rate: Option<String>,
    /// How long, such as 60s or 5m; with --rate
    #[arg(long = "for", id = "duration", value_name = "DURATION", requires = "rate", conflicts_with_all = ["stages", "name"])]
    duration: Option<String>,
    /// A stage, instead of --rate and --for; may be repeated: to=RATE,for=TIME (a ramp), at=RATE,for=TIME (a
    /// step), hold=TIME, or between=RATE..RATE,period=TIME,for=TIME
    #[arg(long = "stage", value_name = "STAGE", conflicts_with = "name", value_parser = stage)]
    stages: Vec<Value>,
    /// How arrivals are strewn: even or poisson
    #[arg(long, value_name = "HOW")]
    arrivals: Option<String>,
    /// What stops the run, such as errors=5%, throttled=1%, p99=2s, missed=1% or errors=off; may be repeated
    #[arg(long = "guard", value_name = "GUARD=LIMIT", value_parser = guard)]
    guards: Vec<(&'static str, String)>,
    /// The time that guards look back, 1s to 60s
    #[arg(long, value_name = "DURATION")]
    window: Option<String>,
    /// How long the rate goes down once the run is stopped
    #[arg(long, value_name = "DURATION")]
    ramp_down: Option<String>,
    /// The most requests in flight at once
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Option<u32>,
    /// Sign every request anew
    #[arg(long)]
    no_reuse_signatures: bool,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Write the report as a page of its own too
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Write the distributions too, as a log that HdrHistogram's tools read
    #[arg(long, value_name = "FILE")]
    pub(super) hlog: Option<PathBuf>,
    /// Compare with the JSON report of an earlier run
    #[arg(long, value_name = "FILE", value_parser = |file: &str| Baseline::read(file.as_ref()))]
    pub(super) baseline: Option<Baseline>,
    /// How much worse than the baseline is still the same: slower=20%,by=2ms,errors=0.1%,missed=0.1%,rate=1%
    #[arg(long, value_name = "TOLERANCE", requires = "baseline")]
    pub(super) tolerance: Option<Tolerance>,
    /// While this file exists the run is stopped, and none begins; default load.stop_file
    #[arg(long, value_name = "FILE")]
    pub(super) stop_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
}

/// A stage as it would stand in the configuration.
fn stage(text: &str) -> Result<Value, String> {
    let mut keys = Map::new();
    for part in text.split(',') {
        let (key, value) = part.split_once('=').ok_or_else(|| {
            format!("`{part}` is not KEY=VALUE; wanted a stage such as to=40/s,for=30s or hold=5m")
        })?;
        let value = match (key, value.split_once("..")) {
            ("between", Some((low, high))) => json!([low, high]),
            ("between", None) => return Err("wanted two rates, such as between=10/s..40/s".to_owned()),
            _ => json!(value),
        };
        if keys.insert(key.to_owned(), value).is_some() {
            return Err(format!("`{key}` twice"));
        }
    }
    Ok(Value::Object(keys))
}

fn guard(text: &str) -> Result<(&'static str, String), String> {
    let (name, limit) = text.split_once('=').ok_or("wanted a guard and its limit, such as errors=5%")?;
    let known = GUARDS.iter().find(|known| **known == name);
    let known = known.ok_or_else(|| {
        let hint = nearest(name, GUARDS).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        format!("`{name}` is no guard; there are {}{hint}", GUARDS.join(", "))
    })?;
    Ok((known, limit.to_owned()))
}

impl LoadArgs {
    /// The run that is asked for.
    ///
    /// # Errors
    /// Every reason why it may not be made, one a line.
    pub(super) fn settings(&self, config: &Config, plan: &Plan) -> Result<Settings, Vec<String>> {
        let mut load = match &self.name {
            Some(name) => self.changed(named(config, name)?.clone())?,
            None => {
                let stages = if self.stages.is_empty() {
                    let (Some(rate), Some(lasts)) = (&self.rate, &self.duration) else {
                        return Err(vec!["no rate: give --rate and --for, or --stage".to_owned()]);
                    };
                    json!([{ "at": rate, "for": lasts }])
                } else {
                    json!(self.stages)
                };
                self.read(self.probe.as_deref().unwrap_or_default(), stages)?
            }
        };
        // It begins now, whatever the configuration says.
        load.at = None;
        let mut settings = plan::load_settings(config, plan, &load)
            .map_err(|problems| problems.iter().map(|problem| self.told(problem)).collect::<Vec<_>>())?;
        if let Some(asked) = self.in_flight {
            settings.in_flight = within_limits(asked, plan)?;
        }
        settings.reuse_signatures &= !self.no_reuse_signatures;
        Ok(settings)
    }

    /// The arguments as a load of the configuration.
    fn read(&self, probe: &str, stages: Value) -> Result<Load, Vec<String>> {
        let mut guards: Map<String, Value> =
            self.guards.iter().map(|(name, limit)| ((*name).to_owned(), json!(limit))).collect();
        guards.extend(self.window.iter().map(|window| ("window".to_owned(), json!(window))));
        let mut load = Map::new();
        load.insert("name".to_owned(), json!(NAME));
        load.insert("probe".to_owned(), json!(probe));
        load.insert("stages".to_owned(), stages);
        load.insert("guards".to_owned(), Value::Object(guards));
        let texts = [("arrivals", &self.arrivals), ("ramp_down", &self.ramp_down)];
        for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
            load.insert(key.to_owned(), json!(text));
        }
        // JSON is YAML.
        config::read_load("the command line", &Value::Object(load).to_string())
            .map_err(|problems| problems.iter().map(|problem| self.told(problem)).collect())
    }

    /// A load of the configuration with what the arguments say otherwise.
    fn changed(&self, mut load: Load) -> Result<Load, Vec<String>> {
        // Any probe and stages do: only the rest is taken.
        let said = self.read("a/b/c", json!([{ "at": "1/s", "for": "1m" }]))?;
        let Guards { errors, throttled, p99, missed, window } = said.guards;
        for (name, _) in &self.guards {
            match *name {
                "errors" => load.guards.errors = errors,
                "throttled" => load.guards.throttled = throttled,
                "p99" => load.guards.p99 = p99,
                _ => load.guards.missed = missed,
            }
        }
        if self.window.is_some() {
            load.guards.window = window;
        }
        if self.arrivals.is_some() {
            load.profile.arrivals = said.profile.arrivals;
        }
        if self.ramp_down.is_some() {
            load.ramp_down = said.ramp_down;
        }
        Ok(load)
    }

    /// A problem in the words of the command line.
    fn told(&self, problem: &Problem) -> String {
        if problem.file != "the command line" {
            return problem.to_string();
        }
        let Problem { path, found, wanted, hint, .. } = problem;
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let stage = first.strip_prefix("stages[").and_then(|number| number.strip_suffix(']'));
        let at = match (first, stage.and_then(|number| number.parse::<usize>().ok())) {
            (_, Some(_)) if self.rate.is_some() => if rest == "for" { "--for" } else { "--rate" }.to_owned(),
            (_, Some(number)) => {
                format!("--stage {}", self.stages.get(number).map(written).unwrap_or_default())
            }
            ("stages", None) => if self.rate.is_some() { "--rate and --for" } else { "--stage" }.to_owned(),
            ("probe", None) => "SPOKE/API/PROBE".to_owned(),
            ("guards", None) if rest == "window" => "--window".to_owned(),
            ("guards", None) => format!("--guard {rest}"),
            _ => format!("--{}", first.replace('_', "-")),
        };
        let hint = hint.as_ref().map(|hint| format!(", {hint}")).unwrap_or_default();
        format!("{at}: found {found}, wanted {wanted}{hint}")
    }
}

/// A stage as it was given.
fn written(stage: &Value) -> String {
    let part = |(key, value): (&String, &Value)| match value {
        Value::Array(rates) => {
            let rates: Vec<&str> = rates.iter().filter_map(Value::as_str).collect();
            format!("{key}={}", rates.join(".."))
        }
        _ => format!("{key}={}", value.as_str().unwrap_or_default()),
    };
    let parts: Vec<String> = stage.as_object().into_iter().flatten().map(part).collect();
    parts.join(",")
}

fn named<'a>(config: &'a Config, name: &str) -> Result<&'a Load, Vec<String>> {
    let found = config.loads.iter().find(|load| load.name.as_str() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = config.loads.iter().map(|load| load.name.as_str()).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None if names.is_empty() => "it has none: name a probe instead, or add it to `loads`".to_owned(),
            None => format!("there are {}", names.join(", ")),
        };
        vec![format!("--name: no load `{name}` in the configuration; {hint}")]
    })
}

fn within_limits(asked: u32, plan: &Plan) -> Result<usize, Vec<String>> {
    let asked = usize::try_from(asked).unwrap_or(usize::MAX);
    let ceilings =
        [(plan.limits.in_flight, "in_flight"), (plan.limits.in_flight_per_account, "in_flight_per_account")];
    let over: Vec<String> = ceilings
        .iter()
        .filter(|(limit, _)| asked > *limit)
        .map(|(limit, key)| {
            format!(
                "--in-flight: ceilings exceeded: found {asked}, wanted at most {limit}; lower it, or raise \
                 `limits.{key}`"
            )
        })
        .collect();
    if over.is_empty() { Ok(asked) } else { Err(over) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use std::time::Duration;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadArgs,
    }

    const CONFIGURATION: &str = "
hub: {region: eu-west-1, endpoint: {id: vpce-0123456789abcdef0}}
spokes:
  - name: payments
    account: \"012345678901\"
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        max_rate: 200/s
        probes: [{name: hello, request: GET /}]
      - {name: quiet, id: b1b2c3d4e5, stage: api, probes: [{name: hello, request: GET /}]}
load: {reuse_signatures: false}
loads:
  - name: nightly
    probe: payments/hoot/hello
    stages: [{to: 20/s, for: 1m}, {hold: 5m}]
    guards: {errors: 5%, p99: 2s}
    at: \"02:00\"
";

    fn asked(line: &str) -> Result<Settings, Vec<String>> {
        let loaded = crate::sources::load_plan_text("test", CONFIGURATION, &|_| None).unwrap();
        let words = ["load"].into_iter().chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| vec![error.to_string()])?;
        line.args.settings(&loaded.config, &loaded.plan)
    }

    #[test]
    fn a_rate_stages_or_a_name_make_the_same_run() {
        let rate =
            asked("payments/hoot/hello --rate 40/s --for 60s --guard p99=off --guard errors=0.5%").unwrap();
        assert_eq!((rate.profile.peak(), rate.profile.lasts()), (40.0, Duration::from_secs(60)));
        assert_eq!((rate.name.as_str(), rate.in_flight, rate.reuse_signatures), ("command", 100, false));
        assert!((rate.guards.errors.unwrap() - 0.005).abs() < 1e-12 && rate.guards.throttled == Some(0.01));
        let stages =
            asked("payments/hoot/hello --stage to=20/s,for=1m --stage hold=5m --window 30s").unwrap();
        let named = asked("--name nightly --guard errors=off --in-flight 7").unwrap();
        assert_eq!(stages.profile, named.profile);
        assert_eq!(stages.guards.window, Duration::from_secs(30));
        assert_eq!((named.guards.errors, named.guards.p99), (None, Some(Duration::from_secs(2))));
        assert_eq!((named.in_flight, named.at), (7, None));
        let swing = asked("payments/hoot/hello --stage between=10/s..40/s,period=1m,for=10m").unwrap();
        assert_eq!(swing.profile.peak(), 40.0);
    }

    #[test]
    fn what_is_refused_is_told_in_the_words_of_the_command_line() {
        for (line, wanted) in [
            ("payments/hoot/hello", "no rate: give --rate and --for, or --stage"),
            ("payments/hoot/hello --rate 40/s", "--for <DURATION>"),
            ("payments/hoot/hello --for 40s", "--rate <RATE>"),
            ("--name nightly --for 3s", "'--name <NAME>' cannot be used with '--for <DURATION>'"),
            (
                "payments/hoot/hello --stage at=1/s,for=5s --for 3s",
                "'--stage <STAGE>' cannot be used with '--for <DURATION>'",
            ),
            ("payments/hoot/hello --name nightly", "cannot be used with"),
            ("--rate 1/s --for 1m", "<SPOKE/API/PROBE>"),
            (
                "payments/hoot/hello --rate 0/s --for 1m",
                "--rate: found `0/s`, wanted a rate from 1/m to 20000/s",
            ),
            ("payments/hoot/hello --rate 20001/s --for 1m", "no agent sends that much"),
            ("payments/hoot/hello --rate 1/s --for 1d", "--for: found `1d`, wanted a duration"),
            ("payments/hoot/hello --rate 1/s --for 500ms", "--rate and --for: found stages of 500ms in all"),
            ("payments/hoot/hello --stage hold=5m", "--stage hold=5m: found `hold` as the first stage"),
            ("payments/hoot/hello --stage 5m", "`5m` is not KEY=VALUE"),
            ("payments/hoot/hello --stage to=1/s,for=1m,for=2m", "`for` twice"),
            ("payments/hoot/hello --stage between=1/s,for=1m", "such as between=10/s..40/s"),
            ("payments/hoot/hello --rate 1/s --for 1m --guard error=5%", "did you mean `errors`?"),
            (
                "payments/hoot/hello --rate 1/s --for 1m --guard errors=5",
                "--guard errors: found `5`, wanted a share",
            ),
            ("payments/hoot/hello --rate 1/s --for 1m --window 2m", "--window: found `2m`"),
            (
                "payments/hoot/hello --rate 1/s --for 1m --arrivals random",
                "--arrivals: found `random`, wanted one of",
            ),
            ("payments/hoot/helo --rate 1/s --for 1m", "did you mean `payments/hoot/hello`?"),
            ("payments/hoot --rate 1/s --for 1m", "SPOKE/API/PROBE: found `payments/hoot`"),
            (
                "payments/quiet/hello --rate 1/s --for 1m",
                "the api opts in to load with `max_rate`: add it to spokes.payments.apis.quiet",
            ),
            (
                "payments/hoot/hello --rate 201/s --for 1m",
                "--rate: found a rate of 201/s, wanted at most the api's `max_rate` of 200/s",
            ),
            (
                "payments/hoot/hello --rate 150/s --for 1m",
                "--rate: found ceilings exceeded: a peak of 150/s beside 4/m of probes in account 012345678901, wanted at \
                 most 100/s together, lower the rate, or raise `limits.requests_per_second_per_account`",
            ),
            (
                "payments/hoot/hello --rate 1/s --for 1m --in-flight 101",
                "--in-flight: ceilings exceeded: found 101, wanted at most 100; lower it, or raise \
                 `limits.in_flight_per_account`",
            ),
            ("--name nightli", "--name: no load `nightli` in the configuration; did you mean `nightly`?"),
            ("--name other", "there are nightly"),
        ] {
            let problems = asked(line).unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(wanted)), "{line}: {problems:#?}");
        }
    }
}
