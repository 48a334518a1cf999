package trunkline

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "trunkline.dev/go/v1"
)

// Wait watches a job until it has ended, over restarts of the gateway.
func (c *Client) Wait(ctx context.Context, jobID string) (*v1.Job, error) {
	for {
		job, err := c.watch(ctx, jobID)
		if Ended(job) || (err != nil && !passes(ctx, err)) {
			return job, err
		}
	}
}

// Ended tells whether nothing will happen to the job any more.
func Ended(job *v1.Job) bool { return job.GetState() >= v1.JobState_JOB_STATE_SUCCEEDED }

func (c *Client) watch(ctx context.Context, jobID string) (*v1.Job, error) {
	stream, err := c.Jobs.WatchJob(ctx, &v1.WatchJobRequest{JobId: jobID})
	var job *v1.Job
	for err == nil {
		var response *v1.WatchJobResponse
		if response, err = stream.Recv(); response.GetJob() != nil {
			job = response.GetJob()
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return job, err
}

// passes tells whether a watch ended because of its length, not because of the job.
func passes(ctx context.Context, err error) bool {
	ended := status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded
	return ended && ctx.Err() == nil
}
