//! `spokeprobe load`: one run at once, with live progress and a report.
//!
//! The run lives on a runtime of one thread: what one core bears is what is measured, and nothing moves between
//! threads on the way.

use super::arguments::LoadArgs;
use super::document::Document;
use super::progress::{Drawer, Progress};
use super::stopping::{Asked, Signals};
use super::{dry_run, html, text};
use crate::app::{LoadNotBegun, LoadOnce, Seams, doctor};
use crate::cli::{Exit, call, configuration, output};
use crate::domain::identity::Signer;
use crate::load::{Report, Settings, Stop};
use crate::plan::{self, Plan};
use crate::recording::{HistogramLog, LoadRecorder};
use crate::sources::LoadedPlan;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

pub(in crate::cli) async fn load(args: LoadArgs) -> Exit {
    let Some(LoadedPlan { config, plan, include_failures, .. }) =
        configuration::read(&args.config, args.json).await
    else {
        return Exit::Usage;
    };
    configuration::log_left_out(&include_failures);
    let run = match args.settings(&config, &plan) {
        Ok(run) => Arc::new(run),
        Err(problems) => {
            problems.iter().for_each(|problem| output::error(problem));
            return Exit::Usage;
        }
    };
    let mut warnings = Vec::new();
    plan::load_warnings(&run, &plan.settings.endpoint.region, &mut |message| warnings.push(message));
    warnings.iter().for_each(|message| output::note(&format!("warning: {message}")));
    if args.dry_run {
        return dry_run::show(&run, &plan, &warnings, args.json);
    }
    match make(&args, &plan, run).await {
        Ok((document, written)) => {
            if args.json {
                output::note(&text::one_line(&document));
                output::json(&document.json());
            } else {
                output::result(&text::render(&document, &output::paint_result));
            }
            if written && document.is_as_expected() { Exit::Expected } else { Exit::Unexpected }
        }
        Err((problem, exit)) => {
            output::error(&problem);
            exit
        }
    }
}

/// Makes the run and writes the files, and says whether they are whole; what cannot be opened is found before
/// anything is sent.
async fn make(args: &LoadArgs, plan: &Plan, run: Arc<Settings>) -> Result<(Document, bool), (String, Exit)> {
    if args.html.is_some() && args.html == args.hlog {
        return Err(usage("--html and --hlog name the same file".to_owned()));
    }
    let page = args.html.as_deref().map(Output::open).transpose().map_err(usage)?;
    let log = args.hlog.as_deref().map(Output::open).transpose().map_err(usage)?;
    let stop_file = args.stop_file.clone().or_else(|| plan.load_rules.stop_file.clone());
    if let Some(file) = stop_file.as_ref().filter(|file| file.exists()) {
        let problem = format!("the run does not begin: the stop file {} exists; remove it", file.display());
        return Err((problem, Exit::Unexpected));
    }
    let seams = Seams::real(&plan.settings).map_err(|problem| (problem.to_string(), Exit::Usage))?;
    let mut signals = Signals::listen().map_err(|error| (error, Exit::Unexpected))?;
    if let Some(line) = call::request_line(&run.target, plan) {
        output::note(&line);
    }
    let once = tokio::select! {
        once = prepare(&seams, plan, &run) => once?,
        _asked = signals.next() => {
            return Err(("stopped before the run began; nothing was sent".to_owned(), Exit::Unexpected));
        }
    };
    let stop = Stop::new();
    let (recorder, under_way) = once.begin(stop.clone());
    let log = log.map(|log| write_log(log, &recorder, &run, &seams));
    let driven = Driven { seams: &seams, run: &run, recorder: &recorder, stop: &stop, stop_file };
    let report = driven.to_the_end(under_way, &mut signals).await;
    let mut document = Document::of(&report);
    if let Some(baseline) = &args.baseline {
        let comparison = baseline.compare(&document, &args.tolerance.unwrap_or_default());
        document = document.compared(comparison);
    }
    let page = page.map_or(Ok(()), |page| page.write(html::render(&document).as_bytes()));
    let log = match log {
        None => Ok(()),
        Some(log) => log.await.unwrap_or_else(|_panicked| {
            Err("the log of histograms is not whole; this is a defect".to_owned())
        }),
    };
    let problems: Vec<String> = [page, log].into_iter().filter_map(Result::err).collect();
    problems.iter().for_each(|problem| output::error(problem));
    Ok((document, problems.is_empty()))
}

