use std::time::Duration;

use async_stream::try_stream;
use futures_core::Stream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::service::Interceptor;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::v1::chat_service_client::ChatServiceClient;
use crate::v1::credit_service_client::CreditServiceClient;
use crate::v1::job_service_client::JobServiceClient;
use crate::v1::{
    chat_event, part_delta, watch_job_response, ChatEvent, ChatInput, CompleteRequest, Completion, Job, JobState,
    StreamRequest, WatchJobRequest,
};

const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const WATCH_PAUSE: Duration = Duration::from_millis(500);
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Who calls.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// An API key of the gateway.
    pub key: String,
    /// The end user whose account is charged; empty: the key's own.
    pub user: String,
}

/// Adds to each call who makes it.
#[derive(Debug, Clone)]
pub struct Caller {
    authorization: MetadataValue<Ascii>,
    user: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        if let Some(user) = &self.user {
            metadata.insert("x-trunkline-user", user.clone());
        }
        Ok(request)
    }
}

type Line = InterceptedService<Channel, Caller>;

/// A gateway, or several replicas of it. Cloning is cheap, and shares the connections.
#[derive(Debug, Clone)]
pub struct Trunkline {
    line: Line,
}

impl Trunkline {
    /// Speaks to gateways at addresses such as `http://gateway:50051`; several are asked in turn.
    /// Connects with the first call. Errors: an address, a key or a user that cannot be sent.
    pub fn new<'a>(
        addresses: impl IntoIterator<Item = &'a str>,
        options: Options,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let endpoints: Vec<Endpoint> = addresses.into_iter().map(endpoint).collect::<Result<_, _>>()?;
        let user = (!options.user.is_empty()).then(|| options.user.parse()).transpose()?;
        let caller = Caller { authorization: format!("Bearer {}", options.key).parse()?, user };
        let channel = match endpoints.as_slice() {
            [only] => only.connect_lazy(),
            _ => Channel::balance_list(endpoints.into_iter()),
        };
        Ok(Self { line: InterceptedService::new(channel, caller) })
    }

    /// For the generated client of any service: `PromptServiceClient::new(gateway.line())`.
    pub fn line(&self) -> Line {
        self.line.clone()
    }

    pub fn chat(&self) -> ChatServiceClient<Line> {
        ChatServiceClient::new(self.line()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub fn credits(&self) -> CreditServiceClient<Line> {
        CreditServiceClient::new(self.line())
    }

    pub fn jobs(&self) -> JobServiceClient<Line> {
        JobServiceClient::new(self.line()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Asks and waits for the whole answer. Tried three times where nobody is there, and charged once.
    pub async fn ask(&self, input: ChatInput) -> Result<Completion, Status> {
        let request = CompleteRequest { input: Some(input), request_id: request_id() };
        for attempt in 1.. {
            match self.chat().complete(request.clone()).await {
                Err(status) if attempt < ATTEMPTS && repeatable(&status) => {
                    tokio::time::sleep(FIRST_PAUSE * attempt).await;
                }
                answer => return Ok(answer?.into_inner().completion.unwrap_or_default()),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Asks and yields every event. Dropping the stream stops the provider.
    pub fn events(&self, input: ChatInput) -> impl Stream<Item = Result<ChatEvent, Status>> {
        let mut chat = self.chat();
        let request = StreamRequest { input: Some(input), request_id: request_id() };
        try_stream! {
            let mut answers = chat.stream(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                yield answer.event.unwrap_or_default();
            }
        }
    }

    /// Asks and yields the answer's text as it comes. Dropping the stream stops the provider.
    pub fn stream(&self, input: ChatInput) -> impl Stream<Item = Result<String, Status>> {
        let events = self.events(input);
        try_stream! {
            for await event in events {
                if let Some(text) = text_in(event?) {
                    yield text;
                }
            }
        }
    }

    /// Watches a job until it has ended, over restarts of the gateway.
    pub async fn wait(&self, job_id: &str) -> Result<Job, Status> {
        loop {
            match self.watch(job_id).await {
                Ok(Some(job)) => return Ok(job),
                Err(status) if !passes(&status) => return Err(status),
                _ => tokio::time::sleep(WATCH_PAUSE).await,
            }
        }
    }

    async fn watch(&self, job_id: &str) -> Result<Option<Job>, Status> {
        let request = WatchJobRequest { job_id: job_id.into(), ..Default::default() };
        let mut changes = self.jobs().watch_job(request).await?.into_inner();
        while let Some(change) = changes.message().await? {
            match change.told {
                Some(watch_job_response::Told::Job(job)) if job.state() >= JobState::Succeeded => return Ok(Some(job)),
                _ => {}
            }
        }
        Ok(None)
    }
}

fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(address.to_string())?
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(10));
    if address.starts_with("https://") {
        return endpoint.tls_config(ClientTlsConfig::new().with_native_roots());
    }
    Ok(endpoint)
}

fn request_id() -> String {
    Uuid::new_v4().to_string()
}

/// Whether to ask again: nobody was there, and the gateway does not say no.
fn repeatable(status: &Status) -> bool {
    let told = status.metadata().get("grpc-retry-pushback-ms");
    status.code() == Code::Unavailable && told.is_none_or(|told| told != "-1")
}

/// Whether a watch ended because of its length or its gateway, not because of the job.
fn passes(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
}

fn text_in(event: ChatEvent) -> Option<String> {
    match event.event? {
        chat_event::Event::PartDelta(delta) => match delta.delta? {
            part_delta::Delta::Text(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
