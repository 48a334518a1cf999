<?php

declare(strict_types=1);

namespace Trunkline;

use RuntimeException;

/** What the gateway says of a call that failed. */
final class Failure extends RuntimeException
{
    /** @var string the word to branch on, such as `CREDIT_INSUFFICIENT`; empty where no gateway spoke */
    public readonly string $reason;
    /** @var array<string, string> the facts of the reason */
    public readonly array $facts;
    /** @var string the call in the gateway's log */
    public readonly string $requestId;
    /** @var float|null when to try again; null: that does not help, or nobody knows */
    public readonly ?float $retryAfterS;
    /** @var list<array{field: string, description: string}> which fields of the request are wrong */
    public readonly array $fields;
    /** @var array|null how far the call came, and what it cost: `PartialResult` */
    public readonly ?array $partial;
    /** @var list<array> what the providers that were tried answered: `UpstreamFailure` */
    public readonly array $upstream;
    /** @var bool whether nobody was there, and asking again is not forbidden */
    public readonly bool $passes;

    /**
     * @param string       $status Connect's word for the code, such as `not_found`
     * @param array<string, array> $details by their type
     */
    private function __construct(public readonly string $status, string $message, array $details, bool $heard)
    {
        parent::__construct($message);
        $this->reason = $details['google.rpc.ErrorInfo']['reason'] ?? '';
        $this->facts = $details['google.rpc.ErrorInfo']['metadata'] ?? [];
        $this->requestId = $details['google.rpc.RequestInfo']['requestId'] ?? '';
        $delay = $details['google.rpc.RetryInfo']['retryDelay'] ?? null;
        $this->retryAfterS = $delay === null ? null : (float) rtrim($delay, 's');
        $this->fields = $details['google.rpc.BadRequest']['fieldViolations'] ?? [];
        $this->partial = $details['trunkline.v1.PartialResult'] ?? null;
        $this->upstream = $details['trunkline.v1.UpstreamFailures']['failures'] ?? [];
        $this->passes = $status === 'unavailable' && (!$heard || $delay !== null);
    }

    /** @param array{code?: string, message?: string, details?: list<array>} $error as Connect spells it */
    public static function from(array $error): self
    {
        $details = array_column($error['details'] ?? [], 'debug', 'type');

        return new self($error['code'] ?? 'unknown', $error['message'] ?? 'the answer is no error of the gateway', $details, true);
    }

    public static function unreachable(string $url): self
    {
        return new self('unavailable', "no gateway answers at {$url}", [], false);
    }

    public static function deadline(): self
    {
        return new self('deadline_exceeded', 'the time of the call is over', [], false);
    }

    public static function broken(): self
    {
        return new self('unknown', 'the answer broke off, or is no JSON', [], false);
    }
}
