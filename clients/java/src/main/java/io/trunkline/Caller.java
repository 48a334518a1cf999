package io.trunkline;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;

/** Adds to each call who makes it. */
record Caller(String key, String user) implements ClientInterceptor {
  private static final Metadata.Key<String> AUTHORIZATION = named("authorization");
  private static final Metadata.Key<String> USER = named("x-trunkline-user");

  @Override
  public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<A> listener, Metadata headers) {
        headers.put(AUTHORIZATION, "Bearer " + key);
        if (!user.isEmpty()) {
          headers.put(USER, user);
        }
        super.start(listener, headers);
      }
    };
  }

  private static Metadata.Key<String> named(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }
}
