package trunkline

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "trunkline.dev/go/v1"
)

// Failure is what the gateway says of a call that failed.
type Failure struct {
	Code    codes.Code
	Message string
	// Reason is the word to branch on, such as CREDIT_INSUFFICIENT.
	Reason string
	// Facts are those of the reason.
	Facts map[string]string
	// RequestID is the call in the gateway's log.
	RequestID string
	// RetryAfter is when to try again; 0: trying again does not help, or nobody knows.
	RetryAfter time.Duration
	// Fields says which fields of the request are wrong.
	Fields []*errdetails.BadRequest_FieldViolation
	// Partial is how far the call came; nil when it had not begun.
	Partial *v1.PartialResult
	// Upstream is what the providers that were tried answered.
	Upstream []*v1.UpstreamFailure
}

// FailureOf reads an error of a call; ok is false for errors that no gateway sent.
func FailureOf(err error) (failure Failure, ok bool) {
	var carrier interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &carrier) {
		return Failure{}, false
	}
	told := carrier.GRPCStatus()
	failure = Failure{Code: told.Code(), Message: told.Message()}
	for _, detail := range told.Details() {
		failure.add(detail)
	}
	return failure, failure.Reason != ""
}

func (f *Failure) add(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		f.Reason, f.Facts = detail.GetReason(), detail.GetMetadata()
	case *errdetails.RequestInfo:
		f.RequestID = detail.GetRequestId()
	case *errdetails.RetryInfo:
		f.RetryAfter = detail.GetRetryDelay().AsDuration()
	case *errdetails.BadRequest:
		f.Fields = detail.GetFieldViolations()
	case *v1.PartialResult:
		f.Partial = detail
	case *v1.UpstreamFailures:
		f.Upstream = detail.GetFailures()
	}
}
