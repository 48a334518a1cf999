<?php

declare(strict_types=1);

namespace Trunkline\Laravel;

use Symfony\Component\HttpFoundation\StreamedResponse;
use Trunkline\Failure;

/**
 * An answer as server-sent events: `message` with a piece of the text, at last `done` with the bill, or `error` with the
 * reason. A browser that leaves stops the provider.
 */
final class EventStream
{
    private const HEADERS = [
        'Content-Type' => 'text/event-stream',
        'Cache-Control' => 'no-cache, no-transform',
        'X-Accel-Buffering' => 'no',
    ];

    /** @param iterable<array> $events */
    public static function of(iterable $events): StreamedResponse
    {
        return new StreamedResponse(fn () => self::write($events), 200, self::HEADERS);
    }

    /** @param iterable<array> $events */
    private static function write(iterable $events): void
    {
        try {
            foreach ($events as $event) {
                self::tell($event);
            }
        } catch (Failure $failure) {
            self::say('error', ['reason' => $failure->reason, 'message' => $failure->getMessage()]);
        }
    }

    private static function tell(array $event): void
    {
        if (isset($event['partDelta']['text'])) {
            self::say('message', ['text' => $event['partDelta']['text']]);
        } elseif (isset($event['completed'])) {
            self::say('done', $event['completed']);
        } elseif (isset($event['heartbeat'])) {
            self::send(": still here\n\n");
        }
    }

    private static function say(string $event, array $data): void
    {
        self::send("event: {$event}\ndata: " . json_encode($data, JSON_THROW_ON_ERROR) . "\n\n");
    }

    /** PHP ends the script here when the browser is gone; the generator's `finally` then hangs up at the gateway. */
    private static function send(string $text): void
    {
        echo $text;
        if (ob_get_level() > 0) {
            ob_flush();
        }
        flush();
    }
}
