<?php

declare(strict_types=1);

namespace Trunkline;

use Generator;

/** Connect's JSON over HTTP/1.1, by PHP's own streams: no extension is needed. */
final class Door
{
    private const GRACE_S = 2.0;

    public function __construct(private readonly string $url, private readonly string $key)
    {
    }

    /** @throws Failure */
    public function call(string $method, array $message, array $headers, float $timeoutS): array
    {
        $answer = $this->open($method, $message, $headers, $timeoutS);
        try {
            $body = stream_get_contents($answer);
        } finally {
            fclose($answer);
        }

        return $this->told((string) $body);
    }

    /**
     * @return Generator<int, array>
     * @throws Failure
     */
    public function stream(string $method, array $message, array $headers, float $timeoutS): Generator
    {
        $answer = $this->open($method, $message, $headers, $timeoutS);
        try {
            while (($line = fgets($answer)) !== false) {
                yield $this->told($line);
            }
            if (stream_get_meta_data($answer)['timed_out']) {
                throw Failure::deadline();
            }
        } finally {
            fclose($answer);
        }
    }

    /** @return resource whose head has come, and is no error */
    private function open(string $method, array $message, array $headers, float $timeoutS)
    {
        $context = stream_context_create(['http' => [
            'method' => 'POST',
            'protocol_version' => 1.1,
            'header' => $this->head($headers, $timeoutS),
            'content' => json_encode((object) $message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE),
            'timeout' => $timeoutS + self::GRACE_S,
            'ignore_errors' => true,
            'follow_location' => 0,
        ]]);
        $answer = @fopen("{$this->url}/trunkline.v1.{$method}", 'r', false, $context);
        if ($answer === false) {
            throw Failure::unreachable($this->url);
        }
        if ($this->status($answer) !== 200) {
            $body = (string) stream_get_contents($answer);
            fclose($answer);
            throw Failure::from(json_decode($body, true) ?? []);
        }

        return $answer;
    }

    /** @return list<string> */
    private function head(array $headers, float $timeoutS): array
    {
        $headers += [
            'authorization' => "Bearer {$this->key}",
            'content-type' => 'application/json',
            'connect-timeout-ms' => (string) (int) ($timeoutS * 1000),
            'connection' => 'close',
        ];

        return array_map(fn ($name, $value) => "{$name}: {$value}", array_keys($headers), $headers);
    }

    /** @param resource $answer */
    private function status($answer): int
    {
        $head = stream_get_meta_data($answer)['wrapper_data'][0] ?? '';

        return (int) (explode(' ', $head)[1] ?? 0);
    }

    private function told(string $body): array
    {
        $message = json_decode($body, true);
        if (!is_array($message)) {
            throw Failure::broken();
        }
        if (isset($message['error'])) {
            throw Failure::from($message['error']);
        }

        return $message;
    }
}
