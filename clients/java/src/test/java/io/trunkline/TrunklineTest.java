package io.trunkline;

import static io.trunkline.Questions.question;
import static io.trunkline.Questions.textOf;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.ClientInterceptors;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import io.trunkline.v1.ChatInput;
import io.trunkline.v1.ChatServiceGrpc;
import io.trunkline.v1.CompleteRequest;
import io.trunkline.v1.Completion;
import io.trunkline.v1.CreateJobRequest;
import io.trunkline.v1.GetBalanceRequest;
import io.trunkline.v1.GetCompletionRequest;
import io.trunkline.v1.JobSpec;
import io.trunkline.v1.Outcome;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

@Timeout(60)
class TrunklineTest {
  private static final String TEN_WORDS = "one two three four five six seven eight nine ten";

  private final Trunkline gateway =
      Trunkline.connect(System.getenv("TRUNKLINE_ADDRESS"), System.getenv("TRUNKLINE_API_KEY"), "java");

  @AfterEach
  void close() {
    gateway.close();
  }

  @Test
  void answersInOnePiece() {
    Completion completion = gateway.ask(question("sandbox/echo", "Hello out there"));
    assertEquals("Hello out there", textOf(completion));
    assertTrue(completion.getCharge().getNanos() > 0);
  }

  @Test
  void streams() {
    List<String> pieces = new ArrayList<>();
    gateway.stream(scripted(TEN_WORDS, "{\"pace_ms\": 10}"), event -> {
      if (event.hasPartDelta()) {
        pieces.add(event.getPartDelta().getText());
      }
      return true;
    });
    assertEquals(TEN_WORDS, String.join("", pieces));
    assertTrue(pieces.size() > 1);
  }

  @Test
  void leavingTheStreamStopsTheProvider() throws InterruptedException {
    AtomicReference<String> id = new AtomicReference<>("");
    gateway.stream(scripted("word", "{\"endless\": true, \"pace_ms\": 20}"), event -> {
      if (event.hasStarted()) {
        id.set(event.getStarted().getCompletionId());
      }
      return !event.hasPartDelta();
    });
    GetCompletionRequest asked = GetCompletionRequest.newBuilder().setCompletionId(id.get()).build();
    while (gateway.chat().getCompletion(asked).getCompletion().getOutcome() != Outcome.OUTCOME_CANCELLED) {
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }

  @Test
  void deadline() {
    CompleteRequest late = CompleteRequest.newBuilder().setInput(scripted("late", "{\"head_ms\": 60000}")).build();
    Failure failure = failure(() -> gateway.chat().withDeadlineAfter(500, TimeUnit.MILLISECONDS).complete(late));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, failure.code());
  }

  @Test
  void failureTellsItsReason() {
    Failure failure = failure(() -> gateway.ask(question("sandbox/nothing", "?")));
    assertEquals(Status.Code.NOT_FOUND, failure.code());
    assertEquals("MODEL_NOT_FOUND", failure.reason());
    assertFalse(failure.requestId().isEmpty());
  }

  @Test
  void failureTellsFieldsAndProviders() {
    assertEquals("input.model", failure(() -> gateway.ask(question(" ", "?"))).fields().get(0).getField());
    Failure refused = failure(() -> gateway.ask(scripted("?", "{\"status\": 400}")));
    assertEquals(400, refused.upstream().get(0).getHttpStatus());
  }

  @Test
  void metadata() {
    Metadata sent = new Metadata();
    sent.put(key("x-request-id"), "java-metadata");
    AtomicReference<Metadata> headers = new AtomicReference<>();
    AtomicReference<Metadata> trailers = new AtomicReference<>();
    var channel = ClientInterceptors.intercept(
        gateway.channel(),
        MetadataUtils.newAttachHeadersInterceptor(sent),
        MetadataUtils.newCaptureMetadataInterceptor(headers, trailers));
    CompleteRequest request = CompleteRequest.newBuilder().setInput(question("sandbox/echo", "hello")).build();
    Completion completion = ChatServiceGrpc.newBlockingStub(channel).complete(request).getCompletion();
    assertEquals(completion.getCompletionId(), trailers.get().get(key("x-trunkline-completion-id")));
    assertEquals("java-metadata", trailers.get().get(key("x-request-id")));
  }

  @Test
  void jobIsWatchedToItsEnd() {
    JobSpec work = JobSpec.newBuilder().setChat(question("sandbox/echo", "from a job")).build();
    String id = gateway.jobs().createJob(CreateJobRequest.newBuilder().setSpec(work).build()).getJob().getJobId();
    assertEquals("from a job", textOf(gateway.await(id).getResult().getCompletion()));
  }

  @Test
  void credits() {
    gateway.ask(question("sandbox/echo", "hello"));
    var account = gateway.credits().getBalance(GetBalanceRequest.getDefaultInstance()).getAccount();
    assertTrue(0 < account.getBalance().getNanos() && account.getBalance().getNanos() < 100_000_000_000L);
  }

  private static ChatInput scripted(String text, String script) {
    String said = "{\"script\": " + script + "}";
    return question("sandbox/echo", text).toBuilder().putProviderOptionsJson("sandbox", said).build();
  }

  private static Failure failure(Executable call) {
    return Failure.of(assertThrows(StatusRuntimeException.class, call));
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
