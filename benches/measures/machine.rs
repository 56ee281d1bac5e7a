//! What the figures were taken on.

use crate::process::Cores;
use std::fs;
use std::process::Command;

/// The three load averages, as the kernel writes them, apart by blanks.
pub(crate) fn load_average() -> String {
    read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// What stands before the table. A load average beyond 1 before a part says that others worked as well.
pub(crate) fn describe(cores: &Cores, loads: &[String]) -> String {
    let cpuinfo = read("/proc/cpuinfo");
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let model = value(&cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let mhz = value(&cpuinfo, "cpu MHz").map_or_else(String::new, |mhz| format!(" at {mhz} MHz"));
    let memory_kib: f64 = value(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let rustc = Command::new("rustc").arg("--version").output().map_or_else(
        |_| "rustc unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let profile = if cfg!(debug_assertions) { "a DEBUG build: of no worth" } else { "optimised build" };
    format!(
        "Taken on {model}{mhz}, {count} cores, {:.1} GiB of memory, Linux {}, {rustc}, {profile}; {}. \
         Load average over a minute: {}.\n",
        memory_kib / 1024.0 / 1024.0,
        kernel.trim(),
        cores.describe(),
        loads.join(", "),
    )
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first line `key : value`.
fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
