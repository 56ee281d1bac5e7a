//! `spokeprobe schema`

use super::{Exit, output};

pub(super) fn schema() -> Exit {
    output::json(&crate::config::json_schema());
    Exit::Expected
}
