<?php

declare(strict_types=1);

namespace Trunkline;

use Generator;

/** The gateway. `chat()` is the pleasant way to ask; `call` and `stream` reach every RPC there is. */
final class Client
{
    private const ATTEMPTS = 3;
    private const FIRST_PAUSE_S = 0.1;
    private const LONGEST_PAUSE_S = 2.0;

    private readonly Door $door;

    /**
     * @param string $url  of the HTTP door, such as `http://127.0.0.1:8080`
     * @param string $key  an API key of the gateway
     * @param string $user the end user whose account is charged; empty: the key's own
     */
    public function __construct(
        private readonly string $url,
        private readonly string $key,
        private readonly string $user = '',
    ) {
        $this->door = new Door(rtrim($url, '/'), $key);
    }

    /** A question, to be put together and sent. */
    public function chat(string $model = ''): Chat
    {
        return new Chat($this, $model);
    }

    public function jobs(): Jobs
    {
        return new Jobs($this);
    }

    /** The account that is charged: `balance` and what else stands in `Account`; amounts are in `nanos`. */
    public function credits(): array
    {
        return $this->call('CreditService/GetBalance')['account'];
    }

    /** The same gateway for another end user. */
    public function as(string $user): self
    {
        return new self($this->url, $this->key, $user);
    }

    /**
     * Calls an RPC such as `ChatService/Quote`; messages are arrays in the JSON form of the contract.
     * What may be repeated is tried three times where nobody is there.
     *
     * @param array<string, string> $headers
     * @throws Failure
     */
    public function call(string $method, array $message = [], array $headers = [], ?float $timeoutS = null): array
    {
        $terms = Terms::of($method);
        for ($attempt = 1; ; $attempt++) {
            try {
                return $this->door->call($method, $message, $this->named($headers), $timeoutS ?? $terms->timeoutS);
            } catch (Failure $failure) {
                $pauseS = $failure->retryAfterS ?? self::FIRST_PAUSE_S * $attempt;
                $again = $terms->repeatable && $failure->passes && $pauseS <= self::LONGEST_PAUSE_S;
                if (!$again || $attempt === self::ATTEMPTS) {
                    throw $failure;
                }
                usleep((int) ($pauseS * 1e6));
            }
        }
    }

    /**
     * Calls a streaming RPC and yields its messages as they come. Leaving the loop ends the call.
     *
     * @param array<string, string> $headers
     * @return Generator<int, array>
     * @throws Failure
     */
    public function stream(string $method, array $message = [], array $headers = [], ?float $timeoutS = null): Generator
    {
        $timeoutS ??= Terms::of($method)->timeoutS;

        return $this->door->stream($method, $message, $this->named($headers), $timeoutS);
    }

    private function named(array $headers): array
    {
        return $this->user === '' ? $headers : $headers + ['x-trunkline-user' => $this->user];
    }
}
