<?php

declare(strict_types=1);

namespace Trunkline\Laravel;

use Illuminate\Support\Facades\Facade;

/**
 * @method static \Trunkline\Chat chat(string $model = '')
 * @method static \Trunkline\Jobs jobs()
 * @method static array credits(string $user = '')
 * @method static array call(string $method, array $message = [], array $headers = [])
 * @method static \Symfony\Component\HttpFoundation\StreamedResponse response(\Trunkline\Chat $chat, string $text)
 *
 * @see Gateway
 */
final class Trunkline extends Facade
{
    protected static function getFacadeAccessor(): string
    {
        return Gateway::class;
    }
}
