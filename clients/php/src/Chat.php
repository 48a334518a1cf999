<?php

declare(strict_types=1);

namespace Trunkline;

use Generator;

/**
 * A question that is put together, then sent. Every step gives a new one, so a half-made question can be kept and used
 * many times.
 */
final class Chat
{
    private array $input = [];
    private array $headers = [];
    private ?float $timeoutS = null;
    private Client $client;

    public function __construct(Client $client, string $model = '')
    {
        $this->client = $client;
        $this->input = $model === '' ? [] : ['model' => $model];
    }

    /** `provider/model`, or a model's own name. */
    public function model(string $model): self
    {
        return $this->with(['model' => $model]);
    }

    /** Instructions that the model follows. */
    public function system(string $text): self
    {
        return $this->said('ROLE_SYSTEM', $text);
    }

    /** What was said before, by `user` or `assistant`. */
    public function said(string $role, string $text): self
    {
        $role = str_starts_with($role, 'ROLE_') ? $role : 'ROLE_' . strtoupper($role);
        $message = ['role' => $role, 'parts' => [['text' => ['text' => $text]]]];

        return $this->with(['messages' => [...$this->input['messages'] ?? [], $message]]);
    }

    public function temperature(float $temperature): self
    {
        return $this->sampling(['temperature' => $temperature]);
    }

    public function maxTokens(int $tokens): self
    {
        return $this->sampling(['maxOutputTokens' => $tokens]);
    }

    /** Further fields of `Sampling`. */
    public function sampling(array $sampling): self
    {
        return $this->with(['sampling' => $sampling + ($this->input['sampling'] ?? [])]);
    }

    /** A conversation that the gateway keeps, by its id. */
    public function conversation(string $id): self
    {
        return $this->with(['conversationId' => $id]);
    }

    /** An assistant of the tenant's, by id or name. */
    public function assistant(string $assistant): self
    {
        return $this->with(['assistantId' => $assistant]);
    }

    /** The end user whose account is charged. */
    public function user(string $user): self
    {
        $next = clone $this;
        $next->client = $this->client->as($user);

        return $next;
    }

    public function header(string $name, string $value): self
    {
        $next = clone $this;
        $next->headers[$name] = $value;

        return $next;
    }

    /** How long the call may take. */
    public function within(float $seconds): self
    {
        $next = clone $this;
        $next->timeoutS = $seconds;

        return $next;
    }

    /** Any fields of `ChatInput`. */
    public function with(array $fields): self
    {
        $next = clone $this;
        $next->input = $fields + $this->input;

        return $next;
    }

    /**
     * Asks and waits for the whole answer. Tried again where nobody is there, and charged once.
     *
     * @throws Failure
     */
    public function send(string $text): Answer
    {
        $asked = ['input' => $this->input($text), 'requestId' => self::id()];

        return new Answer($this->client->call('ChatService/Complete', $asked, $this->headers, $this->timeoutS)['completion']);
    }

    /**
     * Asks and yields the answer's text as it comes. Leaving the loop stops the provider.
     *
     * @return Generator<int, string>
     * @throws Failure
     */
    public function stream(string $text): Generator
    {
        foreach ($this->events($text) as $event) {
            if (isset($event['partDelta']['text'])) {
                yield $event['partDelta']['text'];
            }
        }
    }

    /**
     * Asks and yields every event: `ChatEvent`.
     *
     * @return Generator<int, array>
     * @throws Failure
     */
    public function events(string $text): Generator
    {
        $asked = ['input' => $this->input($text), 'requestId' => self::id()];
        foreach ($this->client->stream('ChatService/Stream', $asked, $this->headers, $this->timeoutS) as $message) {
            yield $message['event'];
        }
    }

    /** The `ChatInput` with this text at its end; for jobs, quotes and whatever else takes one. */
    public function input(string $text): array
    {
        return $this->said('ROLE_USER', $text)->input;
    }

    private static function id(): string
    {
        return bin2hex(random_bytes(16));
    }
}
