# frozen_string_literal: true

require "grpc"
require "google/rpc/error_details_pb"
require "google/rpc/status_pb"
Dir[File.join(__dir__, "trunkline/v1/*_services_pb.rb")].sort.each { |file| require file }
require "trunkline/v1/errors_pb"

# Speaks to Trunkline, the gRPC gateway to every AI provider.
module Trunkline
  # A connection that repeats what may be repeated, and sends the key with every call.
  class Gateway
    OPTIONS = {
      "grpc.service_config" => File.read(File.join(__dir__, "trunkline/service_config.json")),
      "grpc.keepalive_time_ms" => 30_000,
      "grpc.keepalive_timeout_ms" => 10_000,
      "grpc.max_reconnect_backoff_ms" => 5_000, # a replica that was restarted gets its calls back soon
      "grpc.max_receive_message_length" => 64 << 20
    }.freeze

    def initialize(address, key:, user: nil, credentials: :this_channel_is_insecure)
      @address = address
      @credentials = credentials
      @channel = GRPC::Core::Channel.new(address, OPTIONS, credentials)
      @metadata = { "authorization" => "Bearer #{key}", "x-trunkline-user" => user }.compact.freeze
      @interceptors = [Caller.new(@metadata)]
    end

    # Who calls; give it as `metadata:` to streams with `return_op: true`, which grpc hides from interceptors.
    attr_reader :metadata

    # The stub of a service, such as `Trunkline::V1::ChatService`.
    def stub(service)
      service::Stub.new(@address, @credentials, channel_override: @channel, interceptors: @interceptors)
    end

    def chat = stub(V1::ChatService)
    def credits = stub(V1::CreditService)
    def jobs = stub(V1::JobService)
  end

  # Adds to each call who makes it.
  class Caller < GRPC::ClientInterceptor
    def initialize(told)
      super()
      @told = told
    end

    def request_response(metadata: nil, **)
      metadata.update(@told)
      yield
    end

    def server_streamer(metadata: nil, **)
      metadata.update(@told)
      yield
    end
  end

  # The details of a call that failed, by their type: `details(error)["google.rpc.ErrorInfo"].reason`.
  def self.details(error)
    status = Google::Rpc::Status.decode(error.metadata.fetch("grpc-status-details-bin", ""))
    pool = Google::Protobuf::DescriptorPool.generated_pool
    named = status.details.to_h { |any| [any.type_url.split("/").last, any.value] }
    named.select { |name, _| pool.lookup(name) }.to_h { |name, value| [name, pool.lookup(name).msgclass.decode(value)] }
  end

  # A question of one message to a model.
  def self.question(model, text)
    part = V1::Part.new(text: V1::TextPart.new(text: text))
    V1::ChatInput.new(model: model, messages: [V1::Message.new(role: :ROLE_USER, parts: [part])])
  end
end
