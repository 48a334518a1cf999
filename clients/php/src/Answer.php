<?php

declare(strict_types=1);

namespace Trunkline;

/** A `Completion`. Amounts are in billionths of a credit. */
final class Answer
{
    public function __construct(public readonly array $completion)
    {
    }

    public function id(): string
    {
        return $this->completion['completionId'];
    }

    /** What the first candidate says. */
    public function text(): string
    {
        $parts = $this->completion['candidates'][0]['message']['parts'] ?? [];

        return implode('', array_map(fn (array $part) => $part['text']['text'] ?? '', $parts));
    }

    public function model(): string
    {
        return $this->completion['model'] ?? '';
    }

    public function usage(): array
    {
        return $this->completion['usage'] ?? [];
    }

    public function chargeNanos(): int
    {
        return (int) ($this->completion['charge']['nanos'] ?? 0);
    }

    public function __toString(): string
    {
        return $this->text();
    }
}
