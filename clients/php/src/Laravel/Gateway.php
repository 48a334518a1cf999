<?php

declare(strict_types=1);

namespace Trunkline\Laravel;

use Symfony\Component\HttpFoundation\StreamedResponse;
use Trunkline\Chat;
use Trunkline\Client;
use Trunkline\Jobs;

/** The gateway as the settings of the application describe it. */
final class Gateway
{
    public readonly Client $client;
    private readonly string $model;

    /** @param array{url: string, key: string, model?: string} $config */
    public function __construct(array $config)
    {
        $this->client = new Client($config['url'], $config['key']);
        $this->model = $config['model'] ?? '';
    }

    public function chat(string $model = ''): Chat
    {
        return $this->client->chat($model === '' ? $this->model : $model);
    }

    public function jobs(): Jobs
    {
        return $this->client->jobs();
    }

    /** The account of an end user, or the key's own. */
    public function credits(string $user = ''): array
    {
        return $this->client->as($user)->credits();
    }

    public function call(string $method, array $message = [], array $headers = []): array
    {
        return $this->client->call($method, $message, $headers);
    }

    /** The answer as server-sent events, for a browser's `EventSource`. */
    public function response(Chat $chat, string $text): StreamedResponse
    {
        return EventStream::of($chat->events($text));
    }
}
