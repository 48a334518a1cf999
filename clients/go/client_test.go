package trunkline_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	trunkline "trunkline.dev/go"
	v1 "trunkline.dev/go/v1"
)

const tenWords = "one two three four five six seven eight nine ten"

func client(t *testing.T) *trunkline.Client {
	t.Helper()
	address := os.Getenv("TRUNKLINE_ADDRESS")
	if address == "" {
		t.Skip("TRUNKLINE_ADDRESS says where a gateway runs")
	}
	made, err := trunkline.New(address, trunkline.Options{Key: os.Getenv("TRUNKLINE_API_KEY"), User: "go"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { made.Close() })
	return made
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func scripted(text, script string) *v1.ChatInput {
	input := trunkline.Question("sandbox/echo", text)
	input.ProviderOptionsJson = map[string]string{"sandbox": fmt.Sprintf(`{"script": %s}`, script)}
	return input
}

func TestAnswersInOnePiece(t *testing.T) {
	completion, err := client(t).Ask(within(t, time.Minute), trunkline.Question("sandbox/echo", "Hello out there"))
	if err != nil || trunkline.Text(completion) != "Hello out there" || completion.GetCharge().GetNanos() <= 0 {
		t.Fatalf("%v, %v", completion, err)
	}
}

func TestStreams(t *testing.T) {
	var pieces []string
	for text, err := range client(t).Stream(within(t, time.Minute), scripted(tenWords, `{"pace_ms": 10}`)) {
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, text)
	}
	if strings.Join(pieces, "") != tenWords || len(pieces) < 2 {
		t.Fatal(pieces)
	}
}

func TestLeavingTheLoopStopsTheProvider(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	var id string
	for event, err := range c.Events(ctx, scripted("word", `{"endless": true, "pace_ms": 20}`)) {
		if err != nil {
			t.Fatal(err)
		}
		id = event.GetStarted().GetCompletionId()
		break
	}
	for {
		kept, err := c.Chat.GetCompletion(ctx, &v1.GetCompletionRequest{CompletionId: id})
		if err == nil && kept.GetCompletion().GetOutcome() == v1.Outcome_OUTCOME_CANCELLED {
			return
		}
		if err != nil && status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestDeadline(t *testing.T) {
	_, err := client(t).Ask(within(t, 500*time.Millisecond), scripted("late", `{"head_ms": 60000}`))
	if status.Code(err) != codes.DeadlineExceeded {
		t.Fatal(err)
	}
}

func TestFailureTellsItsReason(t *testing.T) {
	_, err := client(t).Ask(within(t, time.Minute), trunkline.Question("sandbox/nothing", "?"))
	failure, ok := trunkline.FailureOf(err)
	if !ok || failure.Code != codes.NotFound || failure.Reason != "MODEL_NOT_FOUND" || failure.RequestID == "" {
		t.Fatalf("%+v", failure)
	}
}

func TestFailureTellsFieldsAndProviders(t *testing.T) {
	c := client(t)
	_, err := c.Ask(within(t, time.Minute), &v1.ChatInput{Model: " "})
	if failure, _ := trunkline.FailureOf(err); len(failure.Fields) == 0 || failure.Fields[0].GetField() != "input.model" {
		t.Fatalf("%+v", failure)
	}
	_, err = c.Ask(within(t, time.Minute), scripted("?", `{"status": 400}`))
	if failure, _ := trunkline.FailureOf(err); len(failure.Upstream) != 1 || failure.Upstream[0].GetHttpStatus() != 400 {
		t.Fatalf("%+v", failure)
	}
}

func TestMetadata(t *testing.T) {
	ctx := metadata.AppendToOutgoingContext(within(t, time.Minute), "x-request-id", "go-metadata")
	var trailer metadata.MD
	request := &v1.CompleteRequest{Input: trunkline.Question("sandbox/echo", "hello")}
	response, err := client(t).Chat.Complete(ctx, request, grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	id := response.GetCompletion().GetCompletionId()
	if !slices.Contains(trailer.Get("x-trunkline-completion-id"), id) {
		t.Fatal(trailer)
	}
	if !slices.Contains(trailer.Get("x-request-id"), "go-metadata") {
		t.Fatal(trailer)
	}
}

func TestJobIsWatchedToItsEnd(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	work := &v1.JobSpec{Work: &v1.JobSpec_Chat{Chat: trunkline.Question("sandbox/echo", "from a job")}}
	made, err := c.Jobs.CreateJob(ctx, &v1.CreateJobRequest{Spec: work, RequestId: "go-job"})
	if err != nil {
		t.Fatal(err)
	}
	job, err := c.Wait(ctx, made.GetJob().GetJobId())
	if err != nil || trunkline.Text(job.GetResult().GetCompletion()) != "from a job" {
		t.Fatalf("%v, %v", job, err)
	}
}

func TestCredits(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	if _, err := c.Ask(ctx, trunkline.Question("sandbox/echo", "hello")); err != nil {
		t.Fatal(err)
	}
	response, err := c.Credits.GetBalance(ctx, &v1.GetBalanceRequest{})
	if balance := response.GetAccount().GetBalance().GetNanos(); err != nil || balance <= 0 || balance >= 100e9 {
		t.Fatalf("%v, %v", response, err)
	}
}

func TestSignsEachCallWithAKeyThatHasNoSecret(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	asked := &v1.CreateApiKeyRequest{Name: "go", Scopes: []string{"*"}, PublicKey: public}
	made, err := v1.NewAdminServiceClient(c.Conn).CreateApiKey(ctx, asked)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(keyID string) (string, error) {
		options := trunkline.Options{KeyID: keyID, SigningKey: private, User: "go"}
		signing, err := trunkline.New(os.Getenv("TRUNKLINE_ADDRESS"), options)
		if err != nil {
			return "", err
		}
		defer signing.Close()
		completion, err := signing.Ask(ctx, trunkline.Question("sandbox/echo", "hi"))
		said := trunkline.Text(completion)
		for text, failed := range signing.Stream(ctx, trunkline.Question("sandbox/echo", "ho")) {
			said, err = said+text, errors.Join(err, failed)
		}
		return said, err
	}
	if said, err := ask(made.GetApiKey().GetKeyId()); err != nil || said != "hiho" {
		t.Fatalf("%q, %v", said, err)
	}
	if _, err := ask("xxxxxxxxxxxx"); err == nil {
		t.Fatal("nobody's key let somebody in")
	}
}
