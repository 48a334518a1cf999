<?php

declare(strict_types=1);

namespace Trunkline;

/** Work with nobody waiting, and waiting for it after all. Jobs are arrays in the JSON form of `Job`. */
final class Jobs
{
    private const ENDS = ['JOB_STATE_SUCCEEDED', 'JOB_STATE_FAILED', 'JOB_STATE_CANCELLED'];
    private const WATCH_PAUSE_US = 500_000;

    public function __construct(private readonly Client $client)
    {
    }

    /**
     * @param array $spec such as `['chat' => $client->chat('gpt-4o')->input('hello')]`
     * @throws Failure
     */
    public function submit(array $spec, string $requestId = ''): array
    {
        return $this->client->call('JobService/CreateJob', ['spec' => $spec, 'requestId' => $requestId])['job'];
    }

    /**
     * Watches a job until it has ended, over restarts of the gateway; `$changed` is told each change.
     *
     * @param callable(array): void|null $changed
     * @throws Failure
     */
    public function wait(string $jobId, ?callable $changed = null): array
    {
        while (true) {
            try {
                foreach ($this->client->stream('JobService/WatchJob', ['jobId' => $jobId]) as $told) {
                    $changed && isset($told['job']) && $changed($told['job']);
                    if (in_array($told['job']['state'] ?? '', self::ENDS, true)) {
                        return $told['job'];
                    }
                }
            } catch (Failure $failure) {
                if (!in_array($failure->status, ['unavailable', 'deadline_exceeded'], true)) {
                    throw $failure;
                }
                usleep(self::WATCH_PAUSE_US);
            }
        }
    }
}
