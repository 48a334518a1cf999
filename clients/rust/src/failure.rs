use std::{collections::HashMap, time::Duration};

use prost::Message;
use tonic::{Code, Status};

use crate::rpc::{bad_request::FieldViolation, BadRequest, ErrorInfo, RequestInfo, RetryInfo};
use crate::v1::{PartialResult, UpstreamFailure, UpstreamFailures};

/// What the gateway says of a call that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub code: Code,
    pub message: String,
    /// The word to branch on, such as `CREDIT_INSUFFICIENT`; empty where no gateway spoke.
    pub reason: String,
    /// The facts of the reason.
    pub facts: HashMap<String, String>,
    /// The call in the gateway's log.
    pub request_id: String,
    /// When to try again; none: that does not help, or nobody knows.
    pub retry_after: Option<Duration>,
    /// Which fields of the request are wrong.
    pub fields: Vec<FieldViolation>,
    /// How far the call came, and what it cost.
    pub partial: Option<PartialResult>,
    /// What the providers that were tried answered.
    pub upstream: Vec<UpstreamFailure>,
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let details = crate::rpc::Status::decode(status.details()).unwrap_or_default().details;
        let info: ErrorInfo = find(&details, "google.rpc.ErrorInfo").unwrap_or_default();
        let request: RequestInfo = find(&details, "google.rpc.RequestInfo").unwrap_or_default();
        let retry: RetryInfo = find(&details, "google.rpc.RetryInfo").unwrap_or_default();
        let wrong: BadRequest = find(&details, "google.rpc.BadRequest").unwrap_or_default();
        let upstream: UpstreamFailures = find(&details, "trunkline.v1.UpstreamFailures").unwrap_or_default();
        Failure {
            code: status.code(),
            message: status.message().into(),
            reason: info.reason,
            facts: info.metadata,
            request_id: request.request_id,
            retry_after: retry.retry_delay.and_then(|delay| delay.try_into().ok()),
            fields: wrong.field_violations,
            partial: find(&details, "trunkline.v1.PartialResult"),
            upstream: upstream.failures,
        }
    }
}

fn find<T: Message + Default>(details: &[prost_types::Any], name: &str) -> Option<T> {
    let detail = details.iter().find(|detail| detail.type_url.rsplit('/').next() == Some(name))?;
    T::decode(&*detail.value).ok()
}
