use std::{env, pin::pin, time::Duration};

use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};
use trunkline::v1::{
    chat_event, job_result, job_spec, ChatInput, CompleteRequest, CreateJobRequest, GetBalanceRequest,
    GetCompletionRequest, JobSpec, Outcome, StreamRequest,
};
use trunkline::{question, text_of, Failure, Options, Trunkline};

const TEN_WORDS: &str = "one two three four five six seven eight nine ten";
type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn gateway() -> Trunkline {
    let told = |name| env::var(name).expect("TRUNKLINE_ADDRESS and TRUNKLINE_API_KEY say where a gateway runs");
    let options = Options { key: told("TRUNKLINE_API_KEY"), user: "rust".into() };
    Trunkline::new([format!("http://{}", told("TRUNKLINE_ADDRESS")).as_str()], options).expect("an address")
}

fn scripted(text: &str, script: &str) -> ChatInput {
    let mut input = question("sandbox/echo", text);
    input.provider_options_json.insert("sandbox".into(), format!(r#"{{"script": {script}}}"#));
    input
}

fn failure<T>(answer: Result<T, Status>) -> Failure {
    Failure::from(&answer.err().expect("it should fail"))
}

#[tokio::test]
async fn answers_in_one_piece() -> Done {
    let completion = gateway().ask(question("sandbox/echo", "Hello out there")).await?;
    assert_eq!(text_of(&completion), "Hello out there");
    assert!(completion.charge.unwrap_or_default().nanos > 0);
    Ok(())
}

#[tokio::test]
async fn streams() -> Done {
    let pieces: Vec<_> = gateway().stream(scripted(TEN_WORDS, r#"{"pace_ms": 10}"#)).collect::<Result<_, _>>().await?;
    assert_eq!(pieces.concat(), TEN_WORDS);
    assert!(pieces.len() > 1);
    Ok(())
}

#[tokio::test]
async fn dropping_the_stream_stops_the_provider() -> Done {
    let gateway = gateway();
    let mut completion_id = String::new();
    {
        let mut events = pin!(gateway.events(scripted("word", r#"{"endless": true, "pace_ms": 20}"#)));
        while let Some(event) = events.next().await {
            match event?.event {
                Some(chat_event::Event::Started(started)) => completion_id = started.completion_id,
                Some(chat_event::Event::PartDelta(_)) => break,
                _ => {}
            }
        }
    }
    let asked = GetCompletionRequest { completion_id };
    loop {
        let kept = gateway.chat().get_completion(asked.clone()).await?.into_inner();
        if kept.completion.unwrap_or_default().outcome() == Outcome::Cancelled {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn deadline() {
    let input = scripted("word", r#"{"endless": true, "pace_ms": 20}"#);
    let mut request = Request::new(StreamRequest { input: Some(input), ..Default::default() });
    request.set_timeout(Duration::from_millis(500));
    let mut answers = gateway().chat().stream(request).await.expect("its first words come in time").into_inner();
    let ended = loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            other => break failure(other),
        }
    };
    assert!(matches!(ended.code, Code::DeadlineExceeded | Code::Cancelled), "{ended:?}");
}

#[tokio::test]
async fn a_failure_tells_its_reason() {
    let told = failure(gateway().ask(question("sandbox/nothing", "?")).await);
    assert_eq!((told.code, told.reason.as_str()), (Code::NotFound, "MODEL_NOT_FOUND"));
    assert!(!told.request_id.is_empty());
}

#[tokio::test]
async fn a_failure_tells_fields_and_providers() {
    let wrong = failure(gateway().ask(question(" ", "?")).await);
    assert_eq!(wrong.fields[0].field, "input.model");
    let refused = failure(gateway().ask(scripted("?", r#"{"status": 400}"#)).await);
    assert_eq!(refused.upstream[0].http_status, 400);
}

#[tokio::test]
async fn metadata() -> Done {
    let input = Some(question("sandbox/echo", "hello"));
    let mut request = Request::new(CompleteRequest { input, ..Default::default() });
    request.metadata_mut().insert("x-request-id", "rust-metadata".parse()?);
    let response = gateway().chat().complete(request).await?;
    let told = response.metadata().get("x-trunkline-completion-id").cloned();
    let request_id = response.metadata().get("x-request-id").cloned();
    let completion = response.into_inner().completion.unwrap_or_default();
    assert_eq!(told.unwrap().to_str()?, completion.completion_id);
    assert_eq!(request_id.unwrap().to_str()?, "rust-metadata");
    Ok(())
}

#[tokio::test]
async fn a_job_is_watched_to_its_end() -> Done {
    let gateway = gateway();
    let work = job_spec::Work::Chat(question("sandbox/echo", "from a job"));
    let request = CreateJobRequest { spec: Some(JobSpec { work: Some(work) }), ..Default::default() };
    let made = gateway.jobs().create_job(request).await?.into_inner().job.unwrap_or_default();
    let job = gateway.wait(&made.job_id).await?;
    match job.result.and_then(|result| result.result) {
        Some(job_result::Result::Completion(completion)) => assert_eq!(text_of(&completion), "from a job"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn credits() -> Done {
    let gateway = gateway();
    gateway.ask(question("sandbox/echo", "hello")).await?;
    let told = gateway.credits().get_balance(GetBalanceRequest::default()).await?.into_inner();
    let left = told.account.and_then(|account| account.balance).unwrap_or_default().nanos;
    assert!(0 < left && left < 100_000_000_000, "{left}");
    Ok(())
}
