package trunkline

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"iter"
	"strings"

	v1 "trunkline.dev/go/v1"
)

// Question is a question of one message to a model.
func Question(model, text string) *v1.ChatInput {
	part := &v1.Part{Kind: &v1.Part_Text{Text: &v1.TextPart{Text: text}}}
	return &v1.ChatInput{
		Model:    model,
		Messages: []*v1.Message{{Role: v1.Role_ROLE_USER, Parts: []*v1.Part{part}}},
	}
}

// Text is what the first answer of a completion says.
func Text(completion *v1.Completion) string {
	var text strings.Builder
	for _, candidate := range completion.GetCandidates()[:min(1, len(completion.GetCandidates()))] {
		for _, part := range candidate.GetMessage().GetParts() {
			text.WriteString(part.GetText().GetText())
		}
	}
	return text.String()
}

// Ask asks and waits for the whole answer. The call has a request id, so a repetition is not charged twice.
func (c *Client) Ask(ctx context.Context, input *v1.ChatInput) (*v1.Completion, error) {
	response, err := c.Chat.Complete(ctx, &v1.CompleteRequest{Input: input, RequestId: rand.Text()})
	return response.GetCompletion(), err
}

// Stream asks and yields the answer's text as it comes. Leaving the loop stops the provider.
func (c *Client) Stream(ctx context.Context, input *v1.ChatInput) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for event, err := range c.Events(ctx, input) {
			text := event.GetPartDelta().GetText()
			if (err != nil || text != "") && !yield(text, err) {
				return
			}
		}
	}
}

// Events asks and yields every event. Leaving the loop stops the provider.
func (c *Client) Events(ctx context.Context, input *v1.ChatInput) iter.Seq2[*v1.ChatEvent, error] {
	return func(yield func(*v1.ChatEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.Chat.Stream(ctx, &v1.StreamRequest{Input: input, RequestId: rand.Text()})
		for err == nil {
			var response *v1.StreamResponse
			response, err = stream.Recv()
			if err == nil && !yield(response.GetEvent(), nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}
