<?php

declare(strict_types=1);

namespace Trunkline;

/** Whether a method may be repeated, and how long it may take, as the contract's service config says. */
final class Terms
{
    private const LONGEST_S = 900.0;

    /** @var array<string, self>|null */
    private static ?array $all = null;

    private function __construct(public readonly bool $repeatable, public readonly float $timeoutS)
    {
    }

    public static function of(string $method): self
    {
        self::$all ??= self::read();

        return self::$all[$method] ?? new self(false, self::LONGEST_S);
    }

    /** @return array<string, self> */
    private static function read(): array
    {
        $config = json_decode(file_get_contents(__DIR__ . '/../resources/service_config.json'), true);
        $all = [];
        foreach ($config['methodConfig'] as $entry) {
            $terms = new self(isset($entry['retryPolicy']), (float) rtrim($entry['timeout'], 's'));
            foreach ($entry['name'] as $name) {
                $all[substr($name['service'], strlen('trunkline.v1.')) . '/' . $name['method']] = $terms;
            }
        }

        return $all;
    }
}
