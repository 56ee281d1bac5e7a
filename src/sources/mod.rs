//! Where texts come from: the configuration's file, variable or object in S3, included files, files that values
//! name.
//!
//! The only part of the way from text to plan that touches the outside. It finds and reads within bounds, hands the
//! texts to `config`, and never interprets a value.
//!
//! ```text
//! reader     any source, read on demand: Texts     gathering  from the main text to all it names
//! files      the shelf that is a folder            s3         the shelf that is a bucket
//! texts      all texts of one reading, their digest
//! loading    texts to a plan                       last_read  included files as they were read before
//! watch      when to look again, and when a change counts
//! task_metadata  what ECS says of the task that this is
//! ```

mod files;
mod gathering;
mod last_read;
mod loading;
mod reader;
mod s3;
mod task_metadata;
#[cfg(test)]
mod tests;
mod texts;
mod watch;

pub use last_read::LastRead;
pub use loading::{LoadedPlan, load_plan, load_plan_again, load_plan_of, load_plan_text};
pub use reader::{Outside, Reader, Source, Unreadable};
pub use task_metadata::{TaskMetadata, task_metadata};
pub use texts::{Digest, Texts};
pub use watch::{Seen, Watch};

/// The configuration that is read unless another is named.
pub const DEFAULT_CONFIG: &str = "config.yaml";

/// The largest file that a value may name.
const MAX_NAMED_FILE_BYTES: usize = 1024 * 1024;

/// Looks a name up in the environment of this process; what is not UTF-8 is not set.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment enters")]
    std::env::var(name).ok()
}
