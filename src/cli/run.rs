//! `spokeprobe run`: the agent.

use super::{ConfigArgs, Exit, configuration, logging, output};
use crate::app::{self, App, Asking, Hangup, Seams, Steering, SteeringParts, StopSignal, WatchMembers};
use crate::config::units;
use crate::members;
use crate::recording::{AgentPlace, Recorder};
use crate::sources::{self, LoadedPlan, Reader, Source as _, TaskMetadata, Texts};
use crate::web;
use crate::yaml::Problem;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// More often than this a look costs more than it brings.
const WATCH_MIN: Duration = Duration::from_secs(1);

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe run --config /etc/spokeprobe/config.yaml
  spokeprobe run --config env:SPOKEPROBE_YAML --log-format json
  spokeprobe run --config 's3://my-bucket/spokeprobe/config.yaml?region=eu-west-1' --watch-config 5m

The configuration is read again when its content has changed, on SIGHUP, and on POST /-/reload from this machine or
with a password of web.config_file. One with problems changes nothing: the log, the status and config_last_reload_successful say so.

SIGTERM and SIGINT give the attempts in flight 8 s at most to end; it exits 0 within 10 s. SIGUSR1 stops all
runs of load, as does POST /-/loads/stop from this machine or with a password of web.config_file; load.stop_file
stops them and keeps others from beginning. SIGUSR2 switches debug lines of the log on, and off again: a line for
each attempt.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How often to look whether the configuration has changed: a time such as 30s, or off. Files are looked at every
    /// 30 s, objects in S3 every 60 s, unless this says otherwise
    #[arg(long, value_name = "TIME|off", value_parser = parse_watch)]
    watch_config: Option<WatchConfig>,
}

/// `--watch-config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchConfig {
    Off,
    Every(Duration),
}

fn parse_watch(text: &str) -> Result<WatchConfig, String> {
    if text == "off" {
        return Ok(WatchConfig::Off);
    }
    match units::duration(text) {
        Some(every) if every >= WATCH_MIN => Ok(WatchConfig::Every(every)),
        _ => Err("wanted a time of at least 1s, such as 30s, 5m or 1h; or off".to_owned()),
    }
}

pub(super) async fn run(args: RunArgs) -> Exit {
    // First of all: until then the signals end the program.
    if let Err(error) = logging::listen_for_debug() {
        tracing::warn!(%error, "SIGUSR2 cannot be listened to");
    }
    let hangup = Asking::listen_for_hangup()
        .inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be listened to"))
        .ok();
    let stop_signal = StopSignal::listen();
    let shutdown = CancellationToken::new();
    let on_signal = shutdown.clone();
    crate::seams::spawn("signals", async move {
        if let Err(error) = app::termination().await {
            tracing::error!(%error, "signals cannot be listened to; stopping");
        }
        on_signal.cancel();
    });
    // What lies elsewhere may take its time to be read.
    let Some(read) = shutdown.run_until_cancelled(read(&args.config)).await else { return Exit::Expected };
    let Some((reader, texts, loaded)) = read else { return Exit::Usage };
    configuration::log_oddities(&loaded);
    let seams = match Seams::real(&loaded.plan.settings) {
        Ok(seams) => seams,
        Err(problem) => {
            output::error(&problem.to_string());
            return Exit::Usage;
        }
    };
    let watch_every = match args.watch_config {
        None => reader.looked_at_every(),
        Some(WatchConfig::Off) => None,
        // What cannot change is not looked at, however often.
        Some(WatchConfig::Every(every)) => reader.looked_at_every().map(|_| every),
    };
    let beginning = Beginning { reader, texts, loaded, watch_every, hangup, stop_signal };
    serve(beginning, seams, shutdown).await.unwrap_or_else(|stopped| match stopped {
        Stopped::Configuration(problems) => {
            configuration::report(&problems);
            Exit::Usage
        }
        Stopped::Otherwise(problem, exit) => {
            output::error(&problem);
            exit
        }
    })
}

/// Why the agent does not run, or no longer.
enum Stopped {
    /// Found in the files that are read when it begins.
    Configuration(Vec<Problem>),
    Otherwise(String, Exit),
}

