//! `spokeprobe demo`: a simulated hub in this process and the agent against it, over real sockets.

use super::simulate::start;
use super::{Exit, output, summary};
use crate::app::{self, App, Seams};
use crate::config::{self, Document, Documents};
use crate::endpoint::ZoneAddress;
use crate::plan::{self, Plan};
use crate::simulator::{DEMO_CONFIGURATION, DEMO_SESSION_POLICY, Running, ServerOptions, World};
use crate::web;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe demo                     until Ctrl-C; open http://127.0.0.1:10403/
  spokeprobe demo --for 60s           ends by itself, with a summary
  spokeprobe demo --for 20s --json | jq .conservation

The simulated spokes are broken on purpose, each in another way, and some change while you watch. Exit
status: 0 if the agent's counts agree with the simulator's own, 1 if not.")]
pub(super) struct DemoArgs {
    /// End after so long, for example 20s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Where the agent's page and metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10403")]
    listen: SocketAddr,
    /// Serve the simulator's own GET /counts
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    config::units::duration(text).ok_or_else(|| "wanted a duration such as 500ms, 20s, 5m or 1h".to_owned())
}

pub(super) async fn demo(args: DemoArgs) -> Exit {
    match run(&args).await {
        Ok(exit) => exit,
        Err(problem) => {
            output::error(&problem);
            Exit::Usage
        }
    }
}

async fn run(args: &DemoArgs) -> Result<Exit, String> {
    let world = World::default_world().map_err(|error| error.to_string())?;
    let (region, zones) = (world.region.clone(), world.endpoint.zones.clone());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let options =
        ServerOptions { control: args.control, zones: vec![any; zones.len()], ..ServerOptions::default() };
    let simulator = start(world, options).await?;
    let mut plan = plan_for(&simulator)?;
    // The zones of the world are at addresses of its own; here each has a listener.
    for (zone, listener) in zones.keys().zip(&simulator.zone_addrs) {
        let place = ZoneAddress { host: listener.ip().to_string(), port: listener.port() };
        plan.settings.endpoint.zones.insert(zone.parse().map_err(|error| format!("{zone}: {error}"))?, place);
    }
    plan.settings.web.listen = args.listen;
    // Whoever listens on more than loopback wants the page to be seen from there, and all of it is made up. On loopback
    // it stays closed to pages that come under foreign names (DNS rebinding), as everywhere.
    if !args.listen.ip().to_canonical().is_loopback() {
        plan.settings.web.status = web::StatusAccess::Open;
    }
    let environment = simulator.environment(&region);
    plan.settings.credentials.environment =
        Some(environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let listener = web::bind(&plan.settings.web)
        .await
        .map_err(|problem| format!("{problem} (of the demo: --listen, such as --listen 127.0.0.1:0)"))?;
    let listen = listener.address();
    let seams = Seams::real(&plan.settings).map_err(|problem| problem.to_string())?;
    let app = App::build(&plan, seams).map_err(|problem| problem.to_string())?;
    welcome(args, listen, &plan, &simulator);
    if let Some(stop_signal) = app::StopSignal::listen() {
        crate::seams::spawn("stop signal", stop_signal.pass_on(app.load_switch()));
    }
    let recorder = std::sync::Arc::clone(app.recorder());
    let shutdown = CancellationToken::new();
    crate::seams::spawn("demo end", end(args.duration, shutdown.clone()));
    app.run(Some(listener), shutdown).await.map_err(|stopped| stopped.to_string())?;
    // The agent has drained, so both sides have counted everything; the hub is asked before it stops.
    let summary = summary::Summary::new(&recorder, &simulator.hub().counts());
    simulator.shutdown().await;
    if args.json {
        output::json(&summary.json());
    } else {
        output::result(&summary.text());
    }
    Ok(if summary.agrees() { Exit::Expected } else { Exit::Unexpected })
}

/// The demo's configuration is read as any other; only its texts come from the program itself.
fn plan_for(simulator: &Running) -> Result<Plan, String> {
    let environment = |name: &str| match name {
        "SPOKEPROBE_DEMO_URL" => Some(simulator.endpoint_url()),
        "SPOKEPROBE_DEMO_STS" => Some(simulator.sts_url.clone()),
        "SPOKEPROBE_DEMO_CA" => Some("ca.pem".to_owned()),
        _ => None,
    };
    let all = |problems: Vec<crate::yaml::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let main = Document::parse("demo", DEMO_CONFIGURATION).map_err(all)?;
    let files = [
        ("ca.pem".to_owned(), Ok(simulator.ca_pem.clone())),
        ("narrow.json".to_owned(), Ok(DEMO_SESSION_POLICY.to_owned())),
    ];
    let documents = Documents { main, included: Vec::new(), files: files.into() };
    let config = config::read(&documents, &environment).map_err(all)?;
    plan::plan(&config).map_err(all)
}

/// An address to click on: nobody can connect to the unspecified one by its name everywhere.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().to_canonical().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port()))
    } else {
        listen
    }
}

fn welcome(args: &DemoArgs, listen: SocketAddr, plan: &Plan, simulator: &Running) {
    let listen = reachable(listen);
    output::note(&format!(
        "A simulated hub with {} spokes is up at {}, and the agent probes {} targets through it.\n\
         Many are broken on purpose, each in another way; some change while you watch.\n",
        plan.spokes.len(),
        simulator.endpoint_url(),
        plan.targets.len(),
    ));
    output::note(&format!(
        "  page      {}",
        output::paint(output::Colour::Bold, &format!("http://{listen}/"))
    ));
    output::note(&format!("  metrics   http://{listen}/metrics"));
    output::note(&format!("  status    http://{listen}/api/v1/status"));
    if let Some(control) = simulator.control_addr.map(reachable) {
        output::note(&format!("  counts    http://{control}/counts   what the simulator itself counted"));
    }
    output::note(match args.duration {
        Some(_) => "\nA line below is a change of state.\n",
        None => "\nCtrl-C ends it with a summary. A line below is a change of state.\n",
    });
}

async fn end(after: Option<Duration>, shutdown: CancellationToken) {
    let time_is_up = async {
        match after {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = time_is_up => {}
        ended = app::termination() => if let Err(error) = ended {
            tracing::error!(%error, "signals cannot be listened to; stopping");
        },
    }
    shutdown.cancel();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_address_is_one_that_can_be_opened() {
        for (listen, wanted) in [
            ("0.0.0.0:10403", "127.0.0.1:10403"),
            ("[::]:1", "127.0.0.1:1"),
            ("[::ffff:0.0.0.0]:1", "127.0.0.1:1"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), wanted, "{listen}");
        }
    }
}
