// Package trunkline speaks to Trunkline, the gRPC gateway to every AI provider.
//
// A Client carries the stubs of the contract (package v1) on a connection that repeats what may be repeated, spreads
// calls over replicas that are ready, and sends the key with every call. Ask, Stream and Wait are the short way for
// what is wanted most often; everything else is a call on a stub.
package trunkline

import (
	"context"
	"crypto/ed25519"
	_ "embed"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // asks replicas whether they are ready
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	v1 "trunkline.dev/go/v1"
)

const maxMessageBytes = 64 << 20

//go:embed service_config.json
var serviceConfig string

// Options of a Client. Only Key is needed, or KeyID and SigningKey.
type Options struct {
	// Key is an API key of the gateway.
	Key string
	// KeyID is the id of a key without a secret: each call is signed with SigningKey, and no key is sent.
	KeyID string
	// SigningKey is the private half of that key.
	SigningKey ed25519.PrivateKey
	// User is the end user whose account is charged; empty: the key's own.
	User string
	// TLS is how to speak to a gateway behind TLS; nil: in the clear.
	TLS credentials.TransportCredentials
	// Dial is added to how the connection is made.
	Dial []grpc.DialOption
}

// Client is a connection with a stub for each service that a caller needs. It is safe for concurrent use.
type Client struct {
	Chat          v1.ChatServiceClient
	Conversations v1.ConversationServiceClient
	Credits       v1.CreditServiceClient
	Embeddings    v1.EmbeddingServiceClient
	Jobs          v1.JobServiceClient
	Batches       v1.BatchServiceClient
	Models        v1.ModelServiceClient
	// Conn is for the stubs of all other services.
	Conn *grpc.ClientConn
}

// New makes a client of the gateway at an address such as `gateway:50051`; names are resolved to all their replicas.
// It does not wait for the connection.
func New(address string, options Options) (*Client, error) {
	conn, err := grpc.NewClient(address, dialOptions(options)...)
	if err != nil {
		return nil, err
	}
	return &Client{
		Chat:          v1.NewChatServiceClient(conn),
		Conversations: v1.NewConversationServiceClient(conn),
		Credits:       v1.NewCreditServiceClient(conn),
		Embeddings:    v1.NewEmbeddingServiceClient(conn),
		Jobs:          v1.NewJobServiceClient(conn),
		Batches:       v1.NewBatchServiceClient(conn),
		Models:        v1.NewModelServiceClient(conn),
		Conn:          conn,
	}, nil
}

// Close ends the connection and every call on it.
func (c *Client) Close() error { return c.Conn.Close() }

func dialOptions(options Options) []grpc.DialOption {
	transport := options.TLS
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	caller := identity{options}
	return append(append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(reconnecting()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		grpc.WithChainUnaryInterceptor(caller.unary),
		grpc.WithChainStreamInterceptor(caller.stream),
	}, signing(options)...), options.Dial...)
}

// reconnecting gives a replica that was restarted its calls back soon, where gRPC alone may wait for two minutes.
func reconnecting() grpc.ConnectParams {
	backoffs := backoff.DefaultConfig
	backoffs.MaxDelay = 5 * time.Second
	return grpc.ConnectParams{Backoff: backoffs, MinConnectTimeout: 20 * time.Second}
}

// identity adds to each call who makes it.
type identity struct{ options Options }

func (i identity) named(ctx context.Context) context.Context {
	if i.options.Key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+i.options.Key)
	}
	if i.options.User != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-trunkline-user", i.options.User)
	}
	return ctx
}

func (i identity) unary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	return invoke(i.named(ctx), method, request, reply, conn, options...)
}

func (i identity) stream(
	ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return open(i.named(ctx), description, conn, method, options...)
}
