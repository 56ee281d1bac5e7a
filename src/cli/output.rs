//! The one door to stdout and stderr.
//!
//! A closed pipe is not an error: whoever reads the first lines of a result and leaves has what it wanted.

#![expect(clippy::print_stderr, reason = "this is the door the others are sent to")]

use std::io::{IsTerminal as _, Write as _};

/// Prints a result to stdout, with a line end if it has none.
pub(super) fn result(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // Whether it can be written is up to the reader.
    drop(write!(stdout, "{text}{end}").and_then(|()| stdout.flush()));
}

/// Prints a result as JSON to stdout.
pub(super) fn json(value: &serde_json::Value) {
    result(&format!("{value:#}"));
}

/// Prints an error to stderr.
pub(super) fn error(text: &str) {
    eprintln!("{} {text}", paint(Colour::Red, "error:"));
}

/// Prints progress or a hint to stderr.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// Writes to stderr as it is: for progress that is drawn over itself in a terminal.
pub(super) fn raw_note(text: &str) {
    let mut stderr = std::io::stderr().lock();
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
    paint_if(std::io::stderr().is_terminal() && wants_colour(), colour, text)
}

/// Colours a text for stdout under the same rule.
pub(super) fn paint_result(colour: Colour, text: &str) -> String {
    paint_if(std::io::stdout().is_terminal() && wants_colour(), colour, text)
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
    fn tables_line_up_and_leave_no_space_behind() {
        let text = table(&["a", "long"], &[vec!["xyz".into(), "1".into()], vec!["é".into(), String::new()]]);
        assert_eq!(text, "a    long\nxyz  1\né");
    }
}
