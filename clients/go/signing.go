package trunkline

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// meant are the fields that have to be signed where a call has them.
var meant = []string{
	"x-trunkline-user", "x-trunkline-account", "x-trunkline-priority", "idempotency-key", "x-request-id", "last-event-id",
}

// signing are the options of a connection whose calls are signed (RFC 9421). A signature is good for one try, so gRPC
// makes none by itself.
func signing(options Options) []grpc.DialOption {
	if options.SigningKey == nil {
		return nil
	}
	s := signer{options.KeyID, options.SigningKey}
	return []grpc.DialOption{
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(s.unary),
		grpc.WithChainStreamInterceptor(s.stream),
	}
}

type signer struct {
	keyID string
	key   ed25519.PrivateKey
}

func (s signer) unary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	data, err := proto.Marshal(request.(proto.Message))
	if err != nil {
		return err
	}
	return invoke(s.signed(ctx, method, data), method, spelled(data), reply, conn, append(options, asSpelled)...)
}

func (s signer) stream(
	ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if description.ClientStreams {
		return nil, status.Error(codes.Unimplemented, "what is sent in pieces cannot be signed")
	}
	return &opening{open: func(data []byte) (grpc.ClientStream, error) {
		return open(s.signed(ctx, method, data), description, conn, method, append(options, asSpelled)...)
	}}, nil
}

// opening is a stream that begins with its one message, because that is signed before it.
type opening struct {
	grpc.ClientStream
	open func(data []byte) (grpc.ClientStream, error)
}

func (o *opening) SendMsg(message any) error {
	data, err := proto.Marshal(message.(proto.Message))
	if err != nil {
		return err
	}
	if o.ClientStream, err = o.open(data); err != nil {
		return err
	}
	return o.ClientStream.SendMsg(spelled(data))
}

// signed adds the three fields of a signature to what a call says.
func (s signer) signed(ctx context.Context, method string, message []byte) context.Context {
	content := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	digest := fmt.Sprintf("sha-256=:%s:", digestOf(content))
	names, lines := `"@method" "@path" "content-digest"`, []string{
		`"@method": POST`, `"@path": ` + method, `"content-digest": ` + digest,
	}
	said, _ := metadata.FromOutgoingContext(ctx)
	for _, name := range meant {
		if values := said.Get(name); len(values) > 0 {
			names += fmt.Sprintf(" %q", name)
			lines = append(lines, fmt.Sprintf("%q: %s", name, strings.TrimSpace(strings.Join(values, ", "))))
		}
	}
	input := fmt.Sprintf(
		`(%s);created=%d;nonce="%s";keyid="%s";alg="ed25519"`, names, time.Now().Unix(), rand.Text(), s.keyID,
	)
	base := strings.Join(append(lines, `"@signature-params": `+input), "\n")
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, []byte(base)))
	return metadata.AppendToOutgoingContext(
		ctx, "content-digest", digest, "signature-input", "sig="+input, "signature", "sig=:"+signature+":",
	)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// spelled is a message as it was signed: spelled again, its bytes could be others.
type spelled []byte

var asSpelled = grpc.ForceCodec(codec{})

// codec sends what is spelled as it is, and reads messages.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message any) ([]byte, error) { return message.(spelled), nil }

func (codec) Unmarshal(data []byte, message any) error {
	return proto.Unmarshal(data, message.(proto.Message))
}