impl From<web::BindError> for Stopped {
    fn from(error: web::BindError) -> Self {
        match error {
            web::BindError::File(problems) => Self::Configuration(problems),
            address @ web::BindError::Address { .. } => Self::Otherwise(address.to_string(), Exit::Usage),
        }
    }
}

/// What an agent begins with.
struct Beginning {
    reader: Reader,
    texts: Texts,
    loaded: LoadedPlan,
    watch_every: Option<Duration>,
    hangup: Option<Hangup>,
    stop_signal: Option<StopSignal>,
}

async fn read(args: &ConfigArgs) -> Option<(Reader, Texts, LoadedPlan)> {
    let read = async {
        let reader = configuration::reader(args)?;
        let texts = reader.read().await.map_err(|unreadable| vec![*unreadable.problem])?;
        let loaded = sources::load_plan_of(&texts, &sources::process_environment)?;
        Ok((reader, texts, loaded))
    };
    read.await.map_err(|problems: Vec<_>| configuration::report(&problems)).ok()
}

/// Binds the listener first, so that a port in use is found before anything is asked or sent. What cannot
/// even begin is a matter of the configuration; what stops by itself has run.
async fn serve(beginning: Beginning, seams: Seams, shutdown: CancellationToken) -> Result<Exit, Stopped> {
    let Beginning { reader, texts, loaded, watch_every, hangup, stop_signal } = beginning;
    let plan = &loaded.plan;
    let listener = web::bind(&plan.settings.web).await?;
    let own = app::beginning(plan);
    let mut app = App::build(&own, seams.clone())
        .map_err(|problem| Stopped::Otherwise(problem.to_string(), Exit::Usage))?;
    let recorder = Arc::clone(app.recorder());
    let parts = SteeringParts {
        source: Arc::new(reader),
        environment: Arc::new(sources::process_environment),
        watch_every,
        members: Some(watch_members(&seams, &recorder, listener.address())),
        clock: Arc::clone(&seams.clock),
        wait: Arc::clone(&seams.wait),
        recorder: Arc::clone(&recorder),
    };
    let (steering, asking) = Steering::new(parts, app.handle(), &texts, &loaded);
    app.set_reload(asking.over_http());
    if let Some(hangup) = hangup {
        crate::seams::spawn("hangup", hangup.pass_on(asking));
    }
    if let Some(stop_signal) = stop_signal {
        crate::seams::spawn("stop signal", stop_signal.pass_on(app.load_switch()));
    }
    let place = sources::task_metadata(&sources::process_environment, &*seams.transport).await;
    tracing::info!(
        targets = own.targets.len(),
        of = plan.settings.members.as_ref().map(|_| plan.targets.len()),
        roles = own.roles.len(),
        listen = %plan.settings.web.listen,
        version = env!("CARGO_PKG_VERSION"),
        cluster = place.cluster,
        task = place.task,
        availability_zone = place.availability_zone,
        "running"
    );
    let TaskMetadata { cluster, task, availability_zone } = place;
    recorder.set_agent_place(AgentPlace { cluster, task, availability_zone });
    let steering = steering.start(shutdown.clone());
    let ended = app.run(Some(listener), shutdown).await;
    steering.abort();
    ended.map(|()| Exit::Expected).map_err(|why| Stopped::Otherwise(why.to_string(), Exit::Unexpected))
}

fn watch_members(seams: &Seams, recorder: &Arc<Recorder>, listen: std::net::SocketAddr) -> WatchMembers {
    let (seams, recorder) = (seams.clone(), Arc::clone(recorder));
    Box::new(move |settings| {
        let around = members::Around {
            link: Arc::clone(&seams.link),
            clock: Arc::clone(&seams.clock),
            wait: Arc::clone(&seams.wait),
            recorder: Arc::clone(&recorder),
            listen,
        };
        members::watch(settings, around)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watch_over_the_configuration_has_a_time_or_is_off() {
        assert_eq!(parse_watch("off"), Ok(WatchConfig::Off));
        assert_eq!(parse_watch("1m"), Ok(WatchConfig::Every(Duration::from_secs(60))));
        for bad in ["", "0s", "999ms", "30", "never", "-1s"] {
            assert!(parse_watch(bad).is_err(), "{bad}");
        }
    }
}
