package io.trunkline;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import io.trunkline.v1.PartialResult;
import io.trunkline.v1.UpstreamFailure;
import io.trunkline.v1.UpstreamFailures;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the gateway says of a call that failed.
 *
 * @param reason the word to branch on, such as {@code CREDIT_INSUFFICIENT}; empty where no gateway spoke
 * @param facts the facts of the reason
 * @param requestId the call in the gateway's log
 * @param retryAfter when to try again; empty: that does not help, or nobody knows
 * @param fields which fields of the request are wrong
 * @param partial how far the call came, and what it cost
 * @param upstream what the providers that were tried answered
 */
public record Failure(
    Status.Code code,
    String message,
    String reason,
    Map<String, String> facts,
    String requestId,
    Optional<Duration> retryAfter,
    List<BadRequest.FieldViolation> fields,
    Optional<PartialResult> partial,
    List<UpstreamFailure> upstream) {

  /** Reads whatever a call threw. */
  public static Failure of(Throwable thrown) {
    com.google.rpc.Status told = StatusProto.fromThrowable(thrown);
    List<Any> details = told == null ? List.of() : told.getDetailsList();
    ErrorInfo info = find(details, ErrorInfo.class).orElse(ErrorInfo.getDefaultInstance());
    Status status = Status.fromThrowable(thrown);
    return new Failure(
        status.getCode(),
        String.valueOf(status.getDescription()),
        info.getReason(),
        info.getMetadataMap(),
        find(details, RequestInfo.class).map(RequestInfo::getRequestId).orElse(""),
        find(details, RetryInfo.class).map(RetryInfo::getRetryDelay).map(Failure::duration),
        find(details, BadRequest.class).map(BadRequest::getFieldViolationsList).orElse(List.of()),
        find(details, PartialResult.class),
        find(details, UpstreamFailures.class).map(UpstreamFailures::getFailuresList).orElse(List.of()));
  }

  private static <T extends Message> Optional<T> find(List<Any> details, Class<T> type) {
    return details.stream().filter(detail -> detail.is(type)).findFirst().map(detail -> unpacked(detail, type));
  }

  private static <T extends Message> T unpacked(Any detail, Class<T> type) {
    try {
      return detail.unpack(type);
    } catch (InvalidProtocolBufferException broken) {
      throw new IllegalArgumentException("the gateway sent a detail that cannot be read", broken);
    }
  }

  private static Duration duration(com.google.protobuf.Duration told) {
    return Duration.ofSeconds(told.getSeconds(), told.getNanos());
  }
}
