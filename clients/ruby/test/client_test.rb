# frozen_string_literal: true

require "minitest/autorun"
require "json"
require "trunkline"

class ClientTest < Minitest::Test
  include Trunkline

  TEN_WORDS = "one two three four five six seven eight nine ten"

  def setup
    @gateway = Gateway.new(ENV.fetch("TRUNKLINE_ADDRESS"), key: ENV.fetch("TRUNKLINE_API_KEY"), user: "ruby")
  end

  def test_answers_in_one_piece
    completion = ask(Trunkline.question("sandbox/echo", "Hello out there")).completion
    assert_equal "Hello out there", completion.candidates[0].message.parts[0].text.text
    assert_operator completion.charge.nanos, :>, 0
  end

  def test_streams
    request = V1::StreamRequest.new(input: scripted(TEN_WORDS, pace_ms: 10))
    pieces = @gateway.chat.stream(request).map { |told| told.event.part_delta&.text.to_s }.reject(&:empty?)
    assert_equal TEN_WORDS, pieces.join
    assert_operator pieces.length, :>, 1
  end

  def test_cancelling_stops_the_provider
    request = V1::StreamRequest.new(input: scripted("word", endless: true, pace_ms: 20))
    call = @gateway.chat.stream(request, metadata: @gateway.metadata.dup, return_op: true)
    id = nil
    assert_raises(GRPC::Cancelled) do
      call.execute.each do |told|
        id ||= told.event.started&.completion_id
        call.cancel if told.event.part_delta
      end
    end
    asked = V1::GetCompletionRequest.new(completion_id: id)
    sleep 0.05 until @gateway.chat.get_completion(asked).completion.outcome == :OUTCOME_CANCELLED
  end

  def test_deadline
    request = V1::CompleteRequest.new(input: scripted("late", head_ms: 60_000))
    assert_raises(GRPC::DeadlineExceeded) { @gateway.chat.complete(request, deadline: Time.now + 0.5) }
  end

  def test_a_failure_tells_its_reason
    error = assert_raises(GRPC::NotFound) { ask(Trunkline.question("sandbox/nothing", "?")) }
    assert_equal "MODEL_NOT_FOUND", Trunkline.details(error)["google.rpc.ErrorInfo"].reason
  end

  def test_a_failure_tells_fields_and_providers
    wrong = assert_raises(GRPC::InvalidArgument) { ask(Trunkline.question(" ", "?")) }
    assert_equal "input.model", Trunkline.details(wrong)["google.rpc.BadRequest"].field_violations[0].field
    refused = assert_raises(GRPC::InvalidArgument) { ask(scripted("?", status: 400)) }
    assert_equal 400, Trunkline.details(refused)["trunkline.v1.UpstreamFailures"].failures[0].http_status
  end

  def test_metadata
    request = V1::CompleteRequest.new(input: Trunkline.question("sandbox/echo", "hello"))
    call = @gateway.chat.complete(request, metadata: { "x-request-id" => "ruby-metadata" }, return_op: true)
    completion = call.execute.completion
    assert_equal completion.completion_id, call.trailing_metadata["x-trunkline-completion-id"]
    assert_equal "ruby-metadata", call.trailing_metadata["x-request-id"]
  end

  def test_a_job_is_watched_to_its_end
    work = V1::JobSpec.new(chat: Trunkline.question("sandbox/echo", "from a job"))
    id = @gateway.jobs.create_job(V1::CreateJobRequest.new(spec: work)).job.job_id
    job = @gateway.jobs.watch_job(V1::WatchJobRequest.new(job_id: id)).filter_map(&:job).to_a.last
    assert_equal "from a job", job.result.completion.candidates[0].message.parts[0].text.text
  end

  def test_credits
    ask(Trunkline.question("sandbox/echo", "hello"))
    left = @gateway.credits.get_balance(V1::GetBalanceRequest.new).account.balance.nanos
    assert_includes 1...100_000_000_000, left
  end

  private

  def ask(input)
    @gateway.chat.complete(V1::CompleteRequest.new(input: input))
  end

  def scripted(text, script)
    input = Trunkline.question("sandbox/echo", text)
    input.provider_options_json["sandbox"] = JSON.generate(script: script)
    input
  end
end
