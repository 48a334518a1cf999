package io.trunkline;

import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.trunkline.v1.ChatEvent;
import io.trunkline.v1.ChatInput;
import io.trunkline.v1.ChatServiceGrpc;
import io.trunkline.v1.CompleteRequest;
import io.trunkline.v1.Completion;
import io.trunkline.v1.CreditServiceGrpc;
import io.trunkline.v1.Job;
import io.trunkline.v1.JobServiceGrpc;
import io.trunkline.v1.JobState;
import io.trunkline.v1.StreamRequest;
import io.trunkline.v1.StreamResponse;
import io.trunkline.v1.WatchJobRequest;
import io.trunkline.v1.WatchJobResponse;
import java.util.Iterator;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/**
 * A gateway: a connection that repeats what may be repeated, spreads calls over replicas that are ready, and sends the key
 * with every call. Make stubs of any service on {@link #channel()}; the methods here are the short way for what is wanted
 * most often. Safe for many threads.
 */
public final class Trunkline implements AutoCloseable {
  private static final int MESSAGE_BYTES_MAX = 64 << 20;

  private final ManagedChannel connection;
  private final Channel channel;

  private Trunkline(ManagedChannel connection, Caller caller) {
    this.connection = connection;
    this.channel = ClientInterceptors.intercept(connection, caller);
  }

  /** A gateway at an address such as {@code gateway:50051}, in the clear. Does not wait for the connection. */
  public static Trunkline connect(String address, String key) {
    return connect(address, key, "");
  }

  /** The same for an end user, whose account is charged. */
  public static Trunkline connect(String address, String key, String user) {
    return on(Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()), new Caller(key, user));
  }

  /** A gateway behind TLS. */
  public static Trunkline connectSecurely(String address, String key, String user) {
    return on(Grpc.newChannelBuilder(address, TlsChannelCredentials.create()), new Caller(key, user));
  }

  private static Trunkline on(ManagedChannelBuilder<?> builder, Caller caller) {
    ManagedChannel connection = builder
        .defaultServiceConfig(ServiceConfig.read())
        .defaultLoadBalancingPolicy("round_robin")
        .enableRetry()
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .maxInboundMessageSize(MESSAGE_BYTES_MAX)
        .build();
    return new Trunkline(connection, caller);
  }

  /** For stubs of any service. */
  public Channel channel() {
    return channel;
  }

  public ChatServiceGrpc.ChatServiceBlockingStub chat() {
    return ChatServiceGrpc.newBlockingStub(channel);
  }

  public CreditServiceGrpc.CreditServiceBlockingStub credits() {
    return CreditServiceGrpc.newBlockingStub(channel);
  }

  public JobServiceGrpc.JobServiceBlockingStub jobs() {
    return JobServiceGrpc.newBlockingStub(channel);
  }

  /** Asks and waits for the whole answer. The call has a request id, so a repetition is not charged twice. */
  public Completion ask(ChatInput input) {
    return chat().complete(CompleteRequest.newBuilder().setInput(input).setRequestId(id()).build()).getCompletion();
  }

  /** Asks and hands on each event; false from {@code more} stops the provider. */
  public void stream(ChatInput input, Predicate<ChatEvent> more) {
    StreamRequest request = StreamRequest.newBuilder().setInput(input).setRequestId(id()).build();
    Context.CancellableContext call = Context.current().withCancellation();
    try {
      call.run(() -> {
        Iterator<StreamResponse> answers = chat().stream(request);
        boolean wanted = true;
        while (wanted && answers.hasNext()) {
          wanted = more.test(answers.next().getEvent());
        }
      });
    } finally {
      call.cancel(null);
    }
  }

  /** Watches a job until it has ended, over restarts of the gateway. */
  public Job await(String jobId) {
    Job job = Job.getDefaultInstance();
    while (job.getState().getNumber() < JobState.JOB_STATE_SUCCEEDED_VALUE) {
      try {
        job = watch(jobId);
      } catch (StatusRuntimeException error) {
        if (!passes(error)) {
          throw error;
        }
      }
    }
    return job;
  }

  private Job watch(String jobId) {
    Job job = Job.getDefaultInstance();
    Iterator<WatchJobResponse> changes = jobs().watchJob(WatchJobRequest.newBuilder().setJobId(jobId).build());
    while (changes.hasNext()) {
      WatchJobResponse change = changes.next();
      job = change.hasJob() ? change.getJob() : job;
    }
    return job;
  }

  /** Whether a watch ended because of its length or its gateway, not because of the job. */
  private static boolean passes(StatusRuntimeException error) {
    Status.Code code = error.getStatus().getCode();
    boolean over = code == Status.Code.UNAVAILABLE || code == Status.Code.DEADLINE_EXCEEDED;
    return over && !Context.current().isCancelled();
  }

  private static String id() {
    return UUID.randomUUID().toString();
  }

  /** Ends the connections, and every call on them. */
  @Override
  public void close() {
    connection.shutdownNow();
  }
}
