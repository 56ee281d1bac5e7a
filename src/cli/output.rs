//! The one door to stdout and stderr.
//!
//! A closed pipe is not an error: whoever reads the first lines of a result and leaves has what it wanted. A result
//! that cannot be written for another reason is one: a policy cut short by a full disk must not pass for a whole one.

use super::Exit;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// True once a part of the results could not be written. Of the whole process, as stdout is.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a result to stdout, with a line end if it has none.
pub(super) fn result(text: &str) {
    let mut stdout = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    note_loss(write!(stdout, "{text}{end}").and_then(|()| stdout.flush()));
}

/// Prints what clap has to say: help and version are results, usage errors go to stderr.
pub(super) fn told_by_clap(told: &clap::Error) {
    let printed = told.print().and_then(|()| io::stdout().flush());
    if !told.use_stderr() {
        note_loss(printed);
    }
}

/// True when a part of the results could not be written; an error has said so.
pub(super) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// How a command ends that would have ended like this: what nobody could be told is not as expected.
pub(super) fn end(exit: Exit) -> Exit {
    if exit == Exit::Expected && is_lost() { Exit::Unexpected } else { exit }
}

/// Says once that stdout takes no more.
fn note_loss(written: io::Result<()>) {
    if let Some(problem) = loss(written)
        && !LOST.swap(true, Ordering::Relaxed)
    {
        error(&format!("standard output: {problem}"));
    }
}

/// What went wrong, unless the reader has merely left.
fn loss(written: io::Result<()>) -> Option<io::Error> {
    written.err().filter(|problem| problem.kind() != io::ErrorKind::BrokenPipe)
}

/// Prints a result as JSON to stdout.
pub(super) fn json(value: &serde_json::Value) {
    result(&format!("{value:#}"));
}

/// Prints an error to stderr.
pub(super) fn error(text: &str) {
    raw_note(&format!("{} {text}\n", paint(Colour::Red, "error:")));
}

/// Prints progress or a hint to stderr.
pub(super) fn note(text: &str) {
    raw_note(&format!("{text}\n"));
}

/// Writes to stderr as it is: for progress that is drawn over itself in a terminal. Where stderr takes no more there is
/// nobody left to tell, and the exit status still says how it ended.
pub(super) fn raw_note(text: &str) {
    let mut stderr = io::stderr().lock();
    drop(stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()));
}

/// The colours in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Red,
    Green,
    Bold,
}

/// How a piece of text is coloured; one that leaves it alone for a plain report.
pub(super) type Paint<'a> = &'a dyn Fn(Colour, &str) -> String;

/// Colours a text for stderr, if that is a terminal and nobody asked for none (no-color.org).
pub(super) fn paint(colour: Colour, text: &str) -> String {
    paint_if(io::stderr().is_terminal() && wants_colour(), colour, text)
}

/// Colours a text for stdout under the same rule.
pub(super) fn paint_result(colour: Colour, text: &str) -> String {
    paint_if(io::stdout().is_terminal() && wants_colour(), colour, text)
}

/// True unless `NO_COLOR` is set to anything but nothing.
pub(super) fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn paint_if(really: bool, colour: Colour, text: &str) -> String {
    if !really {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Red => "31",
        Colour::Green => "32",
        Colour::Bold => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// A plain table: columns as wide as their widest cell, the last one free.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        line.trim_end().to_owned()
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_leaves_loses_nothing_and_a_full_disk_does() {
        let ended = |kind: io::ErrorKind| loss(Err(kind.into())).map(|problem| problem.kind());
        assert_eq!(ended(io::ErrorKind::BrokenPipe), None);
        assert!(loss(Ok(())).is_none());
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::WriteZero, io::ErrorKind::Other] {
            assert_eq!(ended(kind), Some(kind));
        }
    }

    #[test]
    fn tables_line_up_and_leave_no_space_behind() {
        let text = table(&["a", "long"], &[vec!["xyz".into(), "1".into()], vec!["é".into(), String::new()]]);
        assert_eq!(text, "a    long\nxyz  1\né");
    }
}
