//! `spokeprobe run`: the agent.

use super::{ConfigArgs, Exit, configuration, logging, output};
use crate::app::{self, App, Seams};
use crate::plan::Plan;
use crate::web;
use clap::Args;
use tokio_util::sync::CancellationToken;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe run --config /etc/spokeprobe/config.yaml
  spokeprobe run --config env:SPOKEPROBE_YAML --log-format json

SIGTERM and SIGINT let the attempts in flight end, at most 10 s, and exit 0. SIGUSR1 stops all runs of load,
as does POST /-/loads/stop from this machine; load.stop_file stops them and keeps others from beginning. SIGUSR2
switches debug lines of the log on, and off again: a line for each attempt.")]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: RunArgs) -> Exit {
    // First of all: until then the signal ends the program.
    if let Err(error) = logging::listen_for_debug() {
        tracing::warn!(%error, "SIGUSR2 cannot be listened to");
    }
    let Some(loaded) = configuration::read(&args.config).await else { return Exit::Usage };
    configuration::log_oddities(&loaded);
    let plan = loaded.plan;
    let seams = match Seams::real(&plan.settings) {
        Ok(seams) => seams,
        Err(problem) => {
            output::error(&problem.to_string());
            return Exit::Usage;
        }
    };
    let shutdown = CancellationToken::new();
    let on_signal = shutdown.clone();
    crate::seams::spawn("signals", async move {
        if let Err(error) = app::termination().await {
            tracing::error!(%error, "signals cannot be listened to; stopping");
        }
        on_signal.cancel();
    });
    serve(&plan, seams, shutdown).await.unwrap_or_else(|(problem, exit)| {
        output::error(&problem);
        exit
    })
}

/// Binds the listener first, so that a port in use is found before anything is asked or sent. What cannot
/// even begin is a matter of the configuration; what stops by itself has run.
async fn serve(plan: &Plan, seams: Seams, shutdown: CancellationToken) -> Result<Exit, (String, Exit)> {
    let listener =
        web::bind(&plan.settings.web).await.map_err(|problem| (problem.to_string(), Exit::Usage))?;
    let app = App::build(plan, seams).map_err(|problem| (problem.to_string(), Exit::Usage))?;
    crate::seams::spawn("stop signal", app::stop_loads_on_signal(app.load_switch()));
    tracing::info!(
        targets = plan.targets.len(),
        roles = plan.roles.len(),
        listen = %plan.settings.web.listen,
        version = env!("CARGO_PKG_VERSION"),
        "running"
    );
    let ended = app.run(Some(listener), shutdown).await;
    ended.map(|()| Exit::Expected).map_err(|stopped| (stopped.to_string(), Exit::Unexpected))
}