fn usage(problem: String) -> (String, Exit) {
    (problem, Exit::Usage)
}

/// Gets the session of the signer.
async fn prepare(seams: &Seams, plan: &Plan, run: &Arc<Settings>) -> Result<LoadOnce, (String, Exit)> {
    let role = match &run.target.signer {
        Signer::Role(session) => plan.roles.iter().find(|role| role.session == *session).cloned(),
        Signer::Hub | Signer::Anonymous => None,
    };
    LoadOnce::prepare(seams, &plan.settings, Arc::clone(run), role).await.map_err(|why| {
        let mut problem = format!("the run does not begin, nothing was sent: {why}");
        if let LoadNotBegun::NoSession(none) = &why
            && let Some(refusal) = &none.refusal
        {
            problem.push('\n');
            let fill = |text: &str| doctor::filled(plan, &run.target, text);
            problem.push_str(&call::refusal_lines(refusal, &fill));
        }
        (call::printable(&problem), Exit::Unexpected)
    })
}

/// A run under way, and all that can stop it.
struct Driven<'a> {
    seams: &'a Seams,
    run: &'a Settings,
    recorder: &'a LoadRecorder,
    stop: &'a Stop,
    stop_file: Option<PathBuf>,
}

impl Driven<'_> {
    async fn to_the_end(&self, under_way: impl Future<Output = Report>, signals: &mut Signals) -> Report {
        let clock = &self.seams.clock;
        let mut drawer = Drawer::on_stderr();
        let mut next = self.recorder.began() + SECOND;
        tokio::pin!(under_way);
        let report = loop {
            tokio::select! {
                biased;
                report = &mut under_way => break report,
                Some(asked) = signals.next() => self.stop_by(asked),
                () = self.seams.wait.until(next) => {
                    let now = clock.now();
                    // Where this was held up, the seconds that passed are not drawn after the fact.
                    next = now.max(next) + SECOND;
                    if !self.stop.is_requested() && self.stop_file.as_ref().is_some_and(|file| file.exists()) {
                        self.stop.request("the stop file exists");
                    }
                    let progress = Progress::of(self.recorder, self.run, now.since(self.recorder.began()));
                    drawer.draw(&match self.stopping() {
                        Some(why) => progress.stopping(why),
                        None => progress,
                    });
                }
            }
        };
        drawer.finish();
        report
    }

    /// Why the run goes down before its end, once it does.
    fn stopping(&self) -> Option<String> {
        let because =
            self.stop.because().map(|because| format!("stopping: {because}; Ctrl-C again ends it at once"));
        because.or_else(|| {
            let guard = self.recorder.stopped_by()?;
            Some(format!("stopping: the guard {guard} has tripped; Ctrl-C ends it at once"))
        })
    }

    /// The first signal ends the run in good order, the second, or one after a guard, at once.
    fn stop_by(&self, asked: Asked) {
        let stops = self.stop.is_requested() || self.recorder.stopped_by().is_some();
        if stops && asked != Asked::ToStop {
            self.stop.cut(asked.as_str());
        } else {
            self.stop.request(asked.as_str());
        }
    }
}

/// Writes the distributions of each second as it ends, on a thread that may wait for the disk.
fn write_log(
    log: Output,
    recorder: &LoadRecorder,
    run: &Settings,
    seams: &Seams,
) -> JoinHandle<Result<(), String>> {
    let (intervals, name, began_at) = (recorder.intervals(), run.name.clone(), seams.clock.wall());
    tokio::task::spawn_blocking(move || {
        let Output { path, file } = log;
        let whole = || -> io::Result<()> {
            emptied(&file)?;
            let mut log = HistogramLog::begin(BufWriter::new(file), &name, began_at)?;
            for interval in intervals {
                log.write(&interval)?;
            }
            Ok(())
        };
        whole().map_err(|error| format!("{}: {error}", path.display()))
    })
}

/// A file that can be written. What it held is kept until there is something to replace it.
struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    fn open(path: &Path) -> Result<Self, String> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(mut self, bytes: &[u8]) -> Result<(), String> {
        let written = emptied(&self.file).and_then(|()| self.file.write_all(bytes));
        written.map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// Takes out what a file held. A pipe or a terminal holds nothing, and refuses to be shortened.
fn emptied(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}
