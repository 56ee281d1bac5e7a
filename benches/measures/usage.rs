//! What the kernel has counted for a process or a thread: processor time, wake-ups, resident memory. A process is
//! named by its number, or `self`.

use std::fs;

/// The processor time of this process, in seconds.
pub(crate) fn own_cpu_seconds() -> f64 {
    cpu_seconds("self")
}

/// The processor time of this thread, in seconds.
pub(crate) fn own_thread_cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel that counts");
    text.split(' ').next().and_then(|text| text.parse::<f64>().ok()).expect("a number") / 1e9
}

/// How often this thread has given up its core of itself, which is how often it has been woken up.
pub(crate) fn own_thread_wakeups() -> f64 {
    let status = fs::read_to_string("/proc/thread-self/status").expect("a kernel that counts");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|text| text.trim().parse().ok()).expect("a number")
}

/// The resident memory of this process in bytes.
pub(crate) fn own_resident_bytes() -> f64 {
    resident_bytes("self")
}

/// The processor time of all threads of a process that still run, in seconds. The scheduler counts in nanoseconds,
/// where `stat` counts in hundredths of a second.
pub(crate) fn cpu_seconds(process: &str) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a process that runs");
    let nanoseconds: f64 = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<f64>().ok())
        .sum();
    nanoseconds / 1e9
}

/// The resident memory of a process in bytes.
pub(crate) fn resident_bytes(process: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process that runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.split_whitespace().next().and_then(|text| text.parse::<f64>().ok()).expect("a number") * 1024.0
}

/// How many files a process has open, sockets among them.
pub(crate) fn open_files(process: &str) -> f64 {
    let files = fs::read_dir(format!("/proc/{process}/fd")).expect("a process that runs");
    f64::from(u32::try_from(files.count()).expect("below 4 billion"))
}
