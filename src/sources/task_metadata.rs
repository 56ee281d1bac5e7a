//! What ECS tells a task about itself: the cluster, the task's id, the availability zone.
//!
//! Source: ECS developer guide, "Amazon ECS task metadata endpoint version 4". `AvailabilityZone` is standard there
//! and was not seen in the text that this was written from (UNCONFIRMED); it is the zone's name, since that is what ECS
//! shows elsewhere. Whatever is missing or odd is left out: an agent outside of ECS is as good.

use crate::seams::{FetchRequest, Transport};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use std::net::IpAddr;
use std::time::Duration;

/// The variable that ECS sets in each container.
const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";
/// The endpoint is on the same machine.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Names of clusters have up to 255 characters (ECS API reference, `CreateCluster`).
const PART_CHARS_MAX: usize = 255;

/// What is known of the task that the agent runs in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskMetadata {
    /// The cluster's name.
    pub cluster: Option<String>,
    /// The task's id.
    pub task: Option<String>,
    /// The name of the availability zone, such as `eu-west-1a`; not its AZ ID.
    pub availability_zone: Option<String>,
}

/// Asks for the metadata of this task; nothing of it where there is none, or none within a second.
pub async fn task_metadata(
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
    transport: &dyn Transport,
) -> TaskMetadata {
    let Some(url) = environment(VARIABLE).and_then(|base| task_url(&base)) else {
        return TaskMetadata::default();
    };
    let request = FetchRequest {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: TIMEOUT,
    };
    match transport.fetch(request).await {
        Ok(answer) if answer.status == 200 => read(&answer.body),
        Ok(answer) => {
            tracing::debug!(status = answer.status, "ECS does not tell about this task");
            TaskMetadata::default()
        }
        Err(failure) => {
            tracing::debug!(detail = %failure.detail, "ECS does not tell about this task");
            TaskMetadata::default()
        }
    }
}

/// The address to ask, which is on this machine or its link.
fn task_url(base: &str) -> Option<String> {
    let uri: Uri = base.parse().ok()?;
    let address: IpAddr = uri.host()?.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let is_near = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
    };
    let is_plain = uri.scheme_str() == Some("http") && uri.query().is_none();
    (is_near && is_plain).then(|| format!("{}/task", base.trim_end_matches('/')))
}

fn read(body: &[u8]) -> TaskMetadata {
    let Ok(task) = serde_json::from_slice::<serde_json::Value>(body) else { return TaskMetadata::default() };
    // The cluster comes as a name or as an ARN; of both the last part is the name.
    let part = |key: &str| {
        let text = task.get(key)?.as_str()?;
        let last = text.rsplit('/').next().filter(|part| (1..=PART_CHARS_MAX).contains(&part.len()))?;
        last.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_').then(|| last.to_owned())
    };
    TaskMetadata {
        cluster: part("Cluster"),
        task: part("TaskARN"),
        availability_zone: part("AvailabilityZone"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_and_odd_parts_are_left_out() {
        let metadata = |cluster: &str, task: &str, zone: &str| TaskMetadata {
            cluster: (!cluster.is_empty()).then(|| cluster.to_owned()),
            task: (!task.is_empty()).then(|| task.to_owned()),
            availability_zone: (!zone.is_empty()).then(|| zone.to_owned()),
        };
        let arn = "arn:aws:ecs:eu-west-1:111122223333:task/hub/158d1c8083dd49d6b527399fd6414f5c";
        let body = format!(
            r#"{{"Cluster":"arn:aws:ecs:eu-west-1:111122223333:cluster/hub","TaskARN":"{arn}","AvailabilityZone":"eu-west-1a","Containers":[]}}"#
        );
        assert_eq!(read(body.as_bytes()), metadata("hub", "158d1c8083dd49d6b527399fd6414f5c", "eu-west-1a"));
        assert_eq!(read(br#"{"Cluster":"hub"}"#), metadata("hub", "", ""));
        let long = format!(r#"{{"Cluster":"{}","TaskARN":7,"AvailabilityZone":"a\nb"}}"#, "x".repeat(300));
        for nothing in ["", "[]", "{", r#"{"Cluster":""}"#, &long] {
            assert_eq!(read(nothing.as_bytes()), TaskMetadata::default(), "{nothing:.40}");
        }
    }

    #[test]
    fn only_near_addresses_are_asked() {
        let url = |base: &str| task_url(base);
        assert_eq!(url("http://169.254.170.2/v4/0f9d").as_deref(), Some("http://169.254.170.2/v4/0f9d/task"));
        assert!(url("http://127.0.0.1:8080/v4/x").is_some() && url("http://[fe80::1]/v4/x").is_some());
        for bad in [
            "http://10.0.0.1/v4",
            "http://example.com/v4",
            "https://169.254.170.2/v4",
            "",
            "http://169.254.170.2/?a",
        ] {
            assert_eq!(url(bad), None, "{bad}");
        }
    }
}
