//! Completions and the manual page, made by clap's own crates from the one definition of the commands.

use super::{Cli, Exit, output};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  spokeprobe completions bash > /etc/bash_completion.d/spokeprobe")]
pub(super) struct CompletionsArgs {
    /// The shell to complete in
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "spokeprobe", &mut script);
    output::result(&String::from_utf8_lossy(&script));
    Exit::Expected
}

pub(super) fn man() -> Exit {
    match page() {
        Ok(page) => {
            output::result(&page);
            Exit::Expected
        }
        Err(error) => {
            output::error(&format!("the manual page cannot be made: {error}"));
            Exit::Unexpected
        }
    }
}

/// One page: the program first, then each command.
fn page() -> std::io::Result<String> {
    let command = Cli::command();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name: &'static str = Box::leak(format!("spokeprobe {}", sub.get_name()).into_boxed_str());
        let man = clap_mangen::Man::new(sub.clone().name(name).display_name(name));
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_manual_page_names_every_command() {
        let page = super::page().unwrap();
        for command in ["run", "demo", "plan", "call", "explain", "simulate", "schema", "healthcheck"] {
            assert!(page.contains(&format!("spokeprobe {command}")), "{command}");
        }
    }
}
